"""Random rosters and streams of statements, with the scenario that says the same: the live Book must equal its evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from coverage_worlds import LEVELS, Scenario, channels, shares
from hypothesis import strategies as st

from gateway.model.coverage import Evidence
from gateway.model.journal import NEVER
from gateway.model.receipt import Level
from gateway.model.roster import NOBODY, PPM, Roster, RosterLeaf
from gateway.rules.folding import Book
from gateway.rules.scenarios import ChannelPart

Statement = tuple[int, int, int, int]
"""(ordinal, level, event_at or NEVER, received_at)"""


@dataclass
class Night:
    """One alert: its roster, its channels, what is planned, and what was said about it."""

    roster: Roster
    channels: dict[str, Scenario]
    planned: list[int]
    statements: list[Statement]
    counts: list[tuple[int, int, int, int]]
    released_at: int
    cutoff: int | None
    domains: bool
    towns: list[str] = field(default_factory=list)

    def evidence(self) -> dict[str, Evidence]:
        """The evidence of the channels, as the gateway holds it."""
        return {name: ChannelPart.model_validate(figures).evidence(float) for name, figures in self.channels.items()}

    def book(self) -> Book:
        """An empty book of this night, with the dispatches planned."""
        book = Book(self.roster, self.evidence(), self.released_at, self.cutoff, self.domains)
        book.plan(np.array(self.planned, dtype=np.int64))
        return book

    def scenario(self, **changes: Any) -> Scenario:
        """The same night for `evaluate`; only what is planned, or was heard of, is listed."""
        heard = {o for o, *_ in self.statements} | {o for o, *_ in self.counts}
        listed = sorted(o for o in heard | set(self.planned) if o < self.roster.endpoints)
        by_kind: dict[str, list[int]] = {kind: [] for kind in ("addressed", "device", "area", "counted")}
        for o in listed:
            by_kind[self.channels[self.channel(o)]["kind"]].append(o)
        return {
            "regions": [{"id": "all"}, *({"id": town, "parent": "all"} for town in self.towns), *self.leaves()],
            "channels": self.channels,
            "recipients": [self.recipient(p, by_kind["addressed"]) for p in range(self.roster.persons)],
            "devices": [
                {"unit": str(o), "channel": self.channel(o), "catchment": self.catchment(o)} for o in by_kind["device"]
            ],
            "area_sends": [
                {"unit": str(o), "channel": self.channel(o), "region": self.region(o)}
                for o in sorted(by_kind["area"] + by_kind["counted"])
            ],
            "events": [self.event(*statement) for statement in self.statements],
            "counts": [
                {"unit": str(o), "n_sent": sent, "n_ok": ok, "event_at": seconds(at)} for o, sent, ok, at in self.counts
            ],
            "released_at": seconds(self.released_at),
            "expires_at": None if self.cutoff is None else seconds(self.cutoff),
            "failure_domains": self.domains,
        } | changes

    def leaves(self) -> list[Scenario]:
        """The leaf regions; leaf n stands under town n % 2."""
        return [
            {
                "id": leaf.code,
                "parent": self.towns[number % 2],
                "population": None if leaf.micro_people is None else f"{leaf.micro_people}/{PPM}",
            }
            for number, leaf in enumerate(self.roster.leaves)
        ]

    def channel(self, ordinal: int) -> str:
        """The channel's name of an endpoint."""
        return self.roster.channels[int(self.roster.endpoint_channel[ordinal])]

    def recipient(self, person: int, addressed: list[int]) -> Scenario:
        """A person with the listed addresses."""
        mine = [o for o in addressed if self.roster.endpoint_person[o] == person]
        return {
            "region": self.roster.leaves[self.roster.person_leaf[person]].code,
            "weight": int(self.roster.person_weight[person]),
            "addresses": [{"unit": str(o), "channel": self.channel(o)} for o in mine],
        }

    def catchment(self, ordinal: int) -> dict[str, int]:
        """People around a device by leaf code."""
        rows = np.flatnonzero(self.roster.catch_endpoint == ordinal)
        return {self.roster.leaves[self.roster.catch_leaf[r]].code: int(self.roster.catch_people[r]) for r in rows}

    def region(self, ordinal: int) -> str:
        """The region of an area send: its leaf, or the town whose leaves it covers."""
        leaf = int(self.roster.endpoint_leaf[ordinal])
        covered = self.roster.catch_leaf[self.roster.catch_endpoint == ordinal]
        return self.roster.leaves[leaf].code if leaf >= 0 else self.towns[int(covered[0]) % 2]

    def event(self, ordinal: int, level: int, event_at: int, received_at: int) -> Scenario:
        """A statement as an event."""
        return {
            "unit": str(ordinal),
            "level": Level(level).label,
            "event_at": None if event_at == NEVER else seconds(event_at),
            "received_at": seconds(received_at),
        }


