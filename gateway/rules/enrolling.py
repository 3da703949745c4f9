"""The roster of an alert: who of the directory stands in the targeted leaves, with which text, and how many people that is.

Called by intake (the roster is frozen then) and by preview, with the targets of `gateway.rules.targeting`. Pure and in columns:
a million endpoints take seconds, not minutes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.alert import Finding, Info
from gateway.model.directory import DEVICE, DRILL, DirectoryColumns
from gateway.model.roster import NOBODY, PPM, Roster, RosterLeaf
from gateway.rules.apportioning import Catchments
from gateway.rules.choosing import Wording
from gateway.rules.grounding import Ground
from gateway.rules.remarks import remark
from gateway.rules.targeting import Targets

Numbers = NDArray[np.int64]


class Run(NamedTuple):
    """Endpoints that share channel and text: ordinals `first` to `first + length - 1`, in order of leaf."""

    channel: str
    info: int
    first: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """A roster and where its endpoints came from.

    positions: int64[endpoints], the place of each endpoint in the directory's columns; info: int16[endpoints], the index of
    the info (and so of the language) that each one gets; runs: the ranges of equal channel and info, in order.
    """

    roster: Roster
    positions: Numbers
    info: NDArray[np.int16]
    runs: tuple[Run, ...]
    findings: tuple[Finding, ...] = ()

    def addresses(self, directory: DirectoryColumns) -> list[str]:
        """The address of each endpoint, by ordinal."""
        return [directory.addresses[position] for position in self.positions.tolist()]

    def ids(self, directory: DirectoryColumns) -> Numbers:
        """The store's number of each endpoint, by ordinal."""
        return directory.id[self.positions]


def compose(
    targets: Targets,
    directory: DirectoryColumns,
    infos: Sequence[Info],
    *,
    exercise: bool = False,
    audiences: Collection[str] = (),
    channels: Collection[str] | None = None,
) -> Enrolment:
    """Everybody of the directory in the targeted leaves, once each, with the info that fits them best.

    `audiences`: only endpoints of one of these; `exercise`: only those of `drill`. Either makes P the weight of the selected
    recipients (coverage.md §1.5). `channels`: the configured names; None = all. `infos` are those that `targets` was made of.
    """
    ground = Ground.of(targets, directory.regions)
    wanted = _wanted(directory, exercise, audiences, channels)
    chosen = np.flatnonzero(wanted & ground.holds(directory.region, directory.recipient != DEVICE))
    wording = Wording.of(ground, infos, targets, directory, chosen)
    ground = ground.with_pseudo_leaves(directory.region[chosen[directory.recipient[chosen] != DEVICE]])

    leaf = ground.leaf[directory.region[chosen]]
    order = _order(directory.channel[chosen], wording.info, leaf, len(infos), len(ground.leaves))
    chosen, leaf, info = chosen[order], leaf[order], wording.info[order]
    persons = _Persons.of(directory, chosen, leaf)
    catchments = Catchments.of(ground, directory, chosen)
    registered = exercise or bool(audiences)
    used, channel = np.unique(directory.channel[chosen], return_inverse=True)
    roster = Roster(
        leaves=tuple(_registered(ground.leaves, persons, catchments) if registered else ground.leaves),
        channels=tuple(directory.channels[number] for number in used),
        person_leaf=persons.leaf,
        person_weight=persons.weight,
        endpoint_person=persons.of_endpoint,
        endpoint_channel=channel.astype(np.int16),
        endpoint_leaf=leaf.astype(np.int32),
        catch_endpoint=catchments.endpoint,
        catch_leaf=catchments.leaf,
        catch_people=catchments.people,
    )
    findings = (*wording.findings, *_left_out(directory, ground, wanted, channels))
    return Enrolment(roster, chosen, info, _runs(roster, info), findings)


def blind_spots(roster: Roster, proving: Collection[str]) -> list[int]:
    """The leaf numbers with people (or nobody knows how many) that no endpoint of a proving channel serves.

    `proving`: names of the addressed and device channels that prove at least `delivered`; area sends prove that something
    was on the air, not that anybody was reached (coverage.md §1.2, class C).
    """
    numbers = [number for number, name in enumerate(roster.channels) if name in set(proving)]
    proves = np.isin(roster.endpoint_channel, numbers)
    served = np.zeros(len(roster.leaves), dtype=bool)
    persons = roster.endpoint_person[proves & (roster.endpoint_person != NOBODY)]
    served[roster.person_leaf[persons]] = True
    served[roster.catch_leaf[proves[roster.catch_endpoint] & (roster.catch_people > 0)]] = True
    return [number for number, leaf in enumerate(roster.leaves) if leaf.micro_people != 0 and not served[number]]


