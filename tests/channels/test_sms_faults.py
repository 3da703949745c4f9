"""The SMS channel when the far side misbehaves: nothing is lost without a word, nothing is claimed without proof."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sms_rig import LONG, Rig, batch, eventually
from structlog.testing import capture_logs

from channels.sms.centre import DELIVERIES
from channels.sms.faults import read_faults
from channels.sms.simulator import SmsCentre
from channels.sms.smpp import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ENQUIRE_LINK,
    GENERIC_NACK,
    INVALID_COMMAND,
    INVALID_COMMAND_LENGTH,
    RESPONSE,
    SUBMIT_SM,
    UNBIND,
    cstring,
    pack,
    split,
)
from channels.sms.work import Pace
from gateway.channel import Level, Misconfigured, Reason, Throttled, Unavailable


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_a_centre_that_wants_patience_gets_it(rig: Rig) -> None:
    async with SmsCentre(faults="throttle") as centre, rig.sms(centre) as sms:
        with pytest.raises(Throttled) as asked:
            await sms.send(batch(100))
        assert asked.value.after > 0
        assert asked.value.reason == Reason.THROTTLED
        centre.set_faults("")
        assert {receipt.level for receipt in await sms.send(batch(100))} == {Level.ACCEPTED}


async def test_only_the_throttled_endpoints_are_to_be_tried_again(rig: Rig) -> None:
    async with SmsCentre(faults="throttle=0.02") as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(200))
    failed = {receipt.endpoint for receipt in told if receipt.level == Level.FAILED}
    taken = {int(item["address"][-7:]) for item in centre.received}
    assert {receipt.reason for receipt in told if receipt.level == Level.FAILED} == {Reason.THROTTLED}
    assert failed
    assert failed | taken == set(range(200))
    assert not failed & taken


def test_the_pace_rests_then_tries_one_message_then_goes_on() -> None:
    pace = Pace()
    assert not pace.refused(now=100.0)
    assert pace.room(100.1, room=50, outstanding=0) == 0
    assert not pace.refused(now=100.1), "the rest of the same window is the same refusal"
    assert pace.room(101.0, room=50, outstanding=0) == 1
    assert pace.room(101.0, room=49, outstanding=1) == 0
    pace.accepted()
    assert pace.room(101.1, room=49, outstanding=1) == 49
    assert [pace.refused(now) for now in (110.0, 120.0, 130.0)] == [False, False, True]


async def test_a_lost_connection_leaves_the_window_unknown_and_gives_back_the_rest(rig: Rig) -> None:
    async with SmsCentre(faults="drop=10") as centre, rig.sms(centre, window=10) as sms:
        told = await sms.send(batch(50))
        assert {(receipt.level, receipt.reason) for receipt in told} == {(Level.FAILED, Reason.UNAVAILABLE)}
        assert {receipt.endpoint for receipt in told} == set(range(10, 50)), "the first ten may have been taken"
        centre.set_faults("")
        await eventually(lambda: any(line.room for line in centre.lines))
        assert len(await sms.send(batch(50))) == 50


async def test_after_a_loss_it_comes_back_by_itself_and_receipts_are_not_lost(rig: Rig) -> None:
    async with SmsCentre(delay=0.3) as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(20))
        for line in tuple(centre.lines):
            line.cut()
        await eventually(lambda: len(rig.levels()) == 20)
    assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}


async def test_a_receipt_that_was_not_acknowledged_when_the_connection_broke_comes_again(rig: Rig) -> None:
    rig.gate.clear()
    async with SmsCentre(delay=0) as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(5))
        await eventually(lambda: rig.waiting > 0)
        for line in tuple(centre.lines):
            line.cut()
        rig.gate.set()
        await eventually(lambda: len(rig.journal) == 10)
    assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}


async def test_no_answer_in_time_is_unknown_and_silence_ends_the_connection(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre, response_timeout=0.3, window=5) as sms:
        await sms.probe()
        (old,) = centre.lines
        centre.set_faults("blackhole")
        told = await sms.send(batch(8))
        assert {receipt.endpoint for receipt in told} == {5, 6, 7}, "the window is left out, the rest given back"
        assert {receipt.reason for receipt in told} == {Reason.UNAVAILABLE}
        centre.set_faults("")
        await eventually(lambda: any(line.room for line in centre.lines if line is not old))
        assert len(await sms.send(batch(8))) == 8


async def test_a_late_answer_is_unknown_while_the_link_lives(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre, response_timeout=0.4, enquire_link=0.1) as sms:
        await sms.probe()
        centre.set_faults("slow=1.5")
        assert await sms.send(batch(3)) == []
        (line,) = centre.lines
        centre.set_faults("")
        assert len(await sms.send(batch(3))) == 3
        assert set(centre.lines) == {line}, "the same connection"


async def test_a_link_that_does_not_answer_is_cut(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre, response_timeout=0.2, enquire_link=0.1) as sms:
        await sms.probe()
        (line,) = centre.lines
        centre.set_faults("blackhole")
        await eventually(lambda: line not in centre.lines)
        with pytest.raises(Unavailable):
            await sms.probe()


async def test_a_refused_bind_is_tried_again(rig: Rig) -> None:
    async with SmsCentre(faults="refuse") as centre, rig.sms(centre) as sms:
        with pytest.raises(Unavailable, match="ESME_RBINDFAIL"):
            await sms.send(batch())
        centre.set_faults("")
        await eventually(lambda: any(line.room for line in centre.lines))
        assert len(await sms.send(batch())) == 3


@pytest.mark.parametrize("text", ["短信", LONG])
async def test_the_journal_equals_the_truth_whatever_happens_to_receipts(rig: Rig, text: str) -> None:
    faults = "unordered,lose=0.1,double=0.1,early=0.05,hexdec"
    async with (
        SmsCentre(faults=faults, fail_share=0.1, silent_share=0.05, delay=0.05) as centre,
        rig.sms(centre) as sms,
    ):
        told = [receipt for first in (0, 300) for receipt in await sms.send(batch(300, text, first=first))]
        await eventually(lambda: not centre.pending)
        await eventually(lambda: all(line.room == DELIVERIES for line in centre.lines))
        levels = rig.levels()
        truth = centre.sent_states()
    names = {receipt.far_id: receipt.far_id.split("+") for receipt in told}
    expected = {}
    for far_id, parts in names.items():
        states = [truth.get(part) for part in parts]
        if 5 in states:
            expected[far_id] = Level.FAILED
        elif None not in states:
            expected[far_id] = Level.DELIVERED
    assert {far_id: level for far_id, level in levels.items() if far_id in names} == expected
    assert len(expected) < 600, "some receipts were lost, and none of them is claimed"


async def test_a_silent_centre_proves_nothing(rig: Rig) -> None:
    async with SmsCentre(faults="silent", delay=0) as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(10))
        assert {receipt.level for receipt in told} == {Level.ACCEPTED}
        centre.set_faults("")
        await sms.send(batch(1, first=10))
        await eventually(lambda: bool(rig.journal))
    assert len(rig.journal) == 1


def test_faults_are_read_strictly() -> None:
    assert read_faults(" throttle , slow=0.5").slow == 0.5
    assert read_faults("").throttle == 0
    for wrong in ("trottle", "slow=fast"):
        with pytest.raises(ValueError, match=r"trottle|fast"):
            read_faults(wrong)


class Strange:
    """A far side made by hand: binds anybody, then says what the test tells it to, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int, int]] = []
        self.port = 0

    async def __aenter__(self) -> Strange:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer, tail = writer, b""
        while data := await reader.read(65536):
            data = tail + data
            frames, used, _ = split(data)
            tail = data[used:]
            for command, status, sequence, _, _ in frames:
                self.heard.append((command, status, sequence))
                if command in (BIND_TRANSCEIVER, UNBIND, ENQUIRE_LINK):
                    writer.write(
                        pack(command | RESPONSE, 0, sequence, b"strange\0" if command == BIND_TRANSCEIVER else b"")
                    )
        writer.close()

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    def settings(self) -> dict[str, object]:
        return {"type": "sms", "port": self.port}


