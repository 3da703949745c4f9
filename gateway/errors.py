"""Every error Tongluo raises on purpose, in one tree, so that a reader sees at a glance what can go wrong.

TongluoError
├── Refused            what somebody sent or asked cannot be taken; nothing was stored (HTTP 4xx, exit 1)
├── Unstorable         we cannot keep it now; the caller should try again (HTTP 503)
│   └── Deposed        another process has our office: what we wanted to write is its business now
├── ConfigError        the configuration or the reference data is wrong: where, and what to do
└── ChannelError       what a channel raises from `send`, `probe` or `recall`
    ├── Unavailable    the far side does not answer: retried with back-off
    │   └── Throttled  the far side asks for patience: retried after `after` seconds
    └── Rejected       the far side will never take this: not retried
        └── Misconfigured   it will take nothing from us until a person mends the settings

The class of a channel error is the retry policy; its `reason` is the metric label (`gateway.model.receipt.Reason`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.model.alert import Finding
    from gateway.model.receipt import Reason


class TongluoError(Exception):
    """Base of all errors raised on purpose."""


class Refused(TongluoError):
    """A request or message that cannot be taken.

    `code` is stable and documented; `status` is the HTTP status; `detail` says what happened, whom it affects and
    what to do, as (Chinese, English); `findings` point at the places in the message.
    """

    def __init__(
        self, code: str, status: int, zh: str, en: str, findings: Sequence[Finding] = (), retry_after: int | None = None
    ) -> None:
        super().__init__(f"{en} [{code}]")
        self.code, self.status, self.zh, self.en = code, status, zh, en
        self.findings = tuple(findings)
        self.retry_after = retry_after


class Unstorable(TongluoError):
    """The store cannot keep anything now (full disk, locked, gone). Nothing was accepted; try again in `retry_after` s."""

    def __init__(self, why: str, retry_after: int = 5) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Deposed(Unstorable):
    """An office that only one process holds has passed to another; nothing was written."""


class ConfigError(TongluoError):
    """Settings or reference data that cannot be used. `where` is `file:line` or a setting's path."""

    def __init__(self, where: str, what: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {what}" + (f" {remedy}" if remedy else ""))
        self.where, self.what, self.remedy = where, what, remedy


class ChannelError(TongluoError):
    """What went wrong with a whole send. Carries the reason that counts in metrics and in the journal."""

    default_reason = "error"

    def __init__(self, detail: str = "", reason: Reason | None = None) -> None:
        super().__init__(detail or type(self).__name__)
        self.detail = detail
        self.reason = reason


class Unavailable(ChannelError):
    """The far side does not answer or answers with a passing fault: try again with back-off."""

    default_reason = "unavailable"


class Throttled(Unavailable):
    """The far side wants us to slow down: try again after `after` seconds."""

    default_reason = "throttled"

    def __init__(self, after: float = 1.0, detail: str = "", reason: Reason | None = None) -> None:
        super().__init__(detail, reason)
        self.after = after


class Rejected(ChannelError):
    """The far side will never take this batch: do not try again."""

    default_reason = "rejected"


class Misconfigured(Rejected):
    """The far side refuses us (credentials, sender, template): a person has to mend the settings."""

    default_reason = "misconfigured"
