"""The checker of the fault suite: what was posted, promised, received and entered in the ledger, held against each other.

The idea is Jepsen's total-queue: every message carries its key, so that what is lost, unexpected or sent twice can be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np
import structlog

from gateway.channel import Level
from gateway.flow.coverage import Folder
from gateway.flow.office import Alone
from gateway.model.dispatch import WorkState
from gateway.model.journal import NEVER
from gateway.ports.store import AlertRow
from gateway.store import SqlStore, SqlTransaction
from gateway.telemetry import Metrics
from gateway.testing.clock import ManualClock

LOG = structlog.get_logger("checker")

REBUILT = 12
"""Alerts whose journal is folded anew: each costs a reading of the journal."""


class Got(NamedTuple):
    """One message at the far side."""

    alert: str
    key: str
    address: str


@dataclass(slots=True)
class Evidence:
    """What clients and the far side know.

    wanted: identifier -> addresses that the message is for, for all that was posted (acknowledged or not); acked: identifier -> the
    ids it was answered with; received: everything the far side took; delivered: keys that the far side has called delivered;
    acknowledged: those of them whose receipt we said we have; cancelled: identifier of a warning -> that of its Cancel; late: sends
    that began after the end of their alert.
    """

    wanted: dict[str, frozenset[str]] = field(default_factory=dict)
    acked: dict[str, set[str]] = field(default_factory=dict)
    received: Sequence[Got] = ()
    delivered: frozenset[str] = frozenset()
    acknowledged: frozenset[str] = frozenset()
    cancelled: dict[str, str] = field(default_factory=dict)
    late: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts. All but `duplicates` must be zero.

    unstored: acknowledged and not in the store; lost: targets of acknowledged alerts that nobody called and no expiry or withdrawal
    excuses; unexpected: messages that no posted alert asks for; overclaimed: what the ledger says and the far side did not;
    underclaimed: receipts that we acknowledged and the ledger lacks; uncounted: sends beyond the attempts in the journal; late;
    untold: people who got a warning and not its Cancel; unfolded: alerts whose live fold and rebuild differ.
    """

    unstored: int = 0
    lost: int = 0
    unexpected: int = 0
    overclaimed: int = 0
    underclaimed: int = 0
    uncounted: int = 0
    late: int = 0
    untold: int = 0
    unfolded: int = 0
    duplicates: int = 0
    examples: tuple[str, ...] = ()

    @property
    def faults(self) -> dict[str, int]:
        """What must not be."""
        return {name: count for name, count in asdict(self).items() if count and name not in ("duplicates", "examples")}


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds, by an alert's id: its row, its own dispatches, and channel and address of each ordinal.

    excused: keys that an expiry or a withdrawal stopped; attempts: how often the journal says that each key was about to be sent.
    """

    alerts: Mapping[str, AlertRow]
    dispatches: Mapping[str, Sequence[str]]
    channels: Mapping[str, Sequence[str]]
    addresses: Mapping[str, Sequence[str]]
    excused: frozenset[str]
    attempts: Counter[str]


async def examine(store: SqlStore, evidence: Evidence) -> Verdict:
    """Hold everything against each other; the gateway is not running."""
    kept = await store.read(_kept)
    ledger, unfolded = await _ledger(store, kept)
    times = Counter(got.key for got in evidence.received)
    by_alert: dict[str, set[str]] = {}
    for got in evidence.received:
        by_alert.setdefault(got.alert, set()).add(got.address)
    answered = {id for ids in evidence.acked.values() for id in ids}
    claimed = {key for key, level in ledger.items() if level >= Level.ACCEPTED}
    proven = {key for key, level in ledger.items() if level >= Level.DELIVERED}
    return Verdict(
        unstored=len(answered - kept.alerts.keys()),
        lost=sum(_lost(kept, evidence, id, by_alert.get(id, set())) for id in answered & kept.alerts.keys()),
        unexpected=_unexpected(kept, evidence),
        overclaimed=len(claimed - times.keys()) + len(proven - evidence.delivered),
        underclaimed=len(evidence.acknowledged - proven),
        uncounted=sum(max(0, count - kept.attempts[key]) for key, count in times.items()),
        late=evidence.late,
        untold=_untold(kept, evidence, by_alert),
        unfolded=unfolded,
        duplicates=sum(count - 1 for count in times.values()),
        examples=tuple(_examples(kept, evidence, proven, times)),
    )


def _examples(kept: Kept, evidence: Evidence, proven: set[str], times: Counter[str]) -> Iterator[str]:
    """A few of what is wrong, for whoever has to find out why."""
    for key in sorted(evidence.acknowledged - proven)[:5]:
        yield f"underclaimed {key}: came {times[key]} times in {kept.attempts[key]} attempts"
    for got in [got for got in evidence.received if _astray(kept, evidence, got)][:5]:
        row = kept.alerts.get(got.alert)
        yield f"unexpected {got}: {row and (row.identifier, row.state.value)}"
    for identifier, ids in evidence.acked.items():
        if len(ids) > 1:
            yield f"answered with several ids: {identifier} {[(id, id in kept.alerts) for id in ids]}"
    for identifier, count in Counter(row.identifier for row in kept.alerts.values()).items():
        if count > 1:
            yield f"stored {count} times: {identifier}"


def _lost(kept: Kept, evidence: Evidence, id: str, called: set[str]) -> int:
    row = kept.alerts[id]
    if row.identifier in evidence.cancelled or row.identifier in evidence.cancelled.values():
        return 0  # what is called off may stop half way; `untold` looks after its people
    places = {
        address: f"{dispatch}.{channel}.{ordinal}"
        for dispatch in kept.dispatches.get(id, ())
        for ordinal, (address, channel) in enumerate(zip(kept.addresses[id], kept.channels[id], strict=True))
    }
    missing = evidence.wanted[row.identifier] - called
    return sum(places.get(address) not in kept.excused for address in missing)


def _unexpected(kept: Kept, evidence: Evidence) -> int:
    """Messages of an unknown alert or to a stranger; and one more for each identity that was made two alerts of."""
    wrong = sum(_astray(kept, evidence, got) for got in evidence.received)
    twice = Counter(row.identifier for row in kept.alerts.values())
    answers = sum(len(ids) - 1 for ids in evidence.acked.values())
    return wrong + answers + sum(count - 1 for count in twice.values())


def _astray(kept: Kept, evidence: Evidence, got: Got) -> bool:
    return got.alert not in kept.alerts or got.address not in evidence.wanted[kept.alerts[got.alert].identifier]


def _untold(kept: Kept, evidence: Evidence, by_alert: Mapping[str, set[str]]) -> int:
    ids = {row.identifier: id for id, row in kept.alerts.items()}
    return sum(
        len(by_alert.get(ids[warning], set()) - by_alert.get(ids[cancel], set()))
        for warning, cancel in evidence.cancelled.items()
        if warning in ids and cancel in ids
    )


def _kept(tx: SqlTransaction) -> Kept:
    alerts = {row.n: row for row in tx.alerts.page({}, None, 100_000)}
    own = {n: [d for d in tx.dispatches.of_alert(n) if d.roster == n] for n in alerts}
    rosters = {n: found[0] for n in alerts if (found := tx.rosters.get(n)) is not None}
    keys, excused = dict[int, tuple[str, str]](), set[str]()
    for dispatches in own.values():
        for dispatch in dispatches:
            for row in tx.outbox.of_dispatch(dispatch.n):
                keys[row.n] = (dispatch.id, row.channel)
                if row.state in (WorkState.EXPIRED, WorkState.WITHDRAWN):
                    excused |= {f"{dispatch.id}.{row.channel}.{ordinal}" for ordinal in row.ordinals.tolist()}
    return Kept(
        alerts={row.id: row for row in alerts.values()},
        dispatches={alerts[n].id: [dispatch.id for dispatch in dispatches] for n, dispatches in own.items()},
        channels={
            alerts[n].id: [roster.channels[number] for number in roster.endpoint_channel]
            for n, roster in rosters.items()
        },
        addresses={alerts[n].id: tx.rosters.addresses(n, 0, roster.endpoints) for n, roster in rosters.items()},
        excused=frozenset(excused),
        attempts=_attempts(tx, keys),
    )


def _attempts(tx: SqlTransaction, keys: Mapping[int, tuple[str, str]]) -> Counter[str]:
    """How often the journal says that each key was about to be sent."""
    counted: Counter[str] = Counter()
    for row in tx.journal.after(0, 1_000_000):
        for record in row.attempts[row.attempts["number"] > 0]:
            dispatch, channel = keys.get(record["batch"].item(), ("", ""))
            first, count = record["first"].item(), record["count"].item()
            counted.update(f"{dispatch}.{channel}.{ordinal}" for ordinal in range(first, first + count))
    return counted


async def _ledger(store: SqlStore, kept: Kept) -> tuple[dict[str, int], int]:
    """The highest level of each key, and how many alerts a rebuild sees otherwise."""
    folder = Folder(store, ManualClock(), Alone(store), Metrics(), LOG, unmatched_for=72 * 3_600_000)
    await folder.catch_up()
    levels: dict[str, int] = {}
    unfolded = 0
    sample = {id for place, id in enumerate(kept.alerts) if place % max(1, len(kept.alerts) // REBUILT) == 0}
    for id, row in kept.alerts.items():
        account = await folder.account(row.n)
        if account is None:
            continue
        if id in sample:
            rebuilt = await folder.book_as_known(row.n, None)
            unfolded += rebuilt is None or not np.array_equal(rebuilt.times, account.book.times)
        times = account.book.times
        for dispatch in kept.dispatches[id]:
            for ordinal, at in enumerate(times.T):
                level = max((level for level in range(1, len(Level)) if at[level] < NEVER), default=0)
                levels[f"{dispatch}.{kept.channels[id][ordinal]}.{ordinal}"] = level
    return levels, unfolded
