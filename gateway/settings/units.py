"""Units of the settings file: shares, durations, times of day, zones; each is checked as it is read."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator


def minutes(clock: str) -> int:
    """`21:30` as minutes of the day. Raises ValueError for anything else."""
    hours, _, rest = clock.partition(":")
    if not (hours.isdigit() and rest.isdigit() and len(rest) == 2 and int(hours) < 24 and int(rest) < 60):
        raise ValueError(f"{clock!r} is not a time such as 21:30")
    return int(hours) * 60 + int(rest)


def _percent(value: object) -> int:
    """`92%`, `92 %`, 92, 0.92 or `9200bp` as basis points, 0 to 10000."""
    text = str(value).strip().replace(" ", "")
    try:
        if text.endswith("bp"):
            points = int(text[:-2])
        elif text.endswith("%"):
            points = round(float(text[:-1]) * 100)
        else:
            points = round(float(text) * (100 if float(text) > 1 else 10_000))
    except ValueError as error:
        raise ValueError(f"{value!r} is not a share such as 92%") from error
    if not 0 <= points <= 10_000:
        raise ValueError(f"{value!r} is not between 0% and 100%")
    return points


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}


def seconds(value: object) -> int:
    """`90`, `90s`, `10m`, `3h`, `90d` or `5y` as seconds."""
    text = str(value).strip()
    if text.isascii() and text.isdigit():
        return int(text)
    if not (text[:-1].isascii() and text[:-1].isdigit() and text[-1] in UNITS):
        raise ValueError(f"{value!r} is not a time such as 90s, 10m, 3h, 90d")
    return int(text[:-1]) * UNITS[text[-1]]


def _clock(value: object) -> str:
    """`21:30`, checked."""
    minutes(str(value))
    return str(value)


def _zone(name: str) -> str:
    """An IANA zone, checked; "" stays."""
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone") from error
    return name


Percent = Annotated[int, BeforeValidator(_percent)]
Seconds = Annotated[int, BeforeValidator(seconds)]
Clock = Annotated[str, BeforeValidator(_clock)]
Zone = Annotated[str, AfterValidator(_zone)]
