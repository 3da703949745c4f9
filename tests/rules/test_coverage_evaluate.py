"""`evaluate` against the worked examples, against a second, naive writing of the model, and against wrong input."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from coverage_oracle import Oracle
from coverage_worlds import Scenario, exact, scenarios
from hypothesis import given, settings

from gateway.errors import Refused
from gateway.rules.evaluating import evaluate

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "coverage-examples.json").read_text())


def assert_found(expected: Any, found: Any, place: str) -> None:
    """Everything expected is found there, rationals exactly or to 1e-9."""
    if isinstance(expected, dict) and expected.keys() == {"exact", "value"}:
        if isinstance(found, dict):
            assert found["exact"] == expected["exact"], place
        else:
            assert found == pytest.approx(expected["value"], abs=1e-9), place
    elif isinstance(expected, dict):
        for key in expected:
            assert_found(expected[key], found[key], f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            assert_found(one, other, f"{place}[{number}]")
    else:
        assert found == expected, place


@pytest.mark.parametrize("exactly", [True, False])
@pytest.mark.parametrize("vector", EXAMPLES["vectors"], ids=lambda vector: vector["id"])
def test_the_worked_examples(vector: Scenario, exactly: bool) -> None:
    (found,) = evaluate({"vectors": [vector]}, exactly)["results"]
    assert (found["id"], found["kind"]) == (vector["id"], vector["kind"])
    assert_found(vector["expect"], found["result"], vector["id"])


def test_a_file_keeps_its_order_and_is_plain_json() -> None:
    results = evaluate(EXAMPLES)["results"]
    assert [result["id"] for result in results] == [vector["id"] for vector in EXAMPLES["vectors"]]
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def coverage(world: Scenario, exactly: bool = True) -> dict[str, Any]:
    """The result of one bare scenario."""
    (found,) = evaluate(world, exactly)["results"]
    assert found["kind"] == "coverage"
    result: dict[str, Any] = found["result"]
    return result


@settings(max_examples=100, deadline=None)
@given(scenarios())
def test_every_number_equals_the_naive_model(world: Scenario) -> None:
    result, oracle = coverage(world), Oracle(world)
    for region, found in result["regions"].items():
        expected = oracle.region(region, oracle.as_of)
        assert exact(found["goal"]) == oracle.goal(region)
        assert found["status"] == oracle.status(region)
        assert found["leaves_reached"] == oracle.reached_leaves(region)
        assert found["leaves_total"] == sum(oracle.people(leaf) > 0 for leaf in oracle.leaves(region))
        if expected is None:
            assert found["target"] is found["lo"] is found["est"] is found["hi"] is found["time_to_goal_lo"] is None
        else:
            assert exact(found["target"]) == expected[0]
            assert tuple(exact(found[bound]) for bound in ("lo", "est", "hi")) == expected[1]
            assert exact(found["answered"]) == oracle.answered(region)
            assert exact(found["time_to_goal_lo"]) == oracle.time_to(region, oracle.goal(region))
            for q in ("0.25", "0.5", "0.9", "1"):
                assert exact(result["time_to"][region][q]) == oracle.time_to(region, Fraction(q))


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_floats_are_the_exact_numbers_to_1e_9(world: Scenario) -> None:
    assert_found(coverage(world), coverage(world, exactly=False), "result")


def village(**changes: Any) -> Scenario:
    """One village of 10 with one SMS address of weight 4, sent at 1."""
    world: Scenario = {
        "released_at": 0,
        "regions": [{"id": "V", "population": 10}],
        "channels": {"sms": {"kind": "addressed", "q_unknown": "0.6"}},
        "recipients": [{"id": "p", "region": "V", "weight": 4, "addresses": [{"unit": "u", "channel": "sms"}]}],
        "events": [{"unit": "u", "level": "sent", "event_at": 1, "received_at": 1}],
    }
    return world | changes


def triple(world: Scenario, region: str = "V") -> tuple[Any, ...]:
    """lo, est, hi."""
    found = coverage(world)["regions"][region]
    return tuple(exact(found[bound]) for bound in ("lo", "est", "hi"))


def receipt(level: str, event_at: int | None, received_at: int | None = None) -> Scenario:
    """A receipt of the village's address."""
    return {"unit": "u", "level": level, "event_at": event_at, "received_at": received_at}


