"""Who is to be told: the roster of an alert with its addresses, ready to be frozen. Fan-out and preview call it.

A warning enlists everybody of the directory in its areas; a Cancel those whom the warnings it ends may have reached; Test and
System the sinks alone. The header keeps what coverage and rendering must find unchanged years later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gateway.cap import finding_as_json
from gateway.flow.world import World
from gateway.model.alert import Alert, Grade, Info, MsgType, Status
from gateway.model.roster import NOBODY, PPM, Roster, RosterLeaf
from gateway.model.time import Instant
from gateway.ports.store import AlertRow, BatchRow, Ordinals, Transaction
from gateway.rules.enrolling import compose
from gateway.rules.planning import effective_expiry
from gateway.rules.targeting import Targets, resolve

NAMES = 200
"""Region names kept for the texts; more are told as a count."""

SINKS = frozenset({Status.TEST, Status.SYSTEM})


@dataclass(frozen=True, slots=True)
class Voice:
    """One text to be made for a roster: info `info` in `language`, of the alert numbered `of` (0 = the roster's own).

    `places` and `codes` are the regions it speaks of, the topmost first; `expires_at` = after which it must not be sent.
    """

    info: int
    language: str
    expires_at: Instant
    places: Sequence[str] = ()
    codes: Sequence[str] = ()
    of: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Enlisted:
    """A roster with what delivery needs beside it, by ordinal, and the header that is frozen with it."""

    roster: Roster
    addresses: Sequence[str]
    names: Sequence[str]
    header: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """A warning that a Cancel ends, and the batches of its roster of which anything may have been handed over."""

    row: AlertRow
    roster: Roster
    header: Mapping[str, Any]
    batches: Sequence[BatchRow]
    addresses: Sequence[str]
    names: Sequence[str]

    @property
    def ordinals(self) -> Ordinals:
        """The ordinals that may have been handed over."""
        return np.unique(np.concatenate([batch.handed for batch in self.batches])).astype(np.int32)


@dataclass(slots=True)
class _Columns:
    """Columns of a roster that is put together from others."""

    person_leaf: list[int] = field(default_factory=list)
    person_weight: list[int] = field(default_factory=list)
    person: list[int] = field(default_factory=list)
    channel: list[str] = field(default_factory=list)
    voice: list[int] = field(default_factory=list)
    leaf: list[int] = field(default_factory=list)
    catch: list[tuple[int, int, int]] = field(default_factory=list)
    address: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)


def enlist(world: World, row: AlertRow, reached: Sequence[Reached], at: Instant) -> Enlisted:
    """The roster of a stored alert, released at `at`."""
    alert = world.alert(row)
    if alert.status in SINKS:
        return _sinks(world, alert, row, at)
    if alert.msg_type is MsgType.CANCEL:
        return _of_reached(world, alert, row, reached, at)
    return enlist_targets(world, alert, resolve(alert, world.tree, world.areas, row.source), at)


def enlist_targets(world: World, alert: Alert, targets: Targets, at: Instant) -> Enlisted:
    """Everybody of the directory in the targeted leaves."""
    enrolment = compose(
        targets,
        world.directory,
        alert.infos,
        exercise=alert.status is Status.EXERCISE,
        audiences=world.audiences(alert),
        channels=[profile.name for profile in world.channels],
    )
    voices = [_voice(world, targets, number, info, at) for number, info in enumerate(alert.infos)]
    runs = [[run.channel, run.info, run.first, run.length] for run in enrolment.runs]
    header = _header(world, alert, enrolment.roster, voices, runs, at)
    header["findings"] = [finding_as_json(finding) for finding in enrolment.findings]
    names = [str(number) for number in enrolment.ids(world.directory).tolist()]
    return Enlisted(enrolment.roster, enrolment.addresses(world.directory), names, header)


def reached_before(tx: Transaction, alert: int) -> list[Reached]:
    """The whole chain of warnings that this Cancel ended, newest first, with those they may have reached."""
    chain, waiting = dict[int, AlertRow](), [alert]
    while waiting:
        ended = [row for row in tx.alerts.ended_by(waiting.pop()) if row.n not in chain]
        chain |= {row.n: row for row in ended}
        waiting += [row.n for row in ended]
    newest_first = sorted(chain.values(), key=lambda row: -row.n)
    return [found for row in newest_first if (found := _reached(tx, row)) is not None]


def _reached(tx: Transaction, row: AlertRow) -> Reached | None:
    frozen, touched = tx.rosters.get(row.n), tx.outbox.touched(row.n)
    if frozen is None or not touched:
        return None
    roster, header = frozen
    addresses = tx.rosters.addresses(row.n, 0, roster.endpoints)
    return Reached(row, roster, header, touched, addresses, tx.rosters.names(row.n, 0, roster.endpoints))


def _sinks(world: World, alert: Alert, row: AlertRow, at: Instant) -> Enlisted:
    """One endpoint for each channel that has a sink; nobody of the public."""
    sinks = [(profile.name, profile.sink) for profile in world.channels if profile.sink]
    count = len(sinks)
    roster = Roster(
        leaves=(),
        channels=tuple(name for name, _ in sinks),
        person_leaf=np.zeros(0, np.int32),
        person_weight=np.zeros(0, np.int32),
        endpoint_person=np.full(count, NOBODY, np.int32),
        endpoint_channel=np.arange(count, dtype=np.int16),
        endpoint_leaf=np.full(count, -1, np.int32),
        catch_endpoint=np.zeros(0, np.int32),
        catch_leaf=np.zeros(0, np.int32),
        catch_people=np.zeros(0, np.int32),
    )
    voices = [Voice(0, alert.infos[0].language if alert.infos else "zh-CN", row.expires_at)]
    runs = [[name, 0, ordinal, 1] for ordinal, (name, _) in enumerate(sinks)]
    header = _header(world, alert, roster, voices, runs, at)
    return Enlisted(roster, [address for _, address in sinks], ["" for _ in sinks], header)


def _of_reached(world: World, alert: Alert, row: AlertRow, reached: Sequence[Reached], at: Instant) -> Enlisted:
    """Those whom the ended warnings possibly reached, each endpoint once (coverage.md §1.4: a Cancel's own denominator)."""
    leaves: dict[str, int] = {}
    columns, voices, seen = _Columns(), list[Voice](), set[tuple[str, str]]()
    for earlier in reached:
        shift = len(voices)
        voices += [
            Voice(voice["info"], voice["language"], row.expires_at, voice["places"], voice["codes"], earlier.row.n)
            for voice in earlier.header["voices"]
        ]
        _take(columns, earlier, shift, leaves, seen)
    order = sorted(range(len(columns.address)), key=lambda i: (columns.channel[i], columns.voice[i], columns.leaf[i]))
    roster = _roster(columns, order, leaves, reached)
    runs = _runs([(columns.channel[i], columns.voice[i]) for i in order])
    header = _header(world, alert, roster, voices, runs, at)
    return Enlisted(roster, [columns.address[i] for i in order], [columns.name[i] for i in order], header)


def _take(columns: _Columns, earlier: Reached, shift: int, leaves: dict[str, int], seen: set[tuple[str, str]]) -> None:
    roster, persons = earlier.roster, dict[int, int]()
    voice_of = np.zeros(roster.endpoints, np.int32)
    for _, voice, first, length in earlier.header["runs"]:
        voice_of[first : first + length] = voice + shift
    catches: dict[int, list[tuple[int, int]]] = {}
    for endpoint, leaf, people in zip(
        roster.catch_endpoint.tolist(), roster.catch_leaf.tolist(), roster.catch_people.tolist(), strict=True
    ):
        catches.setdefault(endpoint, []).append((leaf, people))

    def leaf_number(old: int) -> int:
        return leaves.setdefault(roster.leaves[old].code, len(leaves)) if old >= 0 else -1

    for ordinal in earlier.ordinals.tolist():
        channel, address = roster.channels[roster.endpoint_channel[ordinal]], earlier.addresses[ordinal]
        if (channel, address) in seen:
            continue
        seen.add((channel, address))
        person = int(roster.endpoint_person[ordinal])
        if person != NOBODY and person not in persons:
            persons[person] = len(columns.person_leaf)
            columns.person_leaf.append(leaf_number(int(roster.person_leaf[person])))
            columns.person_weight.append(int(roster.person_weight[person]))
        new = len(columns.address)
        columns.person.append(persons[person] if person != NOBODY else NOBODY)
        columns.channel.append(channel)
        columns.voice.append(int(voice_of[ordinal]))
        columns.leaf.append(leaf_number(int(roster.endpoint_leaf[ordinal])))
        columns.catch += [(new, leaf_number(leaf), people) for leaf, people in catches.get(ordinal, ())]
        columns.address.append(address)
        columns.name.append(earlier.names[ordinal])


def _roster(columns: _Columns, order: Sequence[int], leaves: Mapping[str, int], reached: Sequence[Reached]) -> Roster:
    known = {leaf.code: leaf for earlier in reached for leaf in earlier.roster.leaves}
    people = np.zeros(len(leaves), np.int64)
    np.add.at(people, np.array(columns.person_leaf, np.intp), np.array(columns.person_weight, np.int64))
    catch = np.array(columns.catch, np.int64).reshape(-1, 3)
    np.add.at(people, catch[:, 1], catch[:, 2])
    place = np.empty(len(order), np.int64)
    place[np.array(order, np.intp)] = np.arange(len(order))
    channels = tuple(sorted(set(columns.channel)))
    return Roster(
        leaves=tuple(_possibly_reached(known[code], int(people[number])) for code, number in leaves.items()),
        channels=channels,
        person_leaf=np.array(columns.person_leaf, np.int32),
        person_weight=np.array(columns.person_weight, np.int32),
        endpoint_person=np.array([columns.person[i] for i in order], np.int32),
        endpoint_channel=np.array([channels.index(columns.channel[i]) for i in order], np.int16),
        endpoint_leaf=np.array([columns.leaf[i] for i in order], np.int32),
        catch_endpoint=place[catch[:, 0]].astype(np.int32),
        catch_leaf=catch[:, 1].astype(np.int32),
        catch_people=catch[:, 2].astype(np.int32),
    )


def _possibly_reached(leaf: RosterLeaf, people: int) -> RosterLeaf:
    most = people * PPM if leaf.micro_people is None else min(people * PPM, leaf.micro_people)
    return RosterLeaf(leaf.code, leaf.name, most, leaf.pseudo, registered=True)


def _runs(keys: Sequence[tuple[str, int]]) -> list[list[Any]]:
    starts = [at for at, key in enumerate(keys) if at == 0 or keys[at - 1] != key]
    ends = [*starts[1:], len(keys)][: len(starts)]
    return [[*keys[first], first, end - first] for first, end in zip(starts, ends, strict=True)]


def _header(
    world: World, alert: Alert, roster: Roster, voices: Sequence[Voice], runs: Sequence[Sequence[Any]], at: Instant
) -> dict[str, Any]:
    evidence = world.evidence_at(at)
    return {
        "evidence": {
            name: asdict(evidence[name]) | {"count_level": int(evidence[name].count_level)} for name in roster.channels
        },
        "domains": alert.grade >= Grade.ORANGE,
        "voices": [asdict(voice) for voice in voices],
        "runs": [list(run) for run in runs],
        "findings": [],
    }


def _voice(world: World, targets: Targets, number: int, info: Info, at: Instant) -> Voice:
    regions = targets.summits(number)[:NAMES]
    expires_at = effective_expiry(info, at, window=world.validity)
    places, codes = [region.name for region in regions], [region.code for region in regions]
    return Voice(number, info.language, expires_at, places, codes)
