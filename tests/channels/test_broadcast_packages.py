"""Packages as files: what we write, others can read by plain means; what others write is read safely or refused."""

from __future__ import annotations

import io
import tarfile
import xml.etree.ElementTree as Stdlib
from typing import Any

import pytest
from http_channels import NOON, batch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.broadcast import Broadcast, ebd, package
from channels.broadcast.ebd import Envelope, Unreadable, node
from channels.broadcast.exchange import Numbers
from channels.broadcast.messages import (
    MsgType,
    area_codes,
    ebm,
    parse_time,
    result_of,
    states_in,
    type_of,
    write_time,
)
from gateway.channel import Endpoint, Message

EBRID = "221000000000001030"


def config(**values: Any) -> Any:
    return Broadcast.Config.model_validate({"type": "broadcast", "ebrid": EBRID} | values)


def tar_of(*members: tuple[tarfile.TarInfo, bytes], compression: str = "") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return target.getvalue()


def file(name: str, content: bytes = b"<EBD/>") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member, b""


def test_a_warning_reads_by_plain_means() -> None:
    one = batch(["http://127.0.0.1/ebd"], region="210423", message=Message("zh-CN", "正文 <&>\x00", "标题"))
    body = ebm(config(sender_code="c1"), one, one.endpoints[0], "M1", NOON, msg_type=MsgType.ACTUAL)
    raw = package.pack("10X", ebd.write(Envelope("10X", EBRID, "t", body, destination="D1")), b"<Signature/>")
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
        names = tar.getnames()
        content = tar.extractfile("EBDB_10X.xml")
        assert content is not None
        root = Stdlib.fromstring(content.read())
    assert names == ["EBDB_10X.xml", "EBDS_EBDB_10X.xml"]
    assert [child.tag for child in root] == ["EBDVersion", "EBDID", "EBDType", "SRC", "DEST", "EBDTime", "EBM"]
    assert root.findtext("SRC/EBRID") == EBRID
    assert root.findtext("EBDType") == "EBM"
    basic = {child.tag: child.text for child in root.find("EBM/MsgBasicInfo") or ()}
    assert basic == {
        "MsgType": "1",
        "SenderName": "清原县气象台",
        "SenderCode": "c1",
        "SendTime": "2026-07-22 12:00:00",
        "EventType": "11B03",
        "Severity": "2",
        "StartTime": "2026-07-22 12:00:00",
        "EndTime": "2026-07-22 15:00:00",
    }
    assert root.findtext("EBM/MsgContent/MsgDesc") == "正文 <&>"
    assert root.findtext("EBM/MsgContent/AreaCode") == "210423000000"
    assert root.findtext("EBM/MsgContent/LanguageCode") == "zho"


@pytest.mark.parametrize(
    ("region", "named", "codes"),
    [
        ("210423", "", "210423000000"),
        ("210423", "210423101,210106001,210423102003", "210423101000,210423102003"),
        ("210423000000", "21042310100012", "210423101000"),
        ("210423", "210106", "210423000000"),
        ("21042310100312", "", "210423101003"),
    ],
)
def test_area_codes_are_twelve_digits_within_the_platforms_own(region: str, named: str, codes: str) -> None:
    message = Message("zh-CN", "", "", (("area_codes", named),))
    assert area_codes(batch(["x"], message=message), Endpoint(0, "x", region)) == codes


@pytest.mark.parametrize(
    ("status", "event", "grade", "expected"),
    [
        ("Actual", "11B03", "red", ("1", "11B03", "1")),
        ("Actual", "", "unknown", ("1", "11B99", "4")),
        ("Exercise", "11B03", "blue", ("3", "11B03", "4")),
        ("System", "11B03", "yellow", ("3", "00000", "3")),
        ("Test", "", "orange", ("3", "00000", "2")),
    ],
)
def test_only_actual_warnings_go_on_air_as_actual(
    status: str, event: str, grade: str, expected: tuple[str, str, str]
) -> None:
    one = batch(["x"], status=status, event_code=event, grade=grade)
    body = ebm(config(default_event="11B99"), one, one.endpoints[0], "M1", NOON, msg_type=type_of(one))
    found = tuple(ebd.text_at(body, "MsgBasicInfo", name) for name in ("MsgType", "EventType", "Severity"))
    assert found == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<EBD/>",
        tar_of(),
        tar_of(file("../EBDB_1.xml")),
        tar_of(file("/EBDB_1.xml")),
        tar_of(file("a/EBDB_1.xml")),
        tar_of(file("a\\EBDB_1.xml")),
        tar_of(file("EBDB_1.xml"), file("a/EBDR_1.mp3")),
        tar_of(link("EBDB_1.xml", "/etc/passwd")),
        tar_of(file("EBDS_1.xml")),
        tar_of(*[file(f"x{number}") for number in range(40)], file("EBDB_1.xml")),
        tar_of(file("EBDB_1.xml", b"x" * 2_000_001)),
        tar_of(file("EBDB_1.xml"), compression="gz"),
        tar_of(file("EBDB_1.xml", b"x" * 5_000))[:4_000],
        b"\0" * 16_000_001,
    ],
)
def test_packages_that_no_peer_has_reason_to_send_are_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        package.unpack(raw)


