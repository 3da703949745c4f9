"""Evaluating: a file of scenarios in, their results out, for `tongluo coverage evaluate` and for audits.

One scenario object, or a file with `vectors` of {id, kind, input}. Pure; wrong input is refused with its place. docs/coverage.md
tells every kind and field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from gateway.rules.auditing import audit
from gateway.rules.measuring import floor_display
from gateway.rules.projecting import Delay, conditional
from gateway.rules.questions import (
    CalloutScenario,
    CancelScenario,
    ConditionalScenario,
    DisplayScenario,
    PlanScenario,
    ReadinessScenario,
    ReadyLeafPart,
    ReportPart,
    TimelinessScenario,
)
from gateway.rules.reinforcing import Ack, Candidate, Place, callout, plan
from gateway.rules.scenarios import CoverageScenario, invalid, read


def evaluate(document: Any, exact: bool = False) -> dict[str, Any]:
    """`{"results": [{"id", "kind", "result"}]}` in the order of the input.

    document: the parsed JSON. Rationals come out as floats, or with `exact` as {"exact": "n/d", "value": float}; `coverage` then
    computes in Fractions throughout. Raises Refused `scenario_invalid`.
    """
    if not isinstance(document, dict):
        raise invalid(
            ("", "应为一个情景对象，或含 vectors 的对象 / must be a scenario object or an object with vectors")
        )
    if "vectors" not in document:
        return {"results": [_evaluate_one(document, "", "1", exact)]}
    vectors = document["vectors"]
    if not isinstance(vectors, list):
        raise invalid(("vectors", "应为数组 / must be an array"))
    return {"results": [_evaluate_one(v, f"vectors[{n}]", str(n + 1), exact) for n, v in enumerate(vectors)]}


def _evaluate_one(vector: Any, place: str, number: str, exact: bool) -> dict[str, Any]:
    """One scenario, bare or wrapped as {id, kind, input}."""
    if not isinstance(vector, dict):
        raise invalid((place, "应为对象 / must be an object"))
    kind = vector.get("kind", "coverage")
    if not isinstance(kind, str) or kind not in KINDS:
        raise invalid((f"{place}.kind".lstrip("."), f"未知类型 / unknown kind; known: {', '.join(KINDS)}"))
    wrapped = "input" in vector
    scenario = vector["input"] if wrapped else vector
    result = KINDS[kind](scenario, f"{place}.input".lstrip(".") if wrapped else place, exact)
    return {"id": str(vector.get("id", number)), "kind": kind, "result": _written(result, exact)}


def _written(value: Any, exact: bool) -> Any:
    """The result as plain JSON values."""
    if isinstance(value, Mapping):
        return {key: _written(each, exact) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(each, exact) for each in value]
    if isinstance(value, Fraction):
        return {"exact": str(value), "value": float(value)} if exact else float(value)
    return float(value) if isinstance(value, float) else value


def _coverage(data: Any, place: str, exact: bool) -> dict[str, Any]:
    return audit(read(CoverageScenario, data, place), Fraction if exact else float)


def _conditional(data: Any, place: str, _: bool) -> dict[str, Any]:
    scenario = read(ConditionalScenario, data, place)
    delay = Delay(scenario.success, sorted(scenario.cdf))
    return {"probability": conditional(delay, scenario.age_now_s, scenario.age_deadline_s)}


def _plan(data: Any, place: str, _: bool) -> dict[str, Any]:
    scenario = read(PlanScenario, data, place)
    places = [
        Place(region.id, region.target, region.projected, region.goal)
        for region in scenario.regions
        if region.target is not None and region.projected is not None
    ]
    candidates = [Candidate(c.id, c.cost, c.ready_s, c.reach, c.allowed) for c in scenario.candidates]
    chosen = plan(places, candidates, scenario.deadline_s, scenario.budget, scenario.min_gain_people)
    return {
        "steps": [{"id": s.id, "gain_people": s.gain_people, "cost": s.cost} for s in chosen.steps],
        "spent": Fraction(chosen.spent),
        "final": {region.id: chosen.final.get(region.id) for region in scenario.regions},
        "callout": [{"region": region, "gap_people": people} for region, people in chosen.callout],
    }


def _callout(data: Any, place: str, _: bool) -> dict[str, Any]:
    """Post B after one time-out, the duty desk after two; without a post B nobody is left to wait for after the first."""
    scenario = read(CalloutScenario, data, place)
    acks = [Ack(ack.officer, ack.at) for ack in scenario.acks]
    patience = scenario.ack_timeout_s
    desk = patience * (1 if scenario.B is None else 2)
    called = callout(scenario.A, scenario.B, scenario.called_at, acks, patience, desk, scenario.as_of)
    return {
        "calls": [{"officer": call.officer, "at": call.at} for call in called.calls],
        "owner": called.owner,
        "owned_at": called.owned_at,
        "escalated_at": called.escalated_at,
    }


def _timeliness(data: Any, place: str, _: bool) -> dict[str, Any]:
    """Reports on time / reports due by `as_of`; what came after `as_of` is missing."""
    scenario = read(TimelinessScenario, data, place)
    as_of = scenario.as_of
    due = [report for report in scenario.reports if as_of is None or report.due_at <= as_of]
    came = [
        report for report in due if report.received_at is not None and (as_of is None or report.received_at <= as_of)
    ]
    on_time = sum(_on_time(report) for report in came)
    return {
        "due": len(due),
        "on_time": on_time,
        "late": len(came) - on_time,
        "missing": len(due) - len(came),
        "timeliness": Fraction(on_time, len(due)) if due else None,
    }


def _on_time(report: ReportPart) -> bool:
    return report.received_at is not None and report.received_at <= report.due_at


def _cancel_coverage(data: Any, place: str, _: bool) -> dict[str, Any]:
    """Of the people whom the original possibly reached, those with a receipt for the cancel."""
    told = [person for person in read(CancelScenario, data, place).people if person.orig_possible]
    possible = sum((person.weight for person in told), Fraction(0))
    confirmed = sum((person.weight for person in told if person.cancel_confirmed), Fraction(0))
    coverage = confirmed / possible if possible else None
    return {"possible": possible, "confirmed": confirmed, "coverage": coverage}


def _display(data: Any, place: str, _: bool) -> dict[str, Any]:
    values = read(DisplayScenario, data, place).values
    return {"shown": ["–" if value is None else floor_display(value) for value in values]}


def _readiness(data: Any, place: str, _: bool) -> dict[str, Any]:
    """Share of people within reach of at least k different healthy channels."""
    scenario = read(ReadinessScenario, data, place)
    everybody = sum((leaf.population or Fraction(0) for leaf in scenario.leaves), Fraction(0))
    return {str(k): _ready(scenario.leaves, k) / everybody if everybody else None for k in scenario.k}


def _ready(leaves: list[ReadyLeafPart], k: int) -> Fraction:
    enough = (leaf for leaf in leaves if len({c.channel for c in leaf.channels if c.healthy}) >= k)
    return sum((leaf.population or Fraction(0) for leaf in enough), Fraction(0))


KINDS: Mapping[str, Callable[[Any, str, bool], dict[str, Any]]] = {
    "coverage": _coverage,
    "conditional": _conditional,
    "plan": _plan,
    "callout": _callout,
    "timeliness": _timeliness,
    "cancel_coverage": _cancel_coverage,
    "display": _display,
    "readiness": _readiness,
}
"""The kinds of scenario, each with its law."""
