"""What is refused, with which code and status, and what is still known of the message then."""

from typing import Any

import pytest
from cap_messages import AMP, HEAD, INFO, cap, national

from gateway.cap import CODES, Limits, http_status, parse
from gateway.model.alert import Weight


def without(name: str) -> bytes:
    head: dict[str, Any] = {name: None}
    return cap(**head).encode()


@pytest.mark.parametrize(
    ("raw", "codes"),
    [
        pytest.param(b"", {"empty_body"}, id="empty"),
        pytest.param(b" \n\t", {"empty_body"}, id="blank"),
        pytest.param(b"{}", {"not_well_formed"}, id="json"),
        pytest.param(cap().encode()[:-3], {"not_well_formed"}, id="truncated"),
        pytest.param(cap().encode() + b"x", {"not_well_formed"}, id="trailing garbage"),
        pytest.param((cap() + cap()[39:]).encode(), {"not_well_formed"}, id="two roots"),
        pytest.param(cap(INFO.replace("暴雨</event>", "&nbsp;</event>")).encode(), {"not_well_formed"}, id="entity"),
        pytest.param(cap(extra="<note>\x00</note>").encode(), {"not_well_formed"}, id="NUL"),
        pytest.param(cap(extra="<note>\x07</note>").encode(), {"not_well_formed"}, id="control"),
        pytest.param(cap(extra="<note>&#7;</note>").encode(), {"not_well_formed"}, id="control reference"),
        pytest.param(cap(extra="<note>&#xD800;</note>").encode(), {"not_well_formed"}, id="surrogate reference"),
        pytest.param(cap(extra="<x:note>a</x:note>").encode(), {"not_well_formed"}, id="unbound prefix"),
        pytest.param(cap(extra='<note a="1" a="2"/>').encode(), {"not_well_formed"}, id="attribute twice"),
        pytest.param(b"\n" + cap().encode(), {"not_well_formed"}, id="space before declaration"),
        pytest.param(b"<!DOCTYPE alert>" + cap()[39:].encode(), {"doctype_forbidden"}, id="doctype"),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + cap(extra="<note>&x;</note>")[39:].encode(),
            {"doctype_forbidden"},
            id="external entity",
        ),
        pytest.param(cap(ns="urn:oasis:names:tc:emergency:cap:1.0").encode(), {"namespace_unknown"}, id="cap 1.0"),
        pytest.param(
            cap().replace(f' xmlns="{"urn:oasis:names:tc:emergency:cap:1.2"}"', "").encode(), {"namespace_unknown"}
        ),
        pytest.param(cap(root="feed").encode(), {"root_unknown"}, id="root"),
        *(pytest.param(without(name), {"required_missing"}, id=f"no {name}") for name in HEAD),
        *(pytest.param(cap(**{name: " "}).encode(), {"required_missing"}, id=f"blank {name}") for name in HEAD),
        *(
            pytest.param(cap(extra=f"<{name}>other</{name}>").encode(), {"required_conflicting"}, id=f"two {name}")
            for name in HEAD
        ),
        pytest.param(cap(status="actual").encode(), {"code_unknown"}, id="status"),
        pytest.param(cap(msgType="Cancle").encode(), {"code_unknown"}, id="msgType is strict in CAP"),
        pytest.param(cap(scope="Everyone").encode(), {"code_unknown"}, id="scope"),
        pytest.param(cap(identifier="a,b").encode(), {"comma_forbidden"}, id="comma in identifier"),
        pytest.param(cap(sender="a,b").encode(), {"comma_forbidden"}, id="comma in sender"),
        *(
            pytest.param(cap(sent=sent).encode(), {"sent_unreadable"}, id=f"sent {sent}")
            for sent in (
                "2026-07-22T14:30:00",
                "2026-07-22 14:30:00+08:00",
                "2026-02-30T14:30:00+08:00",
                "2026-07-22T25:00:00+08:00",
                "2026-07-22T14:30:00+15:00",
                "2026-07-22T14:30:00+08:60",
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-14:00",
                "２０２６-07-22T14:30:00+08:00",
                "22 July",
            )
        ),
        pytest.param(cap(msgType="Cancel").encode(), {"cancel_without_references"}, id="cancel"),
        pytest.param(
            cap(msgType="Cancel", extra="<references>what?</references>").encode(),
            {"cancel_without_references"},
            id="cancel of something unreadable",
        ),
        pytest.param(cap(identifier="i" * 257).encode(), {"identifier_too_long"}, id="identifier"),
        pytest.param(cap(sender="s" * 257).encode(), {"sender_too_long"}, id="sender"),
        pytest.param(
            cap(status="x", scope="y", identifier=None).encode(), {"code_unknown", "required_missing"}, id="all"
        ),
        pytest.param(national(ns=AMP + "/").encode(), {"namespace_unknown"}, id="national namespace with a slash"),
        pytest.param(national(msgType="Alarm").encode(), {"code_unknown"}, id="national msgType"),
        pytest.param(national(msgType="Cancel").encode(), {"cancel_without_references"}, id="national cancel"),
        pytest.param(national(sender=None, senderCode=None).encode(), {"required_missing"}, id="national sender"),
    ],
)
def test_refused(raw: bytes, codes: set[str]) -> None:
    parsed = parse(raw)
    assert parsed.alert is None
    assert {finding.code for finding in parsed.errors} == codes
    assert http_status(parsed.findings) == min(CODES[code].status for code in codes)
    assert parsed.fingerprint == ""


