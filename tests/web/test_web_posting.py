"""`POST /alerts` over a real socket: what is taken, in which wrappings, and what is refused before anybody reads it."""

from __future__ import annotations

import asyncio
import gzip
import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pytest
from web_world import House, serve, store_full

CAP = b'<?xml version="1.0"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"/>'
XML = {"Content-Type": "application/cap+xml"}


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve(body_seconds=1.0) as house:
        yield house


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


async def post(
    house: House, body: Any, headers: dict[str, str] | None = None, path: str = "/api/v1/alerts"
) -> tuple[int, Any]:
    async with house.ask(path, method="POST", key="key-met", data=body, headers=headers or XML) as answer:
        return answer.status, await answer.json()


async def test_accepted_message_is_202_with_where_to_go_on(house: House) -> None:
    async with house.ask("/api/v1/alerts", method="POST", key="key-met", data=CAP, headers=XML) as answer:
        body = await answer.json()
        assert answer.status == 202
        assert answer.headers["Location"] == f"/api/v1/alerts/{body['id']}" == body["links"]["self"]
    assert body["state"] == "released"
    assert body["links"]["events"].endswith("/events")
    assert body["warnings"] == [
        {"code": "time_with_z", "level": "warning", "xpath": "/alert/sent", "line": 5, "message": "时间写作 Z"}
    ]
    assert house.world.accepted == [(CAP, "key:met", ())]


async def test_every_link_of_the_answer_leads_somewhere(house: House) -> None:
    _, body = await post(house, CAP)
    for name, path in body["links"].items():
        async with house.ask(path) as answer:
            assert answer.status == 200, name


async def test_the_same_message_again_is_200(house: House) -> None:
    assert (await post(house, CAP))[0] == 202
    assert (await post(house, CAP))[0] == 200


@pytest.mark.parametrize("kind", ["application/cap+xml; charset=utf-8", "application/xml", "text/xml"])
async def test_xml_types_are_taken(house: House, kind: str) -> None:
    assert (await post(house, CAP, {"Content-Type": kind}))[0] == 202


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_other_types_are_415_and_the_answer_names_the_right_ones(house: House, kind: str) -> None:
    status, problem = await post(house, CAP, {"Content-Type": kind})
    assert (status, problem["code"]) == (415, "type_unsupported")
    assert "application/cap+xml" in problem["detail"]
    assert house.world.accepted == []


async def test_dry_run_and_preview_store_nothing(house: House) -> None:
    for path in ("/api/v1/alerts?dry_run=true", "/api/v1/alerts/preview"):
        status, body = await post(house, CAP, path=path)
        assert (status, body["would"]) == (200, "release")
    assert house.world.accepted == []


async def test_a_wrong_dry_run_flag_is_not_taken_for_no(house: House) -> None:
    status, problem = await post(house, CAP, path="/api/v1/alerts?dry_run=yes")
    assert (status, problem["code"]) == (400, "query_invalid")
    assert house.world.accepted == []


async def test_gzip_is_unpacked(house: House) -> None:
    two_members = gzip.compress(CAP[:20]) + gzip.compress(CAP[20:])
    assert (await post(house, two_members, {**XML, "Content-Encoding": "gzip"}))[0] == 202
    assert house.world.accepted[0][0] == CAP


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(CAP)[:-9], gzip.compress(CAP) + b"trailing"], ids=["not", "cut", "more"]
)
async def test_broken_gzip_is_400(house: House, body: bytes) -> None:
    status, problem = await post(house, body, {**XML, "Content-Encoding": "gzip"})
    assert (status, problem["code"]) == (400, "gzip_invalid")


async def test_other_encodings_are_415(house: House) -> None:
    status, problem = await post(house, CAP, {**XML, "Content-Encoding": "br"})
    assert (status, problem["code"]) == (415, "encoding_unsupported")


async def test_a_gzip_bomb_is_413_and_costs_little_memory(house: House) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    tracemalloc.start()
    status, problem = await post(house, bomb, {**XML, "Content-Encoding": "gzip"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (status, problem["code"]) == (413, "body_too_large")
    assert peak < 32 * 2**20


async def test_a_long_body_is_413_whether_or_not_it_says_its_length(house: House) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield bytes(65_536)

    assert (await post(house, io.BytesIO(bytes(4_000_001))))[0] == 413
    assert (await post(house, pieces()))[0] == 413
    assert (await post(house, io.BytesIO(bytes(4_000_000))))[0] == 202


async def test_an_empty_body_is_400(house: House) -> None:
    status, problem = await post(house, b"")
    assert (status, problem["code"]) == (400, "body_empty")


async def test_a_body_that_trickles_is_given_up(house: House) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield CAP[:10]
        await asyncio.sleep(30)

    status, problem = await post(house, trickle())
    assert (status, problem["code"]) == (408, "body_slow")


async def test_a_head_that_never_ends_is_cut_off() -> None:
    async with serve(header_seconds=0.3) as house:
        port = int(house.url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await writer.wait_closed()


async def test_zip_brings_one_message_and_its_attachments(house: House) -> None:
    body = zipped(**{"dir/A_ALERT.XML": CAP, "A_ALERT_P_00.PDF": b"scan", "A_ALERT_O_12": b"other"})
    assert (await post(house, body, {"Content-Type": "application/zip"}))[0] == 202
    raw, _, attachments = house.world.accepted[0]
    assert raw == CAP
    assert [(one.name, one.content) for one in attachments] == [
        ("A_ALERT_P_00.PDF", b"scan"),
        ("A_ALERT_O_12", b"other"),
    ]


async def test_a_zip_bomb_is_413(house: House) -> None:
    status, problem = await post(house, zipped(**{"A.XML": bytes(60_000_000)}), {"Content-Type": "application/zip"})
    assert (status, problem["code"]) == (413, "body_too_large")


async def test_refusals_of_the_desk_carry_their_findings(house: House) -> None:
    status, problem = await post(house, b"<note>not cap</note>")
    assert (status, problem["code"], problem["findings"][0]["xpath"]) == (422, "not_cap", "/note")


async def test_a_full_store_is_503_to_be_tried_again_and_tells_no_secrets(house: House) -> None:
    house.world.trouble = store_full()
    async with house.ask("/api/v1/alerts", method="POST", key="key-met", data=CAP, headers=XML) as answer:
        text = await answer.text()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert "store_unavailable" in text
    assert "/secret/path" not in text
