"""deploy/grafana: dashboards that any Grafana with a Prometheus can import; every expression asks for something that exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from expressions import known_metrics, strangers
from watchtower import DEPLOY, told

BOARDS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((DEPLOY / "grafana").glob("*.json"))}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
each_board = pytest.mark.parametrize("name", BOARDS)


def expressions(board: dict[str, Any]) -> Iterator[str]:
    """Every expression of a board, its variables filled in."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m").replace("$alert", "A").replace("$channel", "sms")


def test_the_four_dashboards_are_there() -> None:
    assert set(BOARDS) == {"overview", "coverage", "channels", "pipeline"}
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@each_board
def test_ids_and_references_are_unique(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)


@each_board
def test_titles_are_in_both_languages(name: str) -> None:
    for title in [BOARDS[name]["title"], *(panel["title"] for panel in BOARDS[name]["panels"])]:
        chinese, english = title.split(" · ")
        assert CHINESE.search(chinese)
        assert not CHINESE.search(english)


@each_board
def test_panels_do_not_cover_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@each_board
def test_the_source_of_data_is_the_readers_choice(name: str) -> None:
    board = BOARDS[name]
    [source] = [each for each in board["templating"]["list"] if each["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    asked = [panel["datasource"] for panel in board["panels"] if "targets" in panel]
    asked += [target["datasource"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert asked
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in asked)


@each_board
def test_every_variable_is_used_and_every_one_used_is_there(name: str) -> None:
    board = BOARDS[name]
    declared = {each["name"] for each in board["templating"]["list"]}
    used = {
        word
        for panel in board["panels"]
        for target in panel.get("targets", ())
        for word in re.findall(r"\$(\w+)", target["expr"])
    }
    assert used - {"__rate_interval"} | {"datasource"} == declared


@each_board
def test_every_expression_is_promql(name: str, tmp_path: Path) -> None:
    asked = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(expressions(BOARDS[name]))]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": name, "rules": asked}]}), "utf-8")
    code, said = told("promtool", "check", "rules", "--lint=none", str(path))
    assert (code, f"{len(asked)} rules found" in said) == (0, True), said


@each_board
def test_every_metric_and_label_exists(name: str) -> None:
    known = known_metrics()
    assert {expr: found for expr in expressions(BOARDS[name]) if (found := [*strangers(expr, known)])} == {}
    for each in BOARDS[name]["templating"]["list"]:
        for metric, label in re.findall(r"label_values\((\w+), (\w+)\)", each.get("definition", "")):
            assert label in known[metric]
