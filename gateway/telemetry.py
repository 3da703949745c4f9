"""What Tongluo says about itself: metrics in a registry of its own, and JSON log lines with addresses masked."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, TextIO

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from gateway import __version__

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """Every metric of docs/operations.md, prefix `tongluo_`. Labels never hold a village or an address."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.alerts_accepted = self._counter(
            "alerts_accepted", "Messages accepted and on disk", "source", "status", "msg_type"
        )
        self.alerts_refused = self._counter("alerts_refused", "Messages refused, by code", "reason")
        self.alerts_held = self._gauge("alerts_held", "Alerts waiting for a person", "reason", "grade")
        self.held_oldest_age = self._gauge("held_oldest_age_seconds", "Age of the oldest held alert", "grade")
        self.alert_info = self._gauge("alert_info", "1 for each live alert", "alert", "grade", "event", "source")
        self.outbox_pending = self._gauge("outbox_pending", "Batches waiting in the outbox")
        self.outbox_oldest_age = self._gauge("outbox_oldest_age_seconds", "Age of the oldest batch that is due")
        self.queue_depth = self._gauge("queue_depth", "Batches waiting, by channel", "channel")
        self.batches = self._counter("batches", "Batches ended, by outcome", "channel", "outcome")
        self.receipts = self._counter("receipts", "Receipts, by level and reason", "channel", "level", "reason")
        self.handoff = self._histogram("handoff_seconds", "From release to hand-over", "channel")
        self.delivery = BulkHistogram("tongluo_delivery_seconds", "From release to proof of delivery", "channel")
        self.registry.register(self.delivery)
        self.channel_up = self._gauge("channel_up", "1 while the far side answers", "channel")
        self.channel_stalled = self._gauge("channel_stalled", "1 while work waits and nothing moves", "channel")
        self.channel_oldest_pending = self._gauge("channel_oldest_pending_seconds", "Age of the oldest work", "channel")
        self.channel_last_progress = self._gauge(
            "channel_last_progress_timestamp_seconds", "When the channel last handed something over", "channel"
        )
        self.canary_last_success = self._gauge(
            "canary_last_success_timestamp_seconds", "When the sink last took a self-test", "channel"
        )
        self.dead_letters = self._gauge("dead_letters", "Batches given up and kept", "channel")
        self.unmatched_receipts = self._counter("unmatched_receipts", "Receipts whose id we do not know", "channel")
        self.duplicates = self._counter(
            "duplicates", "Endpoints sent again after an unknown outcome (upper bound)", "channel"
        )
        self.coverage = self._gauge("coverage_ratio", "Share of people reached", "alert", "region", "bound")
        self.coverage_goal = self._gauge("coverage_goal_ratio", "The goal of the region", "alert", "region")
        self.readiness = self._gauge("readiness_ratio", "People within reach of k healthy channels", "county", "k")
        self.endpoints_online = self._gauge("endpoints_online_ratio", "Share of devices online", "channel", "region")
        self.time_to_goal = self._histogram("time_to_goal_seconds", "From release to the goal", "grade")
        self.store_up = self._gauge("store_up", "1 while the store takes writes")
        self.broker_up = self._gauge("broker_up", "1 while the queue's broker answers (always, if it is embedded)")
        self.broker_blocked = self._gauge("broker_blocked", "1 while the broker takes nothing: memory or disk alarm")
        self.clock_skew = self._gauge("clock_skew_seconds", "This machine's clock against the store's")
        self.credential_expiry = self._gauge(
            "credential_expiry_timestamp_seconds", "When a key or a certificate ends", "name"
        )
        self.backup_last_success = self._gauge("backup_last_success_timestamp_seconds", "When the last backup was made")
        self.directory_age = self._gauge("directory_age_seconds", "Age of the oldest directory file")
        self.build_info = self._gauge("build_info", "The running version", "version")
        self.build_info.labels(__version__).set(1)

    def know_channel(self, name: str, *, sends: bool = True, leads: bool = True) -> None:
        """Initialise the series of a channel, so that a zero is a zero and not an absence. `sends`: those of its worker too;
        `leads`: those of the store, which one process of all tells."""
        if leads:
            for gauge in (self.queue_depth, self.channel_stalled, self.channel_oldest_pending, self.dead_letters):
                gauge.labels(name).set(0)
        for counter in (self.unmatched_receipts, self.duplicates):
            counter.labels(name).inc(0)
        self.delivery.add(name, np.zeros(0))
        if sends:
            self.channel_up.labels(name).set(1)
            self.channel_last_progress.labels(name).set(0)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"tongluo_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"tongluo_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(f"tongluo_{name}", help_text, labels, buckets=SECONDS, registry=self.registry)


class BulkHistogram(Collector):
    """A histogram that takes whole columns: receipts come by the hundred, and a call for each would cost more than the receipt."""

    def __init__(self, name: str, help_text: str, label: str) -> None:
        self._name, self._help, self._label = name, help_text, label
        self._edges = np.array(SECONDS)
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}

    def add(self, label: str, seconds: NDArray[np.float64]) -> None:
        """Observe every value of a column (none = initialise the series)."""
        counts = self._counts.setdefault(label, np.zeros(len(SECONDS) + 1, np.int64))
        counts += np.bincount(np.searchsorted(self._edges, seconds), minlength=len(SECONDS) + 1)
        self._sums[label] = self._sums.get(label, 0.0) + float(seconds.sum())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What Prometheus asks for."""
        family = HistogramMetricFamily(self._name, self._help, labels=[self._label])
        for label, counts in self._counts.items():
            names = [*(str(float(edge)) for edge in SECONDS), "+Inf"]
            family.add_metric([label], list(zip(names, np.cumsum(counts).tolist(), strict=True)), self._sums[label])
        yield family


PHONE = re.compile(r"(?<!\d)(\+?(?:86)?1\d{2})\d{4}(\d{4})(?!\d)")


def masked(text: str) -> str:
    """`138****1234` for every phone number in a text."""
    return PHONE.sub(r"\1****\2", text)


def mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: no phone number leaves in a log line, whichever key carries it."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = masked(value)
    return event


def configure_logging(stream: TextIO = sys.stderr, level: int = logging.INFO, *, json: bool = True) -> None:
    """Send structlog and the standard library's loggers to `stream`: one line = one JSON object (or plain for a terminal)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_event,
    ]
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False) if json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiohttp.access", "alembic", "amqtt", "transitions", "mqtt", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
