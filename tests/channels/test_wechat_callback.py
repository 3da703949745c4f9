"""The platform's events: only genuine, fresh and plain ones are believed, and acknowledged after they are on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from http_channels import NOON, batch, eventually, mounted, world

from channels.wechat import Wechat
from channels.wechat.callback import read_event, sign
from channels.wechat.simulator import EVENT, OfficialAccount
from gateway.channel import Callback, Context, Level, Reason, Receipt

TOKEN = "sample-token"
FINISHED = EVENT.format(openid="o1", at=NOON // 1000, msgid=77, status="success").encode()


def receiver(context: Context, **settings: Any) -> Wechat:
    values = {"type": "wechat", "appid": "a", "template_id": "t", "token": TOKEN} | settings
    return Wechat(Wechat.Config.model_validate(values), context)


def event(
    body: bytes = FINISHED, *, method: str = "POST", token: str = TOKEN, at: int = NOON // 1000, **query: str
) -> Callback:
    values = {"timestamp": str(at), "nonce": "n1"} | query
    signed = values | {"signature": sign(token, values["timestamp"], values["nonce"])}
    return Callback(method, "/callbacks/wechat", signed, {}, body)


async def test_registration_is_answered(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, _, _):
        reply = await receiver(context).callback(event(b"", method="GET", echostr="5927"))
    assert (reply.status, reply.body) == (200, b"5927")


@pytest.mark.parametrize(
    ("status", "receipt"),
    [
        ("success", Receipt(Level.DELIVERED, far_id="77", event_at=NOON)),
        ("failed:user block", Receipt(Level.FAILED, far_id="77", reason=Reason.BLOCKED, event_at=NOON)),
        ("failed: user block", Receipt(Level.FAILED, far_id="77", reason=Reason.BLOCKED, event_at=NOON)),
        ("failed: system failed", Receipt(Level.FAILED, far_id="77", reason=Reason.UNREACHABLE, event_at=NOON)),
        ("failed:something new", Receipt(Level.FAILED, far_id="77", reason=Reason.UNREACHABLE, event_at=NOON)),
    ],
)
async def test_finish_events_are_receipts(tmp_path: Path, status: str, receipt: Receipt) -> None:
    body = EVENT.format(openid="o1", at=NOON // 1000, msgid=77, status=status).encode()
    async with world(tmp_path) as (context, journal, _):
        channel = receiver(context)
        replies = [await channel.callback(event(body)), await channel.callback(event(body, nonce="n2"))]
    assert [reply.body for reply in replies] == [b"success"] * 2
    assert journal.receipts == [receipt]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (event(token="guess"), 403),
        (event(at=NOON // 1000 - 301), 403),
        (event(at=NOON // 1000 + 301), 403),
        (event(timestamp="soon"), 403),
        (Callback("POST", "/", {}, {}, FINISHED), 403),
        (Callback("POST", "/", {"signature": "ü\ud800"}, {}, FINISHED), 403),
        (event(encrypt_type="aes"), 400),
        (event(b"not xml"), 400),
        (event(b""), 400),
        (event(b"<!DOCTYPE xml [<!ENTITY e 'x'>]>" + FINISHED), 400),
        (event(b"<!DOCTYPE xml>" + FINISHED), 400),
        (event(b"<xml>" + b"<a>" * 70_000), 400),
    ],
)
async def test_everything_else_changes_nothing(tmp_path: Path, request_: Callback, status: int) -> None:
    async with world(tmp_path) as (context, journal, _):
        assert (await receiver(context).callback(request_)).status == status
    assert journal.receipts == []


async def test_without_a_token_nothing_is_believed(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, journal, _):
        assert (await receiver(context, token=None).callback(event(token=""))).status == 403
    assert journal.receipts == []


async def test_one_signature_does_not_serve_a_second_body(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, journal, _):
        channel = receiver(context)
        await channel.callback(event())
        assert (await channel.callback(event(FINISHED.replace(b"77", b"78")))).status == 403
    assert [receipt.far_id for receipt in journal.receipts] == ["77"]


async def test_what_could_not_be_kept_is_not_acknowledged_and_may_come_again(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, journal, _):
        channel = receiver(context)
        journal.full = True
        with pytest.raises(RuntimeError):
            await channel.callback(event())
        journal.full = False
        assert (await channel.callback(event())).body == b"success"
    assert len(journal.receipts) == 1


async def test_other_events_are_acknowledged_and_left_alone(tmp_path: Path) -> None:
    body = b"<xml><MsgType>event</MsgType><Event>subscribe</Event></xml>"
    async with world(tmp_path) as (context, journal, _):
        assert (await receiver(context).callback(event(body))).body == b"success"
    assert journal.receipts == []


def test_comments_do_not_split_values() -> None:
    assert read_event(b"<xml><MsgID>7<!-- x -->7</MsgID></xml>") == {"MsgID": "77"}


@pytest.mark.parametrize(
    ("faults", "level"),
    [
        ("", Level.DELIVERED),
        ("double", Level.DELIVERED),
        ("blocked=1", Level.FAILED),
        ("silent", None),
        ("forged", None),
    ],
)
async def test_the_account_proves_delivery_by_its_events(tmp_path: Path, faults: str, level: Level | None) -> None:
    people = ["o1", "o2", "o3"]
    async with (
        world(tmp_path, "wechat") as (context, journal, clock),
        OfficialAccount(faults=faults, now=clock.now) as account,
    ):
        channel = Wechat(Wechat.Config.model_validate(account.settings()), context)
        async with mounted(channel) as account.callback_url:
            receipts = await channel.send(batch(people))
            if faults == "forged":
                await eventually(lambda: account.callback_answers)
            await journal.holds(3 if level is not None else 0)
    far_ids = {receipt.far_id for receipt in receipts}
    assert {receipt.far_id for receipt in journal.receipts} == (far_ids if level is not None else set())
    assert {receipt.level for receipt in journal.receipts} == ({level} if level is not None else set())
