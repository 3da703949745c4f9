"""Every deviation of real issuers that the policy names is accepted, repaired as promised, and said."""

import pytest
from cap_messages import AREA, CAP_11, GEOCODE, INFO, RING, area, cap, info

from gateway.cap import Options, parse
from gateway.model.alert import Alert, Area, Grade, MsgType, Reference, Scope, Weight
from gateway.model.time import rfc3339


def read(text: str, **options: str) -> tuple[Alert, dict[str, Weight]]:
    parsed = parse(text.encode(), options=Options(**options))  # type: ignore[arg-type]
    assert parsed.alert is not None, parsed.findings
    return parsed.alert, {finding.code: finding.level for finding in parsed.findings}


def read_area(inside: str) -> tuple[Area, set[str]]:
    alert, codes = read(area(inside))
    return alert.infos[0].areas[0], set(codes)


def test_a_faultless_message_is_read_whole_and_without_a_finding() -> None:
    alert, codes = read(cap())
    assert codes == {}
    assert (alert.identifier, alert.sender, rfc3339(alert.sent)) == (
        "FS-20260722-1",
        "fushun@met.example",
        "2026-07-22T06:30:00.000Z",
    )
    assert (alert.dialect, alert.msg_type, alert.scope, alert.grade) == (
        "cap-1.2",
        MsgType.ALERT,
        Scope.PUBLIC,
        Grade.ORANGE,
    )
    only = alert.infos[0]
    assert (only.language, only.categories, only.event) == ("zh-CN", ("Met",), "暴雨")
    assert (only.headline, only.instruction) == ("抚顺市气象台发布暴雨橙色预警", "请勿涉水。")
    assert only.areas[0].polygons[0] == ((41.9, 124.9), (41.9, 125.1), (42.1, 125.1), (41.9, 124.9))
    assert [(code.name, code.value) for code in only.areas[0].geocodes] == [("CN-GB2260", "210423")]


def test_cap_11_is_read_like_12() -> None:
    alert, codes = read(cap(ns=CAP_11))
    assert alert.dialect == "cap-1.1"
    assert codes == {}


def test_info_without_language_takes_the_sources_default_not_en_us() -> None:
    text = cap(info("<language>zh-CN</language>"))
    assert read(text)[0].infos[0].language == "zh-CN"
    alert, codes = read(text, default_language="mn-CN")
    assert alert.infos[0].language == "mn-CN"
    assert codes == {"language_missing": Weight.INFO}


def test_empty_values_are_kept() -> None:
    pair = "<valueName>glide</valueName><value/>"
    alert, codes = read(cap(info(AREA, f"<parameter>{pair}</parameter>{AREA}")))
    assert [(item.name, item.value) for item in alert.infos[0].parameters] == [("glide", "")]
    assert codes == {"value_empty": Weight.INFO}


def test_no_expires_is_legal_and_said() -> None:
    alert, codes = read(cap(info("<expires>2026-07-23T14:30:00+08:00</expires>")))
    assert alert.infos[0].expires is None
    assert codes == {"expires_missing": Weight.INFO}


def test_a_circle_of_radius_zero_is_a_point() -> None:
    read_one, codes = read_area("<circle>42.1,124.9 0</circle>")
    assert [(circle.lat, circle.lon, circle.radius) for circle in read_one.circles] == [(42.1, 124.9, 0.0)]
    assert codes == set()


def test_a_circles_radius_becomes_metres() -> None:
    assert read_area("<circle> 42.1,124.9\n3.87 </circle>")[0].circles[0].radius == 3870.0


@pytest.mark.parametrize("offset", ["+00:00", "-00:00"])
def test_utc_in_either_spelling(offset: str) -> None:
    alert, codes = read(cap(sent=f"2026-07-22T06:30:00{offset}"))
    assert rfc3339(alert.sent) == "2026-07-22T06:30:00.000Z"
    assert codes == {}


def test_empty_optional_elements_count_as_absent() -> None:
    empty = "<note/><references/><incidents> </incidents>"
    alert, codes = read(cap(info("请勿涉水。"), extra=empty))
    assert (alert.note, alert.references, alert.incidents, alert.infos[0].instruction) == ("", (), (), "")
    assert codes == {}


def test_any_white_space_parts_the_points_of_a_polygon() -> None:
    read_one, codes = read_area("<polygon>\n 41.9,124.9\t41.9,125.1\r\n\r\n 42.1,125.1   41.9,124.9 </polygon>")
    assert len(read_one.polygons[0]) == 4
    assert codes == set()


