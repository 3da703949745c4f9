"""The model of coverage written a second time, naively and exactly, straight from its description: tests compare with it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import prod
from typing import Any

LADDER = ["failed", "sent", "accepted", "delivered", "read", "ack"]
F = Fraction
Share3 = tuple[F, F, F]
NOTHING: Share3 = (F(0), F(0), F(0))


class Oracle:
    """One scenario of the shape that `evaluate` reads; numbers must be int, str or Fraction."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.s = scenario
        self.released = F(scenario.get("released_at", 0))
        ends = [scenario.get(key) for key in ("expires_at", "cancelled_at", "superseded_at")]
        self.cutoff = min((F(end) for end in ends if end is not None), default=None)
        self.as_of = None if scenario.get("as_of") is None else F(scenario["as_of"])
        self.regions = {region["id"]: region for region in scenario["regions"]}
        self.parents = {region["id"]: region.get("parent") for region in scenario["regions"]}

    def channel(self, name: str, key: str, default: str | int) -> F:
        return F(self.s["channels"][name].get(key, default))

    def times(self, unit: str, until: F | None) -> dict[str, F]:
        earliest: dict[str, F] = {}
        for event in self.s.get("events", []):
            at = self.seen(event, until)
            if event["unit"] == unit and at is not None:
                earliest[event["level"]] = min(at, earliest.get(event["level"], at))
        return earliest

    def seen(self, event: dict[str, Any], until: F | None) -> F | None:
        clocks = [F(event[key]) for key in ("event_at", "received_at") if event.get(key) is not None]
        at = max(self.released, min(clocks))
        known = F(event["received_at"]) if event.get("received_at") is not None else clocks[0]
        late = self.s.get("known_at") is not None and known > F(self.s["known_at"])
        return None if late or (until is not None and at > until) else at

    def positive(self, unit: str, channel: str, until: F | None) -> F | None:
        levels = LADDER[LADDER.index(self.s["channels"][channel].get("count_level", "delivered")) :]
        return min((at for level, at in self.times(unit, until).items() if level in levels), default=None)

    def state(self, unit: str, channel: str, until: F | None) -> str:
        times, positive = self.times(unit, until), self.positive(unit, channel, until)
        handed = min((at for level, at in times.items() if level != "failed"), default=None)
        if positive is not None:
            return "reached" if self.cutoff is None or positive <= self.cutoff else "none"
        if "failed" in times and not {"delivered", "read", "ack"} & times.keys():
            return "none"
        if handed is not None:
            return "handed" if self.cutoff is None or handed <= self.cutoff else "none"
        over = self.cutoff is not None and (until is None or until > self.cutoff)
        return "none" if over else "pending"

    def address(self, unit: str, channel: str, until: F | None) -> Share3:
        q = self.channel(channel, "q_unknown", 0)
        return {"reached": (F(1), F(1), F(1)), "handed": (F(0), q, F(1)), "pending": (F(0), F(0), F(1))}.get(
            self.state(unit, channel, until), NOTHING
        )

    def device(self, unit: str, channel: str, until: F | None) -> Share3:
        lo, est, hi = (self.channel(channel, f"hear_{bound}", 1) for bound in ("lo", "est", "hi"))
        q = self.channel(channel, "q_unknown", 0)
        return {"reached": (lo, est, hi), "handed": (F(0), q * est, hi), "pending": (F(0), F(0), hi)}.get(
            self.state(unit, channel, until), NOTHING
        )

    def send(self, unit: str, channel: str, until: F | None) -> Share3:
        lo, hi = self.channel(channel, "reach_lo", 0), self.channel(channel, "reach_hi", 1)
        est = F(self.s["channels"][channel].get("reach_est", lo))
        return {"reached": (lo, est, hi), "handed": (F(0), est, hi), "pending": (F(0), F(0), hi)}.get(
            self.state(unit, channel, until), NOTHING
        )

    def leaves(self, region: str) -> list[str]:
        children = [child for child, parent in self.parents.items() if parent == region]
        return [leaf for child in children for leaf in self.leaves(child)] if children else [region]

    def people(self, leaf: str) -> F:
        region = self.regions[leaf]
        if region.get("targeted") is False or region.get("population") is None:
            return F(0)
        return F(region["population"]) * F(region.get("target_share", 1))

    def leaf(self, leaf: str, until: F | None) -> Share3:
        """§1.5: the leaf's lo, est and hi."""
        people = self.people(leaf)
        sources = [self.addressed(leaf, people, until)]
        by_channel: dict[str, list[tuple[F, Share3]]] = {}
        for device in self.s.get("devices", []):
            if leaf in device.get("catchment", {}):
                heard = self.device(device["unit"], device["channel"], until)
                by_channel.setdefault(device["channel"], []).append((F(device["catchment"][leaf]), heard))
        sources += [_around(devices, people) for devices in by_channel.values()]
        sends = [send for send in self.s.get("area_sends", []) if leaf in self.leaves(send["region"])]
        sources += [self.send(send["unit"], send["channel"], until) for send in sends]
        est = 1 - prod((1 - source[1] for source in sources), start=F(1))
        return max(s[0] for s in sources), est, min(F(1), sum((s[2] for s in sources), F(0)))

    def addressed(self, leaf: str, people: F, until: F | None) -> Share3:
        total = [F(0), F(0), F(0)]
        for person in self.s.get("recipients", []):
            if person["region"] != leaf:
                continue
            weight = F(person.get("weight", 1))
            each = [self.address(a["unit"], a["channel"], until) for a in person.get("addresses", [])]
            total[0] += weight * max((x[0] for x in each), default=F(0))
            total[1] += weight * (1 - prod((1 - x[1] for x in each), start=F(1)))
            total[2] += weight * max((x[2] for x in each), default=F(0))
        return _three(min(F(1), value / people) for value in total)

    def region(self, region: str, until: F | None) -> tuple[F, Share3] | None:
        """(target people, triple), or None without people."""
        mine = [(self.people(leaf), leaf) for leaf in self.leaves(region) if self.people(leaf)]
        target = sum((people for people, _ in mine), F(0))
        if not target:
            return None
        shares = [(people, self.leaf(leaf, until)) for people, leaf in mine]
        return target, _three(sum((p * x[b] for p, x in shares), F(0)) / target for b in range(3))

    def goal(self, region: str | None) -> F:
        while region is not None:
            if self.regions[region].get("goal_bp") is not None:
                return F(self.regions[region]["goal_bp"]) / 10000
            region = self.parents[region]
        return F(self.s.get("default_goal_bp", 9000)) / 10000

    def time_to(self, region: str, share: F) -> F | None:
        """The first moment, among the release and all receipts, at which lo reached `share`."""
        seen = (self.seen(event, self.as_of) for event in self.s.get("events", []))
        for moment in sorted({self.released, *(at for at in seen if at is not None)}):
            found = self.region(region, moment)
            if found and found[1][0] >= share:
                return moment - self.released
        return None

    def status(self, region: str) -> str:
        found, goal = self.region(region, self.as_of), self.goal(region)
        if found is None:
            return "no_target"
        lo, est, hi = found[1]
        if lo >= goal:
            return "met_confirmed"
        if est >= goal and goal < 1:
            return "met_estimated"
        return "possible" if hi >= goal else "gap"

    def reached_leaves(self, region: str) -> int:
        return sum(self.people(leaf) > 0 and self._has_receipt(leaf) for leaf in self.leaves(region))

    def answered(self, region: str) -> F:
        """Share of the region's people with a read or acknowledgement by the cutoff."""
        mine = [leaf for leaf in self.leaves(region) if self.people(leaf)]
        heads = sum((min(self.people(leaf), self._answering(leaf)) for leaf in mine), F(0))
        return heads / sum(self.people(leaf) for leaf in mine)

    def _answering(self, leaf: str) -> F:
        weight = F(0)
        for person in self.s.get("recipients", []):
            told = [self.times(a["unit"], self.as_of) for a in person.get("addresses", [])]
            replies = [at for times in told for level, at in times.items() if level in ("read", "ack")]
            if person["region"] == leaf and any(self.cutoff is None or at <= self.cutoff for at in replies):
                weight += F(person.get("weight", 1))
        return weight

    def _has_receipt(self, leaf: str) -> bool:
        units = [
            (F(person.get("weight", 1)), a["unit"], a["channel"])
            for person in self.s.get("recipients", [])
            if person["region"] == leaf
            for a in person.get("addresses", [])
        ]
        units += [(F(d["catchment"].get(leaf, 0)), d["unit"], d["channel"]) for d in self.s.get("devices", [])]
        return any(weight and self.state(unit, channel, self.as_of) == "reached" for weight, unit, channel in units)


def _around(devices: list[tuple[F, Share3]], people: F) -> Share3:
    return _three(min(F(1), sum((k * x[b] for k, x in devices), F(0)) / people) for b in range(3))


def _three(values: Iterable[F]) -> Share3:
    lo, est, hi = values
    return lo, est, hi
