"""The clock of the running gateway: it goes with the machine's uptime, follows a wall clock that drifts, and no wall clock that
jumps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway import clock as clock_room
from gateway.clock import STEADY, STEP, SystemClock

START = 1_784_701_800_000
HOUR = 3_600_000


class Machine:
    """A machine's two clocks, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.up = START, 50_000
        monkeypatch.setattr(time, "time_ns", lambda: self.wall * 1_000_000)
        monkeypatch.setattr(clock_room, "uptime", lambda: self.up)

    def passes(self, milliseconds: int, drift: int = 0) -> None:
        """Time goes by; the wall clock gains `drift` on it."""
        self.wall += milliseconds + drift
        self.up += milliseconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def watched(clock: SystemClock, machine: Machine, milliseconds: int, look: Callable[[int], None]) -> None:
    """Let time go by, looking at the clock every second, as a gateway does."""
    for _ in range(0, milliseconds, 1000):
        machine.passes(1000)
        look(clock.now())


def test_it_starts_with_the_wall_clock_and_goes_with_the_uptime(machine: Machine) -> None:
    clock = SystemClock()
    assert (clock.now(), clock.skew) == (START, 0)
    machine.passes(1234)
    assert clock.now() == START + 1234


@pytest.mark.parametrize("step", [HOUR, -HOUR, STEP, -STEP - 1000, 400 * 24 * HOUR])
def test_a_step_of_the_wall_clock_moves_nothing_until_it_has_been_steady_for_ten_minutes(
    machine: Machine, step: int
) -> None:
    clock, seen = SystemClock(), [START]
    machine.wall += step
    assert clock.now() == START
    assert clock.skew == step
    watched(clock, machine, STEADY - 1000, seen.append)
    assert seen == list(range(START, START + STEADY, 1000))
    machine.passes(999)
    assert clock.now() == START + STEADY - 1
    machine.passes(1)
    assert (clock.now(), clock.skew) == (machine.wall, 0)


def test_a_step_that_is_taken_back_leaves_no_trace(machine: Machine) -> None:
    clock = SystemClock()
    machine.wall += HOUR
    watched(clock, machine, STEADY - 1000, lambda now: None)
    machine.wall -= HOUR
    assert clock.now() == machine.wall
    machine.wall += HOUR
    watched(clock, machine, STEADY - 1000, lambda now: None)
    assert clock.skew == HOUR, "ten minutes begin anew"


def test_a_wall_clock_that_jumps_about_is_never_believed(machine: Machine) -> None:
    clock = SystemClock()
    for minute in range(60):
        machine.wall += HOUR if minute % 2 else 2 * HOUR
        watched(clock, machine, 60_000, lambda now: None)
    assert clock.now() == START + 60 * 60_000


@pytest.mark.parametrize("drift", [STEP - 1, 100, -100, 1 - STEP])
def test_a_wall_clock_that_is_brought_into_step_is_followed(machine: Machine, drift: int) -> None:
    clock = SystemClock()
    for _ in range(50):
        machine.passes(10_000, drift)
        assert clock.now() == machine.wall
    assert clock.skew == 0


@pytest.mark.parametrize("back", [1, 500, STEP - 1])
def test_time_never_runs_backward_when_the_wall_clock_is_set_back_a_little(machine: Machine, back: int) -> None:
    clock = SystemClock()
    before = clock.now()
    machine.wall -= back
    assert clock.now() == before, "it waits"
    machine.passes(back)
    assert clock.now() == before
    machine.passes(1)
    assert clock.now() == before + 1 == machine.wall


def test_the_time_of_the_store_goes_before_the_wall_clock(machine: Machine) -> None:
    clock = SystemClock()
    machine.passes(5000)
    clock.sync(START + HOUR, machine.up - 40)
    assert clock.now() == START + HOUR + 40
    assert clock.skew == machine.wall - clock.now()
    machine.wall += 1000
    machine.passes(2 * STEADY)
    assert clock.now() == START + HOUR + 40 + 2 * STEADY, "the wall clock has no say any more"
    watched(clock, machine, STEADY, lambda now: None)
    assert clock.now() == START + HOUR + 40 + 3 * STEADY


def test_time_never_runs_backward_when_the_store_tells_a_little_less(machine: Machine) -> None:
    clock = SystemClock()
    clock.sync(START + 30, machine.up)
    before = clock.now()
    clock.sync(START, machine.up)
    assert clock.now() == before
    machine.passes(31)
    assert clock.now() == before + 1


def test_a_store_whose_clock_was_wrong_by_much_is_followed_at_once(machine: Machine) -> None:
    clock = SystemClock()
    clock.sync(START + HOUR, machine.up)
    assert clock.now() == START + HOUR
    clock.sync(START, machine.up)
    assert clock.now() == START


async def test_who_waits_for_a_time_is_not_woken_by_a_step(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_room, "LONGEST_SLEEP", 0.005)
    clock = SystemClock()
    waiting = asyncio.create_task(clock.until(START + HOUR))
    machine.wall += 2 * HOUR
    await asyncio.sleep(0.05)
    assert not waiting.done()
    machine.passes(HOUR)
    async with asyncio.timeout(30):
        await waiting
