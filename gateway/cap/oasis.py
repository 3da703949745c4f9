"""OASIS CAP 1.2 and 1.1: from the tree to infos, areas and resources (CAP 1.2 §3.2.2 to §3.2.4).

`parse` calls `read`; what deviates is repaired and noted as cap.md §1 says, never refused: refusing is the head's work.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from lxml import etree

from gateway.cap import words
from gateway.cap.fields import read_circle, read_polygon, read_quoted_list, split_codes
from gateway.cap.head import Reading
from gateway.cap.options import Limits, Options
from gateway.cap.tree import Node, split_tag
from gateway.model.alert import (
    SEVERITY_GRADE,
    Alert,
    Area,
    Grade,
    Info,
    NameValue,
    Resource,
    Scope,
)

_DEPRECATED = {"verylikely": "Likely", "very likely": "Likely"}  # CAP 1.2 §3.2.2 <certainty>

_COLOUR_PARAMETERS = frozenset(
    ("colour", "color", "awareness_level", "awareness-level", "awareness", "颜色", "预警颜色", "预警等级")
)
_COLOURS = {
    "red": Grade.RED,
    "orange": Grade.ORANGE,
    "yellow": Grade.YELLOW,
    "blue": Grade.BLUE,
    "红": Grade.RED,
    "橙": Grade.ORANGE,
    "黄": Grade.YELLOW,
    "蓝": Grade.BLUE,
}
_COLOUR = re.compile("|".join(_COLOURS), re.IGNORECASE)
_COLOUR_IN_HEADLINE = re.compile("([红橙黄蓝])色预警")


def read(root: etree._Element, reading: Reading) -> Alert | None:
    """The alert; None if its head refused it (its infos are then read for their findings alone)."""
    namespace, _ = split_tag(root)
    node = Node(root, namespace, words.ALERT, reading.notes)
    infos = tuple(_info(child, reading) for child in node.nodes("info", words.INFO))
    if not infos and reading.speaks:
        node.note("info_missing")
    if reading.head is None:
        return None
    _check_scope(node, reading.head.scope)
    return replace(
        reading.head.alert(reading.dialect, infos),
        source=node.text("source"),
        restriction=node.text("restriction"),
        addresses=read_quoted_list(node.text("addresses")),
        codes=tuple(node.words("code")),
        note=node.text("note"),
        incidents=read_quoted_list(node.text("incidents")),
    )


def _check_scope(node: Node, scope: Scope) -> None:
    """CAP 1.2 §3.2.1: Restricted names its restriction, Private its addresses."""
    needed = {Scope.RESTRICTED: "restriction", Scope.PRIVATE: "addresses"}.get(scope)
    if needed and not node.words(needed):
        node.note("element_missing", needed)


def _info(node: Node, reading: Reading) -> Info:
    severity = coded(node, "severity", frozenset(SEVERITY_GRADE))
    info = Info(
        language=language(node, reading.options),
        event=_required(node, "event"),
        grade=SEVERITY_GRADE[severity],
        urgency=coded(node, "urgency", words.URGENCIES),
        severity=severity,
        certainty=coded(node, "certainty", words.CERTAINTIES),
        categories=_categories(node),
        response_types=_words(node, "responseType", words.RESPONSES),
        audience=node.text("audience"),
        event_codes=node.pairs("eventCode"),
        parameters=node.pairs("parameter"),
        resources=tuple(_resource(child) for child in node.nodes("resource", words.RESOURCE)),
        areas=tuple(_area(child, reading.limits) for child in node.nodes("area", words.AREA)),
    )
    info = timed_and_worded(node, info, reading)
    check_colour(node, info)
    return info


def language(node: Node, options: Options) -> str:
    """<language>, or the source's default: CAP's own default en-US is not believed of a Chinese sender."""
    written = node.code("language")
    if not written:
        node.note("language_missing", options.default_language)
    return written or options.default_language


def timed_and_worded(node: Node, info: Info, reading: Reading) -> Info:
    """The times and texts that both dialects share; checks of what an info should have."""
    head, zone = reading.head, reading.options.zone
    expires = node.time("expires", zone)
    if not node.words("expires"):
        node.note("expires_missing")
    elif head and expires is not None and expires < head.sent:
        node.note("expires_before_sent", node.words("expires")[0])
    if not info.areas and reading.speaks:
        node.note("area_missing")
    return replace(
        info,
        effective=node.time("effective", zone),
        onset=node.time("onset", zone),
        expires=expires,
        sender_name=node.text("senderName"),
        headline=node.text("headline"),
        description=node.text("description"),
        instruction=node.text("instruction"),
        web=node.text("web"),
        contact=node.text("contact"),
    )


def coded(node: Node, name: str, known: frozenset[str]) -> str:
    """A required word of a code list; `Unknown` with a warning for a missing or strange one."""
    written = _required(node, name)
    word = _meant(node, name, written, known) if written else ""
    return word or "Unknown"


def _required(node: Node, name: str) -> str:
    text = node.code(name)
    if not text:
        node.note("element_missing", name)
    return text


def _meant(node: Node, name: str, written: str, known: frozenset[str]) -> str:
    """The word of the list that was meant; "" after a warning if none."""
    if written in known:
        return written
    folded = {word.casefold(): word for word in known} | {old: new for old, new in _DEPRECATED.items() if new in known}
    meant = folded.get(written.casefold(), "")
    node.note("value_spelling" if meant else "value_unknown", written, node.all(name)[0])
    return meant


def _categories(node: Node) -> tuple[str, ...]:
    if not node.words("category"):
        node.note("element_missing", "category")
    return _words(node, "category", words.CATEGORIES, "Other") or ("Other",)


def _words(node: Node, name: str, known: frozenset[str], otherwise: str = "") -> tuple[str, ...]:
    meant = [_meant(node, name, written, known) or otherwise for written in node.words(name)]
    return tuple(dict.fromkeys(word for word in meant if word))


def _resource(node: Node) -> Resource:
    size = node.number("size")
    return Resource(
        desc=node.text("resourceDesc"),
        mime_type=node.code("mimeType"),
        size=int(size) if size is not None else None,
        uri=node.code("uri"),
        digest=node.code("digest"),
    )


def _area(node: Node, limits: Limits) -> Area:
    polygons = node.repaired("polygon", partial(read_polygon, most=limits.points_per_polygon), "polygon_empty")
    circles = node.repaired("circle", partial(read_circle, metres_per_unit=1_000), "circle_empty")
    geocodes = tuple(_geocodes(node))
    return area(node, Area(_required(node, "areaDesc"), tuple(polygons), tuple(circles), geocodes))


def _geocodes(node: Node) -> list[NameValue]:
    pairs = node.pairs("geocode")
    return [NameValue(pair.name, code) for pair in pairs for code in split_codes(pair.value)]


def area(node: Node, read: Area) -> Area:
    """Both dialects: the heights, and whether a target was meant here and could not be read."""
    targeted = bool(read.polygons or read.circles or any(code.value for code in read.geocodes))
    if node.lost_code:
        node.note("geocode_lost", read.desc)
    elif not targeted and not node.lost:
        node.note("area_without_geometry", read.desc)
    lost = node.lost_code or (node.lost and not targeted)
    return replace(read, altitude=node.number("altitude"), ceiling=node.number("ceiling"), lost=lost)


def check_colour(node: Node, info: Info) -> None:
    """A colour that contradicts severity is a finding; severity rules, so that nothing is raised or lowered silently."""
    named = [item.value for item in info.parameters if item.name.casefold() in _COLOUR_PARAMETERS]
    places = [set(_COLOUR.findall(text.casefold())) for text in named] + [
        set(_COLOUR_IN_HEADLINE.findall(info.headline))
    ]
    for colours in places:
        grades = {_COLOURS[colour] for colour in colours}
        if len(grades) == 1 and grades != {info.grade}:
            node.note("colour_contradicts_severity", f"{'/'.join(sorted(colours))} ≠ {info.severity}")
