"""Back-off with full jitter until the expiry, and a breaker that probes once a second."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Misconfigured, Rejected, Throttled, Unavailable
from gateway.model.dispatch import WorkState
from gateway.model.receipt import Reason
from gateway.rules.retrying import FAULT, OUTAGE, Backoff, Breaker, Next, next_attempt

FAR = 10**12


def after(
    attempt: int, failure: BaseException | Reason, *, attempts: int = 5, expires_at: int = FAR, seed: int = 1
) -> Next:
    return next_attempt(attempt, failure, attempts=attempts, now=1000, rng=Random(seed), expires_at=expires_at)


@given(st.integers(1, 60), st.integers(0, 10**6))
def test_delays_double_up_to_the_cap_with_full_jitter(attempt: int, seed: int) -> None:
    assert 0 <= FAULT.delay(attempt, Random(seed)) <= min(60_000, 1000 * 2 ** (attempt - 1))
    assert OUTAGE.delay(attempt, Random(seed)) <= 8_000


def test_jitter_spreads() -> None:
    delays = {Backoff().delay(5, Random(seed)) for seed in range(50)}
    assert min(delays) < 3_000
    assert max(delays) > 12_000


@pytest.mark.parametrize(
    "failure", [Rejected(), Misconfigured(), Reason.INVALID_ADDRESS, Reason.BLOCKED, Reason.REJECTED]
)
def test_what_will_never_be_taken_is_dead_at_once(failure: BaseException | Reason) -> None:
    assert after(1, failure) == Next(WorkState.DEAD)


@pytest.mark.parametrize("failure", [RuntimeError("bug"), TimeoutError(), Reason.UNKNOWN, Reason.TIMEOUT, Reason.ERROR])
def test_a_fault_of_our_own_uses_up_its_attempts(failure: BaseException | Reason) -> None:
    assert after(4, failure).state is WorkState.PENDING
    assert after(5, failure) == Next(WorkState.DEAD)


@pytest.mark.parametrize("failure", [Unavailable(), Throttled(0), Reason.UNAVAILABLE, Reason.THROTTLED])
def test_an_outage_ends_with_the_expiry_and_not_in_the_dead_letters(failure: BaseException | Reason) -> None:
    assert after(500, failure).state is WorkState.PENDING
    assert after(500, failure, expires_at=1000).state is WorkState.EXPIRED


def test_throttled_waits_as_long_as_asked() -> None:
    due = after(1, Throttled(30.0)).due
    assert due is not None
    assert 31_000 <= due <= 32_000


@given(st.integers(1, 20), st.integers(1001, 20_000), st.integers(0, 999))
def test_nothing_is_due_at_or_after_the_expiry(attempt: int, expires_at: int, seed: int) -> None:
    found = after(attempt, Unavailable(), expires_at=expires_at, seed=seed)
    assert (found.due is None) == (found.state is WorkState.EXPIRED)
    assert found.due is None or 1000 <= found.due < expires_at


def opened(at: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(breaker.threshold):
        breaker = breaker.failed(at)
    return breaker


def test_it_opens_after_outages_in_a_row_only() -> None:
    breaker = Breaker().failed(0).failed(0).failed(0).failed(0)
    assert breaker.state == "closed"
    assert breaker.succeeded().failed(0).state == "closed"
    assert breaker.failed(0).state == "open"
    assert not opened(5_000).allows(5_999)
    assert opened(5_000).allows(6_000)


def test_at_most_one_probe_a_second_while_open() -> None:
    breaker, sent = opened(), []
    for now in range(0, 10_000, 50):
        if breaker.allows(now):
            sent.append(now)
            breaker = breaker.sending(now)
            assert breaker.state == "half-open"
            breaker = breaker.failed(now)
            assert breaker.state == "open"
    assert sent == list(range(1_000, 10_000, 1_000))


def test_a_probe_that_never_answers_keeps_nobody_back() -> None:
    breaker = opened().sending(1_000)
    assert not breaker.allows(1_999)
    assert breaker.allows(2_000)


def test_one_success_closes_it_at_once() -> None:
    breaker = opened().sending(1_000).succeeded()
    assert (breaker.state, breaker.due(1_001)) == ("closed", 1_001)


def test_throttling_pauses_without_opening() -> None:
    breaker = Breaker().throttled(1_000, 2.5)
    assert (breaker.state, breaker.due(1_000), breaker.allows(3_500)) == ("closed", 3_500, True)
