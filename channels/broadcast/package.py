"""The TAR that carries an EBD over HTTP: flat, uncompressed, read in memory with limits, never unpacked to disk. Pure.

`EBDB_<EBDID>.xml` is the body, `EBDS_EBDB_<EBDID>.xml` its signature, `EBDR_...` an attachment such as audio.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

from channels.broadcast.ebd import Unreadable

MAX_MEMBERS = 32
MAX_XML = 2_000_000
MAX_PACKAGE = 16_000_000


@dataclass(frozen=True, slots=True)
class Package:
    """The files of an EBD: `body` XML, `signature` XML (b"" if unsigned), and the names and sizes of attachments."""

    body: bytes
    signature: bytes = b""
    attachments: Mapping[str, int] = field(default_factory=dict)


def file_name(ebd_id: str) -> str:
    """`EBDT_<EBDID>.tar`."""
    return f"EBDT_{ebd_id}.tar"


def pack(ebd_id: str, body: bytes, signature: bytes = b"", attachments: Mapping[str, bytes] | None = None) -> bytes:
    """The TAR of an EBD."""
    files = {f"EBDB_{ebd_id}.xml": body}
    if signature:
        files[f"EBDS_EBDB_{ebd_id}.xml"] = signature
    files |= attachments or {}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def unpack(raw: bytes) -> Package:
    """The files in a TAR. Raises Unreadable for anything that a peer has no reason to send."""
    if len(raw) > MAX_PACKAGE:
        raise Unreadable(f"a package of more than {MAX_PACKAGE} bytes")
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            return _sorted(tar, raw)
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, IndexError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("not a TAR") from error


def _sorted(tar: tarfile.TarFile, raw: bytes) -> Package:
    body = signature = b""
    attachments: dict[str, int] = {}
    for count, member in enumerate(tar, 1):
        if count > MAX_MEMBERS:
            raise Unreadable(f"more than {MAX_MEMBERS} files in a package")
        name = _plain_name(member)
        if name.startswith("EBDB_"):
            body = _content(raw, member)
        elif name.startswith("EBDS_"):
            signature = _content(raw, member)
        else:
            attachments[name] = member.size
    if not body:
        raise Unreadable("no EBDB file in the package")
    return Package(body, signature, attachments)


def _plain_name(member: tarfile.TarInfo) -> str:
    name = member.name.removeprefix("./")
    if not member.isreg() or not name or "/" in name or "\\" in name or name.startswith("."):
        raise Unreadable("a package holds plain files only, without folders")
    return name


def _content(raw: bytes, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_XML:
        raise Unreadable(f"an XML file of more than {MAX_XML} bytes")
    content = raw[member.offset_data : member.offset_data + member.size]
    if len(content) < member.size or member.issparse():
        raise Unreadable("a package that breaks off")
    return content


def uploaded(content_type: str, body: bytes) -> bytes:
    """The file in a multipart/form-data upload (RFC 7578), or `body` itself if it is not one. Raises Unreadable."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        return body
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"))[1:]:
        head, mark, content = part.partition(b"\r\n\r\n")
        if mark and b"filename=" in head.lower():
            return content
    raise Unreadable("no file in the upload")
