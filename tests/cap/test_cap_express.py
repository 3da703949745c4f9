"""Alerts written anew: JSON in CAP's words, and CAP 1.2 that our own reader takes without a finding."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

from cap_messages import AREA, cap, info, national

from gateway.cap import as_cap, as_json, parse
from gateway.model.alert import Alert, NameValue, Reference

RESOURCE = (
    "<resource><resourceDesc>图</resourceDesc><mimeType>image/png</mimeType><size>12</size><uri>https://a.example/x?a=1&amp;b"
    "</uri><digest>ab</digest></resource>"
)
FULL = cap(
    info(AREA, "<parameter><valueName>n</valueName><value>a &lt; b</value></parameter>" + RESOURCE + AREA).replace(
        "</polygon>", "</polygon><circle>42.1,124.9 3.87</circle>"
    ),
    msgType="Update",
    extra="<note>a\nb</note><references>a@b,one,2026-07-22T12:30:00+08:00</references><incidents>\"x y\" z</incidents>",
)  # fmt: skip


def alert_of(text: str | bytes) -> Alert:
    parsed = parse(text if isinstance(text, bytes) else text.encode())
    assert parsed.alert is not None, parsed.findings
    return parsed.alert


def test_cap_comes_back_as_it_was() -> None:
    alert = alert_of(
        FULL.replace("</geocode></area>", "</geocode><altitude>10.5</altitude><ceiling>2000</ceiling></area>")
    )
    written = as_cap(alert, zone=ZoneInfo("Asia/Shanghai"))
    assert b"<sent>2026-07-22T14:30:00+08:00</sent>" in written
    assert parse(written).findings == ()
    assert alert_of(written) == alert


def test_utc_is_written_as_cap_wants_it() -> None:
    assert b"<sent>2026-07-22T06:30:00-00:00</sent>" in as_cap(alert_of(cap()))


def test_the_national_dialect_becomes_valid_cap() -> None:
    text = national(
        msgType="Update", references="21040041600000_20260722120000", area="<areaDesc/><circle>42.1,124.9 500</circle>"
    )
    alert = alert_of(text)
    written = as_cap(alert, events={"11B03": "暴雨"})
    parsed = parse(written)
    assert {finding.code for finding in parsed.findings} == {"update_without_references", "element_missing"}
    assert parsed.alert is not None
    only = parsed.alert.infos[0]
    assert (only.event, only.severity, only.categories) == ("暴雨", "Severe", ("Other",))
    assert only.event_codes == (NameValue("CN-12379", "11B03"),)
    assert only.areas[0].circles[0].radius == 500


def test_a_completed_reference_is_written() -> None:
    alert = replace(alert_of(national()), references=(Reference("s", "i", 0), Reference("s", "j", None)))
    assert b"<references>s,i,1970-01-01T00:00:00-00:00</references>" in as_cap(alert)


def test_small_numbers_have_no_exponent() -> None:
    text = cap(info("41.9,124.9 41.9,125.1 42.1,125.1 41.9,124.9", "0.00001,-0.00002 0,1 1,1 0.00001,-0.00002"))
    assert b"<polygon>0.00001,-0.00002 0,1 1,1 0.00001,-0.00002</polygon>" in as_cap(alert_of(text))


def test_json_speaks_cap() -> None:
    shown = as_json(alert_of(FULL))
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["sent"], shown["msgType"], shown["grade"]) == ("2026-07-22T06:30:00.000Z", "Update", "orange")
    assert shown["references"] == [{"sender": "a@b", "identifier": "one", "sent": "2026-07-22T04:30:00.000Z"}]
    only = shown["info"][0]
    assert (only["expires"], only["onset"]) == ("2026-07-23T06:30:00.000Z", None)
    assert only["parameter"] == [{"valueName": "n", "value": "a < b"}]
    assert only["resource"][0]["uri"] == "https://a.example/x?a=1&b"
    assert only["area"][0]["circle"] == [{"lat": 42.1, "lon": 124.9, "radius": 3870.0}]
    assert only["area"][0]["polygon"][0][0] == [41.9, 124.9]


def test_json_shows_methods() -> None:
    assert as_json(alert_of(national()))["methods"][0] == {
        "name": "SPEAKER",
        "message": "请立即转移",
        "groups": ["G01", "G02", "G03"],
        "targets": [],
    }