def test_statuses_of_the_contract() -> None:
    expected = {"not_well_formed": 400, "undecodable": 400, "doctype_forbidden": 400, "body_too_large": 413}
    expected |= {"too_deep": 413, "sent_unreadable": 422, "namespace_unknown": 422, "cancel_without_references": 422}
    assert {code: CODES[code].status for code in expected} == expected
    assert all(bool(code.status) == (code.level is Weight.ERROR) for code in CODES.values())


def test_a_broken_message_still_says_who_sent_it() -> None:
    parsed = parse(cap().encode()[:-20])
    assert parsed.dialect == "cap-1.2"
    assert {name: parsed.header[name] for name in ("identifier", "sender", "sent", "status", "msgType")} == {
        name: HEAD[name] for name in ("identifier", "sender", "sent", "status", "msgType")
    }


def test_a_refused_message_is_read_on_for_its_other_faults() -> None:
    codes = {finding.code for finding in parse(cap(INFO.replace("Severe", "Bad"), status="Real").encode()).findings}
    assert codes == {"code_unknown", "value_unknown", "colour_contradicts_severity"}


def test_a_large_refused_message_gets_no_tree() -> None:
    text = cap(INFO.replace("Severe", "Bad"), status="Real", extra=f"<note>{'x' * 300_000}</note>")
    assert {finding.code for finding in parse(text.encode()).findings} == {"code_unknown"}


def test_errors_carry_place_and_sentence() -> None:
    (error,) = parse(cap(status="Real").replace("<status>", "\n<status>").encode()).errors
    assert (error.xpath, error.line, error.level) == ("/alert/status", 3, Weight.ERROR)
    assert "Real" in error.message


SMALL = Limits(
    body=20_000,
    depth=6,
    points_per_polygon=10,
    points=15,
    geocodes=3,
    infos=2,
    references=2,
    identifier=30,
    elements=120,
)
GEO = "<geocode><valueName>n</valueName><value>1</value></geocode>"


def polygons(*sizes: int) -> str:
    rings = (" ".join(f"4{n % 9},12{n % 9}" for n in range(size)) for size in sizes)
    return (
        "<info><area><areaDesc>a</areaDesc>"
        + "".join(f"<polygon>{ring}</polygon>" for ring in rings)
        + "</area></info>"
    )


@pytest.mark.parametrize(
    ("most", "more", "code"),
    [
        (cap(extra=f"<note>{'x' * 18_600}</note>"), cap(extra=f"<note>{'x' * 20_000}</note>"), "body_too_large"),
        (cap(extra="<a>" * 5 + "</a>" * 5), cap(extra="<a>" * 6 + "</a>" * 6), "too_deep"),
        (cap(polygons(10)), cap(polygons(11)), "polygon_too_large"),
        (cap(polygons(10, 5)), cap(polygons(10, 6)), "too_many_points"),
        (cap(f"<info><area>{GEO * 3}</area></info>"), cap(f"<info><area>{GEO * 4}</area></info>"), "too_many_geocodes"),
        (cap(INFO * 2), cap(INFO * 3), "too_many_infos"),
        (
            cap(extra="<references>a,b,c d,e</references>"),
            cap(extra="<references>a,b,c d,e f,g</references>"),
            "too_many_references",
        ),
        (cap(identifier="i" * 30), cap(identifier="i" * 31), "identifier_too_long"),
        (cap(extra="<x/>" * 60), cap(extra="<x/>" * 120), "too_many_elements"),
        (cap(extra='<x a="1"/>' * 30), cap(extra='<x a="1"/>' * 60), "too_many_elements"),
        (
            national(area="<areaDesc>a</areaDesc><geocode>1,2,3</geocode>"),
            national(area="<areaDesc>a</areaDesc><geocode>1,2，3,4</geocode>"),
            "too_many_geocodes",
        ),
        (
            national(msgType="Update", references="a，b"),
            national(msgType="Update", references="a，b,c"),
            "too_many_references",
        ),
    ],
)
def test_each_limit_holds_to_the_one(most: str, more: str, code: str) -> None:
    assert parse(most.encode(), limits=SMALL).errors == [], code
    parsed = parse(more.encode(), limits=SMALL)
    assert [finding.code for finding in parsed.errors] == [code]
    assert http_status(parsed.findings) == 413
