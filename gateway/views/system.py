"""The state of the house: channels, regions, readiness, and which part of it is not ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gateway.channel import Clock
from gateway.flow.presence import Presence
from gateway.flow.preview import proving
from gateway.flow.watch import Watch
from gateway.flow.world import World
from gateway.model.directory import DEVICE
from gateway.model.receipt import Level
from gateway.model.region import Region
from gateway.model.time import rfc3339
from gateway.ports.desk import Json
from gateway.ports.queue import QueueState

SLOW_AFTER = 10_000


class SpeechPart(Protocol):
    """What /readyz asks of speech."""

    @property
    def available(self) -> bool: ...
    @property
    def zh(self) -> str: ...
    @property
    def en(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What a configured channel is."""

    type: str
    proves: Level
    abilities: list[str]


@dataclass(frozen=True, slots=True)
class House:
    """The parts whose state is shown: who serves the channels, whether the store answers, the queue, speech, and what this process
    knows of the watch office."""

    presence: Presence
    store_answers: Callable[[], bool]
    queue: Callable[[], QueueState]
    speech: Callable[[], SpeechPart]
    watched: Callable[[], tuple[bool, str]]


class SystemViews:
    """Looks at the running parts."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        channels: Mapping[str, ChannelFacts],
        watch: Watch,
        house: House,
        *,
        sample: bool,
    ) -> None:
        self.world = world
        self._clock, self._channels, self._watch, self._house, self._sample = clock, channels, watch, house, sample

    def channels(self) -> list[Json]:
        """See `ports.desk.Reads.channels`."""
        return [self._channel(name, facts) for name, facts in self._channels.items()]

    def names(self) -> list[str]:
        """The configured channels."""
        return list(self._channels)

    def online(self) -> Iterator[tuple[str, str, float]]:
        """(channel, county, share of its devices online) for channels that hear their devices."""
        for name in self._channels:
            for county, (on, known) in self._house.presence.health(name).online.items():
                if county:
                    yield name, county, on / known

    def knows(self, name: str) -> bool:
        """Whether a channel of that name is configured (a past alert may have used others)."""
        return name in self._channels

    def type_of(self, name: str) -> str:
        """The type of a configured channel."""
        return self._channels[name].type

    def state_of(self, name: str) -> tuple[str, float | None]:
        """(`ok`, `slow`, `stalled` or `down`, age in seconds of the oldest work that is due)."""
        now, depth = self._clock.now(), self._watch.depths.get(name)
        oldest = depth.oldest if depth and depth.oldest is not None and depth.oldest <= now else None
        age = None if oldest is None else (now - oldest) / 1000
        if name in self._watch.stalled:
            return "stalled", age
        if not self._house.presence.health(name).up:
            return "down", age
        return ("slow" if oldest is not None and now - oldest > SLOW_AFTER else "ok"), age

    def _channel(self, name: str, facts: ChannelFacts) -> Json:
        profile, depth = self.world.channel(name), self._watch.depths.get(name)
        health = self._house.presence.health(name)
        state, age = self.state_of(name)
        on, known = (sum(column) for column in zip(*health.online.values(), strict=True)) if health.online else (0, 0)
        return {
            "channel": name,
            "type": facts.type,
            "kind": profile.kind if profile else "",
            "proves": facts.proves.label,
            "abilities": facts.abilities,
            "state": state,
            "since": rfc3339(health.last_progress) if health.last_progress else None,
            "oldest_pending_s": age,
            "pending": depth.endpoints if depth else 0,
            "sink": profile.sink if profile else None,
            "online_ratio": on / known if known else None,
            "detail": health.fault,
        }

    def regions(self, parent: str) -> list[Json]:
        """See `ports.desk.Reads.regions`."""
        tree = self.world.tree
        return [self._region(region) for region in (tree.children(parent) if parent else tree.roots)]

    def _region(self, region: Region) -> Json:
        return {
            "id": region.code,
            "name": region.name,
            "level": region.level.label,
            "population": region.population,
            "lat": region.lat,
            "lon": region.lon,
            "children": len(self.world.tree.children(region.code)),
        }

    def readiness(self) -> Json:
        """People within reach of at least k healthy, different channels, from the directory as it stands (coverage.md §1.1)."""
        people, reach, blind = self._reach()
        counties: dict[str, list[float]] = {}
        for number, leaf in enumerate(self.world.tree.leaves):
            county = self.world.tree.county_of(leaf.code)
            if county is not None and people[number] > 0:
                sums = counties.setdefault(county.code, [0.0, 0.0, 0.0])
                sums[0] += people[number]
                sums[1] += people[number] * (reach[number] >= 1)
                sums[2] += people[number] * (reach[number] >= 2)
        total = float(people.sum())
        return {
            "k1": float(people[reach >= 1].sum()) / total if total else None,
            "k2": float(people[reach >= 2].sum()) / total if total else None,
            "people": int(total),
            "blind_spots": [
                {"id": leaf.code, "name": leaf.name, "people": int(people[number])}
                for number, leaf in enumerate(self.world.tree.leaves)
                if blind[number] and people[number] > 0
            ][:500],
            "counties": [
                {"id": code, "name": self._name(code), "k1": sums[1] / sums[0], "k2": sums[2] / sums[0]}
                for code, sums in sorted(counties.items())
            ],
            "sample": self._sample,
        }

    def _reach(self) -> tuple[Any, Any, Any]:
        """By leaf of the tree: people, how many healthy channels reach it, and whether none can prove delivery there."""
        tree, directory = self.world.tree, self.world.directory
        leaves = len(tree.leaves)
        people = np.array([leaf.population or 0 for leaf in tree.leaves], np.float64)
        reach, proven = np.zeros(leaves, np.int64), np.zeros(leaves, bool)
        prove = set(proving(self.world))
        for number, name in enumerate(directory.channels):
            if name not in self._channels:
                continue
            served = np.zeros(leaves, bool)
            mine = directory.channel == number
            for region in np.unique(directory.region[mine]).tolist():
                span = tree.leaf_range(directory.regions[region])
                devices = (directory.recipient[mine & (directory.region == region)] == DEVICE).any()
                if len(span) == 1 or devices:
                    served[span.start : span.stop] = True
            proven |= served & (name in prove)
            reach += served & self._house.presence.health(name).up
        return people, reach, ~proven

    def _name(self, code: str) -> str:
        region = self.world.tree.find(code)
        return region.name if region else code

    def ready(self) -> Json:
        """See `ports.desk.Reads.ready`. Without a store nothing can be promised; without a broker alerts are still taken in."""
        store, queue, speech = self._house.store_answers(), self._house.queue(), self._house.speech()
        watched, watching = self._house.watched()
        channels = {name: self._channel_ready(name) for name in self._channels}
        parts: Json = {
            "store": {"ok": store, "detail": "" if store else "the store does not answer, or takes no writes"},
            "queue": {"ok": queue.up and not queue.blocked, "detail": queue.detail},
            "speech": {"ok": speech.available, "detail": f"{speech.zh} / {speech.en}"},
            "regions": {"ok": len(self.world.tree) > 0, "detail": f"{len(self.world.tree)} regions"},
            "watch": {"ok": watched, "detail": watching},
            "channels": channels,
        }
        return {"ready": store and len(self.world.tree) > 0, "parts": parts}

    def _channel_ready(self, name: str) -> Json:
        health = self._house.presence.health(name)
        return {"ok": health.up, "detail": health.fault or self.state_of(name)[0]}
