"""Random streams of receipts: in any order, twice, before their answers, over restarts and kills, the live fold, a fresh fold and
the pure evaluation agree bit for bit, and none claims more than was told.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import pairwise

from core import Core, cap, core, quick_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_oracle import assert_ledger_is_right, assert_no_overclaim

from gateway.channel import Level, Reason

EXAMPLES = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 12

PLACE = st.integers(0, 11)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), PLACE, st.sampled_from(list(Level)), st.booleans()),
        st.tuples(st.just("tell"), PLACE, st.just(Level.DELIVERED), st.booleans()),
        st.tuples(st.just("repeat"), PLACE, st.just(Level.SENT), st.booleans()),
        st.tuples(
            st.sampled_from(["fold", "save", "crash", "restart", "rebuild", "later", "let go", "check"]),
            st.just(0),
            st.just(Level.SENT),
            st.just(False),
        ),
    ),
    max_size=18,
)


async def play(it: Core, manner: str, operations: list[tuple[str, int, Level, bool]]) -> None:
    """One alert to ten phones and two loudspeakers, then everything that happens to its receipts."""
    for far in it.far.values():
        far.manner = manner
    alert = await it.post(cap(it.clock, minutes=30))
    await it.settle()
    told: list[tuple[str, int, Level, bool]] = []
    for name, place, level, by_key in operations:
        match name:
            case "tell":
                told.append((name, place, level, by_key))
                await tell(it, place, level, by_key)
            case "repeat" if told:
                await tell(it, *told[place % len(told)][1:])
            case "fold":
                await it.folder.fold()
            case "save":
                await it.folder.save()
            case "crash":
                await it.crash()
                await it.open()
            case "restart":
                await it.close()
                await it.open()
            case "rebuild":
                await it.folder.rebuild((await it.account(alert.id)).alert)
            case "later":
                it.clock.forward(400)
                await it.settle()
            case "let go":
                for far in it.far.values():
                    far.manner = "answer"
                    far.let_go.set()
                await it.settle()
            case "check":
                await assert_ledger_is_right(it, alert.id)
    figures = await assert_ledger_is_right(it, alert.id)
    await assert_no_overclaim(it, alert.id)
    assert all(low <= high for low, high in pairwise(bounds(figures)))
    await it.crash()
    await it.open()
    assert await assert_ledger_is_right(it, alert.id) == figures
    await it.folder.rebuild((await it.account(alert.id)).alert)
    assert await assert_ledger_is_right(it, alert.id) == figures


def bounds(figures: tuple[float | None, ...]) -> Iterator[float]:
    """lo, est, hi."""
    return (bound for bound in figures[:3] if bound is not None)


async def tell(it: Core, place: int, level: Level, by_key: bool) -> None:
    """A receipt for the message at `place`, if it was taken; the far side tells of loudspeakers and phones alike."""
    messages = [(name, message) for name, far in it.far.items() for message in far.taken]
    if not messages:
        return
    name, message = messages[place % len(messages)]
    reason = Reason.UNREACHABLE if level is Level.FAILED else Reason.NONE
    honest = min(level, it.reporters[name].proves)
    it.far[name].say(message, honest, reason)
    receipt = it.far[name].say(message, honest, reason, by_key=by_key)
    await it.report(name, receipt)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["answer", "hold", "half"]), OPERATIONS)
def test_any_stream_gives_the_evaluation(manner: str, operations: list[tuple[str, int, Level, bool]]) -> None:
    async def example() -> None:
        with quick_folder() as folder:
            async with core(folder, "sms", "speakers") as it:
                await play(it, manner, operations)

    asyncio.run(example())
