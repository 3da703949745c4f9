"""The WeChat channel against its platform over real sockets: tokens, errcodes, messages."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from http_channels import batch, eventually, serving, world
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.wechat import Wechat
from channels.wechat.simulator import OfficialAccount, share_of
from channels.wechat.template import Letter, value_of
from gateway.channel import (
    ChannelError,
    Context,
    Endpoint,
    Level,
    Message,
    Misconfigured,
    Reason,
    Rejected,
    Throttled,
    Unavailable,
)

FOLLOWERS = [f"oSAMPLE-{number:04}" for number in range(40)]
FIELDS = (
    ("headline", "清原县发布暴雨橙色预警"),
    ("region", "清原满族自治县"),
    ("grade", "橙色"),
    ("time", "2026年7月22日 12:00"),
    ("instruction", "请立即转移到高处，不要涉水行走，等待进一步通知，注意收听广播。"),
)
WORDS = Message("zh-CN", "全文", "标题", FIELDS)


def wechat(context: Context, **settings: Any) -> Wechat:
    return Wechat(Wechat.Config.model_validate(settings), context)


async def test_every_follower_gets_the_message_once(tmp_path: Path) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        receipts = await channel.send(batch(FOLLOWERS, message=WORDS))
        again = await channel.send(batch(FOLLOWERS, message=WORDS))
    assert {call["address"]: call["key"] for call in account.received} == {
        openid: f"d1.pager.{number}" for number, openid in enumerate(FOLLOWERS)
    }
    assert account.received[0]["text"].startswith(
        "清原县发布暴雨橙色预警 清原满族自治县 橙色 2026年7月22日 12:00 请立即"
    )
    assert all(receipt.level is Level.ACCEPTED and receipt.far_id.isdigit() for receipt in receipts)
    assert {receipt.far_id for receipt in again} == {receipt.far_id for receipt in receipts}
    assert account.count == 40


async def test_one_question_for_a_token_serves_everybody(tmp_path: Path) -> None:
    async with OfficialAccount(faults="slow=0.05") as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        await asyncio.gather(*(channel.send(batch(FOLLOWERS[:4])) for _ in range(4)))
    assert account.tokens_given == 1
    assert account.asked == 17


async def test_a_refused_token_is_fetched_anew_once(tmp_path: Path) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        await channel.probe()
        account.set_faults("token_expired")
        receipts = await channel.send(batch(FOLLOWERS))
    assert {receipt.level for receipt in receipts} == {Level.ACCEPTED}
    assert account.tokens_given == 2


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    async with OfficialAccount(expires_in=0) as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        await channel.probe()
        await channel.send(batch([]))
    assert account.tokens_given == 2


async def test_a_token_that_is_always_refused_is_a_passing_fault(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        return web.json_response({"errcode": 40001})

    async with serving(answer) as url, world(tmp_path) as (context, _, _):
        channel = wechat(context, type="wechat", base_url=url, appid="a", secret="s", template_id="t")
        with pytest.raises(Unavailable):
            await channel.send(batch(FOLLOWERS))


async def test_what_concerns_one_follower_stays_with_him(tmp_path: Path) -> None:
    async with OfficialAccount(faults="unsubscribed=0.3") as account, world(tmp_path) as (context, _, _):
        account.errcodes = {FOLLOWERS[0]: 40003, FOLLOWERS[1]: 43101, FOLLOWERS[2]: 99999}
        receipts = await wechat(context, **account.settings()).send(batch(FOLLOWERS))
    reasons = {receipt.endpoint: receipt.reason for receipt in receipts}
    assert [reasons[0], reasons[1], reasons[2]] == [Reason.INVALID_ADDRESS, Reason.NOT_SUBSCRIBED, Reason.ERROR]
    for number, openid in list(enumerate(FOLLOWERS))[3:]:
        assert reasons[number] is (Reason.NOT_SUBSCRIBED if share_of(openid) < 0.3 else Reason.NONE)


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (-1, Unavailable, None),
        (45009, Throttled, Reason.QUOTA),
        (45047, Throttled, Reason.QUOTA),
        (40037, Misconfigured, None),
        (48001, Misconfigured, None),
        (47003, Rejected, None),
    ],
)
async def test_what_concerns_everybody_ends_the_send(
    tmp_path: Path, code: int, error: type[ChannelError], reason: Reason | None
) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        account.errcodes = dict.fromkeys(FOLLOWERS, code)
        with pytest.raises(error) as raised:
            await wechat(context, **account.settings()).send(batch(FOLLOWERS))
    assert raised.value.reason is reason
    assert type(raised.value) is error


async def test_a_quota_reached_midway_leaves_the_rest_for_later(tmp_path: Path) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        account.errcodes = dict.fromkeys(FOLLOWERS[10:], 45009)
        channel = wechat(context, **account.settings(), connections=1)
        receipts = await channel.send(batch(FOLLOWERS))
        asked = account.asked
        with pytest.raises(Throttled):
            await channel.send(batch(FOLLOWERS))
    assert [receipt.reason for receipt in receipts] == [Reason.NONE] * 10 + [Reason.THROTTLED] * 30
    assert account.asked == asked


@pytest.mark.parametrize(("setting", "value"), [("secret", "wrong"), ("appid", "wrong")])
async def test_wrong_credentials_are_named(tmp_path: Path, setting: str, value: str) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings() | {setting: value})
        with pytest.raises(Misconfigured, match=setting):
            await channel.probe()


async def test_a_platform_that_is_down_is_unavailable(tmp_path: Path) -> None:
    async with OfficialAccount(faults="down") as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        with pytest.raises(Unavailable):
            await channel.send(batch(FOLLOWERS))
    async with world(tmp_path) as (context, _, _):
        with pytest.raises(Unavailable):
            await wechat(context, **account.settings()).probe()


@pytest.mark.parametrize("answer", ["{}", '{"errcode":"0"}', '{"errcode":[]}', "[]", "null", "<html>", "[" * 60_000])
async def test_an_answer_that_says_nothing_is_unknown(tmp_path: Path, answer: str) -> None:
    async def far_side(request: web.Request) -> web.Response:
        if request.path.endswith("stable_token"):
            return web.json_response({"access_token": "t", "expires_in": 7200})
        return web.Response(text=answer)

    async with serving(far_side) as url, world(tmp_path) as (context, _, _):
        channel = wechat(context, type="wechat", base_url=url, appid="a", secret="s", template_id="t")
        assert list(await channel.send(batch(FOLLOWERS))) == []


async def test_a_probe_asks_even_with_a_token_at_hand(tmp_path: Path) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        await channel.probe()
        account.set_faults("down")
        with pytest.raises(Unavailable):
            await channel.probe()


async def test_silence_after_the_question_is_unknown(tmp_path: Path) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings(), request_timeout=0.3)
        await channel.probe()
        account.set_faults("slow=30")
        assert list(await channel.send(batch(FOLLOWERS[:3]))) == []


async def test_a_cancelled_send_leaves_no_worker(tmp_path: Path) -> None:
    async with OfficialAccount() as account, world(tmp_path) as (context, _, _):
        channel = wechat(context, **account.settings())
        await channel.probe()
        account.set_faults("slow=30")
        sending = asyncio.ensure_future(channel.send(batch(FOLLOWERS)))
        await eventually(lambda: account.asked > 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert [task for task in asyncio.all_tasks() if "Wechat._work" in repr(task.get_coro())] == []


@given(st.text(max_size=60), st.sampled_from(["thing1", "phrase2", "time3", "keyword4", "character_string5"]))
def test_a_field_is_never_empty_and_never_too_long(text: str, key: str) -> None:
    value = value_of(Message("zh-CN", "", "", (("x", text),)), "x", key)
    assert 0 < len(value) <= {"thing1": 20, "phrase2": 5, "character_string5": 32}.get(key, 200)


def test_the_letter_holds_what_the_platform_asks_for() -> None:
    settings = {
        "type": "wechat",
        "appid": "a",
        "template_id": "T",
        "url": "https://e/{alert}",
        "fields": {"first": "text"},
    }
    letter = Letter(Wechat.Config.model_validate(settings), batch(['o"1'], message=WORDS))
    assert json.loads(letter.to(Endpoint(0, 'o"1'))) == {
        "touser": 'o"1',
        "client_msg_id": "d1.pager.0",
        "template_id": "T",
        "url": "https://e/a1",
        "data": {"first": {"value": "全文"}},
    }


@pytest.mark.parametrize("wrong", [{"base_url": "weixin"}, {"appid": ""}, {"fields": {}}, {"tokenn": "x"}])
def test_mistakes_are_refused_when_the_settings_are_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Wechat.Config.model_validate({"type": "wechat", "appid": "a", "template_id": "t"} | wrong)


async def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as (context, _, _):
        with pytest.raises(Misconfigured, match="nowhere"):
            wechat(context, type="wechat", appid="a", template_id="t", secret_file=str(tmp_path / "nowhere"))


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        OfficialAccount(faults="slow")