def seconds(at: int) -> str:
    """Milliseconds as seconds, exactly."""
    return str(Fraction(at, 1000))


NAMES = ("sms", "wechat", "speaker", "tv", "carrier")


@st.composite
def nights(draw: st.DrawFn) -> Night:
    """A night of up to six leaves under two towns, with endpoints of every kind."""
    figures = draw(channels()) | {
        "carrier": {"kind": "counted", "share_res": draw(shares()), "unique": draw(st.booleans())}
    }
    people = st.sampled_from([None, 0, PPM, 3 * PPM, 3_333_333, 10 * PPM, 123 * PPM])
    leaves = tuple(RosterLeaf(f"leaf{n}", "", draw(people)) for n in range(draw(st.integers(2, 6))))
    leaf = st.integers(0, len(leaves) - 1)
    persons = [(draw(leaf), draw(st.sampled_from([0, 1, 2, 5]))) for _ in range(draw(st.integers(0, 5)))]
    who: list[int] = []
    channel: list[int] = []
    place: list[int] = []
    catchments: list[tuple[int, int, int]] = []
    for name in draw(st.lists(st.sampled_from(NAMES if persons else NAMES[2:]), max_size=9)):
        ordinal = len(who)
        addressed = figures[name]["kind"] == "addressed"
        spot, town = draw(leaf), draw(st.booleans()) and name != "speaker"
        who.append(draw(st.integers(0, len(persons) - 1)) if addressed else NOBODY)
        channel.append(NAMES.index(name))
        place.append(-1 if town and not addressed else spot)
        if not addressed:
            chosen = range(spot % 2, len(leaves), 2) if town else [spot]
            if name == "speaker":
                chosen = sorted(draw(st.sets(leaf, min_size=1, max_size=3)))
            catchments += [(ordinal, number, draw(st.sampled_from([0, 1, 4, 50]))) for number in chosen]
    columns = np.array(catchments, dtype=np.int32).reshape(-1, 3).T
    roster = Roster(
        leaves,
        NAMES,
        np.array([at for at, _ in persons], dtype=np.int32),
        np.array([weight for _, weight in persons], dtype=np.int32),
        np.array(who, dtype=np.int32),
        np.array(channel, dtype=np.int16),
        np.array(place, dtype=np.int32),
        *columns,
    )
    released = draw(st.integers(0, 20_000))
    clock = st.integers(0, 60_000)
    statement = st.tuples(
        st.integers(0, len(who) - 1) if who else st.nothing(),
        st.integers(0, len(LEVELS) - 1),
        st.one_of(clock, st.just(NEVER)),
        clock,
    )
    said = draw(st.lists(statement, max_size=10)) if who else []
    said += [(o, level, NEVER, draw(clock)) for o, level, *_ in said if draw(st.booleans())]
    told = [o for o, c in enumerate(channel) if NAMES[c] == "carrier"]
    counts = [
        (o, draw(st.integers(0, 20)), draw(st.integers(0, 20)), draw(clock))
        for o in told
        for _ in range(draw(st.integers(0, 2)))
    ]
    return Night(
        roster,
        figures,
        sorted(draw(st.sets(st.sampled_from(range(len(who)))))) if who else [],
        said,
        counts,
        released,
        draw(st.one_of(st.none(), clock)),
        draw(st.booleans()),
        ["town0", "town1"],
    )
