"""Reading what somebody sent us, within limits that are counted while reading: plain, gzip, ZIP with attachments, forms and
small JSON. Called by the handlers that take a body; `unzip` also by the inbox, for ZIP files dropped into a folder.
"""

from __future__ import annotations

import asyncio
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.ports import Attachment
from gateway.web.problems import refuse

SMALL = 64 * 1024
"""Bytes of a form or of an operator's JSON."""

XML_TYPES = ("application/cap+xml", "application/xml", "text/xml")
ZIP_TYPES = ("application/zip", "application/x-zip-compressed")

_DIRECTORY_LIMIT = SMALL
_ATTACHMENT = re.compile(r".+_[PO]_\d\d(\.[^.]+)?", re.IGNORECASE)
_END_OF_DIRECTORY = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"


@dataclass(frozen=True, slots=True)
class Package:
    """One message as it came: its bytes and the files beside it."""

    raw: bytes
    attachments: tuple[Attachment, ...] = ()


async def message(request: web.Request, limit: int, seconds: float) -> Package:
    """The message of a POST, by its content type. Raises Refused (400, 408, 413, 415, 422)."""
    kind = request.content_type
    if kind not in XML_TYPES + ZIP_TYPES:
        raise refuse("type_unsupported", given=_shown(kind), wanted=", ".join((*XML_TYPES, ZIP_TYPES[0])))
    content = await read(request, limit, seconds)
    if not content:
        raise refuse("body_empty")
    if kind in ZIP_TYPES:
        return await asyncio.to_thread(unzip, content, limit)
    return Package(content)


async def form(request: web.Request, seconds: float) -> dict[str, str]:
    """The fields of an HTML form (the last of equal names). Raises Refused."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise refuse("type_unsupported", given=_shown(request.content_type), wanted="application/x-www-form-urlencoded")
    content = await read(request, SMALL, seconds)
    try:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=100, errors="strict"))
    except ValueError as error:
        raise refuse("body_invalid", why="form") from error


async def read(request: web.Request, limit: int, seconds: float) -> bytes:
    """The whole body, un-gzipped, at most `limit` bytes, within `seconds`. Raises Refused (400, 408, 413, 415)."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise refuse("encoding_unsupported", given=_shown(encoding))
    if request.content_length is not None and request.content_length > limit:
        raise refuse("body_too_large", limit=limit)
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request, _Gunzip(limit) if "gzip" in encoding else None, limit)
    except TimeoutError as error:
        raise refuse("body_slow", seconds=f"{seconds:g}") from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise refuse("body_malformed") from error


async def _collect(request: web.Request, gunzip: _Gunzip | None, limit: int) -> bytes:
    collected = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        collected += gunzip.feed(chunk) if gunzip else chunk
        if len(collected) > limit:
            raise refuse("body_too_large", limit=limit)
    if gunzip:
        gunzip.finish()
    return bytes(collected)


class _Gunzip:
    """Unpacks gzip members (RFC 1952) piece by piece and stops one byte beyond `limit`, whatever the ratio."""

    def __init__(self, limit: int) -> None:
        self._room = limit + 1
        self._member = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> bytes:
        """What `chunk` unpacks to, never more than the room that is left."""
        out = bytearray()
        try:
            while chunk and self._room > 0:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                piece = self._member.decompress(chunk, self._room)
                self._room -= len(piece)
                out += piece
                chunk = self._member.unused_data or self._member.unconsumed_tail
        except zlib.error as error:
            raise refuse("gzip_invalid") from error
        return bytes(out)

    def finish(self) -> None:
        """Check that the last member is whole."""
        if not self._member.eof:
            raise refuse("gzip_invalid")


def unzip(content: bytes, limit: int) -> Package:
    """The message and attachments of a ZIP: one XML, the rest named `*_P_nn` or `*_O_nn`; at most `limit` bytes unpacked in all.

    Nothing is written to disk, and names are only labels. Raises Refused (400, 413, 422).
    """
    if _directory_size(content) > _DIRECTORY_LIMIT:
        raise refuse("body_too_large", limit=limit)
    try:
        with zipfile.ZipFile(io.BytesIO(content), metadata_encoding="gb18030") as archive:
            files = list(_unpacked(archive, limit))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, UnicodeError, EOFError, ValueError) as error:
        raise refuse("zip_invalid") from error
    messages = [body for name, body in files if name.lower().endswith(".xml") and not _ATTACHMENT.fullmatch(name)]
    if len(messages) != 1:
        raise refuse("zip_no_message", count=len(messages))
    return Package(messages[0], tuple(Attachment(name, body) for name, body in files if _ATTACHMENT.fullmatch(name)))


def _directory_size(content: bytes) -> int:
    """Bytes of the central directory, as the end record says; beyond any limit for ZIP64, which no message needs."""
    end = content.rfind(_END_OF_DIRECTORY)
    if end < 0 or len(content) < end + 22:
        raise refuse("zip_invalid")
    if content[max(0, end - 20) : end].startswith(_ZIP64_LOCATOR):
        return _DIRECTORY_LIMIT + 1
    (size,) = struct.unpack_from("<I", content, end + 12)
    return int(size)


def _unpacked(archive: zipfile.ZipFile, limit: int) -> Iterator[tuple[str, bytes]]:
    room, seen = limit, set[str]()
    for member in archive.infolist():
        if member.is_dir():
            continue
        name = _plain_name(member.filename)
        if name in seen:
            raise refuse("zip_names", name=_shown(name))
        seen.add(name)
        with archive.open(member) as stream:
            body = stream.read(room + 1)
        room -= len(body)
        if room < 0:
            raise refuse("body_too_large", limit=limit)
        yield name, body


def _plain_name(path: str) -> str:
    """The last part of a member's path; refused if the path leaves its folder or is neither message nor attachment."""
    parts = PurePosixPath(path).parts
    name = parts[-1] if parts else ""
    hostile = path.startswith("/") or ".." in parts or not path.isprintable() or re.search(r"[\\:]", path)
    if hostile or not (name.lower().endswith(".xml") or _ATTACHMENT.fullmatch(name)):
        raise refuse("zip_names", name=_shown(path))
    return name


def _shown(text: str) -> str:
    """A foreign word, short and printable, to be named in an answer."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:80]) or "-"
