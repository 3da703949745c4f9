"""Reading the settings: one YAML file, environment over it, every fault with its line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gateway.errors import ConfigError
from gateway.settings.sections import Settings

PREFIX = "TONGLUO_"


def read_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a YAML file (None = defaults), overridden by `TONGLUO_SECTION__KEY` variables.

    Raises ConfigError with `file:line` for unknown keys, wrong values and broken YAML.
    """
    text = "" if path is None else _text(path)
    name = str(path) if path else "defaults"
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(where, f"not readable YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{name}:1", "the file must hold settings by name.", "Start from config/tongluo.yaml.")
    _refuse_doubles(name, node)
    for variable, setting, value in _overrides(environment):
        _set_in(content, setting, value, variable)
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place: tuple[int | str, ...] = fault["loc"]
        line = _line(node, place)
        raise ConfigError(
            f"{name}:{line}" if line else name, f"{'.'.join(map(str, place))}: {fault['msg']}.", _remedy(fault["type"])
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            str(path), "there is no such file.", "Name it with --config, or run `tongluo demo`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}.") from error


def _refuse_doubles(name: str, node: yaml.Node | None) -> None:
    """A key that stands twice in one section: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(
                    f"{name}:{key.start_mark.line + 1}", f"`{key.value}` stands there twice.", "Keep one of them."
                )
            seen.add(key.value)
            _refuse_doubles(name, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(name, item)


def _overrides(environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and "__" in name:
            try:
                read = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise ConfigError(name, "the variable is not readable YAML.", "Quote the value.") from error
            yield name, tuple(name[len(PREFIX) :].lower().split("__")), read


def _set_in(content: dict[str, Any], place: tuple[str, ...], value: Any, variable: str) -> None:
    here: Any = content
    for part in place[:-1]:
        known = {str(key).lower(): key for key in here}
        here = here.setdefault(known.get(part, part), {})
        if not isinstance(here, dict):
            raise ConfigError(
                variable, f"`{part}` has no settings of its own.", "Only sections can be overridden by variables."
            )
    known = {str(key).lower(): key for key in here}
    here[known.get(place[-1], place[-1])] = value


def _line(node: yaml.Node | None, place: tuple[int | str, ...]) -> int | None:
    """The line of the deepest part of `place` that the file holds."""
    line = node.start_mark.line + 1 if node else None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _remedy(kind: str) -> str:
    return "Known settings stand in docs/configuration.md." if kind == "extra_forbidden" else ""
