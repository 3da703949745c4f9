"""deploy/prometheus and deploy/alertmanager: accepted by the programs they are written for, every rule proven to fire and to keep
quiet, every name in them real, every notice in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from expressions import known_metrics, strangers
from watchtower import DEPLOY, ROOT, RULES, every_rule, rules, told

TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"
KINDS = [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def cases() -> Iterator[dict[str, Any]]:
    """The cases of all test files."""
    for path in TESTS:
        yield from yaml.safe_load(path.read_text("utf-8"))["tests"]


def test_promtool_takes_the_rules() -> None:
    code, said = told("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert (code, "SUCCESS" in said, "FAILED" in said) == (0, True, False), said


def test_promtool_takes_the_configuration() -> None:
    code, said = told("promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    assert (code, "FAILED" in said) == (0, False), said


def test_amtool_takes_the_configuration() -> None:
    code, said = told("amtool", "check-config", str(ALERTMANAGER))
    assert (code, "SUCCESS" in said) == (0, True), said


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_fire_and_keep_quiet(path: Path) -> None:
    code, said = told("promtool", "test", "rules", str(path))
    assert code == 0, said


@pytest.mark.parametrize(("rule", "severity"), KINDS)
def test_every_rule_has_a_case_that_fires_and_one_that_does_not(rule: str, severity: str) -> None:
    asked = f'ALERTS{{alertname="{rule}", severity="{severity}", alertstate="firing"}}'
    outcomes = {
        bool(each["exp_samples"]) for case in cases() for each in case["promql_expr_test"] if each["expr"] == asked
    }
    assert outcomes == {True, False}


def test_every_case_is_named_for_its_rule_and_what_it_shows() -> None:
    wrong = [
        case["name"]
        for case in cases()
        for each in case["promql_expr_test"]
        if not re.match(rf"\w+ \(\w+\) {'fires' if each['exp_samples'] else 'keeps quiet'}: ", case["name"])
        or case["name"].split()[0] not in each["expr"]
    ]
    assert wrong == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_rule_says_how_grave_it_is_in_both_languages_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    chinese, english = rule["annotations"]["summary"].split(" · ")
    first, second = rule["annotations"]["description"].splitlines()
    for ours, theirs in ((chinese, english), (first, second)):
        assert CHINESE.search(ours)
        assert not CHINESE.search(re.sub(r"\{\{.*?\}\}", "", theirs))
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"
    assert (ROOT / rule["annotations"]["runbook"]).is_file()


def test_rules_name_no_metric_and_no_label_that_is_not_there() -> None:
    recorded = {rule["record"]: {"alert", "region", "job"} for rule in every_rule() if "record" in rule}
    known = known_metrics() | recorded
    unknown = {
        name: [*strangers(rule["expr"], known)]
        for rule in every_rule()
        for name in [rule.get("alert", rule.get("record"))]
    }
    assert {name: found for name, found in unknown.items() if found} == {}


def test_notices_are_filled_in(tmp_path: Path) -> None:
    """promtool is asked for notices without words, so that it shows the words it got."""
    for path in TESTS:
        told_cases = yaml.safe_load(path.read_text("utf-8"))
        told_cases["rule_files"] = [str(RULES)]
        for case in told_cases["tests"]:
            case["alert_rule_test"] = [
                {"alertname": case["name"].split()[0], "eval_time": each["eval_time"], "exp_alerts": [{}]}
                for each in case.pop("promql_expr_test")
                if each["exp_samples"]
            ]
        told_cases["tests"] = [case for case in told_cases["tests"] if case["alert_rule_test"]]
        asked = tmp_path / path.name
        asked.write_text(yaml.safe_dump(told_cases, allow_unicode=True), "utf-8")
        said = told("promtool", "test", "rules", str(asked))[1]
        assert said.count("Annotations:{") >= len(told_cases["tests"]), said
        for wrong in ("<error", "<no value>", "%!", "{{"):
            assert wrong not in said, said


def test_inhibitions_name_rules_that_are_there() -> None:
    names = {rule["alert"] for rule in rules()}
    config = yaml.safe_load(ALERTMANAGER.read_text("utf-8"))
    for inhibition in config["inhibit_rules"]:
        for matcher in (*inhibition["source_matchers"], *inhibition["target_matchers"]):
            if found := re.fullmatch(r'alertname =~? "(.*)"', matcher):
                assert {name for name in expanded(found[1]) if name not in names} == set()


def expanded(pattern: str) -> list[str]:
    """`Tongluo(A|B)` -> the names."""
    found = re.fullmatch(r"(\w+)\(([\w|]+)\)", pattern)
    return [found[1] + each for each in found[2].split("|")] if found else [pattern]
