"""docs/runbooks: one page for each rule and no other, in both languages, with commands that exist."""

from __future__ import annotations

import re

import pytest
from watchtower import ROOT, rules

from gateway.manual.commands import commands
from gateway.manual.configuration import metrics

FOLDER = ROOT / "docs" / "runbooks"
PAGES = {page.stem: page.read_text("utf-8") for page in sorted(FOLDER.glob("Tongluo*.md"))}
NAMES = sorted({rule["alert"] for rule in rules()})
HEADINGS = [
    "是什么 · What it means",
    "影响谁 · Who is affected",
    "看什么 · What to look at",
    "做什么 · What to do",
    "何时升级 · When to escalate",
]
CHINESE, ENGLISH = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z]{2}")


def test_every_rule_has_its_runbook_and_every_runbook_its_rule() -> None:
    assert sorted(PAGES) == NAMES


def test_the_index_names_every_runbook_with_its_severity() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")
    found = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| \S+ \| ([\w, ]+) \|$", index, re.MULTILINE))
    assert found == {name: ", ".join(severities(name)) for name in NAMES}


def severities(name: str) -> list[str]:
    """`page`, `ticket`, or both, of a rule."""
    return sorted({rule["labels"]["severity"] for rule in rules() if rule["alert"] == name})


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_answers_the_five_questions_in_both_languages(name: str) -> None:
    page = PAGES[name]
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADINGS
    assert f"\n级别 severity: {', '.join(f'`{each}`' for each in severities(name))}\n" in page
    for section in re.split(r"^## .+$", page, flags=re.MULTILINE)[1:]:
        lines = [re.sub(r"`[^`]*`", "", line) for line in section.splitlines() if line.strip()]
        assert lines
        for ours, theirs in zip(lines[::2], lines[1::2], strict=True):
            assert bool(CHINESE.search(ours)) == bool(ENGLISH.search(theirs)), (ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_names_commands_and_metrics_that_exist(name: str) -> None:
    known = {path for path, _ in commands()}
    for words in re.findall(r"`tongluo ([^`]+)`", PAGES[name]):
        first, _, rest = words.partition(" ")
        assert first in known or f"{first} {rest.split()[0] if rest else ''}" in known, words
    told = {metric.name for metric in metrics()}
    assert set(re.findall(r"`(tongluo_\w+)`", PAGES[name])) <= told


@pytest.mark.parametrize("name", NAMES)
def test_options_of_commands_exist(name: str) -> None:
    for words in re.findall(r"`tongluo ([^`]+)`", PAGES[name]):
        [command] = [command for path, command in commands() if f"{words} ".startswith(f"{path} ")]
        own = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", words)) <= own, words
