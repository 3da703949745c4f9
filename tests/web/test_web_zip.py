"""ZIP files as the national upload makes them, and as an attacker does."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from gateway.errors import Refused
from gateway.web import unzip

CAP = b"<alert/>"


def pack(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def refusal(content: bytes, limit: int = 4_000_000) -> str:
    with pytest.raises(Refused) as caught:
        unzip(content, limit)
    return caught.value.code


def test_an_attachment_that_is_xml_is_not_the_message() -> None:
    package = unzip(pack(("M_ALERT.XML", CAP), ("M_ALERT_O_01.xml", b"<x/>")), 1000)
    assert package.raw == CAP
    assert [one.name for one in package.attachments] == ["M_ALERT_O_01.xml"]


def test_names_in_gbk_are_read() -> None:
    content = pack(("AAAA_P_01.pdf", b"scan"), ("M.xml", CAP)).replace(b"AAAA_P_01", "预警".encode("gbk") + b"_P_01")
    assert unzip(content, 1000).attachments[0].name == "预警_P_01.pdf"


@pytest.mark.parametrize(
    "name", ["../M.xml", "/etc/M.xml", "a/../../M.xml", "..\\M.xml", "C:M.xml", "run.exe", "M\n.xml", "notes.txt"]
)
def test_hostile_or_foreign_names_are_refused(name: str) -> None:
    assert refusal(pack((name, CAP))) == "zip_names"


def test_a_name_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = pack(("M.xml", CAP), ("M.xml", b"<other/>"))
    assert refusal(content) == "zip_names"


@pytest.mark.parametrize("files", [(), (("A_P_01.pdf", b"x"),), (("A.xml", CAP), ("B.xml", CAP))])
def test_there_has_to_be_one_message(files: tuple[tuple[str, bytes], ...]) -> None:
    assert refusal(pack(*files)) == "zip_no_message"


def test_all_members_together_count_against_the_limit() -> None:
    files = [("M.xml", CAP), *((f"M_P_{n:02d}.pdf", bytes(300)) for n in range(4))]
    assert len(unzip(pack(*files), 1208).attachments) == 4
    assert refusal(pack(*files), 1207) == "body_too_large"


@pytest.mark.parametrize("content", [b"PK", b"", b"not a zip at all" * 9, pack(("M.xml", CAP))[:-30]])
def test_damaged_files_are_refused(content: bytes) -> None:
    assert refusal(content) == "zip_invalid"


def test_a_wrong_checksum_is_noticed() -> None:
    content = bytearray(pack(("M.xml", CAP), method=zipfile.ZIP_STORED))
    content[content.index(CAP)] ^= 1
    assert refusal(bytes(content)) == "zip_invalid"


def test_an_encrypted_member_is_refused() -> None:
    content = bytearray(pack(("M.xml", CAP)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + offset
        struct.pack_into("<H", content, at, 1)
    assert refusal(bytes(content)) == "zip_invalid"


def test_a_huge_directory_is_refused_before_it_is_read() -> None:
    files = [(f"M{n:04d}_P_01.pdf", b"") for n in range(1500)]
    assert refusal(pack(("M.xml", CAP), *files)) == "body_too_large"
