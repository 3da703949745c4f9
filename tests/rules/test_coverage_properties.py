"""What must hold of coverage whatever the scenario: bounds, order, monotony, scale, and the two clocks."""

from __future__ import annotations

import random
from copy import deepcopy
from fractions import Fraction
from typing import Any

from coverage_worlds import Scenario, events, exact, leaves_of, scenarios, units_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.rules.evaluating import evaluate

often = settings(max_examples=40, deadline=None)
Domains = st.booleans()


def result(world: Scenario) -> dict[str, Any]:
    """The exact result of a scenario."""
    found: dict[str, Any] = evaluate(world, exact=True)["results"][0]["result"]
    return found


def triples(world: Scenario) -> dict[str, tuple[Fraction, ...]]:
    """lo, est, hi of every region with people."""
    found = result(world)["regions"]
    return {
        region: tuple(Fraction(line[bound]["exact"]) for bound in ("lo", "est", "hi"))
        for region, line in found.items()
        if line["lo"] is not None
    }


def never_lower(before: Scenario, after: Scenario, bounds: slice) -> None:
    """No region's bounds fell."""
    old, new = triples(before), triples(after)
    for region in old:
        assert all(n >= o for n, o in zip(new[region][bounds], old[region][bounds], strict=True))


@often
@given(scenarios(), Domains)
def test_bounds_are_in_order(world: Scenario, domains: bool) -> None:
    world["failure_domains"] = domains
    for lo, est, hi in triples(world).values():
        assert 0 <= lo <= est <= hi <= 1
    for line in evaluate(world)["results"][0]["result"]["regions"].values():
        assert line["lo"] is None or 0 <= line["lo"] <= line["est"] <= line["hi"] <= 1


@often
@given(scenarios(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_receipts_change_nothing(world: Scenario, chance: random.Random) -> None:
    numbered = [event | {"id": str(number)} for number, event in enumerate(world["events"])]
    again = numbered + chance.choices(numbered, k=5) if numbered else []
    chance.shuffle(again)
    assert result(world | {"events": again}) == result(world | {"events": numbered})


@often
@given(scenarios(), Domains, st.data())
def test_a_further_receipt_never_lowers_lo(world: Scenario, domains: bool, data: st.DataObject) -> None:
    world["failure_domains"] = domains
    more = data.draw(events(units_of(world)))
    never_lower(world, world | {"events": [*world["events"], more]}, slice(0, 1))


@often
@given(scenarios(), Domains, st.data())
def test_a_further_proof_in_time_never_lowers_anything(world: Scenario, domains: bool, data: st.DataObject) -> None:
    world["failure_domains"] = domains
    proof = data.draw(events(units_of(world), ("delivered", "read", "ack")))
    at = min(proof[clock] for clock in ("event_at", "received_at") if clock in proof)
    ends = [world[key] for key in ("expires_at", "cancelled_at", "superseded_at") if key in world]
    assume(max(at, world["released_at"]) <= min(ends, default=99))
    world["channels"]["sms"]["count_level"] = "delivered"
    never_lower(world, world | {"events": [*world["events"], proof]}, slice(0, 3))


@often
@given(scenarios(), st.integers(0, 60), st.integers(0, 60))
def test_before_the_cutoff_the_interval_only_shrinks(world: Scenario, first: int, second: int) -> None:
    earlier, later = sorted((first, second))
    for key in ("expires_at", "cancelled_at", "superseded_at"):
        world.pop(key, None)
    world["events"] = [event for event in world["events"] if event["level"] != "failed"]
    old, new = triples(world | {"as_of": earlier}), triples(world | {"as_of": later})
    for region in old:
        assert new[region][0] >= old[region][0]
        assert new[region][2] <= old[region][2]


@often
@given(scenarios())
def test_a_parent_is_the_sum_of_its_leaves_people(world: Scenario) -> None:
    found, parents = result(world)["regions"], {region["id"]: region["parent"] for region in world["regions"]}
    leaves = leaves_of(world["regions"])
    for region, line in found.items():
        under = [leaf for leaf in leaves if region in ancestors(leaf, parents) and found[leaf]["lo"] is not None]
        for bound in ("lo", "est", "hi"):
            people = sum((exact(found[leaf]["target"]) or 0) * (exact(found[leaf][bound]) or 0) for leaf in under)
            assert people == (exact(line["target"]) or 0) * (exact(line[bound]) or 0)


def ancestors(region: str | None, parents: dict[str, str | None]) -> list[str]:
    """The region and all above it."""
    return [] if region is None else [region, *ancestors(parents[region], parents)]


@often
@given(scenarios(), Domains, st.data())
def test_a_further_address_device_or_send_never_lowers_anything(
    world: Scenario, domains: bool, data: st.DataObject
) -> None:
    world["failure_domains"] = domains
    richer = deepcopy(world)
    kind = data.draw(st.sampled_from(["address", "device", "send"]))
    leaf = data.draw(st.sampled_from(leaves_of(world["regions"])))
    if kind == "address":
        richer["recipients"] = richer["recipients"] or [{"region": leaf, "addresses": []}]
        data.draw(st.sampled_from(richer["recipients"]))["addresses"].append({"unit": "new", "channel": "wechat"})
    elif kind == "device":
        richer["devices"].append({"unit": "new", "channel": "speaker", "catchment": {leaf: 3}})
    else:
        richer["area_sends"].append({"unit": "new", "channel": "tv", "region": leaf})
    level = data.draw(st.sampled_from([None, "sent", "failed", "delivered"]))
    told = [{"unit": "new", "level": level, "event_at": 5}] if level else []
    never_lower(world, richer | {"events": [*world["events"], *told]}, slice(0, 3))


@often
@given(scenarios())
def test_leaves_outside_the_target_change_nothing(world: Scenario) -> None:
    outside = {"id": "outside", "parent": world["regions"][0]["parent"], "population": 1000, "targeted": False}
    wider = deepcopy(world)
    wider["regions"].append(outside)
    wider["recipients"].append({"region": "outside", "weight": 9, "addresses": [{"unit": "far", "channel": "sms"}]})
    wider["events"].append({"unit": "far", "level": "ack", "event_at": 0})
    before, after = result(world), result(wider)
    assert after["regions"].pop("outside")["status"] == "no_target"
    assert after["regions"] == before["regions"]
    assert after["latency"] == before["latency"]


@often
@given(scenarios(), st.integers(2, 9))
def test_only_proportions_count(world: Scenario, factor: int) -> None:
    larger = deepcopy(world)
    for region in larger["regions"]:
        if region["population"] is not None:
            region["population"] *= factor
    for person in larger["recipients"]:
        person["weight"] = str(Fraction(person["weight"]) * factor)
    for device in larger["devices"]:
        device["catchment"] = {leaf: people * factor for leaf, people in device["catchment"].items()}
    assert triples(larger) == triples(world)


@often
@given(scenarios())
def test_more_people_take_longer(world: Scenario) -> None:
    for times in result(world)["time_to"].items():
        if times[0] != "basis":
            found = [exact(times[1][q]) for q in ("0.25", "0.5", "0.75", "0.9", "0.95", "1")]
            reached = [at for at in found if at is not None]
            assert reached == sorted(reached)
            assert found[: len(reached)] == reached
