"""How single texts become values: times, numbers, rings, circles, lists and references.

Pure functions over strings, called by `head`, `oasis` and `national`. Each returns what it could read and the codes of
what was odd; none raises. Digits are checked by pattern before `float`, which would take `nan`, `4_1.8` and `４１`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.model.alert import Circle, Polygon, Reference
from gateway.model.time import Instant, instant

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([T ])(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII
)  # CAP 1.2 §3.3.2 DateTime, and its real deviations
_NUMBER = r"[+-]?(?:\d{1,20}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,2})?"
_PLAIN_NUMBER = re.compile(_NUMBER, re.ASCII)
_PAIR = re.compile(rf"({_NUMBER}),({_NUMBER})", re.ASCII)
_CIRCLE = re.compile(rf"({_NUMBER})\s*,\s*({_NUMBER})(?:\s+|\s*,\s*)({_NUMBER})", re.ASCII)  # "lat,lon radius"
_COORDINATES = re.compile(r"[\d.eE+\-,\s]+", re.ASCII)  # float() of these signs alone reads decimals and nothing else
_COMMA = re.compile(r"\s*[,，]\s*")
_BRACKETS = re.compile(r"[()\[\]]")
_UNTIDY = re.compile(r"[()\[\]，]|\s,|,\s")
_LIST = re.compile(r"[\s,，;；、]+")
_CODE_LIST = re.compile(r"\d{2,15}(?:\s*[,，;；、]\s*\d{2,15})+", re.ASCII)
_QUOTED_OR_WORD = re.compile(r'"([^"]*)"|(\S+)')

_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_FARTHEST_ZONE = timedelta(hours=14)


class Time(NamedTuple):
    """A time as read: None if it cannot be, and the codes of its oddities."""

    at: Instant | None
    codes: tuple[str, ...] = ()


def read_time(text: str, zone: str = "", space: bool = False) -> Time:
    """A CAP time. `zone` reads one without an offset; `space` allows a space for the T (national dialect)."""
    found = _TIME.fullmatch(text.strip())
    if not found or (found[4] == " " and not space):
        return Time(None)
    year, month, day, _, hour, minute, second, fraction, offset = found.groups()
    if offset is None and not zone:
        return Time(None)
    codes = [code for code, odd in (("time_fraction", fraction), ("time_z", offset == "Z")) if odd]
    if offset is None:
        codes.append("time_zone_assumed")
    wall = _wall(int(year), int(month), int(day), int(hour), int(minute), int(second))
    at = wall and _placed(wall[0], offset, zone)
    if not wall or at is None:
        return Time(None)
    codes += ["time_unusual"] if wall[1] else []
    return Time(at + int((fraction or "0").ljust(3, "0")[:3]), tuple(codes))


def _wall(year: int, month: int, day: int, hour: int, minute: int, second: int) -> tuple[datetime, bool] | None:
    """The time on the wall, and whether it was written as 24:00:00 or as a leap second."""
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    midnight, leap = (hour, minute, second) == (24, 0, 0), second == 60
    try:
        read = datetime(year, month, day, 0 if midnight else hour, minute, 59 if leap else second)
    except ValueError:
        return None
    return read + timedelta(days=midnight, seconds=leap), midnight or leap


def _placed(wall: datetime, offset: str | None, zone: str) -> Instant | None:
    if offset is None:
        return instant(wall.replace(tzinfo=ZoneInfo(zone)))
    if offset == "Z":
        return instant(wall.replace(tzinfo=UTC))
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    away = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or away > _FARTHEST_ZONE:
        return None
    return instant(wall.replace(tzinfo=timezone(-away if offset[0] == "-" else away)))


def read_number(text: str) -> float | None:
    """A finite decimal number, else None."""
    return float(text) if _PLAIN_NUMBER.fullmatch(text) else None


class Ring(NamedTuple):
    """A polygon as read: closed (None if nothing is left), and (code, what) of each repair."""

    points: Polygon | None
    notes: tuple[tuple[str, str], ...] = ()


def read_polygon(text: str, most: int, swap: bool = False) -> Ring:
    """CAP 1.2 §3.2.4 <polygon>: pairs `lat,lon` apart by white space, repaired as cap.md §1 says.

    `most` points are looked at; `swap` lets pairs that can only be `lon,lat` be read so (national dialect).
    """
    if numbers := read_coordinates(text, most):
        return _closed(list(zip(numbers[::2], numbers[1::2], strict=True)), {})
    notes: dict[str, str] = {}
    if _UNTIDY.search(text):
        notes["polygon_punctuation"] = ""
        text = _COMMA.sub(",", _BRACKETS.sub(" ", text))
    pairs = _pairs(text, most, notes)
    if swap and pairs and _longitude_first(pairs):
        notes["axis_swapped"] = ""
        pairs = [(lat, lon) for lon, lat in pairs]
    points = [point for pair in pairs if (point := _on_earth(pair, notes))]
    return _closed(points, notes)


def read_coordinates(text: str, most: int) -> list[float] | None:
    """The fast way for the usual: faultless pairs on earth, at most `most`, as lat, lon, lat, lon... None if any is odd."""
    if not _COORDINATES.fullmatch(text):
        return None
    tokens, numbers = text.split(), text.replace(",", " ").split()
    if not 0 < len(tokens) == text.count(",") <= most or len(numbers) != 2 * len(tokens):
        return None
    if not all("," in token for token in tokens):
        return None
    try:
        values = list(map(float, numbers))
    except ValueError:
        return None
    lats, lons = values[::2], values[1::2]
    on_earth = min(lats) >= -90 and max(lats) <= 90 and min(lons) >= -180 and max(lons) <= 180
    return values if on_earth else None


def _pairs(text: str, most: int, notes: dict[str, str]) -> list[tuple[float, float]]:
    pairs = []
    for token in islice(re.finditer(r"\S+", text), most + 1):
        if found := _PAIR.fullmatch(token[0]):
            pairs.append((float(found[1]), float(found[2])))
        else:
            notes.setdefault("point_unreadable", token[0])
    return pairs


def _longitude_first(pairs: Sequence[tuple[float, float]]) -> bool:
    return all(90 < abs(first) <= 180 and abs(second) <= 90 for first, second in pairs)


def _on_earth(pair: tuple[float, float], notes: dict[str, str]) -> tuple[float, float] | None:
    lat, lon = pair
    if abs(lat) > 90 or abs(lon) > 360:
        notes.setdefault("point_unreadable", f"{lat},{lon}")
        return None
    if abs(lon) <= 180:
        return pair
    notes.setdefault("longitude_normalised", f"{lon}")
    return lat, lon - math.copysign(360, lon)


def _closed(points: list[tuple[float, float]], notes: dict[str, str]) -> Ring:
    if len(set(points[:9])) < 3 and len(set(points)) < 3:
        notes["polygon_too_few_points"] = ""
        return Ring(None, tuple(notes.items()))
    if points[0] != points[-1]:
        notes["polygon_not_closed"] = ""
        points.append(points[0])
    return Ring(tuple(points), tuple(notes.items()))


class Disc(NamedTuple):
    """A circle as read (None if it cannot be), and (code, what) of what was odd."""

    circle: Circle | None
    notes: tuple[tuple[str, str], ...] = ()


def read_circle(text: str, metres_per_unit: float, swap: bool = False) -> Disc:
    """CAP 1.2 §3.2.4 <circle>: `lat,lon radius`; the radius in kilometres (CAP) or metres (national)."""
    found = _CIRCLE.fullmatch(text.strip())
    lat, lon, radius = (float(number) for number in found.groups()) if found else (0.0, 0.0, -1.0)
    notes: dict[str, str] = {}
    if swap and _longitude_first([(lat, lon)]):
        notes["axis_swapped"] = ""
        lat, lon = lon, lat
    centre = _on_earth((lat, lon), notes)
    if radius < 0 or centre is None:
        return Disc(None, (("circle_unreadable", text),))
    return Disc(Circle(*centre, round(radius * metres_per_unit, 3)), tuple(notes.items()))


def read_list(text: str) -> tuple[str, ...]:
    """Words apart by white space or by commas of either width (national dialect)."""
    return tuple(word for word in _LIST.split(text) if word)


def read_quoted_list(text: str) -> tuple[str, ...]:
    """CAP 1.2 §3.2.1 <addresses>, <incidents>: words apart by white space, quoted where they hold some."""
    if '"' not in text:
        return tuple(text.split())
    return tuple(quoted or word for quoted, word in _QUOTED_OR_WORD.findall(text) if quoted or word)


def split_codes(value: str) -> tuple[str, ...]:
    """`210423，210404` as two division codes; any other value as it stands."""
    return read_list(value) if _CODE_LIST.fullmatch(value) else (value,)


class References(NamedTuple):
    """References as read, and (code, what) of what was odd."""

    found: tuple[Reference, ...]
    notes: tuple[tuple[str, str], ...] = ()


def read_references(text: str, zone: str = "") -> References:
    """CAP 1.2 §3.2.1 <references>: `sender,identifier,sent` apart by white space; two parts are taken with a warning."""
    found, notes = [], []
    for token in text.split():
        sender, _, rest = token.partition(",")
        identifier, _, sent = rest.partition(",")
        at = read_time(sent, zone).at
        if not sender or not identifier or (at is None and "," in sent):
            notes.append(("reference_unreadable", token))
            continue
        if at is None:
            notes.append(("reference_without_time", token))
        found.append(Reference(sender, identifier, at))
    return References(tuple(dict.fromkeys(found)), tuple(notes))


def read_national_references(text: str, sender: str, zone: str = "") -> References:
    """Bare identifiers of the same sender (the first message of the event); triples in the manner of CAP are understood."""
    found: list[Reference] = []
    notes: list[tuple[str, str]] = []
    for token in text.split():
        triple = read_references(token, zone)
        if token.count(",") == 2 and triple.found and triple.found[0].sent is not None:
            found += triple.found
        else:
            found += [Reference(sender, identifier, None) for identifier in read_list(token)]
    if text and not found:
        notes.append(("reference_unreadable", text))
    return References(tuple(dict.fromkeys(found)), tuple(notes))


def count_words(text: str, most: int, commas: bool = False) -> int:
    """How many words, counting no further than `most` + 1 (so that a hostile list is never split whole).

    `commas` says that commas part words too (national dialect).
    """
    words = re.finditer(r"[^\s,，;；、]+" if commas else r"\S+", text)
    return sum(1 for _ in islice(words, most + 1))
