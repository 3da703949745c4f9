"""What a PromQL expression speaks of: its metrics and labels, and which of them exist. promtool knows syntax, not names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.manual.configuration import metrics

SCRAPED = {"job", "instance", "role"}
"""Labels that Prometheus and its list of targets add to everything."""

HISTOGRAM = ("_bucket", "_count", "_sum")

BUILT_IN: dict[str, set[str]] = {
    "up": set(),
    "scrape_duration_seconds": set(),
    "ALERTS": {"alertname", "alertstate", "severity", "channel", "grade", "alert", "region", "name"},
    "rabbitmq_queue_messages_ready": set(),
    "rabbitmq_queue_messages_unacked": set(),
    "rabbitmq_process_resident_memory_bytes": set(),
    "rabbitmq_disk_space_available_bytes": set(),
}
"""Metrics of Prometheus itself and of RabbitMQ's plugin that the shipped files use."""

WORDS = {"and", "or", "unless", "offset", "bool", "by", "on", "without", "ignoring", "group_left", "group_right"}
UNITS = re.compile(r"\b\d+(\.\d+)?(ms|[smhdwy])?\b")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


def known_metrics() -> dict[str, set[str]]:
    """Every series that may be asked for -> its labels."""
    known = {name: labels | SCRAPED for name, labels in BUILT_IN.items()}
    for metric in metrics():
        labels = set(metric.labels) | SCRAPED
        if metric.kind == "histogram":
            known |= {metric.name + suffix: labels | {"le"} for suffix in HISTOGRAM}
        else:
            known[metric.name] = labels
    return known


def strangers(expr: str, known: dict[str, set[str]]) -> Iterator[str]:
    """What an expression names that does not exist: metrics, and labels that none of its metrics bears."""
    plain = re.sub(r'"[^"]*"', "", expr)
    selectors, groupings = re.findall(r"\{([^}]*)\}", plain), GROUPING.findall(plain)
    bare = UNITS.sub("", re.sub(r"\[[^\]]*\]|\{[^}]*\}", "", GROUPING.sub("", plain)))
    named = {name for name in re.findall(r"[A-Za-z_:][\w:]*(?!\w|\s*\()", bare) if name not in WORDS}
    yield from (name for name in named if name not in known)
    labels = set().union(*(known.get(name, set()) for name in named))
    used = {label for text in (*selectors, *groupings) for label in re.findall(r"\b[a-z_]+\b", text)}
    yield from (f"label {label}" for label in used - labels)
