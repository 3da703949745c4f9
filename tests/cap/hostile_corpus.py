"""Hostile messages, built in code, and their measurement in a process of their own.

`python hostile_corpus.py` prints one JSON line per message: name, bytes, milliseconds, growth of the peak memory in KiB,
and the error codes. `test_cap_hostile.py` runs it and judges.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cap_messages import CAP_12, cap, info

from gateway.cap import parse

FULL = 3_990_000


def _fill(unit: str, size: int = FULL) -> str:
    return unit * (size // len(unit.encode()))


def _note(inside: str) -> bytes:
    return cap(extra=f"<note>{inside}</note>").encode()


def _ring(points: int) -> str:
    return " ".join(f"{41 + n * 1e-5:.6f},{123 + n * 1e-5:.6f}" for n in range(points))


def _polygons(count: int, points: int) -> bytes:
    one = f"<area><areaDesc>x</areaDesc><polygon>{_ring(points)}</polygon></area>"
    return cap(f"<info>{one * count}</info>").encode()


def _laughs() -> bytes:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE a [<!ENTITY l0 "lol">{levels}]><alert xmlns="{CAP_12}">&l9;</alert>'.encode()


def _quadratic() -> bytes:
    return f'<!DOCTYPE a [<!ENTITY b "{"b" * 50_000}">]><alert xmlns="{CAP_12}">{"&b;" * 50_000}</alert>'.encode()


def _attributes(count: int) -> bytes:
    return cap(extra="<x " + " ".join(f'a{n}=""' for n in range(count)) + "/>").encode()


def _giant_namespace() -> bytes:
    return cap("<x:a/>" * 50_000).replace("xmlns", f'xmlns:x="{"u" * 1_000_000}" xmlns', 1).encode()


def _giant_namespace_of_attributes() -> bytes:
    attributes = " ".join(f'x:a{n}=""' for n in range(900))
    return cap(f"<a {attributes}/>").replace("xmlns", f'xmlns:x="{"u" * 1_000_000}" xmlns', 1).encode()


def _many_polygons() -> bytes:
    return cap("<info>" + f"<polygon>{_fill('1,2 ', 168_000)}</polygon>" * 5 + "</info>").encode()


def _many_references() -> bytes:
    return cap(extra=f"<references>{_fill('a ', 3_900_000)}</references>").encode()


def _most_geocodes() -> bytes:
    geocode = "<geocode><valueName>a</valueName><value>210423</value></geocode>"
    return cap(info("</polygon>", "</polygon>" + geocode * 9_999)).encode()


DOCTYPE, SHAPE, CROWD, SIZE = ("doctype_forbidden",), ("not_well_formed",), ("too_many_elements",), ("body_too_large",)

CORPUS: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "external file": (lambda: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', DOCTYPE),
    "external url": (lambda: b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', DOCTYPE),
    "parameter entity": (lambda: b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]><a/>', DOCTYPE),
    "billion laughs": (_laughs, DOCTYPE),
    "quadratic blow-up": (_quadratic, DOCTYPE),
    "doctype in utf-16": (lambda: "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>".encode("utf-16"), DOCTYPE),
    "utf-7": (lambda: b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-', ("encoding_unsupported",)),
    "ten megabytes": (lambda: _note("x" * 10_000_000), SIZE),
    "ten-megabyte attribute": (lambda: cap(extra=f'<note a="{"x" * 10_000_000}"/>').encode(), SIZE),
    "depth": (lambda: _note(_fill("<a>")), ("too_deep",)),
    "tiny elements": (lambda: _note(_fill("<a/>")), CROWD),
    "tiny pairs": (lambda: _note(_fill("<a></a>")), CROWD),
    "elements with attributes": (lambda: _note(_fill('<a b="" c="" d="" e=""/>')), CROWD),
    "attributes of one tag": (lambda: _attributes(350_000), CROWD),
    "attributes of a smaller tag": (lambda: _attributes(12_000), CROWD),
    "namespace declarations": (lambda: _note(_fill('<a xmlns:b="u"/>')), CROWD),
    "giant namespace": (_giant_namespace, ("name_too_long",)),
    "giant namespace of attributes": (_giant_namespace_of_attributes, ("name_too_long",)),
    "long names": (lambda: _note(_fill(f"<{'n' * 600}/>")), ("name_too_long",)),
    "giant name": (lambda: _note(f"<{'n' * 3_000_000}/>"), ("name_too_long",)),
    "comments": (lambda: _note(_fill("<!---->")), CROWD),
    "instructions": (lambda: _note(_fill("<?a?>")), CROWD),
    "cdata sections": (lambda: _note(_fill("<![CDATA[x]]>")), CROWD),
    "giant attribute, cut": (lambda: cap(extra=f'<note a="{"x" * FULL}').encode()[:FULL], SHAPE),
    "giant attribute of angles, cut": (lambda: cap(extra=f'<note a="{">" * FULL}').encode()[:FULL], SHAPE),
    "giant comment, cut": (lambda: cap(extra=f"<!--{'- ' * FULL}").encode()[:FULL], SHAPE),
    "giant instruction, cut": (lambda: cap(extra=f"<?x {'y' * FULL}").encode()[:FULL], SHAPE),
    "giant end tag, cut": (lambda: cap(extra=f"<a></a{' ' * FULL}").encode()[:FULL], SHAPE),
    "giant doctype": (lambda: f'<!DOCTYPE a SYSTEM "{"x" * 3_900_000}"><a/>'.encode(), DOCTYPE),
    "giant text, cut": (lambda: _note("x" * 3_900_000)[:-1], SHAPE),
    "Chinese text, cut": (lambda: _note("铜" * 1_300_000)[:-1], SHAPE),
    "GB18030 text, cut": (lambda: _note("铜" * 1_900_000).decode().replace("UTF-8", "GB18030").encode("gb18030")[:-1], SHAPE),
    "line breaks, cut": (lambda: _note("\n" * 3_900_000)[:-1], SHAPE),
    "character references, cut": (lambda: _note(_fill("&#38;", 3_900_000))[:-1], SHAPE),
    "60,000 points": (lambda: _polygons(1, 60_000), ("polygon_too_large",)),
    "210,000 points": (_many_polygons, ("too_many_points",)),
    "10,001 geocodes": (lambda: cap("<info>" + "<geocode/>" * 10_001 + "</info>").encode(), ("too_many_geocodes",)),
    "65 infos": (lambda: cap("<info/>" * 65).encode(), ("too_many_infos",)),
    "a million references": (_many_references, ("too_many_references",)),
    "a repeated head": (lambda: cap("<sender>s</sender>" * 90_000).encode(), ("required_conflicting",)),
    "a bad head above a large body": (lambda: cap("<a/>" * 90_000, status="Real").encode(), ("code_unknown",)),
    "an unknown namespace above a large body": (lambda: cap("<a/>" * 90_000, ns="urn:x").encode(), ("namespace_unknown",)),
    "accepted: giant attribute": (lambda: cap(extra=f'<note a="{"x" * 3_900_000}"/>').encode(), ()),
    "accepted: giant comment and spaces": (lambda: cap(extra=f"<!--{'x' * 1_900_000}--><a></a{' ' * 1_900_000}>").encode(), ()),
    "accepted: 1 MB": (lambda: _polygons(2, 27_000), ()),
    "accepted: 4 MB, 190,000 points": (lambda: _polygons(4, 47_400), ()),
    "accepted: 10,000 geocodes": (_most_geocodes, ()),
}  # fmt: skip


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _build(name: str, file: Path) -> None:
    file.write_bytes(CORPUS[name][0]())


def _measure(name: str, file: Path) -> None:
    raw = file.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start = _peak(), time.perf_counter()
    parsed = parse(raw)
    spent = time.perf_counter() - start
    errors = [finding.code for finding in parsed.errors]
    row = {"name": name, "bytes": len(raw), "ms": round(spent * 1e3, 1), "kib": _peak() - before, "errors": errors}
    print(json.dumps(row), flush=True)


def main() -> None:
    """Build and measure in two fresh forks each, so that the memory freed by building hides no growth."""
    parse(cap().encode())
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "message.xml"
        for name in CORPUS:
            for step in (_build, _measure):
                process = fork.Process(target=step, args=(name, file))
                process.start()
                process.join()


if __name__ == "__main__":
    main()
