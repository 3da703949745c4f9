"""What there is to be set: every field of a settings model as an entry with its name, default and sentence. The pages and
the sample file are written from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.app.channels import CHANNELS, plugin
from gateway.channel import ChannelConfig
from gateway.settings import Percent, Seconds

TYPES = ("sms", "loudspeaker", "webhook", "wechat", "broadcast")
COMMON = tuple(ChannelConfig.model_fields)
PERCENT, SECONDS = get_args(Percent)[1], get_args(Seconds)[1]
UNITS = {86400: "d", 3600: "h", 60: "m"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting: its name as written, its default as YAML ("" = it must be given), what it means, what it may be."""

    name: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()
    inner: type[BaseModel] | None = None
    many: bool = False

    @property
    def sentence(self) -> str:
        """What it means, with the words it may be."""
        words = " | ".join(self.choices)
        return f"{self.meaning} ({words})" if len(self.choices) > 1 else self.meaning


def entries(model: type[BaseModel], meanings: Mapping[str, str] | None = None) -> Iterator[Entry]:
    """The settings of a model, in its order. `meanings` stand in where a field has no sentence of its own."""
    for key, field in model.model_fields.items():
        name = field.alias or key
        meaning = field.description or (meanings or {}).get(name, "")
        inner = inner_model(field.annotation)
        yield Entry(name, default_of(field), meaning, choices_of(field.annotation), inner, _is_many(field.annotation))


def channel_config(type_name: str) -> type[ChannelConfig]:
    """The settings model of a built-in channel type."""
    config: type[ChannelConfig] = plugin(CHANNELS, type_name).Config
    return config


def channel_meanings(docs: Path, type_name: str) -> dict[str, str]:
    """What the type's own page says of its settings, by name."""
    page = docs / "channels" / f"{type_name}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    rows = re.findall(r"^\| (`[^|]+`) \|[^|]*\| (.+) \|$", text, re.MULTILINE)
    found: dict[str, str] = {}
    for names, meaning in rows:
        for name in re.findall(r"`(\w+)`", names):
            found.setdefault(name, meaning.replace("\\|", "|").strip())
    return found


def default_of(field: FieldInfo) -> str:
    """The default as YAML on one line; "" where the setting must be given."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    return "" if value is PydanticUndefined else as_yaml(_readable(value, field))


def as_yaml(value: Any) -> str:
    """A value as one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.strip().removesuffix("...").strip()


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Model, ...]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := inner_model(each))), None)


def choices_of(annotation: Any) -> tuple[str, ...]:
    """The words that a setting may be, where they are few."""
    if get_origin(annotation) is Literal:
        return tuple(str(word) for word in get_args(annotation))
    return next((found for each in get_args(annotation) if (found := choices_of(each))), ())


def _is_many(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _readable(value: Any, field: FieldInfo) -> Any:
    if PERCENT in field.metadata:
        return f"{value / 100:g}%"
    if SECONDS in field.metadata and value:
        unit = next((unit for unit in UNITS if value % unit == 0), 1)
        return f"{value // unit}{UNITS.get(unit, 's')}"
    return _plain(value)


def _plain(value: Any) -> Any:
    """Only what YAML knows: lists, mappings, text, numbers; of models, what differs from the default."""
    if isinstance(value, BaseModel):
        return {name: _plain(each) for name, each in value.model_dump(exclude_defaults=True, by_alias=True).items()}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        return [_plain(each) for each in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