def test_a_leading_dot_slash_is_what_some_tars_write() -> None:
    files = package.unpack(tar_of(file("./EBDB_1.xml", b"<a/>"), file("EBDR_1.mp3", b"123")))
    assert files == package.Package(b"<a/>", b"", {"EBDR_1.mp3": 3})


@settings(max_examples=150)
@given(st.integers(0, 10_239), st.binary(min_size=1, max_size=40))
def test_damaged_packages_are_read_or_refused_never_worse(at: int, damage: bytes) -> None:
    whole = package.pack("1", ebd.write(Envelope("1", EBRID, "t", node("ConnectionCheck"))))
    damaged = whole[:at] + damage + whole[at + len(damage) :]
    try:
        ebd.read(package.unpack(damaged).body)
    except Unreadable:
        return


@pytest.mark.parametrize(
    "raw",
    [
        b"not xml",
        b"<EBD><EBDType>EBM</EBDType></EBD>",
        b"<X><EBDType>EBM</EBDType><EBM/></X>",
        b"<!DOCTYPE EBD><EBD><EBDType>EBM</EBDType><EBM/></EBD>",
        b'<!DOCTYPE EBD [<!ENTITY e SYSTEM "file:///etc/passwd">]><EBD><EBDType>EBM</EBDType><EBM>&e;</EBM></EBD>',
        b"<EBD>" + b"<a>" * 10_000,
    ],
)
def test_envelopes_that_are_none_are_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        ebd.read(raw)


def test_namespaces_comments_and_the_older_spelling_are_read() -> None:
    envelope = ebd.read(
        b'<EBD xmlns="urn:x"><EBDID>7<!-- c -->8</EBDID><EBDType>EBDResponse</EBDType><SRC><EBEID>9</EBEID></SRC>'
        b"<EBDResponse><ResultCode> 1 </ResultCode><ResultDesc><![CDATA[ok]]></ResultDesc></EBDResponse></EBD>"
    )
    assert (envelope.ebd_id, envelope.source) == ("78", "9")
    assert result_of(envelope.body) == (1, "ok")


@pytest.mark.parametrize("code", ["", "6", "-1", "１", "1.0", "99999"])
def test_unknown_codes_are_not_guessed(code: str) -> None:
    body = node("EBMStateResponse", node("EBM", node("EBMID", "1")), node("BrdStateCode", code))
    with pytest.raises(Unreadable):
        list(states_in(Envelope("1", EBRID, "t", body), config().zone))
    with pytest.raises(Unreadable):
        result_of(node("EBDResponse", node("ResultCode", code)))


def test_uploads_are_taken_out_of_their_form() -> None:
    content = bytes(range(256)) * 40
    body = (
        b'--B\r\nContent-Disposition: form-data; name="comment"\r\n\r\nhi\r\n--B\r\nContent-Disposition: form-data; '
        b'name="file"; filename="EBDT_1.tar"\r\n\r\n' + content + b"\r\n--B--\r\n"
    )
    assert package.uploaded('multipart/form-data; boundary="B"', body) == content
    assert package.uploaded("application/x-tar", content) == content
    with pytest.raises(Unreadable):
        package.uploaded("multipart/form-data; boundary=B", b"--B--")


def test_numbers_never_repeat_and_show_the_local_day() -> None:
    numbers = Numbers(config())
    ids = [numbers.next(NOON) for _ in range(1000)]
    assert ids[0] == f"10{EBRID}2026072243200000"
    assert len(set(ids)) == 1000
    assert {len(number) for number in ids} == {2 + 18 + 8 + 8}


def test_times_are_local() -> None:
    zone = config().zone
    assert write_time(NOON, zone) == "2026-07-22 12:00:00"
    assert parse_time("2026-07-22 12:00:00", zone) == NOON
    assert parse_time("yesterday", zone) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"ebrid": "123"},
        {"timezone": "Mars/Base"},
        {"timezone": "../../etc/passwd"},
        {"signature": "command"},
        {"request_timeout": 31},
        {"default_event": "暴雨"},
    ],
)
def test_mistakes_are_refused_when_the_settings_are_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**wrong)
