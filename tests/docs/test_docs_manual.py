"""The manual: what is generated is fresh, and config/tongluo.yaml says what the program would do without it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.app.channels import configured
from gateway.manual.__main__ import ROOT, stale
from gateway.manual.commands import commands
from gateway.manual.entries import TYPES, channel_config, channel_meanings, entries
from gateway.settings import Settings, read_settings

CONFIG = ROOT / "config" / "tongluo.yaml"
SETTING = re.compile(r"^(?:# )?(?P<indent> *)(?:# )?(?P<rest>[a-z_]+:(?: .+)?)$")


def switched_on(line: str) -> str:
    """A line with its setting no longer commented out; sentences and the lists of fields stay as they are."""
    found = SETTING.match(line)
    return line if found is None or re.search(r"[^#\s]   # ", line) else f"{found['indent']}{found['rest']}"


def test_the_generated_pages_are_fresh() -> None:
    assert stale() == [], "run `make docs`"


def test_every_setting_of_the_sample_file_can_be_switched_on_and_changes_nothing() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    everything = yaml.safe_load("\n".join(map(switched_on, text.splitlines())))
    assert set(everything) == set(Settings.model_fields)
    told, plain = Settings.model_validate(everything), read_settings(CONFIG, {})
    assert told.model_copy(update={"channels": {}}) == plain.model_copy(update={"channels": {}})
    assert [entry.config for entry in configured(told.channels)] == [
        entry.config for entry in configured(plain.channels)
    ]
    assert sum(map(count, (everything,))) > sum(map(count, (yaml.safe_load(text),))) + 100


def count(value: Any) -> int:
    """How many settings a part of the file holds."""
    return sum(1 + count(each) for each in value.values()) if isinstance(value, dict) else 0


def test_every_setting_of_the_file_has_a_sentence() -> None:
    assert silent_of(Settings, {}) == []


@pytest.mark.parametrize("type_name", TYPES)
def test_every_setting_of_a_channel_is_told_on_its_page(type_name: str) -> None:
    page = (ROOT / "docs" / "channels" / f"{type_name}.md").read_text(encoding="utf-8")
    silent = silent_of(channel_config(type_name), channel_meanings(ROOT / "docs", type_name))
    assert [name for name in silent if not re.search(rf"\b{name}\b", page)] == []


def silent_of(model: Any, meanings: dict[str, str]) -> list[str]:
    """Settings of a model, and of the models inside it, that no sentence of their own is said about."""
    found = []
    for entry in entries(model, meanings):
        found += [] if entry.meaning else [entry.name]
        found += silent_of(entry.inner, meanings) if entry.inner else []
    return found


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=[path for path, _ in commands()])
def test_every_command_and_option_says_what_it_does(path: str, command: Any) -> None:
    assert command.help, path
    assert [parameter.name for parameter in command.params if not parameter.help] == []
