"""The broadcast channel against its county platform over real sockets: handed over, followed, recalled, pushed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from http_channels import NOON, batch, eventually, mounted, serving, world

from channels.broadcast import Broadcast, ebd, package
from channels.broadcast.ledger import Ledger
from channels.broadcast.messages import BrdState
from channels.broadcast.simulator import CountyPlatform
from gateway.channel import Audio, Batch, Callback, Context, Level, Message, Misconfigured, Reason, Receipt, Unavailable

AT_ONCE = (0.0, 0.0, 0.0)
NEVER = (0.0, 0.0, 3600.0)
TOKEN = "push-token"
SIGN = [sys.executable, "-c", 'import sys; print(f\'<S len="{len(sys.stdin.read())}" id="{sys.argv[1]}"/>\')']


def broadcast(context: Context, **settings: Any) -> Broadcast:
    return Broadcast(Broadcast.Config.model_validate(settings), context)


def for_platform(platform: CountyPlatform, **changes: Any) -> Batch:
    return batch([platform.address], channel="county-broadcast", **changes)


async def test_a_package_is_taken_and_its_number_is_the_far_id(tmp_path: Path) -> None:
    async with (
        CountyPlatform(steps=NEVER) as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        [receipt] = await channel.send(for_platform(platform))
    [message] = platform.messages
    assert receipt == Receipt(Level.ACCEPTED, 0, message["EBMID"])
    assert message["EBMID"] == channel._config.ebrid + "20260722" + "0001"
    assert (message["MsgType"], message["AreaCode"], message["MsgTitle"]) == ("1", "210423000000", "暴雨橙色预警")
    assert [(call["address"], call["text"]) for call in platform.received] == [
        (platform.address, "清原县发布暴雨橙色预警")
    ]


async def test_a_retry_repeats_the_number_even_after_a_restart(tmp_path: Path) -> None:
    async with CountyPlatform(steps=NEVER) as platform:
        numbers = []
        for _ in range(2):
            async with world(tmp_path) as (context, _, _), broadcast(context, **platform.settings()) as channel:
                numbers += [receipt.far_id for receipt in await channel.send(for_platform(platform))]
                numbers += [receipt.far_id for receipt in await channel.send(for_platform(platform, attempt=2))]
        async with world(tmp_path) as (context, _, _), broadcast(context, **platform.settings()) as channel:
            [later] = await channel.send(for_platform(platform, dispatch="d2"))
    assert len(set(numbers)) == 1
    assert platform.count == 2
    assert int(later.far_id) == int(numbers[0]) + 1


@pytest.mark.parametrize(
    ("faults", "level", "reason"),
    [("", Level.DELIVERED, Reason.NONE), ("fail", Level.FAILED, Reason.PLAYBACK_FAILED)],
)
async def test_a_message_is_followed_until_it_was_on_air(
    tmp_path: Path, faults: str, level: Level, reason: Reason
) -> None:
    async with CountyPlatform(faults=faults, steps=AT_ONCE) as platform, world(tmp_path) as (context, journal, clock):
        platform.now = clock.now
        async with broadcast(context, **platform.settings()) as channel:
            [handed] = await channel.send(for_platform(platform))
            assert journal.receipts == []
            clock.forward(1)
            assert await journal.holds(1) == [Receipt(level, far_id=handed.far_id, reason=reason, event_at=NOON + 1000)]
            clock.forward(60)
            await eventually(lambda: not channel._following._tasks)
    assert platform.questions == 1


async def test_states_are_told_once_and_questions_become_rarer(tmp_path: Path) -> None:
    async with (
        CountyPlatform(faults="silent") as platform,
        world(tmp_path) as (context, journal, clock),
        broadcast(context, **platform.settings()) as channel,
    ):
        await channel.send(for_platform(platform))
        asked_at = []
        for questions in range(1, 7):
            await forward_until(clock, partial(asked, platform, questions), 0.25)
            asked_at.append(clock.now())
    pauses = [later - earlier for earlier, later in pairwise(asked_at)]
    assert pauses[-1] > 2 * pauses[0]
    assert [receipt.level for receipt in journal.receipts] == [Level.ACCEPTED]


async def test_following_goes_on_after_a_restart_and_ends_with_the_warning(tmp_path: Path) -> None:
    async with CountyPlatform(steps=AT_ONCE, faults="unprocessed") as platform:
        async with world(tmp_path) as (context, _, _), broadcast(context, **platform.settings()) as channel:
            await channel.send(for_platform(platform))
        async with world(tmp_path) as (context, journal, clock), broadcast(context, **platform.settings()) as channel:
            await eventually(lambda: platform.questions == 1)
            platform.set_faults("")
            clock.forward(4 * 3600)
            assert [receipt.level for receipt in await journal.holds(1)] == [Level.DELIVERED]
            await eventually(lambda: not channel._following._tasks)
            assert await channel._ledger.open_ones() == []


async def test_a_platform_away_or_a_full_disk_is_asked_again(tmp_path: Path) -> None:
    async with (
        CountyPlatform(steps=AT_ONCE) as platform,
        world(tmp_path) as (context, journal, clock),
        broadcast(context, **platform.settings()) as channel,
    ):
        await channel.send(for_platform(platform))
        platform.set_faults("down")
        journal.full = True
        clock.forward(1)
        platform.set_faults("")
        await forward_until(clock, lambda: platform.questions == 1)
        journal.full = False
        await forward_until(clock, lambda: journal.receipts)
    assert [receipt.level for receipt in journal.receipts] == [Level.DELIVERED]


def asked(platform: CountyPlatform, times: int) -> bool:
    return platform.questions >= times


async def forward_until(clock: Any, condition: Callable[[], object], seconds: float = 1.0) -> None:
    """Let time pass in small steps until something has happened on the far side."""

    def step() -> object:
        clock.forward(seconds)
        return condition()

    await eventually(step)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [("reject", Reason.REJECTED), ("badsign", Reason.SIGNATURE), ("signed", Reason.SIGNATURE), ("busy", Reason.ERROR)],
)
async def test_refusals_have_reasons(tmp_path: Path, faults: str, reason: Reason) -> None:
    async with (
        CountyPlatform(faults=faults) as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        assert list(await channel.send(for_platform(platform))) == [Receipt(Level.FAILED, 0, reason=reason)]
    assert not platform.received


@pytest.mark.parametrize("faults", ["garbled", "drop"])
async def test_without_a_readable_answer_the_outcome_is_unknown_and_followed(tmp_path: Path, faults: str) -> None:
    async with (
        CountyPlatform(faults=faults, steps=AT_ONCE) as platform,
        world(tmp_path) as (context, journal, clock),
        broadcast(context, **platform.settings()) as channel,
    ):
        assert list(await channel.send(for_platform(platform))) == []
        platform.set_faults("")
        clock.forward(1)
        [receipt] = await journal.holds(1)
    assert receipt.far_id == platform.messages[0]["EBMID"]


async def test_silence_is_unknown(tmp_path: Path) -> None:
    async with (
        CountyPlatform(faults="slow=30") as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings(), request_timeout=0.2) as channel,
    ):
        assert list(await channel.send(for_platform(platform))) == []


async def test_one_platform_away_does_not_hold_up_another(tmp_path: Path) -> None:
    async with (
        CountyPlatform(steps=NEVER) as one,
        CountyPlatform(faults="down") as other,
        world(tmp_path) as (context, _, _),
    ):
        settings = one.settings() | {"platforms": []}
        async with broadcast(context, **settings) as channel:
            receipts = await channel.send(batch([one.address, other.address]))
            assert [receipt.reason for receipt in receipts] == [Reason.NONE, Reason.UNAVAILABLE]
            with pytest.raises(Unavailable):
                await channel.send(batch([other.address], dispatch="d2"))


@pytest.mark.parametrize(
    "address", ["", "nonsense", "ftp://127.0.0.1/", "http://127.0.0.1:1/elsewhere", "http://u:p@127.0.0.1/"]
)
async def test_addresses_outside_the_permitted_are_refused(tmp_path: Path, address: str) -> None:
    async with (
        CountyPlatform() as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        [receipt] = await channel.send(batch([address]))
    assert receipt.reason is Reason.INVALID_ADDRESS


async def test_a_recall_takes_the_message_off_the_air(tmp_path: Path) -> None:
    async with (
        CountyPlatform(steps=NEVER) as platform,
        world(tmp_path) as (context, journal, clock),
        broadcast(context, **platform.settings()) as channel,
    ):
        handed = await channel.send(for_platform(platform))
        outcomes = [await channel.recall(for_platform(platform), receipts) for receipts in (handed, [])]
        clock.forward(1)
        await journal.holds(1)
    first, cancel = platform.messages
    assert (cancel["MsgType"], cancel["Related"]) == ("2", first["EBMID"])
    withdrawn = Receipt(Level.FAILED, 0, first["EBMID"], reason=Reason.WITHDRAWN)
    assert outcomes == [[withdrawn], [withdrawn]]
    assert platform.state_of(first["EBMID"]) is BrdState.CANCELLED
    assert [receipt.reason for receipt in journal.receipts] == [Reason.WITHDRAWN]


async def test_what_failed_or_never_left_is_not_recalled(tmp_path: Path) -> None:
    async with (
        CountyPlatform() as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        assert await channel.recall(for_platform(platform), []) == []
        assert await channel.recall(for_platform(platform), [Receipt(Level.FAILED, 0, "x")]) == []
    assert not platform.messages


async def test_a_successor_names_what_it_replaces(tmp_path: Path) -> None:
    async with (
        CountyPlatform(steps=NEVER) as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        await channel.send(for_platform(platform))
        await channel.send(for_platform(platform, alert="a2", dispatch="d2", supersedes="a1"))
    assert platform.messages[1]["Related"] == platform.messages[0]["EBMID"]


async def test_drills_are_marked_as_drills(tmp_path: Path) -> None:
    async with (
        CountyPlatform() as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        await channel.send(for_platform(platform, status="Exercise"))
    assert platform.messages[0]["MsgType"] == "3"


async def test_audio_travels_beside_the_text_and_its_absence_stops_nothing(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "a.wav").write_bytes, b"RIFF" * 1_000_000)
    async with (
        CountyPlatform() as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings(), audio=True) as channel,
    ):
        for number, name in enumerate(("a.wav", "gone.wav")):
            message = Message("zh-CN", "文", audio=Audio(str(tmp_path / name), "", "", 9.0))
            [receipt] = await channel.send(for_platform(platform, message=message, dispatch=f"d{number}"))
            assert receipt.level is Level.ACCEPTED
    assert channel.traits.media == "audio"
    assert platform.messages[0]["attachments"].startswith("EBDR_10")
    assert platform.messages[0]["attachments"].endswith(".wav")
    assert platform.messages[1]["attachments"] == ""


async def test_packages_are_signed_by_a_program(tmp_path: Path) -> None:
    async with CountyPlatform(faults="signed") as platform, world(tmp_path) as (context, _, _):
        signing = {"signature": "command", "signature_command": SIGN}
        async with broadcast(context, **platform.settings(), **signing) as channel:
            [receipt] = await channel.send(for_platform(platform))
    assert receipt.level is Level.ACCEPTED


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (["/nonexistent/signer"], Misconfigured),
        ([sys.executable, "-c", "print('half a signature'); raise SystemExit(3)"], Unavailable),
        ([sys.executable, "-c", "pass"], Unavailable),
        ([sys.executable, "-c", "import time; time.sleep(60)"], Unavailable),
    ],
)
async def test_nothing_leaves_unsigned_by_mistake(tmp_path: Path, command: list[str], error: type[Exception]) -> None:
    async with CountyPlatform() as platform, world(tmp_path) as (context, _, _):
        signing = {"signature": "command", "signature_command": command, "signature_timeout": 1.0}
        async with broadcast(context, **platform.settings(), **signing) as channel:
            with pytest.raises(error):
                await channel.send(for_platform(platform))
    assert not platform.messages


async def test_platforms_may_push_states(tmp_path: Path) -> None:
    async with CountyPlatform(steps=AT_ONCE, faults="double") as platform, world(tmp_path) as (context, journal, clock):
        platform.now = clock.now
        channel = broadcast(context, **platform.settings(), push_token=TOKEN)
        async with mounted(channel) as url, channel:
            platform.callback_url = f"{url}?token={TOKEN}"
            [handed] = await channel.send(for_platform(platform))
            await journal.holds(2)
            await eventually(lambda: len(platform.callback_answers) == 2)
    assert set(journal.receipts) == {Receipt(Level.DELIVERED, far_id=handed.far_id, event_at=NOON)}
    assert platform.callback_answers == [200, 200]


@pytest.mark.parametrize("query", [{}, {"token": "guess"}, {"token": ""}, {"token": "\ud800"}])
@pytest.mark.parametrize("configured", [TOKEN, None])
async def test_pushes_without_the_token_are_refused(
    tmp_path: Path, query: dict[str, str], configured: str | None
) -> None:
    async with world(tmp_path) as (context, journal, _):
        channel = broadcast(context, type="broadcast", ebrid="2" * 18, push_token=configured)
        assert (await channel.callback(Callback("POST", "/", query, {}, b""))).status == 403
    assert journal.receipts == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"rubbish", "2"),
        ("<ConnectionCheck><RptTime/></ConnectionCheck>", "1"),
        ("<OMDRequest/>", "5"),
        ("<EBMStateResponse><EBM><EBMID>1</EBMID></EBM><BrdStateCode>9</BrdStateCode></EBMStateResponse>", "3"),
        ("<EBMStateResponse><EBM><EBMID>333</EBMID></EBM><BrdStateCode>3</BrdStateCode></EBMStateResponse>", "1"),
    ],
)
async def test_pushes_are_answered_by_packages(tmp_path: Path, body: bytes | str, code: str) -> None:
    if isinstance(body, str):
        kind = body[1:].split(">")[0].rstrip("/")
        body = package.pack("7", f"<EBD><EBDID>7</EBDID><EBDType>{kind}</EBDType>{body}</EBD>".encode())
    async with world(tmp_path) as (context, journal, _):
        channel = broadcast(context, type="broadcast", ebrid="2" * 18, push_token=TOKEN)
        reply = await channel.callback(Callback("POST", "/", {"token": TOKEN}, {}, body))
    answer = ebd.read(package.unpack(reply.body).body)
    assert (answer.kind, ebd.text_at(answer.body, "ResultCode")) == ("EBDResponse", code)
    assert "EBDT_10" in reply.headers["Content-Disposition"]
    assert journal.receipts == []


async def test_a_push_that_could_not_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    state = f"<EBMStateResponse><EBM><EBMID>{'2' * 18}1</EBMID></EBM><BrdStateCode>3</BrdStateCode></EBMStateResponse>"
    body = package.pack("7", f"<EBD><EBDType>EBMStateResponse</EBDType>{state}</EBD>".encode())
    async with world(tmp_path) as (context, journal, _):
        journal.full = True
        channel = broadcast(context, type="broadcast", ebrid="2" * 18, push_token=TOKEN)
        with pytest.raises(RuntimeError):
            await channel.callback(Callback("POST", "/", {"token": TOKEN}, {}, body))


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    async with CountyPlatform() as platform, world(tmp_path) as (context, _, _):

        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": platform.address})

        async with serving(answer) as url, broadcast(context, type="broadcast", ebrid="2" * 18) as channel:
            [receipt] = await channel.send(batch([url]))
    assert receipt.reason is Reason.REJECTED
    assert not platform.messages


async def test_a_damaged_ledger_is_named_and_old_entries_are_forgotten(tmp_path: Path) -> None:
    async with CountyPlatform() as platform, world(tmp_path) as (context, _, clock):
        async with broadcast(context, **platform.settings()) as channel:
            await channel.send(for_platform(platform))
            clock.forward(5 * 86_400)
            await channel.send(for_platform(platform, dispatch="d2", expires_at=NOON * 2))
        kept = json.loads(await asyncio.to_thread((tmp_path / "handed.json").read_text))
        assert [entry["key"] for entry in kept["handed"]] == ["d2.county-broadcast.0"]
        await asyncio.to_thread((tmp_path / "handed.json").write_text, "{")
        with pytest.raises(Misconfigured, match=r"handed\.json"):
            await Ledger(tmp_path, "2" * 18, channel._config.zone).open_ones()


async def test_cancelled_sends_leave_a_whole_ledger(tmp_path: Path) -> None:
    async with CountyPlatform(steps=NEVER) as platform, world(tmp_path) as (context, _, _):
        async with broadcast(context, **platform.settings()) as channel:
            for number in range(40):
                sending = asyncio.ensure_future(channel.send(for_platform(platform, dispatch=f"d{number}")))
                await asyncio.sleep(0.0005 * (number % 10))
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                assert sending.cancelled() or sending.result()
            await channel.send(for_platform(platform, dispatch="last"))
        kept = json.loads(await asyncio.to_thread((tmp_path / "handed.json").read_text))
    assert kept["handed"][-1]["key"] == "last.county-broadcast.0"
    numbers = [entry["ebm_id"] for entry in kept["handed"]]
    assert len(set(numbers)) == len(numbers)


async def test_what_cannot_be_numbered_on_disk_does_not_leave(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    async with (
        CountyPlatform(steps=NEVER) as platform,
        world(folder) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        await asyncio.to_thread(folder.write_text, "a file where the folder should be")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await channel.send(for_platform(platform))
        assert platform.count == 0
        await asyncio.to_thread(folder.unlink)
        [receipt] = await channel.send(for_platform(platform))
    assert receipt.level is Level.ACCEPTED


async def test_the_log_has_one_line_per_message(tmp_path: Path) -> None:
    log = tmp_path / "platform.log"
    async with (
        CountyPlatform(log=log, keep=False) as platform,
        world(tmp_path) as (context, _, _),
        broadcast(context, **platform.settings()) as channel,
    ):
        await channel.send(for_platform(platform))
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [set(line) for line in lines] == [{"at", "channel", "address", "text", "key", "alert"}]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        CountyPlatform(faults="slow")
