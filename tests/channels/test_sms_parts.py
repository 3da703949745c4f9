"""Long messages: delivered when all parts are, failed when one is, and neither forgotten nor overstated by a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.correlation import Correlation
from channels.sms.parts import KEEP_MS, Parts
from channels.sms.receipt import Arrival
from gateway.channel import Level, Reason, Receipt

AT = 1_784_702_000_000
DELIVERED = Receipt(Level.DELIVERED, far_id="a+b", event_at=AT + 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "parts.log"


async def opened(path: Path, now: int = AT) -> tuple[Parts, list[Receipt]]:
    parts = Parts(path, keep=100)
    return parts, await parts.load(now)


async def test_delivered_when_all_parts_are(path: Path) -> None:
    parts, _ = await opened(path)
    assert parts.expect(["a", "b"], AT) == "a+b"
    assert parts.heard("a", Level.DELIVERED, Reason.NONE, AT + 2) is None
    assert parts.heard("a", Level.DELIVERED, Reason.NONE, AT + 3) is None, "the same part twice is still one part"
    assert parts.heard("b", Level.DELIVERED, Reason.NONE, AT + 1) == DELIVERED
    await parts.close()


async def test_failed_as_soon_as_one_part_failed(path: Path) -> None:
    parts, _ = await opened(path)
    parts.expect(["a", "b"], AT)
    told = parts.heard("b", Level.FAILED, Reason.UNREACHABLE, None)
    assert told == Receipt(Level.FAILED, far_id="a+b", reason=Reason.UNREACHABLE)
    assert parts.heard("b", Level.ACCEPTED, Reason.NONE, None) is None
    await parts.close()


async def test_an_unknown_time_of_one_part_makes_the_time_of_the_whole_unknown(path: Path) -> None:
    parts, _ = await opened(path)
    parts.expect(["a", "b"], AT)
    parts.heard("a", Level.DELIVERED, Reason.NONE, None)
    told = parts.heard("b", Level.DELIVERED, Reason.NONE, AT)
    assert told is not None
    assert told.event_at is None
    await parts.close()


async def test_a_restart_goes_on_where_the_process_ended(path: Path) -> None:
    parts, _ = await opened(path)
    parts.expect(["a", "b"], AT)
    parts.heard("a", Level.DELIVERED, Reason.NONE, AT + 2)
    await parts.save()
    again, unreported = await opened(path)
    assert unreported == []
    assert again.heard("b", Level.DELIVERED, Reason.NONE, AT + 1) == DELIVERED
    await again.close()
    await parts.close()


async def test_what_was_decided_and_perhaps_not_reported_is_told_again_after_a_restart(path: Path) -> None:
    parts, _ = await opened(path)
    parts.expect(["a", "b"], AT)
    parts.heard("a", Level.DELIVERED, Reason.NONE, AT + 2)
    parts.heard("b", Level.DELIVERED, Reason.NONE, AT + 1)
    await parts.save()
    again, unreported = await opened(path)
    assert unreported == [DELIVERED]
    again.forget_complete(["a"])
    await again.close()
    await parts.close()
    assert await asyncio.to_thread(path.read_text) == "", "an empty table empties its file"


async def test_a_torn_line_and_old_messages_are_passed_over(path: Path) -> None:
    await asyncio.to_thread(path.write_text, f"M\t{AT}\tx\ty\nM\t{AT - KEEP_MS - 1}\told\tolder\nR\tx\tnonsense\nR\ta")
    parts, unreported = await opened(path)
    assert unreported == []
    assert parts.knows("x")
    assert not parts.knows("old")
    await parts.close()


async def test_parts_of_an_ended_message_are_still_known_as_parts(path: Path) -> None:
    parts, _ = await opened(path)
    parts.expect(["a", "b"], AT)
    for part in ("a", "b"):
        parts.heard(part, Level.DELIVERED, Reason.NONE, AT)
    parts.forget_complete(["b"])
    assert parts.knows("a")
    assert parts.heard("a", Level.DELIVERED, Reason.NONE, AT) is None
    await parts.close()


EVENTS = st.permutations(["answer a", "answer b", "receipt a", "receipt b", "receipt b"])


@given(EVENTS, st.sampled_from(["same", "decimal"]))
async def test_receipts_and_answers_in_any_order_prove_the_whole_once_all_is_known(
    tmp_path_factory: pytest.TempPathFactory, events: list[str], base: str
) -> None:
    correlation = Correlation("any", tmp_path_factory.mktemp("sms") / "parts.log")
    await correlation.open(AT)
    raw = {"a": "00FA", "b": "00FB"}
    told: list[Receipt] = []
    answered: dict[str, str] = {}
    for event in events:
        kind, part = event.split()
        if kind == "answer":
            answered[part] = correlation.part(raw[part], "10000000001")
            if len(answered) == 2:
                assert correlation.whole([answered["a"], answered["b"]], "10000000001", AT) == "fa+fb"
        else:
            name = raw[part] if base == "same" else str(int(raw[part], 16))
            told += correlation.place([Arrival((name,), "10000000001", Level.DELIVERED, Reason.NONE, AT)])
        told += correlation.take_late()
    assert [receipt.level for receipt in told if receipt.far_id == "fa+fb"][-1:] == [Level.DELIVERED]
    await correlation.close()


@given(EVENTS)
async def test_nothing_is_proven_of_the_whole_while_a_part_is_missing(
    tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    correlation = Correlation("any", tmp_path_factory.mktemp("sms") / "parts.log")
    await correlation.open(AT)
    ids: dict[str, str] = {}
    told: list[Receipt] = []
    for event in events:
        kind, part = event.split()
        if kind == "answer":
            ids[part] = correlation.part("F" + part, "10000000001")
            if len(ids) == 2:
                correlation.whole([ids["a"], ids["b"]], "10000000001", AT)
        elif part == "b":
            told += correlation.place([Arrival(("F" + part,), "10000000001", Level.DELIVERED, Reason.NONE, AT)])
        told += correlation.take_late()
    assert "fa+fb" not in {receipt.far_id for receipt in told}
    await correlation.close()
