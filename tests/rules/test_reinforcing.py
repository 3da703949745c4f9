"""Closing the gap: greedy plans, call-outs of officers, pending messages, reports; directly and through `evaluate`."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.rules.evaluating import evaluate
from gateway.rules.projecting import Delay, conditional
from gateway.rules.reinforcing import Ack, Candidate, Place, callout, plan


def asked(kind: str, **question: Any) -> dict[str, Any]:
    """The exact result of one question."""
    result: dict[str, Any] = evaluate({"kind": kind, **question}, exact=True)["results"][0]["result"]
    return result


PLACE = {"id": "A", "target": 100, "projected": "0.5", "goal": "0.9"}


def step(name: str, cost: Any, reach: str, ready_s: int = 0, **more: Any) -> dict[str, Any]:
    """A candidate for region A."""
    return {"id": name, "cost": cost, "ready_s": ready_s, "reach": {"A": reach}, **more}


def steps(*candidates: dict[str, Any], **more: Any) -> list[str]:
    """Ids of the steps planned for region A."""
    question = {"deadline_s": 600, "budget": None, "regions": [PLACE], "candidates": list(candidates)} | more
    return [chosen["id"] for chosen in asked("plan", **question)["steps"]]


@pytest.mark.parametrize(
    ("candidates", "more", "order"),
    [
        pytest.param([step("a", 5, "0.2"), step("b", 1, "0.1")], {}, ["b", "a"], id="gain per cost, not gain"),
        pytest.param([step("a", 1, "0.5"), step("b", 0, "0.1")], {}, ["b", "a"], id="free ones first"),
        pytest.param([step("a", 0, "0.1"), step("b", 0, "0.3")], {}, ["b", "a"], id="free ones by gain"),
        pytest.param([step("a", 1, "0.2", 9), step("b", 1, "0.2", 3)], {}, ["b", "a"], id="ties: sooner"),
        pytest.param([step("b", 1, "0.2"), step("a", 1, "0.2")], {}, ["a", "b"], id="ties: id"),
        pytest.param([step("a", 1, "0.2", allowed=False)], {}, [], id="not allowed"),
        pytest.param([step("a", 1, "0.2", 601), step("b", 1, "0.2", 600)], {}, ["b"], id="not ready in time"),
        pytest.param([step("a", 6, "0.7"), step("b", 1, "0.2")], {"budget": 6}, ["b"], id="what the budget leaves"),
        pytest.param([step("a", 6, "0.2"), step("b", 1, "0.1")], {"budget": 6}, ["b"], id="too dear after the first"),
        pytest.param([step("a", 1, "0.02"), step("b", 1, "0.019")], {}, ["a"], id="less than one person is no gain"),
        pytest.param([step("a", 1, "0.02")], {"min_gain_people": 2}, [], id="unless more is asked for"),
        pytest.param([step("a", 1, "0.9"), step("b", 1, "0.9")], {}, ["a"], id="stop at the goal"),
        pytest.param([step("a", 1, "0.001"), step("b", 100, "0.5")], {}, ["b"], id="a cheap trifle stops nothing"),
    ],
)
def test_greedy(candidates: list[dict[str, Any]], more: dict[str, Any], order: list[str]) -> None:
    assert steps(*candidates, **more) == order


def test_a_step_is_judged_by_what_the_earlier_ones_left() -> None:
    places = [{"id": region, "target": 100, "projected": 0, "goal": 1} for region in "AB"]
    offered = [step("a", 1, "0.5"), step("b", 1, "0.45"), {"id": "c", "cost": 1, "reach": {"B": "0.4"}}]
    found = asked("plan", deadline_s=60, budget=None, regions=places, candidates=offered)
    assert [(chosen["id"], chosen["gain_people"]["value"]) for chosen in found["steps"]] == [
        ("a", 50),
        ("c", 40),
        ("b", 22.5),
    ]


def test_a_plan_tells_what_is_left_for_officers() -> None:
    places = [PLACE, {"id": "B", "target": None, "projected": None, "goal": "0.9"}, PLACE | {"id": "C", "projected": 1}]
    found = asked("plan", deadline_s=60, budget=None, regions=places, candidates=[step("a", 2, "0.5")])
    assert found["callout"] == [{"region": "A", "gap_people": 15}]
    assert found["final"] == {"A": {"exact": "3/4", "value": 0.75}, "B": None, "C": {"exact": "1", "value": 1.0}}
    assert found["spent"]["exact"] == "2"


tenth = st.integers(0, 10).map(lambda n: Fraction(n, 10))
places = st.lists(st.tuples(st.integers(0, 50), tenth, tenth), min_size=1, max_size=3)
offers = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.lists(tenth, min_size=3, max_size=3)), min_size=2, max_size=6
)


@settings(max_examples=150, deadline=None)
@given(places, offers, st.one_of(st.none(), st.integers(0, 10)))
def test_the_lazy_heap_chooses_what_a_full_search_would(
    where: list[tuple[int, Fraction, Fraction]],
    offered: list[tuple[int, int, list[Fraction]]],
    budget: int | None,
) -> None:
    regions = [Place(f"r{n}", people, now, goal) for n, (people, now, goal) in enumerate(where)]
    candidates = [
        Candidate(f"c{n}", cost, ready, {f"r{k}": p for k, p in enumerate(reach)})
        for n, (cost, ready, reach) in enumerate(offered)
    ]
    found = plan(regions, candidates, 2, budget)
    assert [(chosen.id, chosen.gain_people) for chosen in found.steps] == _exhaustive(regions, candidates, 2, budget)


def _value(regions: list[Place], chosen: list[Candidate]) -> Fraction:
    """g(S) of the model, from scratch."""
    worth = Fraction(0)
    for place in regions:
        missed = 1 - Fraction(place.projected)
        for candidate in chosen:
            missed *= 1 - Fraction(candidate.reach.get(place.region, 0))
        worth += Fraction(place.people) * min(Fraction(place.goal), 1 - missed)
    return worth


def _exhaustive(
    regions: list[Place], candidates: list[Candidate], deadline: int, budget: int | None
) -> list[tuple[str, Fraction]]:
    """Greedy by trying every candidate at every step."""
    chosen: list[Candidate] = []
    told: list[tuple[str, Fraction]] = []
    for _ in candidates:
        spent = sum(Fraction(c.cost) for c in chosen)
        open_ = [
            (c, _value(regions, [*chosen, c]) - _value(regions, chosen))
            for c in candidates
            if c not in chosen and c.ready_s <= deadline and (budget is None or spent + Fraction(c.cost) <= budget)
        ]
        good = [(c, gain) for c, gain in open_ if gain >= 1]
        if not good:
            break
        best, gain = min(
            good, key=lambda g: (g[0].cost > 0, -g[1] / (g[0].cost or 1), g[0].ready_s, g[0].cost, g[0].id)
        )
        chosen.append(best)
        told.append((best.id, gain))
    return told


@pytest.mark.parametrize(
    ("acks", "calls", "owner", "escalated"),
    [
        pytest.param([], ["a", "b"], None, 300, id="both silent"),
        pytest.param([("a", 180)], ["a"], ("a", 180), None, id="A on the last second"),
        pytest.param([("a", 181)], ["a", "b"], ("a", 181), None, id="A late"),
        pytest.param([("a", 250), ("b", 200)], ["a", "b"], ("b", 200), None, id="B before a late A"),
        pytest.param([("a", 199), ("b", 200)], ["a", "b"], ("a", 199), None, id="a late A before B"),
        pytest.param([("b", 100)], ["a", "b"], None, 300, id="B cannot own before being called"),
        pytest.param([("b", 100), ("b", 190)], ["a", "b"], ("b", 190), None, id="B again, once called"),
        pytest.param([("b", 300)], ["a", "b"], ("b", 300), None, id="B on the last second"),
        pytest.param([("b", 301)], ["a", "b"], ("b", 301), 300, id="after the desk was called"),
        pytest.param([("a", 10), ("c", 70)], ["a", "b"], None, 300, id="before the call, or a stranger"),
        pytest.param([("b", 200), ("a", 200)], ["a", "b"], ("a", 200), None, id="at once: A"),
    ],
)
def test_callout(
    acks: list[tuple[str, int]], calls: list[str], owner: tuple[str, int] | None, escalated: int | None
) -> None:
    told = [{"officer": officer, "at": at} for officer, at in acks]
    found = asked("callout", A="a", B="b", called_at=60, ack_timeout_s=120, acks=told)
    assert [call["officer"] for call in found["calls"]] == calls
    assert (found["owner"], found["owned_at"] and Fraction(found["owned_at"]["exact"])) == (owner or (None, None))
    assert (found["escalated_at"] and Fraction(found["escalated_at"]["exact"])) == escalated


def test_a_callout_as_it_stands_now() -> None:
    question = {"A": "a", "B": "b", "called_at": 60, "ack_timeout_s": 120, "acks": [{"officer": "a", "at": 185}]}
    assert asked("callout", **question, as_of=59)["calls"] == []
    assert len(asked("callout", **question, as_of=179)["calls"]) == 1
    later = asked("callout", **question, as_of=180)
    assert (len(later["calls"]), later["owner"]) == (2, None)
    assert asked("callout", **question, as_of=185)["owner"] == "a"


def test_without_a_post_b_the_desk_follows_at_once() -> None:
    found = asked("callout", A="a", B=None, called_at=60, ack_timeout_s=120)
    assert ([call["officer"] for call in found["calls"]], found["escalated_at"]["exact"]) == (["a"], "180")


def test_by_night_both_posts_are_called_at_once() -> None:
    found = callout("a", "b", 0, [Ack("b", 20)], b_after=0, desk_after=150)
    assert [call.at for call in found.calls] == [0, 0]
    assert (found.owner, found.owned_at, found.escalated_at) == ("b", 20, None)


@pytest.mark.parametrize(
    ("now", "deadline", "probability"),
    [(0, 120, Fraction(8, 10)), (30, 120, Fraction(8, 13)), (29, 119, Fraction(48, 100)), (200, 300, 0), (90, 30, 0)],
)
def test_a_pending_message(now: int, deadline: int, probability: Fraction) -> None:
    delay = Delay(Fraction(8, 10), [(30, Fraction(6, 10)), (120, Fraction(1))])
    assert conditional(delay, now, deadline) == probability


def test_what_has_certainly_arrived_cannot_be_pending() -> None:
    assert conditional(Delay(1.0, [(10, 1.0)]), 20, 30) == 0
    assert conditional(Delay(0.5, []), 0, 30) == 0


def test_timeliness_counts_what_was_due() -> None:
    reports = [
        {"due_at": 300, "received_at": 300},
        {"due_at": 300, "received_at": 301},
        {"due_at": 300, "received_at": 501},
        {"due_at": 500},
        {"due_at": 501, "received_at": 10},
    ]
    found = asked("timeliness", as_of=500, reports=reports)
    assert [found[key] for key in ("due", "on_time", "late", "missing")] == [4, 1, 1, 2]
    assert found["timeliness"]["exact"] == "1/4"
    assert asked("timeliness", as_of=0, reports=reports)["timeliness"] is None


def test_a_cancel_of_an_alert_that_reached_nobody_has_no_coverage() -> None:
    people = [{"weight": 3, "orig_possible": False, "cancel_confirmed": True}]
    assert asked("cancel_coverage", people=people)["coverage"] is None


def test_display_and_readiness_leave_out_what_has_no_number() -> None:
    assert asked("display", values=[None, 0.29, "2/3"])["shown"] == ["–", "29.0", "66.6"]
    lines = [{"channel": "sms", "healthy": True}, {"channel": "tv", "healthy": False}]
    leaves = [{"population": 30, "channels": lines}, {"population": None, "channels": lines}, {"population": 10}]
    found = asked("readiness", k=[1, 2], leaves=leaves)
    assert (found["1"]["exact"], found["2"]["exact"]) == ("3/4", "0")
    assert asked("readiness", k=[1], leaves=[]) == {"1": None}


@pytest.mark.parametrize(
    ("kind", "question", "place"),
    [
        ("plan", {"regions": [PLACE, PLACE]}, "document"),
        ("plan", {"regions": [PLACE], "candidates": [step("a", -1, "0.5")]}, "candidates[0].cost"),
        ("plan", {"regions": [PLACE | {"goal": "1.2"}]}, "regions[0].goal"),
        ("conditional", {"success": 1, "cdf": [[0, 1], [5, 0]], "age_now_s": 0, "age_deadline_s": 1}, "document"),
        ("callout", {"A": "a"}, "called_at"),
        ("timeliness", {"reports": [{}]}, "reports[0].due_at"),
        ("display", {"values": ["-1"]}, "values[0]"),
    ],
)
def test_wrong_questions_are_refused_with_their_place(kind: str, question: dict[str, Any], place: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(kind, **question)
    assert refused.value.findings[0].xpath == place


def test_equal_worth_is_decided_by_readiness_then_cost_then_id() -> None:
    for order in itertools.permutations([step("c", 2, "0.2"), step("a", 1, "0.1"), step("b", 1, "0.1", 1)]):
        assert steps(*order) == ["a", "c", "b"]
