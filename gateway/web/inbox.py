"""The inbox: a watched folder per source. A file is taken once it has stopped growing, moved to `done/` or `refused/`, and answered
with `NAME_ACK.XML` in the national shape. A file and a POST of the same message are one alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from lxml import etree
from structlog.stdlib import BoundLogger

from gateway.errors import Refused, Unstorable
from gateway.ports.desk import Attachment, Desk, Principal, Role
from gateway.web.bodies import unzip

LOOK_EVERY = 0.5
UNPACKED = 32_000_000
"""Bytes that a parcel may hold once unpacked, scans included."""

SUFFIXES = {".xml", ".zip", ".cap"}
Stamp = tuple[int, int]


class Inbox:
    """Watches one folder per source."""

    def __init__(self, desk: Desk, folders: Mapping[str, str], log: BoundLogger) -> None:
        self._desk, self._log = desk, log
        self._folders = {source: Path(folder) for source, folder in folders.items()}
        self._seen: dict[Path, Stamp] = {}

    async def run(self) -> None:
        """Watch until cancelled; returns at once if there is no folder to watch."""
        for folder in self._folders.values():
            for name in ("", "done", "refused"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        while self._folders:
            for source, folder in self._folders.items():
                for path in await asyncio.to_thread(self._settled, folder):
                    await self._take(source, path)
            await asyncio.sleep(LOOK_EVERY)

    def _settled(self, folder: Path) -> list[Path]:
        """Files that look as they did at the last look, oldest first."""
        settled = []
        for path in folder.iterdir():
            if path.suffix.lower() not in SUFFIXES or path.stem.upper().endswith("_ACK") or not path.is_file():
                continue
            state = path.stat()
            stamp = (state.st_size, state.st_mtime_ns)
            if self._seen.get(path) == stamp:
                settled.append((state.st_mtime_ns, path))
            self._seen[path] = stamp
        return [path for _, path in sorted(settled)]

    async def _take(self, source: str, path: Path) -> None:
        poster = Principal(f"inbox:{source}", f"inbox:{source}", frozenset({Role.SOURCE}), source)
        try:
            raw, attachments = await asyncio.to_thread(read_parcel, path)
            accepted = await self._desk.accept(raw, poster, attachments=attachments, via="inbox")
        except Unstorable as error:
            self._log.warning("inbox_waits", file=path.name, why=str(error))
            return
        except Refused as refusal:
            self._answer(path, "refused", 1, refusal.code, f"{refusal.zh} / {refusal.en}")
            return
        self._answer(path, "done", 0, "", f"{accepted.state.value} {accepted.id}")

    def _answer(self, path: Path, folder: str, status: int, code: str, note: str) -> None:
        """Write the acknowledgement first, then move the file: a crash between repeats the message, and it is one alert."""
        path.with_name(f"{path.stem}_ACK.XML").write_bytes(acknowledgement(status, code, note))
        target = path.parent / folder / path.name
        path.replace(
            target if not target.exists() else target.with_name(f"{path.stem}.{path.stat().st_mtime_ns}{path.suffix}")
        )
        self._seen.pop(path, None)
        self._log.info("inbox_taken", file=path.name, status=status, code=code)


def read_parcel(path: Path) -> tuple[bytes, tuple[Attachment, ...]]:
    """The message of a file, and what came beside it in a ZIP. Raises Refused."""
    content = path.read_bytes()
    if path.suffix.lower() != ".zip":
        return content, ()
    package = unzip(content, UNPACKED)
    return package.raw, package.attachments


def acknowledgement(status: int, code: str, note: str) -> bytes:
    """`/msg/data/rows/{status,error_code,note}`: 0 = accepted."""
    root = etree.Element("msg")
    rows = etree.SubElement(etree.SubElement(root, "data"), "rows")
    for name, value in (("status", str(status)), ("error_code", code), ("note", note)):
        etree.SubElement(rows, name).text = value
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