def delivery(sequence: int, text: bytes, esm_class: int = 4) -> bytes:
    body = (
        cstring("") + b"\1\1" + cstring("10000000001") + b"\0\1" + cstring("12379") + bytes((esm_class, 0, 0)) + b"\0\0"
        + bytes((0, 0, 0, 0, len(text))) + text
    )  # fmt: skip
    return pack(DELIVER_SM, 0, sequence, body)


async def test_garbage_is_answered_with_a_nack_and_the_end_of_the_connection(rig: Rig) -> None:
    async with Strange() as far, rig.sms(far.settings()) as sms:
        await sms.probe()
        far.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await eventually(lambda: (GENERIC_NACK, INVALID_COMMAND_LENGTH, 0) in far.heard)
        binds = len([one for one in far.heard if one[0] == BIND_TRANSCEIVER])
        await eventually(lambda: len([one for one in far.heard if one[0] == BIND_TRANSCEIVER]) > binds)


async def test_the_centres_own_requests_are_answered(rig: Rig) -> None:
    async with Strange() as far, rig.sms(far.settings()) as sms:
        await sms.probe()
        far.say(pack(ENQUIRE_LINK, 0, 70) + pack(0x77, 0, 71) + pack(UNBIND, 0, 72))
        await eventually(lambda: (UNBIND | RESPONSE, 0, 72) in far.heard)
        assert (ENQUIRE_LINK | RESPONSE, 0, 70) in far.heard
        assert (GENERIC_NACK, INVALID_COMMAND, 71) in far.heard


