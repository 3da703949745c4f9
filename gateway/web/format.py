"""How numbers and times are written on pages: shares rounded down, separators, local times. Called by the templates."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo

from gateway.model.time import Instant, moment
from gateway.rules.measuring import floor_display

DASH = "–"


def percent(share: float | None) -> str:
    """A share as percent with one decimal, rounded down (91.99 -> `91.9`); a dash where there is no number."""
    return DASH if share is None else floor_display(float(share))


def goal(basis_points: int | None) -> str:
    """A goal in basis points as percent: `92`, `98.5`."""
    return DASH if basis_points is None else f"{basis_points / 100:g}"


def people(count: float | None) -> str:
    """A head count with separators, rounded down: `41,200`."""
    return DASH if count is None else f"{math.floor(count + 1e-9):,}"


def duration(seconds: float | None) -> str:
    """`08:19`, `1:02:33`; a dash where there is none."""
    if seconds is None:
        return DASH
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes:02d}:{whole % 60:02d}"


def latency(seconds: float | None) -> str:
    """A delay as people say it: `0.4 s`, `21 s`, `3 min`."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def read_time(text: str, zone: tzinfo) -> datetime:
    """A time of the API in the console's zone. ValueError if it is none."""
    return datetime.fromisoformat(text).astimezone(zone)


def clock(text: str | None, zone: tzinfo, now: Instant) -> str:
    """Local time with seconds: `14:08:51` today, `07-21 14:08:51` this year, else with the year."""
    if not text:
        return DASH
    at, today = read_time(text, zone), moment(now, zone)
    if at.date() == today.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%m-%d %H:%M:%S" if at.year == today.year else "%Y-%m-%d %H:%M:%S")
