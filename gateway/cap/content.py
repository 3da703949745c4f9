"""Same content or not: what decides between `200, the same again` and `409, other content`.

A document is seen as its leaves: XPath and value. White space, prefixes, encoding, comments, attributes, the order of
unlike siblings, empty elements and the signature do not count; times count as instants, coordinates as numbers.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

from lxml import etree

from gateway.cap.encoding import to_utf8
from gateway.cap.fields import read_circle, read_coordinates, read_time
from gateway.cap.notes import Notes, Stop
from gateway.cap.options import Limits
from gateway.cap.scan import NATIONAL, Scan, scan
from gateway.cap.tree import SIGNATURE, build, split_tag
from gateway.cap.words import REPEATED

_TIMES = frozenset(("sent", "sendTime", "effective", "onset", "expires"))


def fingerprint(root: etree._Element) -> str:
    """SHA-256 (hex) of the content under `root`."""
    content = "".join(f"{path}\0{value}\0" for path, value in sorted(leaves(root)))
    return hashlib.sha256(content.encode()).hexdigest()


def first_difference(raw_a: bytes, raw_b: bytes, limits: Limits | None = None) -> str:
    """XPath of the first leaf, in the order of the first document, that differs; "" if the content is the same.

    A document that cannot be read differs at `/`.
    """
    limits = limits or Limits()
    first, second = _read(raw_a, limits), _read(raw_b, limits)
    if first is None or second is None:
        return "/"
    differing = (path for path, value in first.items() if second.get(path) != value)
    added = (path for path in second if path not in first)
    return next(differing, next(added, ""))


def _read(raw: bytes, limits: Limits) -> dict[str, str] | None:
    notes, seen = Notes(), Scan()
    try:
        utf8 = to_utf8(raw, notes)
        scan(utf8, limits, notes, seen)
        return dict(leaves(build(utf8))) if seen.complete else None
    except Stop:
        return None


def leaves(root: etree._Element) -> Iterator[tuple[str, str]]:
    """Every non-empty text under `root` with its XPath, in document order; the root itself with its namespace."""
    namespace, local = split_tag(root)
    yield f"/{local}", namespace
    step_of = _Steps(namespace)
    waiting = [(child, path) for child, path in _children(root, f"/{local}", step_of) if child.tag != SIGNATURE][::-1]
    while waiting:
        element, path = waiting.pop()
        children = _children(element, path, step_of) if len(element) else []
        if own := _own_text(element, children):
            yield path, _value(path, own)
        waiting += reversed(children)


class _Steps(dict[str, str]):
    """The XPath step of a tag: its local name, or a qualified name outside the root's namespace."""

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self._ours = {namespace, ""} if namespace == NATIONAL else {namespace}

    def __missing__(self, tag: str) -> str:
        space, _, name = tag.removeprefix("{").rpartition("}")
        self[tag] = name if space in self._ours else f"Q{{{space}}}{name}"
        return self[tag]


def _own_text(element: etree._Element, children: list[tuple[etree._Element, str]]) -> str:
    text = element.text or ""
    for child, _ in children:
        text += child.tail or ""
    return " ".join(text.split())


def _children(element: etree._Element, path: str, step_of: _Steps) -> list[tuple[etree._Element, str]]:
    """Children with their paths; indices count like-named siblings, and are left out for a single one."""
    counted: dict[str, int] = {}
    found = []
    for child in element:
        step = step_of[str(child.tag)]
        nth = counted[step] = counted.get(step, 0) + 1
        found.append((child, f"{path}/{step}[{nth}]" if nth > 1 or step in REPEATED else f"{path}/{step}"))
    return found


def _value(path: str, text: str) -> str:
    name = path.rpartition("/")[2].partition("[")[0]
    if name in _TIMES:
        at = read_time(text, space=True).at
        return text if at is None else str(at)
    if name == "polygon" and (numbers := read_coordinates(text, len(text))):
        return array("d", numbers).tobytes().hex()
    if name == "circle" and (circle := read_circle(text, 1).circle):
        return repr(circle)
    return text