async def test_a_delivery_is_answered_only_after_its_receipt_is_stored(rig: Rig) -> None:
    async with Strange() as far, rig.sms(far.settings()) as sms:
        await sms.probe()
        rig.broken = True
        far.say(delivery(81, b"id:7 stat:DELIVRD"))
        await eventually(lambda: any(one[0] == DELIVER_SM_RESP for one in far.heard))
        rig.broken = False
        far.say(delivery(82, b"id:7 stat:DELIVRD"))
        await eventually(lambda: (DELIVER_SM_RESP, 0, 82) in far.heard)
    assert (DELIVER_SM_RESP, 0x64, 81) in far.heard
    assert [receipt.far_id for receipt in rig.journal] == ["7"]


async def test_deliveries_cut_anywhere_by_the_network_are_read(rig: Rig) -> None:
    stream = b"".join(delivery(number, b"id:%d stat:DELIVRD" % number) for number in range(1, 6))
    async with Strange() as far, rig.sms(far.settings()) as sms:
        await sms.probe()
        for start in range(0, len(stream), 7):
            far.say(stream[start : start + 7])
            await asyncio.sleep(0)
        await eventually(lambda: len(rig.journal) == 5)
    assert [receipt.far_id for receipt in rig.journal] == ["1", "2", "3", "4", "5"]


async def test_words_from_a_phone_and_unreadable_ones_are_answered_and_logged_without_number_or_text(rig: Rig) -> None:
    with capture_logs() as logs:
        async with Strange() as far, rig.sms(far.settings()) as sms:
            await sms.probe()
            far.say(delivery(90, b"help, water in the cellar", esm_class=0) + pack(DELIVER_SM, 0, 91, b"\0"))
            await eventually(lambda: (DELIVER_SM_RESP, 0, 91) in far.heard)
    assert (DELIVER_SM_RESP, 0, 90) in far.heard
    assert rig.journal == []
    assert "100****0001" in str(logs)
    assert "10000000001" not in str(logs)
    assert "cellar" not in str(logs)


@pytest.mark.parametrize(
    ("status", "reason"), [(0x0B, Reason.INVALID_ADDRESS), (0x45, Reason.ERROR), (0x0444, Reason.UNKNOWN)]
)
async def test_a_refusal_is_the_endpoints_own(rig: Rig, status: int, reason: Reason) -> None:
    async with Strange() as far, rig.sms(far.settings()) as sms:
        await sms.probe()
        work = asyncio.create_task(sms.send(batch(1)))
        await eventually(lambda: any(one[0] == SUBMIT_SM for one in far.heard))
        (sequence,) = [one[2] for one in far.heard if one[0] == SUBMIT_SM]
        far.say(pack(SUBMIT_SM | RESPONSE, status, sequence))
        told = await work
    assert [(receipt.level, receipt.reason) for receipt in told] == [(Level.FAILED, reason)]


async def test_parameters_that_the_centre_never_takes_are_misconfigured(rig: Rig) -> None:
    async with Strange() as far, rig.sms(far.settings()) as sms:
        await sms.probe()
        work = asyncio.create_task(sms.send(batch(1)))
        await eventually(lambda: any(one[0] == SUBMIT_SM for one in far.heard))
        (sequence,) = [one[2] for one in far.heard if one[0] == SUBMIT_SM]
        far.say(pack(SUBMIT_SM | RESPONSE, 0x0A, sequence))
        with pytest.raises(Misconfigured):
            await work
