"""What a queue message says, which versions of it are read, and the pile on which messages wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pytest
from aio_pika.abc import AbstractIncomingMessage

from gateway.model.dispatch import Priority, WorkState
from gateway.ports.store import BatchRow
from gateway.queue.notes import READERS, VERSION, Note, Unreadable, misfit, read, written
from gateway.queue.pile import Held, Pile


def batch_row(n: int = 7, **changes: Any) -> BatchRow:
    values: dict[str, Any] = {
        "n": n, "dispatch": 3, "channel": "sms", "variant": 0, "priority": Priority.RED, "first": 0, "count": 2,
        "expires_at": 1000, "state": WorkState.PENDING, "not_before": 0, "attempts": 0,
        "remaining": np.array([0, 1], np.int32),
    }  # fmt: skip
    return BatchRow(**(values | changes))


def test_a_note_has_ids_only_and_comes_back_as_it_went() -> None:
    body = written(batch_row())
    assert json.loads(body) == {
        "v": 1, "batch": 7, "dispatch": 3, "channel": "sms", "class": "red", "expires_at": 1000,
    }  # fmt: skip
    note = read(body)
    assert (note.batch, note.priority) == (7, Priority.RED)
    assert misfit(note, batch_row()) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"v": "1"}, {"v": True}, {"v": None}, {"batch": "7"}, {"batch": 0}, {"batch": 7.0}, {"class": "pink"},
        {"class": 1}, {"channel": ""}, {"expires_at": None}, {"address": "13800001111"},
    ],
)  # fmt: skip
def test_a_note_is_read_strictly(changes: Mapping[str, Any]) -> None:
    fields = json.loads(written(batch_row())) | changes
    with pytest.raises(Unreadable):
        read(json.dumps(fields).encode())


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b'"v"', b"[" * 10_000, b'{"v":1}'])
def test_whatever_comes_is_read_or_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_the_version_before_is_read_and_the_one_before_that_is_not() -> None:
    """As it will be when there is a version 2: notes of version 1 are on the queue while processes are exchanged."""

    def of_old(fields: Mapping[str, Any]) -> Note:
        return READERS[VERSION]({"class" if name == "colour" else name: value for name, value in fields.items()})

    readers = {VERSION: READERS[VERSION], 0: of_old}
    old = {"v": 0, "batch": 7, "dispatch": 3, "channel": "sms", "colour": "red", "expires_at": 1000}
    assert misfit(read(json.dumps(old).encode(), readers), batch_row()) == ""
    with pytest.raises(Unreadable, match=r"version -1 is not one of \[0, 1\]"):
        read(json.dumps(old | {"v": -1}).encode(), readers)
    with pytest.raises(Unreadable):
        read(json.dumps(old).encode())


def test_a_note_of_another_batch_is_told_apart() -> None:
    note = read(written(batch_row()))
    assert "there is no batch 7" in misfit(note, None)
    for change in ({"dispatch": 4}, {"channel": "wechat"}, {"priority": Priority.BLUE}):
        assert "another one" in misfit(note, batch_row(**change))


def held(n: int, priority: Priority = Priority.RED, expires_at: int = 1000, since: float = 0.0) -> Held:
    note = read(written(batch_row(n, priority=priority, expires_at=expires_at)))
    return Held(note, cast(AbstractIncomingMessage, object()), since)


async def test_the_pile_gives_the_most_urgent_first() -> None:
    pile = Pile()
    for each in (held(1, Priority.TEST), held(2), held(3, expires_at=500), held(4, Priority.CANCEL), held(5)):
        assert pile.put(each) is None
    assert [(await pile.pop()).note.batch for _ in range(5)] == [4, 3, 2, 5, 1]


async def test_a_later_message_of_the_same_batch_takes_the_place_of_the_earlier() -> None:
    pile = Pile()
    first, second, third = held(1), held(1), held(1)
    pile.put(first)
    assert pile.put(second) is first
    assert await pile.pop() is second
    assert pile.put(third) is second
    assert third.in_hand, "nobody else gets it"
    pile.forget(Priority.RED)
    assert pile.done(1) is third
    assert len(pile) == 0


async def test_what_a_hand_lays_back_waits_again() -> None:
    pile = Pile()
    pile.put(held(1))
    hands = [asyncio.create_task(pile.pop()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [hand.done() for hand in hands] == [True, False]
    pile.lay_back(1)
    assert (await asyncio.wait_for(hands[1], 5)).note.batch == 1


async def test_what_waits_is_forgotten_with_its_connection_and_what_is_in_a_hand_is_not() -> None:
    pile = Pile()
    for n in (1, 2, 3):
        pile.put(held(n, since=float(n)))
    taken = await pile.pop()
    assert [each.note.batch for each in pile.since(2.5, Priority.RED)] == [1, 2]
    assert pile.since(2.5, Priority.BLUE) == []
    pile.done(2)
    pile.forget(Priority.BLUE)
    assert len(pile) == 2
    pile.forget(Priority.RED)
    assert len(pile) == 1
    assert pile.done(taken.note.batch) is taken
    waiting = asyncio.create_task(pile.pop())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
