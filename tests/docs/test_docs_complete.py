"""Undocumented = red: every metric, command, channel, code and route stands in docs/, every link leads somewhere, and nothing
in the tree speaks of the workshop it was made in.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gateway.cap import CODES
from gateway.manual.commands import commands
from gateway.manual.configuration import metrics
from gateway.manual.entries import inner_model
from gateway.model.alert import AlertState, CancelKind
from gateway.model.dispatch import WorkState
from gateway.model.receipt import Level, Reason
from gateway.settings import Settings
from gateway.web.problems import CODES as PROBLEMS
from gateway.web.routes import API, PAGES

ROOT = Path(__file__).resolve().parents[2]
PAGES_OF_DOCS = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES_OF_DOCS}
ALL = "\n".join(TEXTS.values())
OPERATIONS = TEXTS[ROOT / "docs/operations.md"]
COMMANDS = {path for path, _ in commands()}


@pytest.mark.parametrize("name", [metric.name for metric in metrics()])
def test_operations_tells_what_every_metric_means(name: str) -> None:
    assert f"`{name}`" in OPERATIONS


def test_docs_name_no_metric_that_is_not_there() -> None:
    assert set(re.findall(r"`(tongluo_\w+)`", ALL)) <= {metric.name for metric in metrics()}


def test_docs_name_no_command_that_is_not_there() -> None:
    named = set(re.findall(r"`tongluo ([a-z]+(?: [a-z]+)?)", ALL)) | set(
        re.findall(r"^tongluo ([a-z]+)", ALL, re.MULTILINE)
    )
    known = COMMANDS | {path.split()[0] for path in COMMANDS}
    assert {words for words in named if words not in known and words.split()[0] not in COMMANDS} == set()


def test_programs_name_no_command_that_is_not_there() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    named = set(re.findall(r"tongluo ((?:keys|users|link|regions|areas|directory|deadletters)(?: [a-z]+)?)", sources))
    groups = {path.split()[0] for path in COMMANDS}
    assert {words for words in named if words not in COMMANDS | groups} == set()


@pytest.mark.parametrize("group", ["gateway.channels", "gateway.simulators"])
def test_every_channel_has_its_page_and_stands_in_the_index(group: str) -> None:
    for point in entry_points(group=group):
        assert (ROOT / "docs/channels" / f"{point.name}.md").exists(), point.name
        assert f"channels/{point.name}.md" in TEXTS[ROOT / "docs/README.md"]


def test_docs_name_every_route() -> None:
    for route in (*API, *PAGES):
        assert f"`{route.address}`" in ALL


def test_docs_name_every_code_of_findings_and_problems() -> None:
    raised = {code for path in (ROOT / "gateway").rglob("*.py") for code in codes_in(path)}
    assert {code for code in {*raised, *CODES, *PROBLEMS} if f"`{code}`" not in ALL} == set()


def codes_in(path: Path) -> Iterator[str]:
    """The codes that a module gives to findings and refusals by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and node.args
            and getattr(node.func, "id", "") in ("Finding", "Refused", "Denial")
        ):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value if getattr(node.func, "id", "") != "Denial" else f"{first.value}_denied"


def test_docs_name_every_state_level_and_reason() -> None:
    words = [*(state.value for state in (*AlertState, *WorkState, *CancelKind)), *(level.label for level in Level)]
    words += [reason.label for reason in Reason if reason.label != "none"]
    assert [word for word in words if f"`{word}`" not in ALL] == []


@pytest.mark.parametrize("page", PAGES_OF_DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_code(TEXTS[page])):
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        if not target.startswith("http") and not (there.exists() and (not anchor or anchor in anchors(there))):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def outside_code(text: str) -> str:
    """A page without its blocks and words of code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def test_every_page_stands_in_the_index() -> None:
    index = "".join(TEXTS[ROOT / "docs" / each] for each in ("README.md", "decisions/README.md", "runbooks/README.md"))
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.name != "README.md"]
    assert [page.name for page in pages if f"{page.name})" not in index] == []


def test_both_readmes_say_the_same() -> None:
    english, chinese = (outline(ROOT / name) for name in ("README.md", "README.zh-CN.md"))
    assert english == chinese


def outline(page: Path) -> list[str]:
    """Headings, bullets and links of a page, without its words."""
    shape = []
    for line in TEXTS[page].splitlines():
        shape += re.findall(r"^(#+|-|!|```)", line)
        shape += [target for target in re.findall(r"\]\(([^)]+)\)", line) if not target.startswith("README")]
    return shape


WORKSHOP = {
    "a path of somebody's machine": r"/work/|/root/|/home/\w+/",
    "a package registry": r"pypi\.org|pythonhosted|npmjs\.|/opt/pypi|registry\.npm",
    "a ticket": r"\bissues? #?\d|\(#\d+\)|\bGH-\d",
    "who wrote it": r"(?i)\b(chatgpt|claude|copilot|anthropic|openai|language model|ai-generated|by an? (ai|agent|assistant))\b",
    "a note to oneself": r"\b(TODO|FIXME|XXX)\b",
}


@pytest.mark.parametrize("what", WORKSHOP)
def test_nothing_in_the_tree_speaks_of_the_workshop(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(WORKSHOP[what], line)
    ]
    assert found == []


def files() -> Iterator[Path]:
    """The text files of the tree; this one, which has to name the words, left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else [str(path) for path in ROOT.rglob("*")]
    for name in names:
        path = ROOT / name
        binary = path.suffix in {".png", ".wav", ".xlsx", ".pyc", ".lock"} or ".venv" in path.parts
        if path.is_file() and not binary and path != Path(__file__).resolve():
            yield path


def test_docs_name_no_setting_that_is_not_there() -> None:
    for section, name in re.findall(r"\b(http|speech|rendering|release|retention|store|queue)\.([a-z_]+)\b", ALL):
        model = inner_model(Settings.model_fields[section].annotation)
        assert model
        assert name in model.model_fields, f"{section}.{name}"
