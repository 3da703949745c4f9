"""config/tongluo.yaml: the demonstration's settings, with every other setting beside them as a comment: name, default, and
one sentence.

The values that stand in the file are kept as they are; the comments are made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from gateway.channel import ChannelConfig, EvidenceConfig
from gateway.manual.entries import COMMON, Entry, as_yaml, channel_config, channel_meanings, entries
from gateway.settings import Settings

HEAD = """\
# 铜锣 Tongluo: settings. 每一项都在这里：注释掉的行写着默认值，要改就去掉行首的 "# "。说明见 docs/configuration.md。
#
# Every setting stands here with its default and one sentence; a line that begins with "# " and a name is not set. The values
# that are set are those of the demonstration (`make run`), which points each channel at a simulator on loopback. The comments
# are made by `make docs`; the values are yours.
"""


def commented(text: str, docs: Path) -> str:
    """The file anew: the values of `text`, the comments of the models."""
    values = yaml.safe_load(text)
    sections = (
        _channels(values["channels"], docs) if entry.name == "channels" else _top(entry, values)
        for entry in entries(Settings)
    )
    return "\n\n".join([HEAD.strip(), *("\n".join(section).strip("\n") for section in sections)]) + "\n"


def _top(entry: Entry, values: Mapping[str, Any]) -> Iterator[str]:
    yield f"# ---- {entry.name}: {entry.sentence}"
    if entry.inner is None:
        yield _line(entry, values)
    elif entry.many:
        yield from _list(entry, values)
    else:
        inside = values.get(entry.name)
        yield f"{'' if inside else '# '}{entry.name}:"
        yield from _settings(entries(entry.inner), inside or {}, "" if inside else "# ")


def _list(entry: Entry, values: Mapping[str, Any]) -> Iterator[str]:
    """The fields that an item may have, then the items."""
    yield from _each("Each has:", entry.inner or BaseModel)
    if not values.get(entry.name):
        yield "# " + _pair(entry.name, entry.default)
        return
    yield f"{entry.name}:"
    yield from (f"  - {as_yaml(item)}" for item in values[entry.name])


def _each(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"# {title}"
    for field in entries(model):
        yield f"#   {_pair(field.name, field.default or '...')}   # {field.sentence}"


def _channels(channels: Mapping[str, Any], docs: Path) -> Iterator[str]:
    yield "# ---- channels: ways to reach people, by name; more on each type in docs/channels/."
    yield from _each("Common to all:", ChannelConfig)
    yield from _each("Evidence of a channel:", EvidenceConfig)
    yield "channels:"
    for name, values in channels.items():
        yield f"  {name}:"
        meanings = channel_meanings(docs, values["type"])
        own = (each for each in entries(channel_config(values["type"]), meanings) if _told(each, values))
        yield from ("  " + line for line in _settings(own, values, ""))
        yield ""


def _told(entry: Entry, values: Mapping[str, Any]) -> bool:
    """What is common to all channels is told once, and stands with a channel only where it is set."""
    return entry.name not in COMMON or entry.name in values


def _settings(settings: Iterator[Entry], values: Mapping[str, Any], mark: str) -> Iterator[str]:
    """The settings of one section: its sentence, then the line; commented out where `values` does not hold it."""
    for entry in settings:
        if entry.sentence:
            yield f"{mark}  # {entry.sentence}"
        yield f"{mark}  {_line(entry, values)}"


def _line(entry: Entry, values: Mapping[str, Any]) -> str:
    if entry.name in values:
        return _pair(entry.name, as_yaml(values[entry.name]))
    return "# " + _pair(entry.name, entry.default or "...")


def _pair(name: str, value: str) -> str:
    return f"{name}: {value}"