@pytest.mark.parametrize(
    ("events", "changes", "tenths"),
    [
        pytest.param([], {}, (0, 0, 4), id="planned, not sent yet"),
        pytest.param([], {"expires_at": 50}, (0, 0, 0), id="never sent by the expiry"),
        pytest.param([], {"expires_at": 50, "as_of": 50}, (0, 0, 4), id="at the expiry it may still be sent"),
        pytest.param([], {"expires_at": 50, "as_of": 51}, (0, 0, 0), id="after the expiry it may not"),
        pytest.param([receipt("sent", 50)], {"expires_at": 50}, (0, "2.4", 4), id="handed over on the last second"),
        pytest.param([receipt("sent", 51)], {"expires_at": 50}, (0, 0, 0), id="handed over too late"),
        pytest.param([receipt("delivered", 50)], {"expires_at": 50}, (4, 4, 4), id="delivered on the last second"),
        pytest.param(
            [receipt("sent", 1), receipt("delivered", 51)], {"expires_at": 50}, (0, 0, 0), id="delivered too late"
        ),
        pytest.param(
            [receipt("sent", 1), receipt("delivered", 51)],
            {"expires_at": 50, "as_of": 50},
            (0, "2.4", 4),
            id="too late, but not known yet",
        ),
        pytest.param(
            [receipt("delivered", 30)],
            {"expires_at": 50, "cancelled_at": 29},
            (0, 0, 0),
            id="the cancel cuts before the expiry",
        ),
        pytest.param([receipt("delivered", 30)], {"superseded_at": 29}, (0, 0, 0), id="an update cuts as well"),
        pytest.param([receipt("failed", 5), receipt("delivered", 9)], {}, (4, 4, 4), id="delivered beats failed"),
        pytest.param([receipt("delivered", 5), receipt("failed", 9)], {}, (4, 4, 4), id="in either order"),
        pytest.param([receipt("sent", 1), receipt("failed", 9)], {}, (0, 0, 0), id="failed"),
        pytest.param([receipt("delivered", None, 9)], {"as_of": 9}, (4, 4, 4), id="only our clock"),
        pytest.param([receipt("delivered", 99, 9)], {"as_of": 9}, (4, 4, 4), id="the far clock runs ahead"),
        pytest.param([receipt("delivered", 5, 20)], {"known_at": 19}, (0, 0, 4), id="not known yet"),
        pytest.param([receipt("delivered", 5, 20)], {"as_of": 5}, (4, 4, 4), id="true at its own time, known later"),
        pytest.param(
            [receipt("delivered", 1)], {"released_at": 10, "as_of": 10}, (4, 4, 4), id="no receipt before the release"
        ),
        pytest.param([receipt("read", 5)], {}, (4, 4, 4), id="read implies delivered"),
    ],
)
def test_one_address(events: list[Scenario], changes: Scenario, tenths: tuple[Any, ...]) -> None:
    assert triple(village(events=events, **changes)) == tuple(Fraction(x) / 10 for x in tenths)


@pytest.mark.parametrize(("level", "tenths"), [("delivered", (0, "2.4", 4)), ("read", (4, 4, 4)), ("ack", (4, 4, 4))])
def test_a_channel_may_count_only_what_was_read(level: str, tenths: tuple[Any, ...]) -> None:
    channels = {"sms": {"kind": "addressed", "q_unknown": "0.6", "count_level": "read"}}
    events = [receipt(level, 5), receipt("failed", 6)]
    assert triple(village(channels=channels, events=events)) == tuple(Fraction(x) / 10 for x in tenths)


def test_answers_count_until_the_cutoff() -> None:
    for at, share in ((50, "2/5"), (51, "0")):
        world = village(events=[receipt("delivered", 5), receipt("ack", at)], expires_at=50)
        assert coverage(world)["regions"]["V"]["answered"]["exact"] == share


def test_two_addresses_of_one_person_are_one_person() -> None:
    addresses = [{"unit": "u", "channel": "sms"}, {"unit": "v", "channel": "sms"}]
    person = {"region": "V", "weight": 10, "addresses": addresses}
    sent = [{"unit": unit, "level": "accepted", "event_at": 1} for unit in "uv"]
    assert triple(village(recipients=[person], events=sent)) == (0, Fraction("0.84"), 1)
    assert triple(village(recipients=[person], events=[*sent, receipt("delivered", 2)])) == (1, 1, 1)