def test_elements_out_of_sequence_are_read_with_a_warning() -> None:
    text = cap(
        info("<language>zh-CN</language><category>Met</category>", "<category>Met</category><language>en</language>")
    )
    alert, codes = read(text)
    assert (alert.infos[0].language, alert.infos[0].categories) == ("en", ("Met",))
    assert codes == {"element_out_of_sequence": Weight.WARNING}


def test_an_area_with_only_a_name_waits_for_a_person() -> None:
    read_one, codes = read_area("")
    assert (read_one.desc, read_one.lost) == ("清原", False)
    assert codes == {"area_without_geometry"}


@pytest.mark.parametrize(("kind", "codes"), [("Alert", set()), ("Update", {"update_without_references"})])
def test_empty_references(kind: str, codes: set[str]) -> None:
    assert set(read(cap(msgType=kind, extra="<references/>"))[1]) == codes


def test_time_without_zone_is_read_in_the_sources_zone() -> None:
    alert, codes = read(cap(sent="2026-07-22T14:30:00"), zone="Asia/Shanghai")
    assert rfc3339(alert.sent) == "2026-07-22T06:30:00.000Z"
    assert codes == {"time_zone_assumed": Weight.WARNING}


@pytest.mark.parametrize(
    ("sent", "code", "at"),
    [
        ("2026-07-22T06:30:00Z", "time_z", "2026-07-22T06:30:00.000Z"),
        ("2026-07-22T14:30:00.250+08:00", "time_fraction", "2026-07-22T06:30:00.250Z"),
        ("2026-07-21T24:00:00+08:00", "time_unusual", "2026-07-21T16:00:00.000Z"),
        ("2026-06-30T23:59:60-00:00", "time_unusual", "2026-07-01T00:00:00.000Z"),
    ],
)
def test_times_that_are_forbidden_but_clear(sent: str, code: str, at: str) -> None:
    alert, codes = read(cap(sent=sent))
    assert (rfc3339(alert.sent), codes) == (at, {code: Weight.WARNING})


def test_an_unreadable_expires_counts_as_absent() -> None:
    alert, codes = read(cap(info("2026-07-23T14:30:00+08:00", "tomorrow")))
    assert alert.infos[0].expires is None
    assert codes == {"time_unreadable": Weight.WARNING}


@pytest.mark.parametrize(
    ("element", "field", "value"),
    [
        ("<category>Met</category>", "categories", ("Other",)),
        ("<certainty>Likely</certainty>", "certainty", "Unknown"),
        ("<severity>Severe</severity>", "severity", "Unknown"),
        ("<urgency>Immediate</urgency>", "urgency", "Unknown"),
        ("<event>暴雨</event>", "event", ""),
    ],
)
def test_required_info_elements_get_a_default(element: str, field: str, value: object) -> None:
    alert, codes = read(cap(info(element)))
    assert getattr(alert.infos[0], field) == value
    assert codes["element_missing"] is Weight.WARNING


@pytest.mark.parametrize(("written", "code"), [("severe", "value_spelling"), ("Terrible", "value_unknown")])
def test_words_outside_the_code_list(written: str, code: str) -> None:
    alert, codes = read(cap(info(">Severe<", f">{written}<").replace("橙色", "")))
    assert alert.grade is (Grade.ORANGE if code == "value_spelling" else Grade.UNKNOWN)
    assert codes == {code: Weight.WARNING}


def test_very_likely_is_cap_10s_likely() -> None:
    assert read(cap(info(">Likely<", ">Very Likely<")))[0].infos[0].certainty == "Likely"


def test_a_misnamed_geocode_means_a_lost_region() -> None:
    misnamed = GEOCODE.replace("geocode>", "geoCode>")
    read_one, codes = read_area(misnamed)
    assert (read_one.geocodes, read_one.lost) == ((), True)
    assert codes == {"element_misnamed", "geocode_lost"}
    assert read_area(f"<polygon>{RING}</polygon>{misnamed}")[0].lost


@pytest.mark.parametrize("name", ["Polygon", "Point"])
def test_misnamed_shapes_are_lost_only_if_nothing_else_is_left(name: str) -> None:
    assert read_area(f"<{name}>{RING}</{name}>")[0].lost
    read_one, codes = read_area(f"<{name}>{RING}</{name}>{GEOCODE}")
    assert not read_one.lost
    assert codes == {"element_misnamed"}


def test_an_empty_polygon_is_dropped() -> None:
    read_one, codes = read_area(f"<polygon> </polygon>{GEOCODE}")
    assert (read_one.polygons, read_one.lost) == ((), False)
    assert codes == {"polygon_empty"}
    assert read_area("<polygon/>")[0].lost


def test_an_open_polygon_is_closed() -> None:
    read_one, codes = read_area("<polygon>41.9,124.9 41.9,125.1 42.1,125.1</polygon>")
    assert read_one.polygons[0][0] == read_one.polygons[0][-1] == (41.9, 124.9)
    assert codes == {"polygon_not_closed"}


