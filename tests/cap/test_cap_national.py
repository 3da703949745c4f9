"""The national dialect: how each of its elements becomes part of the alert."""

from typing import Any

import pytest
from cap_messages import national

from gateway.cap import parse
from gateway.model.alert import Alert, Grade, Method, MsgType, NameValue, Reference, Scope, Status
from gateway.model.time import rfc3339


def read(**texts: Any) -> tuple[Alert, set[str]]:
    return read_text(national(**texts))


def read_text(text: str) -> tuple[Alert, set[str]]:
    parsed = parse(text.encode())
    assert parsed.alert is not None, parsed.findings
    return parsed.alert, {finding.code for finding in parsed.findings}


def test_a_usual_message_is_read_whole_and_without_a_finding() -> None:
    alert, codes = read()
    assert codes == set()
    assert (alert.dialect, alert.identifier, alert.sender) == (
        "cn-12379",
        "21040041600000_20260722143000",
        "21040041600000",
    )
    assert (alert.source, alert.status, alert.scope) == ("抚顺市气象局", Status.ACTUAL, Scope.PUBLIC)
    assert rfc3339(alert.sent) == "2026-07-22T06:30:00.000Z"
    assert alert.sent_text == "2026-07-22 14:30:00+08:00"
    only = alert.infos[0]
    assert (only.event, only.event_codes) == ("11B03", (NameValue("CN-12379", "11B03"),))
    assert (only.grade, only.severity, only.parameters) == (Grade.ORANGE, "Severe", (NameValue("colour", "Orange"),))
    assert (only.sender_name, only.onset, only.expires) == ("值班员", None, alert.sent + 86_400_000)
    assert only.areas[0].geocodes == (NameValue("CN-GB2260", "210423"),)


def test_methods_name_ways_groups_and_own_words() -> None:
    assert read()[0].methods == (
        Method("SPEAKER", "请立即转移", ("G01", "G02", "G03"), ()),
        Method("SMS", "", (), ()),
    )


def test_a_serial_marks_the_other_standard() -> None:
    parsed = parse(national(identifier="21040041600000_20260722143000_1").encode())
    assert (parsed.dialect, parsed.alert and parsed.alert.dialect) == ("gbt-35965", "gbt-35965")


@pytest.mark.parametrize("root", ["alert", "test", "actual", "Alert"])
def test_any_root_will_do(root: str) -> None:
    assert read_text(national(root=root))[0].identifier == "21040041600000_20260722143000"


@pytest.mark.parametrize(
    ("written", "grade", "severity", "codes"),
    [
        ("Red", Grade.RED, "Extreme", set()),
        ("Yellow", Grade.YELLOW, "Moderate", set()),
        ("Blue", Grade.BLUE, "Minor", set()),
        ("Unknown", Grade.UNKNOWN, "Unknown", set()),
        ("RED", Grade.RED, "Extreme", {"value_spelling"}),
        ("红色", Grade.RED, "Extreme", {"value_spelling"}),
        ("Severe", Grade.ORANGE, "Severe", {"value_spelling"}),
        ("White", Grade.UNKNOWN, "Unknown", {"value_unknown"}),
        ("", Grade.UNKNOWN, "Unknown", {"element_missing"}),
    ],
)
def test_colours(written: str, grade: Grade, severity: str, codes: set[str]) -> None:
    alert, found = read(severity=written, headline="抚顺市气象局发布暴雨预警")
    assert (alert.infos[0].grade, alert.infos[0].severity, found) == (grade, severity, codes)


@pytest.mark.parametrize("written", ["Cancle", "cancel", "CANCEL"])
def test_the_kind_of_message_is_read_leniently_and_noted(written: str) -> None:
    alert, codes = read(msgType=written, references="21040041600000_20260722120000")
    assert (alert.msg_type, codes) == (MsgType.CANCEL, {"msg_type_spelling"})


def test_references_are_identifiers_of_the_same_sender() -> None:
    alert, _ = read(msgType="Update", references=" 21040041600000_20260722120000，21040041600000_20260722130000\n")
    assert alert.references == (
        Reference("21040041600000", "21040041600000_20260722120000", None),
        Reference("21040041600000", "21040041600000_20260722130000", None),
    )


def test_a_triple_in_the_manner_of_cap_is_understood() -> None:
    alert, _ = read(msgType="Update", references="s,i,2026-07-22T12:00:00+08:00")
    assert [(one.sender, one.identifier, rfc3339(one.sent or 0)) for one in alert.references] == [
        ("s", "i", "2026-07-22T04:00:00.000Z")
    ]


def test_geocodes_with_commas_of_either_width() -> None:
    alert, _ = read(area="<areaDesc>两县</areaDesc><geocode>210423001004， 210422,210423001004</geocode>")
    assert [code.value for code in alert.infos[0].areas[0].geocodes] == ["210423001004", "210422"]


def test_a_radius_is_in_metres_already() -> None:
    alert, codes = read(area="<areaDesc>库区</areaDesc><circle>42.1,124.9 500</circle><geocode/>")
    assert (alert.infos[0].areas[0].circles[0].radius, codes) == (500.0, set())


def test_longitude_first_is_swapped_only_where_nothing_else_is_possible() -> None:
    swapped, codes = read(area="<areaDesc>a</areaDesc><polygon>124.9,41.9 125.1,41.9 125.1,42.1 124.9,41.9</polygon>")
    assert swapped.infos[0].areas[0].polygons[0][0] == (41.9, 124.9)
    assert codes == {"axis_swapped"}
    circle, _ = read(area="<areaDesc>a</areaDesc><circle>124.9,41.9 500</circle>")
    assert circle.infos[0].areas[0].circles[0].lat == 41.9


def test_empty_shapes_are_usual_but_an_empty_target_is_not() -> None:
    alert, codes = read(area="<areaDesc>清原</areaDesc><polygon/><circle/><geocode/>")
    assert (alert.infos[0].areas[0].lost, codes) == (False, {"area_without_geometry"})


def test_a_missing_sender_code_is_replaced_by_the_agencys_name() -> None:
    alert, codes = read(senderCode="")
    assert (alert.sender, codes) == ("抚顺市气象局", {"sender_code_missing"})


def test_what_is_marked_internal_is_not_public() -> None:
    alert, codes = read(secClassification="Inner")
    assert (alert.scope, alert.restriction, codes) == (Scope.RESTRICTED, "Inner", {"classified_inner"})


def test_unknown_event_codes_are_accepted() -> None:
    assert read(eventType="11Z99")[0].infos[0].event == "11Z99"


def test_children_without_a_namespace_count() -> None:
    text = national().replace("<identifier>", '<identifier xmlns="">').replace("<geocode>", '<geocode xmlns="">')
    alert, codes = read_text(text)
    assert (alert.infos[0].areas[0].geocodes[0].value, codes) == ("210423", set())


def test_header_shows_the_identity_as_written() -> None:
    header = parse(national().encode()).header
    assert (header["sender"], header["sent"]) == ("21040041600000", "2026-07-22 14:30:00+08:00")