def test_regions_without_people_have_no_number() -> None:
    regions = [
        {"id": "T", "goal_bp": 9200},
        {"id": "V", "parent": "T", "population": 10},
        {"id": "empty", "parent": "T", "population": 0},
        {"id": "unknown", "parent": "T", "population": None},
        {"id": "outside", "parent": "T", "population": 50, "targeted": False},
        {"id": "missed", "parent": "T", "population": 50, "target_share": 0},
    ]
    result = coverage(village(regions=regions, events=[receipt("delivered", 1)]))
    for region in ("empty", "unknown", "outside", "missed"):
        found = result["regions"][region]
        assert (found["lo"], found["est"], found["hi"], found["status"]) == (None, None, None, "no_target")
    assert exact(result["regions"]["T"]["lo"]) == Fraction(4, 10)
    assert result["regions"]["T"]["leaves_total"] == 1
    assert exact(result["regions"]["outside"]["goal"]) == Fraction(92, 100)


def test_a_hundred_per_cent_is_never_met_by_an_estimate() -> None:
    devices = [{"unit": "d", "channel": "speaker", "catchment": {"V": 15}}]
    world = village(
        regions=[{"id": "V", "population": 10, "goal_bp": 10000}],
        channels={"speaker": {"kind": "device", "hear_lo": "0.5"}},
        recipients=[],
        devices=devices,
        events=[{"unit": "d", "level": "delivered", "event_at": 3}],
    )
    found = coverage(world)["regions"]["V"]
    assert (found["lo"]["exact"], found["est"]["exact"], found["status"]) == ("3/4", "1", "possible")


def test_an_area_send_to_a_town_reaches_its_villages() -> None:
    regions = [{"id": "T"}, {"id": "V", "parent": "T", "population": 10}, {"id": "W", "parent": "T", "population": 30}]
    channels = {"tv": {"kind": "area", "reach_lo": "0.1", "reach_est": "0.3", "reach_hi": "0.5"}}
    sends = [{"unit": "u", "channel": "tv", "region": "T"}]
    world = village(regions=regions, channels=channels, recipients=[], area_sends=sends)
    assert triple(world, "W") == triple(world, "T") == (0, Fraction("0.3"), Fraction("0.5"))
    on_air = world | {"events": [receipt("failed", 2), receipt("delivered", 3)]}
    assert triple(on_air, "V") == (Fraction("0.1"), Fraction("0.3"), Fraction("0.5"))
    assert triple(world | {"events": [receipt("failed", 2)]}, "V") == (0, 0, 0)


def test_within_a_failure_domain_unknown_outcomes_do_not_multiply() -> None:
    channels = {
        "sms": {"kind": "addressed", "q_unknown": "0.6", "failure_domain": "mobile"},
        "voice": {"kind": "addressed", "q_unknown": "0.3", "failure_domain": "mobile"},
        "cell": {"kind": "area", "reach_est": "0.5", "failure_domain": "mobile"},
        "speaker": {"kind": "device", "q_unknown": "0.5", "failure_domain": "power"},
    }
    addresses = [{"unit": "u", "channel": "sms"}, {"unit": "v", "channel": "voice"}]
    world = village(
        channels=channels,
        recipients=[{"region": "V", "weight": 5, "addresses": addresses}],
        area_sends=[{"unit": "c", "channel": "cell", "region": "V"}],
        devices=[{"unit": "d", "channel": "speaker", "catchment": {"V": 8}}],
        events=[{"unit": unit, "level": "sent", "event_at": 1} for unit in "uvcd"],
    )
    apart = triple(world)[1]
    together = triple(world | {"failure_domains": True})[1]
    person = 1 - Fraction("0.4") * Fraction("0.7")
    assert apart == 1 - (1 - person / 2) * Fraction("0.5") * Fraction("0.6")
    assert together == 1 - (Fraction("0.4") / 2 + Fraction("0.5") / 2) * Fraction("0.6")


def test_counts_of_a_far_side_are_spread_and_may_be_corrected() -> None:
    regions = [{"id": "T"}, {"id": "V", "parent": "T", "population": 10}, {"id": "W", "parent": "T", "population": 30}]
    world = village(
        regions=regions,
        channels={"carrier": {"kind": "counted", "share_res": "0.8", "unique": True}},
        recipients=[],
        area_sends=[{"unit": "town", "channel": "carrier", "region": "T"}],
        events=[],
        counts=[
            {"unit": "town", "n_sent": 36, "n_ok": 30, "event_at": 5},
            {"unit": "town", "n_sent": 36, "n_ok": 20, "event_at": 9},
        ],
    )
    assert triple(world, "V") == triple(world, "W") == (0, Fraction("0.4"), Fraction("0.9"))
    assert triple(world | {"as_of": 8}, "V") == (0, Fraction("0.6"), Fraction("0.9"))
    assert triple(world | {"as_of": 4}, "V") == (0, 0, 1)
    own = world | {"area_sends": [{"unit": "town", "channel": "carrier", "region": "W"}]}
    assert triple(own, "W") == (Fraction(2, 3), Fraction(2, 3), 1)
    assert exact(coverage(own)["time_to"]["W"]["0.75"]) == 5


