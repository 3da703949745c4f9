"""The national dialect (国突 12379 and GB/T 35965): namespace `http://com.icss.amp`, any root, colours for severities.

`parse` calls `read`. Elements and rules: docs/cap.md. The colour becomes grade and CAP severity and is kept as the
parameter `colour`; eventType becomes the event code `CN-12379`; radii are metres already.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lxml import etree

from gateway.cap import oasis, words
from gateway.cap.fields import read_circle, read_list, read_polygon
from gateway.cap.head import Reading
from gateway.cap.options import Limits
from gateway.cap.scan import NATIONAL
from gateway.cap.tree import Node
from gateway.model.alert import (
    GRADE_SEVERITY,
    SEVERITY_GRADE,
    Alert,
    Area,
    Grade,
    Info,
    Method,
    NameValue,
    Resource,
    Scope,
)

EVENT_CODE, GEOCODE, COLOUR = "CN-12379", "CN-GB2260", "colour"

_COLOURS = {"红": "Red", "橙": "Orange", "黄": "Yellow", "蓝": "Blue"}


def read(root: etree._Element, reading: Reading) -> Alert | None:
    """The alert; None if its head refused it (its infos are then read for their findings alone)."""
    node = Node(root, NATIONAL, words.NATIONAL_ALERT, reading.notes, lenient=True)
    infos = tuple(_info(child, reading) for child in node.nodes("info", words.NATIONAL_INFO))
    methods = tuple(_methods(node))
    if not infos and reading.speaks:
        node.note("info_missing")
    if reading.head is None:
        return None
    alert = replace(
        reading.head.alert(reading.dialect, infos), source=node.text("sender"), note=node.text("note"), methods=methods
    )
    return _classified(node, alert)


def _classified(node: Node, alert: Alert) -> Alert:
    """secClassification Inner: what is marked internal never becomes public by our doing."""
    if node.code("secClassification").casefold() != "inner":
        return alert
    node.note("classified_inner")
    scope = Scope.RESTRICTED if alert.scope is Scope.PUBLIC else alert.scope
    return replace(alert, scope=scope, restriction="Inner")


def _methods(node: Node) -> list[Method]:
    codes = node.nodes("code", words.NATIONAL_CODE)
    return [_method(method) for code in codes for method in code.nodes("method", words.NATIONAL_METHOD)]


def _method(node: Node) -> Method:
    return Method(
        name=node.code("methodName").upper(),
        message=node.text("message"),
        groups=read_list(node.text("audienceGrp")),
        targets=read_list(node.text("audiencePrt")),
    )


def _info(node: Node, reading: Reading) -> Info:
    colour = node.code("severity")
    grade = _grade(node, colour)
    event = node.code("eventType")
    if not event:
        node.note("element_missing", "eventType")
    info = Info(
        language=oasis.language(node, reading.options),
        event=event,
        grade=grade,
        urgency=oasis.coded(node, "urgency", words.URGENCIES),
        severity=GRADE_SEVERITY[grade],
        certainty=oasis.coded(node, "certainty", words.CERTAINTIES),
        event_codes=(NameValue(EVENT_CODE, event),) if event else (),
        parameters=(NameValue(COLOUR, colour),) if colour else (),
        resources=tuple(_resource(child) for child in node.nodes("resource", words.NATIONAL_RESOURCE)),
        areas=tuple(_area(child, reading.limits) for child in node.nodes("area", words.NATIONAL_AREA)),
    )
    info = oasis.timed_and_worded(node, info, reading)
    oasis.check_colour(node, info)
    return info


def _grade(node: Node, written: str) -> Grade:
    """Red, Orange, Yellow, Blue or Unknown; the Chinese word or a CAP severity is understood with a warning."""
    if not written:
        node.note("element_missing", "severity")
        return Grade.UNKNOWN
    word = _COLOURS.get(written[0], written).capitalize()
    grade = SEVERITY_GRADE.get(word) or next((g for g in Grade if g.name.capitalize() == word), None)
    if grade is None:
        node.note("value_unknown", written, node.all("severity")[0])
    elif written != grade.name.capitalize():
        node.note("value_spelling", written, node.all("severity")[0])
    return grade or Grade.UNKNOWN


def _resource(node: Node) -> Resource:
    size = node.number("size")
    return Resource(node.text("resourceDesc"), size=int(size) if size is not None else None, digest=node.code("digest"))


def _area(node: Node, limits: Limits) -> Area:
    """Empty polygon and circle are usual here. Open polygons (lines) are closed."""
    polygons = node.repaired("polygon", partial(read_polygon, most=limits.points_per_polygon, swap=True), "")
    circles = node.repaired("circle", partial(read_circle, metres_per_unit=1, swap=True), "")
    codes = [code for text in node.words("geocode") for code in read_list(text)]
    desc = node.text("areaDesc")
    if not desc:
        node.note("element_missing", "areaDesc")
    geocodes = tuple(NameValue(GEOCODE, code) for code in dict.fromkeys(codes))
    return oasis.area(node, Area(desc, tuple(polygons), tuple(circles), geocodes))
