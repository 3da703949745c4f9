"""Vitals: whether store and broker answer, and whether the clock is right, as every process tells for itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app.vitals import Vitals
from gateway.ports.queue import QueueState
from gateway.telemetry import Metrics


@pytest.mark.parametrize(("healthy", "answers", "up"), [(True, True, 1), (False, True, 0), (True, False, 0)])
def test_the_store_is_up_if_it_takes_writes_and_answers(healthy: bool, answers: bool, up: int) -> None:
    assert told(healthy=healthy, answers=answers)["store_up"] == up


@pytest.mark.parametrize(
    ("state", "figures"),
    [
        (QueueState(up=True), (1, 0)),
        (QueueState(up=True, blocked=True), (1, 1)),
        (QueueState(up=False, detail="refused"), (0, 0)),
    ],
)
def test_the_broker_may_be_away_or_take_nothing(state: QueueState, figures: tuple[int, int]) -> None:
    said = told(state=state)
    assert (said["broker_up"], said["broker_blocked"]) == figures


def test_the_clock_is_told_in_seconds() -> None:
    assert told(skew=-1500)["clock_skew_seconds"] == -1.5


def told(
    *, healthy: bool = True, answers: bool = True, state: QueueState | None = None, skew: int = 0
) -> dict[str, float | None]:
    """What a process tells whose parts are so."""
    metrics = Metrics()
    parts: dict[str, Any] = {
        "transport": SimpleNamespace(queue=SimpleNamespace(state=state or QueueState(up=True))),
        "presence": SimpleNamespace(answers=answers),
        "clock": SimpleNamespace(skew=skew),
        "store": SimpleNamespace(healthy=healthy),
        "keys": None,
        "office": None,
    }
    Vitals(**parts, metrics=metrics).tell()
    names = ("store_up", "broker_up", "broker_blocked", "clock_skew_seconds")
    return {name: metrics.registry.get_sample_value(f"tongluo_{name}") for name in names}