@pytest.mark.parametrize("points", ["41.9,124.9 41.9,125.1", "41.9,124.9 41.9,125.1 41.9,124.9 41.9,125.1"])
def test_fewer_than_three_different_points_are_no_polygon(points: str) -> None:
    read_one, codes = read_area(f"<polygon>{points}</polygon>")
    assert (read_one.polygons, read_one.lost) == ((), True)
    assert codes == {"polygon_too_few_points"}


@pytest.mark.parametrize(
    "bad",
    ["nan,124.9", "inf,1", "4_1.8,123.9", "４１.8,123.9", "1e999,2", "91,124.9", "41.8", "41.8,123.9,5", "1,-361"],
)
def test_bad_pairs_are_skipped_one_by_one(bad: str) -> None:
    read_one, codes = read_area(f"<polygon>41.9,124.9 {bad} 41.9,125.1 42.1,125.1 41.9,124.9</polygon>")
    assert read_one.polygons == (((41.9, 124.9), (41.9, 125.1), (42.1, 125.1), (41.9, 124.9)),)
    assert "point_unreadable" in codes


def test_pairs_never_shift_when_commas_and_spaces_only_add_up() -> None:
    read_one, codes = read_area("<polygon>1,2,3 4 41.9,124.9 41.9,125.1 42.1,125.1 41.9,124.9</polygon>")
    assert read_one.polygons == (((41.9, 124.9), (41.9, 125.1), (42.1, 125.1), (41.9, 124.9)),)
    assert codes == {"point_unreadable"}


@pytest.mark.parametrize(
    "points",
    ["(41.9,124.9) (41.9,125.1) (42.1,125.1) (41.9,124.9)", "41.9, 124.9 41.9 ,125.1 42.1，125.1 41.9,124.9"],
)
def test_stray_punctuation_among_points_is_tidied(points: str) -> None:
    read_one, codes = read_area(f"<polygon>{points}</polygon>")
    assert len(read_one.polygons[0]) == 4
    assert codes == {"polygon_punctuation"}


def test_longitudes_past_180_are_normalised() -> None:
    read_one, codes = read_area("<polygon>41,179 41,181 42,181 41,179</polygon>")
    assert read_one.polygons[0][1] == (41.0, -179.0)
    assert codes == {"longitude_normalised"}


@pytest.mark.parametrize("circle", ["42.1,124.9", "42.1,124.9 -1", "95,124 3", "42.1,124.9 nan", "42.1 124.9 3 4"])
def test_unreadable_circles_are_lost(circle: str) -> None:
    read_one, codes = read_area(f"<circle>{circle}</circle>")
    assert (read_one.circles, read_one.lost) == ((), True)
    assert codes == {"circle_unreadable"}


def test_a_reference_of_two_parts_is_matched_without_its_time() -> None:
    alert, codes = read(cap(msgType="Cancel", extra="<references>a@b,one</references>"))
    assert alert.references == (Reference("a@b", "one", None),)
    assert codes == {"reference_without_time": Weight.WARNING}


def test_references_hold_many_triples_and_compare_as_instants() -> None:
    many = " ".join(f"a@b,n{n},2026-07-22T0{n}:00:00-00:00" for n in range(9))
    alert, codes = read(
        cap(msgType="Update", extra=f"<references>\n{many} a@b,n8,2026-07-22T16:00:00+08:00</references>")
    )
    assert [reference.identifier for reference in alert.references] == [f"n{n}" for n in range(9)]
    assert codes == {}


def test_bom_comments_instructions_and_prefixes_are_nothing_special() -> None:
    text = cap().replace("<info>", "<!-- c --><info>").replace("<alert ", '<?xml-stylesheet href="a.xsl"?><alert ')
    prefixed = text.replace("</", "</c:").replace("<", "<c:").replace("<c:/c:", "</c:")
    prefixed = prefixed.replace("<c:?", "<?").replace("<c:!", "<!").replace("xmlns=", "xmlns:c=")
    parsed = parse(b"\xef\xbb\xbf" + prefixed.encode())
    assert parsed.findings == ()
    assert parsed.fingerprint == parse(cap().encode()).fingerprint


def test_a_signature_may_stand_anywhere() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo/></Signature>'
    for text in (cap(extra=signature), cap(INFO + signature)):
        assert read(text)[1] == {}


def test_split_text_is_read_whole() -> None:
    split = "预计<!-- x -->今夜<?y z?>有<![CDATA[大]]>暴&#x96E8;。"
    alert, codes = read(cap(info("预计今夜有大暴雨。", split)))
    assert alert.infos[0].description == "预计今夜有大暴雨。"
    assert codes == {}