class _Persons(NamedTuple):
    """The people behind the chosen endpoints: one for each recipient, at its deepest leaf, with its largest weight."""

    leaf: NDArray[np.int32]
    weight: NDArray[np.int32]
    of_endpoint: NDArray[np.int32]

    @classmethod
    def of(cls, directory: DirectoryColumns, chosen: Numbers, leaf: NDArray[np.int32]) -> _Persons:
        addressed = np.flatnonzero(directory.recipient[chosen] != DEVICE)
        ids, number = np.unique(directory.recipient[chosen[addressed]], return_inverse=True)
        home = np.full(len(ids), np.iinfo(np.int32).max, dtype=np.int32)
        np.minimum.at(home, number, leaf[addressed])  # pseudo-leaves are numbered last: a known village wins
        weight = np.ones(len(ids), dtype=np.int32)
        np.maximum.at(weight, number, directory.covers[chosen[addressed]])
        person = np.full(len(chosen), NOBODY, dtype=np.int32)
        person[addressed] = number
        return cls(home, weight, person)


def _wanted(
    directory: DirectoryColumns, exercise: bool, audiences: Collection[str], channels: Collection[str] | None
) -> NDArray[np.bool_]:
    """bool[n]: endpoints of a configured channel and of the audiences that are meant."""
    if not len(directory):
        return np.zeros(0, dtype=bool)
    named = set(audiences)
    fits = np.array(
        [(not named or bool(own & named)) and (not exercise or DRILL in own) for own in directory.audiences], dtype=bool
    )
    known = np.array([channels is None or name in channels for name in directory.channels], dtype=bool)
    return np.asarray(fits[directory.audience] & known[directory.channel], dtype=bool)


def _order(
    channel: NDArray[np.int16], info: NDArray[np.int16], leaf: NDArray[np.int32], infos: int, leaves: int
) -> Numbers:
    """Positions in the order of (channel, info, leaf); above the leaves comes first."""
    rank = (channel.astype(np.int64) * max(infos, 1) + info) * (leaves + 1) + leaf + 1
    return np.argsort(rank, kind="stable")


def _runs(roster: Roster, info: NDArray[np.int16]) -> tuple[Run, ...]:
    """Where channel or info changes, a new run begins."""
    count = roster.endpoints
    if not count:
        return ()
    changes = (np.diff(roster.endpoint_channel) != 0) | (np.diff(info) != 0)
    starts = [0, *(np.flatnonzero(changes) + 1).tolist()]
    return tuple(
        Run(roster.channels[roster.endpoint_channel[first]], int(info[first]), first, end - first)
        for first, end in zip(starts, [*starts[1:], count], strict=True)
    )


def _registered(leaves: Sequence[RosterLeaf], persons: _Persons, catchments: Catchments) -> Iterable[RosterLeaf]:
    """The leaves with P = the weight of their selected recipients, and the people that their devices cover."""
    people = np.bincount(persons.leaf, persons.weight, len(leaves))
    people += np.bincount(catchments.leaf, catchments.people, len(leaves))
    for leaf, weight in zip(leaves, people.tolist(), strict=True):
        yield RosterLeaf(leaf.code, leaf.name, int(weight) * PPM, leaf.pseudo, registered=True)


def _left_out(
    directory: DirectoryColumns, ground: Ground, wanted: NDArray[np.bool_], channels: Collection[str] | None
) -> Iterable[Finding]:
    """Findings about endpoints that might have been meant and are not reached."""
    strangers = [name for name in directory.channels if channels is not None and name not in channels]
    if strangers:
        yield remark("channel_unknown", "/alert", strangers)
    lost = [region for region, known in zip(directory.regions, ground.known, strict=True) if not known]
    if lost:
        yield remark("directory_region_unknown", "/alert", lost)
    person = wanted & (directory.recipient != DEVICE)
    astray = np.unique(directory.region[person & ground.partly[directory.region]])
    if len(astray):
        yield remark("recipients_unplaced", "/alert", [directory.regions[number] for number in astray])
