"""Random scenarios of the coverage model, small enough to be checked by brute force, odd enough to find its edges."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

LEVELS = ["failed", "sent", "accepted", "delivered", "read", "ack"]
Scenario = dict[str, Any]
Draw = st.DrawFn


def shares(most: int = 10) -> st.SearchStrategy[str]:
    """A share as text, in tenths."""
    return st.integers(0, most).map(lambda tenths: f"0.{tenths}" if tenths < 10 else "1")


def rising() -> st.SearchStrategy[list[str]]:
    """Three shares, lo <= est <= hi."""
    return st.lists(shares(), min_size=3, max_size=3).map(lambda three: sorted(three, key=float))


@st.composite
def channels(draw: Draw) -> dict[str, Scenario]:
    """Two addressed channels, a device channel and an area channel, with any figures."""
    hear, reach = draw(rising()), draw(rising())
    level = st.sampled_from(["accepted", "delivered", "read", "ack"])
    return {
        "sms": {
            "kind": "addressed",
            "q_unknown": draw(shares()),
            "count_level": draw(level),
            "failure_domain": "mobile",
        },
        "wechat": {"kind": "addressed", "q_unknown": draw(shares()), "failure_domain": "mobile"},
        "speaker": {
            "kind": "device",
            "q_unknown": draw(shares()),
            "hear_lo": hear[0],
            "hear_est": hear[1],
            "hear_hi": hear[2],
            "failure_domain": "power",
        },
        "tv": {
            "kind": "area",
            "reach_lo": reach[0],
            "reach_est": reach[1],
            "reach_hi": reach[2],
            "failure_domain": "power",
        },
    }


@st.composite
def trees(draw: Draw) -> list[Scenario]:
    """Up to eight regions, each under an earlier one or at the top; some without people, some not targeted."""
    regions: list[Scenario] = []
    for number in range(draw(st.integers(1, 8))):
        region: Scenario = {"id": f"r{number}"}
        region["parent"] = draw(st.sampled_from([None, *(r["id"] for r in regions)]))
        region["population"] = draw(st.sampled_from([None, 0, 1, 3, 7, 10, 100]))
        if draw(st.booleans()):
            region["target_share"] = draw(st.sampled_from(["0", "1/3", "0.5", "1"]))
        if draw(st.integers(0, 4)) == 0:
            region["targeted"] = False
        if draw(st.booleans()):
            region["goal_bp"] = draw(st.sampled_from([0, 3333, 5000, 9200, 10000]))
        regions.append(region)
    return regions


def leaves_of(regions: list[Scenario]) -> list[str]:
    """Ids of the regions without children."""
    inner = {region["parent"] for region in regions}
    return [region["id"] for region in regions if region["id"] not in inner]


@st.composite
def scenarios(draw: Draw) -> Scenario:
    """A whole scenario with everything that can go wrong in an alert."""
    regions = draw(trees())
    leaf, moment = st.sampled_from(leaves_of(regions)), st.integers(0, 60)
    world: Scenario = {"regions": regions, "channels": draw(channels()), "released_at": draw(st.integers(0, 20))}
    world["recipients"] = [
        {
            "id": f"p{number}",
            "region": draw(leaf),
            "weight": draw(st.sampled_from([0, 1, 2, 5, "1/2"])),
            "addresses": [
                {"unit": f"p{number}/{k}", "channel": draw(st.sampled_from(["sms", "wechat"]))}
                for k in range(draw(st.integers(0, 3)))
            ],
        }
        for number in range(draw(st.integers(0, 4)))
    ]
    world["devices"] = [
        {
            "unit": f"d{number}",
            "channel": "speaker",
            "catchment": draw(st.dictionaries(leaf, st.sampled_from([0, 1, 4, 50]), max_size=3)),
        }
        for number in range(draw(st.integers(0, 2)))
    ]
    world["area_sends"] = [
        {"unit": f"a{number}", "channel": "tv", "region": draw(st.sampled_from([r["id"] for r in regions]))}
        for number in range(draw(st.integers(0, 2)))
    ]
    world["events"] = draw(st.lists(events(units_of(world)), max_size=10))
    for key in ("expires_at", "cancelled_at", "superseded_at", "as_of", "known_at"):
        if draw(st.integers(0, 2)) == 0:
            world[key] = draw(moment)
    return world


def units_of(world: Scenario) -> list[str]:
    """Names of all units of a scenario."""
    addresses = [a["unit"] for person in world["recipients"] for a in person["addresses"]]
    return addresses + [unit["unit"] for unit in world["devices"] + world["area_sends"]]


@st.composite
def events(draw: Draw, units: list[str], levels: tuple[str, ...] = tuple(LEVELS)) -> Scenario:
    """A receipt of one of `units`, or of nobody's unit; one clock may be missing."""
    event: Scenario = {"unit": draw(st.sampled_from([*units, "nobody"])), "level": draw(st.sampled_from(levels))}
    clocks = draw(st.sampled_from([("event_at",), ("received_at",), ("event_at", "received_at")]))
    for clock in clocks:
        event[clock] = draw(st.integers(0, 60))
    return event


def exact(value: Any) -> Fraction | None:
    """The Fraction of an exact result."""
    return None if value is None else Fraction(value["exact"])
