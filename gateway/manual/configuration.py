"""docs/configuration.md: every setting of the file, of the channels and of evidence, and every metric, from the models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.registry import Collector
from pydantic import BaseModel

from gateway.channel import ChannelConfig, EvidenceConfig
from gateway.manual.entries import COMMON, TYPES, Entry, channel_config, channel_meanings, entries
from gateway.settings import PREFIX, Settings
from gateway.telemetry import Metrics

HEAD = f"""\
# Configuration

全部配置写在一个 YAML 文件里；每项都有默认值，写错的键会连同行号一起报错。本页由 `make docs` 从程序生成，不要手改。

One YAML file holds all settings; `config/tongluo.yaml` is the same manual as a file to start from. This page is generated
by `make docs`.

- The file: `--config FILE`, else `config/tongluo.yaml` of the working directory, else the defaults. Unknown keys and wrong
  values end the start with file, line and what to do; `tongluo check` tells without starting.
- The environment goes over the file: `{PREFIX}SECTION__KEY`, read as YAML, e.g. `{PREFIX}HTTP__PORT=9000`,
  `{PREFIX}CHANNELS__SMS__RATE=200`, `{PREFIX}RELEASE__DRILLS_ONLY=true`. `TONGLUO_URL` and `TONGLUO_KEY` are the defaults
  of `--url` and `--key`.
- Secrets belong into files named by `..._file` or into the environment; they are never logged.
- Times of a day are `"21:30"`, durations `90s`, `10m`, `3h`, `90d` or plain seconds, shares `92%`, `0.92` or `9200bp`.
- Relative reference files are looked for in the working directory, beside the settings file, then among the shipped ones.
"""

METRICS = """\
## Metrics

`GET /metrics` (Prometheus text, OpenMetrics on request). What to make of them stands in [operations.md](operations.md).

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def configuration_page(docs: Path) -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections(), *_channels(docs), METRICS + "\n".join(_metrics()), ""])


def _sections() -> Iterator[str]:
    plain = [entry for entry in entries(Settings) if entry.inner is None and entry.name != "channels"]
    yield "## Of the whole\n\n" + table(plain)
    for entry in entries(Settings):
        if entry.inner is not None:
            note = f"{entry.meaning} A list; each of it has:" if entry.many else entry.meaning
            yield f"## `{entry.name}:`\n\n{note}\n\n" + table(_deep(entry.inner))


def _channels(docs: Path) -> Iterator[str]:
    yield (
        "## `channels:`\n\nWays to reach people, by name: `channels: {NAME: {type: TYPE, ...}}`. One type may stand there "
        "many times under many names. Common to all:\n\n" + table(entries(ChannelConfig))
    )
    yield "### `evidence:` of a channel\n\n" + table(entries(EvidenceConfig))
    for name in TYPES:
        own = [
            e for e in _deep(channel_config(name), channel_meanings(docs, name)) if e.name.split(".")[0] not in COMMON
        ]
        yield f"### `type: {name}`\n\nSee [channels/{name}.md](channels/{name}.md).\n\n" + table(own)


def _deep(model: type[BaseModel], meanings: dict[str, str] | None = None, prefix: str = "") -> Iterator[Entry]:
    """The entries of a model and, indented by their path, of the models inside it."""
    for entry in entries(model, meanings):
        yield Entry(prefix + entry.name, entry.default, entry.meaning, entry.choices)
        if entry.inner is not None and entry.inner is not EvidenceConfig:
            yield from _deep(entry.inner, meanings, f"{prefix}{entry.name}{'[]' if entry.many else ''}.")


def table(rows: Iterator[Entry] | list[Entry]) -> str:
    """The entries as a Markdown table."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    lines += [f"| `{row.name}` | {_default(row)} | {_cell(row.sentence)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _default(entry: Entry) -> str:
    if not entry.default:
        return "required"
    return "–" if entry.default in ("''", "null", "[]", "{}") else f"`{_cell(entry.default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


@dataclass(frozen=True, slots=True)
class Told:
    """A metric as /metrics shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def metrics() -> list[Told]:
    """Every metric."""
    known = Metrics()
    return [_told(each) for each in vars(known).values() if each is not known.registry and hasattr(each, "collect")]


def _told(collector: Collector) -> Told:
    family = next(iter(collector.collect()))
    labels: tuple[str, ...] = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
    suffix = "_total" if family.type == "counter" else ""
    return Told(family.name + suffix, family.type, labels, family.documentation)


def _metrics() -> Iterator[str]:
    for metric in metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"