def test_latency_is_a_weighted_nearest_rank_of_what_was_receipted() -> None:
    people = [
        {"region": "V", "weight": weight, "addresses": [{"unit": f"u{weight}", "channel": "sms"}]}
        for weight in (1, 2, 7)
    ]
    world = village(
        released_at=100,
        recipients=people,
        events=[{"unit": f"u{w}", "level": "delivered", "event_at": at} for w, at in ((1, 110), (2, 130), (7, 120))],
    )
    latency = coverage(world)["latency"]["sms"]
    assert [exact(latency[q]) for q in ("0.1", "0.11", "0.75", "0.8", "0.81", "1")] == [10, 20, 20, 20, 30, 30]


def test_quality_counts_what_the_reader_must_know() -> None:
    people = [
        {"region": "V", "weight": 11, "addresses": [{"unit": "u", "channel": "sms"}, {"unit": "v", "channel": "sms"}]},
        {"region": "elsewhere", "addresses": [{"unit": "w", "channel": "sms"}]},
    ]
    stray = {"id": "9", "unit": "x", "level": "delivered", "event_at": 3}
    world = village(
        recipients=people,
        expires_at=10,
        events=[
            receipt("delivered", 11),
            receipt("delivered", 12),
            {"unit": "v", "level": "failed", "event_at": 2},
            {"unit": "v", "level": "read", "event_at": 3},
            stray,
            dict(stray),
            stray | {"id": "10", "level": "read"},
        ],
    )
    assert coverage(world)["quality"] == {
        "out_of_target": 1,
        "late": 1,
        "conflicts": 1,
        "unknown_units": 2,
        "register_exceeds_population": ["V"],
    }


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "document"),
        ({"vectors": 3}, "vectors"),
        ({"vectors": [7]}, "vectors[0]"),
        ({"kind": "weather"}, "kind"),
        ({"vectors": [{"kind": "plan", "input": None}]}, "vectors[0].input"),
        (village(regions=[{"id": "V", "population": "many"}]), "regions[0].population"),
        (village(regions=[{"id": "V", "population": -1}]), "regions[0].population"),
        (village(regions=[{"id": "V", "population": "1e99"}]), "regions[0].population"),
        (village(regions=[{"id": "V", "population": "1/0"}]), "regions[0].population"),
        (village(regions=[{"id": "V", "population": True}]), "regions[0].population"),
        (village(regions=[{"id": "V", "population": float("nan")}]), "regions[0].population"),
        (village(regions=[{"id": "V", "parent": "X"}]), "document"),
        (village(regions=[{"id": "V", "parent": "W"}, {"id": "W", "parent": "V"}]), "document"),
        (village(regions=[{"id": "V"}, {"id": "V"}]), "document"),
        (village(channels={}), "document"),
        (village(channels={"sms": {"kind": "area"}}), "document"),
        (village(channels={"sms": {"kind": "pigeon"}}), "channels.sms.kind"),
        (village(channels={"sms": {"kind": "addressed", "q_unknown": "1.1"}}), "channels.sms.q_unknown"),
        (village(channels={"sms": {"kind": "device", "hear_lo": "0.6", "hear_est": "0.5"}}), "channels.sms"),
        (village(events=[{"unit": "u", "level": "heard", "event_at": 1}]), "events[0].level"),
        (village(events=[{"unit": "u", "level": "sent"}]), "events[0]"),
        ({"vectors": [{"input": village(devices=[{}])}]}, "vectors[0].input.devices[0].unit"),
    ],
)
def test_wrong_input_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(Refused) as refused:
        evaluate(document)
    assert (refused.value.code, refused.value.status) == ("scenario_invalid", 422)
    assert refused.value.findings[0].xpath == place
    assert f"{place}:" in refused.value.en
    assert place in refused.value.zh


def test_a_single_scenario_may_be_bare_or_wrapped() -> None:
    assert [r["id"] for r in evaluate(village() | {"id": "mine"})["results"]] == ["mine"]
    wrapped = evaluate({"id": 7, "kind": "coverage", "input": village()})["results"]
    assert wrapped == [evaluate(village())["results"][0] | {"id": "7"}]
