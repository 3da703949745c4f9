"""Goals: which one holds for a region and a grade. The nearest region upward that has one decides."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.flow.world import World
from gateway.model.alert import Grade
from gateway.model.policy import GRADE_DEADLINE, Goal
from gateway.rules.divisions import significant

DEFAULT_BP = 9200


@dataclass(frozen=True, slots=True)
class Target:
    """What coverage of a region should come to: basis points, on which figure, within how many seconds of the release."""

    goal_bp: int
    basis: str
    within: int
    plan_text: str = ""


def goal_for(world: World, region: str, grade: Grade) -> Target:
    """The coverage goal of a region (a code, "" = everywhere)."""
    chain = [significant(each.code) for each in world.tree.chain(region)]
    of_tree = {significant(each.code): each.goal_bp for each in world.tree.chain(region) if each.goal_bp is not None}
    wanted = [goal for goal in world.goals if goal.metric == "coverage" and (not goal.grades or grade in goal.grades)]
    for code in [*chain, ""]:
        own = next((goal for goal in wanted if (significant(goal.region) if goal.region else "") == code), None)
        if own is not None:
            return _target(own, grade)
        if code in of_tree:
            return Target(of_tree[code], "est", GRADE_DEADLINE[grade])
    return Target(DEFAULT_BP, "est", GRADE_DEADLINE[grade])


def _target(goal: Goal, grade: Grade) -> Target:
    return Target(goal.at_least_bp, goal.basis, goal.within or GRADE_DEADLINE[grade], goal.plan_text)
