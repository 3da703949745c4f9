"""Instants. Inside Tongluo a moment is an integer: milliseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

Instant = int
"""Milliseconds since the Unix epoch, UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(moment: datetime) -> Instant:
    """The instant of an aware `datetime`, rounded down to the millisecond."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def moment(at: Instant, zone: tzinfo = UTC) -> datetime:
    """The aware `datetime` of an instant, in `zone`."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(zone)


def rfc3339(at: Instant) -> str:
    """`2026-07-22T06:30:00.000Z`: UTC with milliseconds, as the HTTP API writes every time."""
    return moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