def test_split_codes_and_head_are_read_whole() -> None:
    text = area(GEOCODE.replace("210423", "21<!-- -->04<?p?>23"))
    alert, codes = read(text.replace("FS-20260722-1", "FS-<!--x-->2026<![CDATA[0722]]>-1"))
    assert alert.identifier == "FS-20260722-1"
    assert alert.infos[0].areas[0].geocodes[0].value == "210423"
    assert codes == {}


def test_markup_in_a_text_keeps_its_words() -> None:
    alert, codes = read(cap(info("请勿涉水。", "请<b>勿</b>涉水。")))
    assert alert.infos[0].instruction == "请勿涉水。"
    assert codes == {"markup_in_text": Weight.WARNING}


def test_two_instructions_are_both_kept() -> None:
    alert, codes = read(cap(info("<instruction>", "<instruction>先断电。</instruction><instruction>")))
    assert alert.infos[0].instruction == "先断电。\n请勿涉水。"
    assert codes == {"element_repeated": Weight.WARNING}


def test_codes_in_one_geocode_are_parted() -> None:
    read_one, _ = read_area(GEOCODE.replace("210423", "210423，210422, 210106"))
    assert [code.value for code in read_one.geocodes] == ["210423", "210422", "210106"]


def test_several_infos_of_one_language_keep_their_own_areas() -> None:
    second = INFO.replace("210423", "210422")
    alert, _ = read(cap(INFO + second))
    assert [one.areas[0].geocodes[0].value for one in alert.infos] == ["210423", "210422"]


def test_children_of_another_namespace_are_not_believed() -> None:
    foreign = GEOCODE.replace("<geocode>", f'<geocode xmlns="{CAP_11}">')
    read_one, codes = read_area(foreign)
    assert (read_one.geocodes, read_one.lost) == ((), True)
    assert codes == {"element_foreign", "geocode_lost"}


def test_extensions_are_passed_over() -> None:
    _, codes = read(cap(extra='<x:incidentId xmlns:x="urn:x">7</x:incidentId>'))
    assert codes == {"element_extension": Weight.INFO}


@pytest.mark.parametrize("name", ["colour", "Color", "颜色", "awareness_level"])
@pytest.mark.parametrize("value", ["红色", "4; Red; Extreme"])
def test_a_colour_never_overrides_severity_silently(name: str, value: str) -> None:
    pair = f"<parameter><valueName>{name}</valueName><value>{value}</value></parameter>"
    alert, codes = read(cap(info(AREA, pair + AREA)))
    assert alert.grade is Grade.ORANGE
    assert codes == {"colour_contradicts_severity": Weight.WARNING}


def test_a_headline_of_another_colour_is_noted() -> None:
    assert "colour_contradicts_severity" in read(cap(info("暴雨橙色预警", "暴雨红色预警")))[1]
    assert read(cap(info("暴雨橙色预警", "暴雨黄色预警升级为橙色预警")))[1] == {}


def test_restricted_without_restriction() -> None:
    assert read(cap(scope="Restricted"))[1] == {"element_missing": Weight.WARNING}
    assert read(cap(scope="Restricted", extra="<restriction>x</restriction>"))[1] == {}


def test_private_addresses_may_be_quoted() -> None:
    alert, _ = read(cap(scope="Private", extra='<addresses>a@b "North Post" c</addresses>'))
    assert alert.addresses == ("a@b", "North Post", "c")


def test_findings_point_at_the_place() -> None:
    parsed = parse(
        cap(INFO + INFO.replace("125.1</polygon>", "").replace("42.1,125.1 41.9,124.9", "42.1,125.1")).encode()
    )
    (finding,) = parsed.findings
    assert (finding.code, finding.xpath, finding.line) == ("polygon_not_closed", "/alert/info[2]/area/polygon", 2)
    assert finding.message.startswith("多边形未闭合")


def test_an_alert_without_info_is_kept_with_a_warning() -> None:
    assert set(read(cap(""))[1]) == {"info_missing"}
    assert read(cap("", msgType="Cancel", extra="<references>a,b,2026-07-22T14:30:00+08:00</references>"))[1] == {}


def test_an_expiry_before_sending_is_noted() -> None:
    assert set(read(cap(info("2026-07-23T14", "2026-07-21T14")))[1]) == {"expires_before_sent"}


def test_findings_of_a_flood_of_faults_are_cut() -> None:
    parsed = parse(cap(extra="<x/>" * 5_000).encode())
    assert parsed.alert is not None
    assert len(parsed.findings) == 201
    assert parsed.findings[-1].code == "findings_cut"
