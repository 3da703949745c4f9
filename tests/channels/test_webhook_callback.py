"""Receipts sent to us: only the signed, the fresh and the unheard are believed, and only after they are on disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from http_channels import NOON, batch, eventually, mounted, world

from channels.webhook import Webhook
from channels.webhook.signing import over_body
from channels.webhook.simulator import Pager
from gateway.channel import Callback, Context, Level, Reason, Receipt

SECRET = "s3cret"
GOOD = {"receipts": [{"key": "d1.pager.0", "status": "delivered", "at": "2026-07-22T12:00:01+08:00"}]}


def channel(context: Context, **callback: Any) -> Webhook:
    settings = {"type": "webhook", "url": "http://127.0.0.1:9/", "callback": {"secret": SECRET} | callback}
    return Webhook(Webhook.Config.model_validate(settings), context)


def signed(document: Any, *, secret: str = SECRET, at: int = NOON // 1000) -> Callback:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {"x-tongluo-timestamp": str(at), "X-Tongluo-Signature": over_body(secret, str(at), body)}
    return Callback("POST", "/callbacks/pager", {}, headers, body)


async def test_a_genuine_callback_is_journalled_once(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, journal, _):
        receiver = channel(context)
        assert (await receiver.callback(signed(GOOD))).status == 200
        assert (await receiver.callback(signed(GOOD))).status == 409
    assert journal.receipts == [Receipt(Level.DELIVERED, key="d1.pager.0", event_at=NOON + 1000)]


@pytest.mark.parametrize(
    "request_",
    [
        signed(GOOD, secret="guess"),
        signed(GOOD, at=NOON // 1000 - 360),
        signed(GOOD, at=NOON // 1000 + 360),
        Callback("POST", "/callbacks/pager", {}, {}, json.dumps(GOOD).encode()),
        Callback("POST", "/", {}, {"X-Tongluo-Timestamp": "१२३", "X-Tongluo-Signature": "ü"}, b"{}"),
        Callback("POST", "/", {}, dict(signed(GOOD).headers), json.dumps(GOOD | {"x": 1}).encode()),
    ],
)
async def test_forged_stale_and_altered_callbacks_change_nothing(tmp_path: Path, request_: Callback) -> None:
    async with world(tmp_path) as (context, journal, _):
        assert (await channel(context).callback(request_)).status == 401
    assert journal.receipts == []


async def test_without_a_secret_nothing_is_believed(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, journal, _):
        bare = Webhook(Webhook.Config.model_validate({"type": "webhook", "url": "http://127.0.0.1:9/"}), context)
        assert (await bare.callback(signed(GOOD, secret=""))).status == 403
    assert journal.receipts == []


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"receipts": [{"key": "d1.sms.0", "status": "delivered"}]}, 409),
        ({"receipts": [{"status": "delivered"}]}, 422),
        ({"receipts": [{"key": "d1.pager.0", "status": "perhaps"}]}, 422),
        ({"receipts": [{"id": {}, "status": "delivered"}]}, 422),
        ({"receipts": [{}] * 10_001}, 413),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b"\xff\xfe", 400),
    ],
)
async def test_what_is_not_understood_is_refused_whole(tmp_path: Path, document: Any, status: int) -> None:
    async with world(tmp_path) as (context, journal, _):
        assert (await channel(context).callback(signed(document))).status == status
    assert journal.receipts == []


async def test_what_could_not_be_kept_is_not_acknowledged_and_may_come_again(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, journal, _):
        receiver = channel(context)
        journal.full = True
        with pytest.raises(RuntimeError):
            await receiver.callback(signed(GOOD))
        journal.full = False
        assert (await receiver.callback(signed(GOOD))).status == 200
    assert len(journal.receipts) == 1


async def test_the_far_sides_own_shape_and_words(tmp_path: Path) -> None:
    words = {"DELIVRD": "delivered", "UNDELIV": "unreachable", "1": "read"}
    shape = {"items": "", "id": "biz.0", "status": "stat", "at": "t", "statuses": words, "reply": '{"code":0}'}
    document = [
        {"biz": [77], "stat": "DELIVRD", "t": NOON // 1000},
        {"biz": ["x"], "stat": "UNDELIV", "t": NOON},
        {"biz": ["y"], "stat": 1, "t": "2026-07-22 12:00:00"},
    ]
    async with world(tmp_path) as (context, journal, _):
        reply = await channel(context, **shape).callback(signed(document))
    assert reply.body == b'{"code":0}'
    assert journal.receipts == [
        Receipt(Level.DELIVERED, far_id="77", event_at=NOON),
        Receipt(Level.FAILED, far_id="x", reason=Reason.UNREACHABLE, event_at=NOON),
        Receipt(Level.READ, far_id="y"),
    ]


async def test_two_keys_are_taken_while_they_are_changed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    await asyncio.to_thread(old.write_text, "former")
    async with world(tmp_path) as (context, _, _):
        receiver = channel(context, previous_secret_file=str(old))
        assert (await receiver.callback(signed(GOOD, secret="former"))).status == 200
        assert (await receiver.callback(signed(GOOD, at=NOON // 1000 + 1))).status == 200


@pytest.mark.parametrize(
    ("faults", "delivered"), [("", {0, 1, 2}), ("double", {0, 1, 2}), ("silent", set()), ("forged", set())]
)
async def test_a_pager_proves_delivery_by_its_callbacks(tmp_path: Path, faults: str, delivered: set[int]) -> None:
    async with world(tmp_path) as (context, journal, clock), Pager(secret=SECRET, faults=faults) as pager:
        receiver = Webhook(Webhook.Config.model_validate(pager.settings()), context)
        pager.now = clock.now
        async with mounted(receiver) as pager.callback_url:
            assert receiver.traits.proves is Level.DELIVERED
            assert len(await receiver.send(batch(["A", "B", "C"]))) == 3
            if faults == "forged":
                await eventually(lambda: pager.callback_answers)
            await journal.holds(len(delivered) * (2 if faults == "double" else 1))
    assert {receipt.key for receipt in journal.receipts} == {f"d1.pager.{number}" for number in delivered}
    assert set(pager.callback_answers) <= ({401} if faults == "forged" else {200})
