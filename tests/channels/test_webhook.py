"""The webhook channel against its pager over real sockets: what it says became of each endpoint is what happened."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from http_channels import batch, eventually, serving, world
from yarl import URL

from channels.webhook import Webhook, guard
from channels.webhook.simulator import Pager, share_of
from gateway.channel import (
    ChannelError,
    Context,
    Level,
    Misconfigured,
    Reason,
    Rejected,
    Throttled,
    Unavailable,
)

PEOPLE = [f"1000000{number:04}" for number in range(60)]


def webhook(context: Context, **settings: Any) -> Webhook:
    return Webhook(Webhook.Config.model_validate({"type": "webhook"} | settings), context)


def levels(receipts: Any) -> dict[int, Level]:
    return {receipt.endpoint: receipt.level for receipt in receipts}


async def test_everyone_is_asked_once_with_text_and_key(tmp_path: Path) -> None:
    async with Pager() as pager, world(tmp_path) as (context, _, _):
        receipts = await webhook(context, **pager.settings()).send(batch(PEOPLE))
    assert levels(receipts) == dict.fromkeys(range(60), Level.ACCEPTED)
    assert {call["address"]: call["key"] for call in pager.received} == {
        address: f"d1.pager.{number}" for number, address in enumerate(PEOPLE)
    }
    assert {call["text"] for call in pager.received} == {"清原县发布暴雨橙色预警"}
    assert all(call["headers"]["Idempotency-Key"] == call["body"]["key"] for call in pager.requests)


async def test_one_request_may_serve_the_whole_batch(tmp_path: Path) -> None:
    async with Pager() as pager, world(tmp_path) as (context, _, _):
        channel = webhook(
            context,
            url=pager.url,
            many=True,
            body={"to": "{addresses}", "key": "{keys}", "text": "{text}"},
            id_path="id",
            delivered_by="response",
        )
        receipts = await channel.send(batch(PEOPLE[:3]))
    assert len(pager.requests) == 1
    assert [call["key"] for call in pager.received] == ["d1.pager.0", "d1.pager.1", "d1.pager.2"]
    assert [(receipt.level, receipt.far_id) for receipt in receipts] == [(Level.DELIVERED, "P3")] * 3
    assert channel.traits.proves is Level.DELIVERED


async def test_addresses_that_the_answer_names_are_refused(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"errcode": 0, "invaliduser": f"{PEOPLE[1]}|x"})

    async with serving(answer) as url, world(tmp_path) as (context, _, _):
        channel = webhook(
            context,
            url=url,
            many=True,
            body={"touser": "{addresses}"},
            ok={"path": "errcode", "equals": 0},
            refused_path="invaliduser",
        )
        receipts = await channel.send(batch(PEOPLE[:2]))
    assert [receipt.reason for receipt in receipts] == [Reason.NONE, Reason.INVALID_ADDRESS]


async def test_refusals_stay_with_those_they_concern(tmp_path: Path) -> None:
    async with Pager(faults="reject=0.5") as pager, world(tmp_path) as (context, _, _):
        receipts = await webhook(context, **pager.settings()).send(batch(PEOPLE))
    refused = {number for number, address in enumerate(PEOPLE) if share_of(address) < 0.5}
    assert refused
    assert {receipt.endpoint for receipt in receipts if receipt.reason is Reason.REJECTED} == refused
    assert len(receipts) == 60


@pytest.mark.parametrize(
    ("faults", "error"),
    [("500", Unavailable), ("401", Misconfigured), ("302", Misconfigured), ("429", Throttled), ("503", Throttled)],
)
async def test_a_far_side_that_refuses_everything_stops_the_batch(
    tmp_path: Path, faults: str, error: type[ChannelError]
) -> None:
    async with Pager(faults=faults) as pager, world(tmp_path) as (context, _, _):
        with pytest.raises(error):
            await webhook(context, **pager.settings(), connections=1).send(batch(PEOPLE))
    assert not pager.received


async def test_patience_asked_for_is_kept(tmp_path: Path) -> None:
    async with Pager(faults="429") as pager, world(tmp_path) as (context, _, _):
        channel = webhook(context, **pager.settings())
        with pytest.raises(Throttled):
            await channel.send(batch(PEOPLE))
        pager.set_faults("")
        with pytest.raises(Throttled) as patience:
            await channel.send(batch(PEOPLE))
    assert 0 < patience.value.after <= 1
    assert not pager.received


async def test_throttled_midway_nobody_is_forgotten(tmp_path: Path) -> None:
    served = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal served
        served += 1
        return web.Response(status=200 if served <= 10 else 429)

    async with serving(answer) as url, world(tmp_path) as (context, _, _):
        receipts = await webhook(context, url=url, connections=1).send(batch(PEOPLE))
    assert served == 11
    assert [receipt.reason for receipt in receipts] == [Reason.NONE] * 10 + [Reason.THROTTLED] * 50


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, _, _):
        channel = webhook(context, url=f"http://127.0.0.1:{unused_port()}/")
        with pytest.raises(Unavailable):
            await channel.send(batch(PEOPLE))
        with pytest.raises(Unavailable):
            await channel.probe()


async def test_probe_asks_nothing(tmp_path: Path) -> None:
    async with Pager() as pager, world(tmp_path) as (context, _, _):
        await webhook(context, url=pager.url).probe()
    assert not pager.requests


@pytest.mark.parametrize("faults", ["blackhole", "drop"])
async def test_a_request_without_an_answer_is_unknown(tmp_path: Path, faults: str) -> None:
    async with Pager(faults=faults) as pager, world(tmp_path) as (context, _, _):
        channel = webhook(context, **pager.settings(), request_timeout=0.2)
        assert list(await channel.send(batch(PEOPLE[:5]))) == []


async def test_a_send_ends_in_time_and_says_who_was_not_asked(tmp_path: Path) -> None:
    async with Pager(faults="blackhole") as pager, world(tmp_path) as (context, _, _):
        channel = webhook(context, **pager.settings(), timeout=0.5, request_timeout=0.3, connections=2)
        receipts = await channel.send(batch(PEOPLE))
    assert {receipt.reason for receipt in receipts} == {Reason.TIMEOUT}
    assert 50 < len(receipts) < 60


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    async with Pager() as pager, world(tmp_path) as (context, _, _):

        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": pager.url})

        async with serving(answer) as url:
            receipts = await webhook(context, url="{address}", allow_private=True).send(batch([url]))
    assert [receipt.reason for receipt in receipts] == [Reason.REJECTED]
    assert not pager.requests


async def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    async with serving(answer) as url, world(tmp_path) as (context, _, _):
        receipts = await webhook(context, url=url, request_timeout=20).send(batch(["A"]))
    assert [receipt.level for receipt in receipts] == [Level.ACCEPTED]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://127.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://169.254.169.254/latest",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/",
        "not an address",
        "",
    ],
)
async def test_a_directory_cannot_lead_us_into_the_private_network(tmp_path: Path, address: str) -> None:
    async with Pager() as pager, world(tmp_path) as (context, _, _), webhook(context, url="{address}") as channel:
        port = URL(pager.url).port
        receipts = await channel.send(batch([address.format(port=port)]))
    assert [receipt.reason for receipt in receipts] == [Reason.INVALID_ADDRESS]
    assert not pager.requests


async def test_a_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*_: object, **__: object) -> list[tuple[object, ...]]:
        here = [socket.AF_INET, socket.SOCK_STREAM, 6, ""]
        return [(*here, ("1.1.1.1", 80)), (*here, ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with pytest.raises(guard.Forbidden):
        await guard.PublicResolver().resolve("rebind.example", 80)


def test_public_addresses_are_public() -> None:
    assert guard.is_public("1.1.1.1")
    assert guard.is_public("2606:4700:4700::1111")
    assert not guard.is_public("224.0.0.1")
    assert not guard.is_public("fe80::1%eth0")


async def test_each_address_may_be_its_own_far_side(tmp_path: Path) -> None:
    async with Pager() as one, Pager(faults="429") as other, world(tmp_path) as (context, _, _):
        channel = webhook(context, url="{address}", allow_private=True)
        addresses = [one.url, other.url, f"http://127.0.0.1:{unused_port()}/", "http://user:pass@127.0.0.1:9/"]
        receipts = await channel.send(batch(addresses))
    reasons = {receipt.endpoint: receipt.reason for receipt in receipts}
    assert reasons[0] is Reason.NONE
    assert reasons[1] is Reason.THROTTLED
    assert reasons[2] is Reason.UNAVAILABLE


async def test_credentials_and_signature_are_sent(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    await asyncio.to_thread(secret.write_text, "s3cret\n")
    async with Pager() as pager, world(tmp_path) as (context, _, clock):
        channel = webhook(context, url=pager.url, bearer="T{text}", sign="hmac", secret_file=str(secret))
        await channel.send(batch(["A"]))
    request = pager.requests[0]
    stamp = str(clock.now() // 1000)
    expected = hmac.new(b"s3cret", stamp.encode() + b"." + request["raw"], hashlib.sha256).hexdigest()
    assert request["headers"]["Authorization"] == "Bearer T{text}"
    assert request["headers"]["X-Tongluo-Timestamp"] == stamp
    assert request["headers"]["X-Tongluo-Signature"] == f"sha256={expected}"


async def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, _, _):
        with pytest.raises(Misconfigured, match="nowhere"):
            webhook(context, url="http://127.0.0.1:9/", sign="hmac", secret_file=str(tmp_path / "nowhere"))


async def test_a_cancelled_send_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Pager(faults="slow=30") as pager, world(tmp_path) as (context, _, _):
        sending = asyncio.create_task(webhook_send(context, pager))
        await eventually(lambda: pager.asked)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert [task for task in asyncio.all_tasks() if "Webhook._work" in repr(task.get_coro())] == []


async def webhook_send(context: Context, pager: Pager) -> None:
    await webhook(context, **pager.settings()).send(batch(PEOPLE))


async def test_robots_of_three_makers_are_presets(tmp_path: Path) -> None:
    ok = {"ok": {"path": "errcode", "equals": 0}, "reject": {45009: "throttled", 130101: "throttled"}}
    wecom = {"body": {"msgtype": "text", "text": {"content": "{text}"}}, **ok}
    dingtalk = wecom | {"sign": "dingtalk", "secret": "SEC"}
    feishu = {
        "body": {"timestamp": "{timestamp}", "sign": "{sign}", "msg_type": "text", "content": {"text": "{text}"}},
        "ok": {"path": "code", "equals": 0},
        "reject": {11232: "throttled"},
        "sign": "feishu",
        "secret": "SEC",
    }
    async with Pager() as pager, world(tmp_path) as (context, _, _):
        for robot, query in ((wecom, ""), (dingtalk, "?timestamp={timestamp_ms}&sign={sign}"), (feishu, "")):
            receipts = await webhook(context, url=pager.url + query, **robot).send(batch(["ops"]))
            assert levels(receipts) == {0: Level.ACCEPTED}
    assert [call["text"] for call in pager.received] == ["清原县发布暴雨橙色预警"] * 3


async def test_rejected_is_never_raised_for_one_endpoint(tmp_path: Path) -> None:
    async with Pager(faults="400") as pager, world(tmp_path) as (context, _, _):
        try:
            receipts = await webhook(context, **pager.settings()).send(batch(PEOPLE))
        except Rejected:
            pytest.fail("one endpoint's refusal is not the batch's")
    assert {receipt.reason for receipt in receipts} == {Reason.REJECTED}
    assert len(receipts) == 60


async def test_the_log_has_one_line_per_call(tmp_path: Path) -> None:
    log = tmp_path / "pager.log"
    async with Pager(log=log, keep=False) as pager, world(tmp_path) as (context, _, _):
        await webhook(context, **pager.settings()).send(batch(PEOPLE[:3]))
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [set(line) for line in lines] == [{"at", "channel", "address", "text", "key", "alert"}] * 3
    assert pager.count == 3
    assert not pager.received


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        Pager(faults="sluggish")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
