"""Authority is denied by default; the verdict stores, holds or releases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.alert import Alert, AlertState, Grade, Info, MsgType, NameValue, Scope, Status
from gateway.model.policy import Source
from gateway.rules.releasing import authorise, live_infos, verdict

NOW = 1_000_000
RAIN = Info("zh-CN", "暴雨", Grade.ORANGE, event_codes=(NameValue("CN-12379", "11B03"),), expires=NOW + 1)
BUREAU = Source("bureau", regions=("2104",), events=("11B*", "11A51"), grades=(Grade.ORANGE, Grade.RED))
ALERT = Alert("i", "s", 1, Status.ACTUAL, MsgType.ALERT, Scope.PUBLIC, "cap-1.2", infos=(RAIN,))
HERE = frozenset({"210423001000", "210422"})


def denied(
    alert: Alert = ALERT, source: Source = BUREAU, regions: frozenset[str] = HERE
) -> list[tuple[str, tuple[str, ...]]]:
    return [(denial.what, denial.values) for denial in authorise(alert, source, regions)]


def with_info(**changes: object) -> Alert:
    return replace(ALERT, infos=(replace(RAIN, **changes),))  # type: ignore[arg-type]


def test_what_is_permitted_passes() -> None:
    assert denied() == []
    assert denied(source=replace(BUREAU, regions=("210400",))) == []
    assert denied(source=Source("all", regions=("*",), events=("*",), grades=tuple(Grade))) == []


def test_deny_by_default() -> None:
    assert [what for what, _ in denied(source=Source("nobody"))] == ["event", "grade", "region"]


@pytest.mark.parametrize("regions", [("000000",), ("",), ("2105",), ("210423001001",)])
def test_a_scope_without_meaning_permits_nothing(regions: tuple[str, ...]) -> None:
    assert denied(source=replace(BUREAU, regions=regions)) == [("region", tuple(sorted(HERE)))]


def test_each_thing_is_named() -> None:
    spilled = HERE | {"210106001000"}
    assert denied(regions=spilled) == [("region", ("210106001000",))]
    assert denied(with_info(grade=Grade.BLUE)) == [("grade", ("blue",))]
    assert denied(with_info(event_codes=(NameValue("CN-12379", "11C02"),))) == [("event", ("11C02",))]
    said = authorise(ALERT, BUREAU, spilled)[0]
    assert "210106001000" in said.zh
    assert "210106001000" in said.en


def test_a_permitted_code_carries_no_other_through() -> None:
    both = (NameValue("CN-12379", "11B03"), NameValue("CN-12379", "14A01"))
    assert denied(with_info(event_codes=both)) == [("event", ("14A01",))]
    second = replace(ALERT, infos=(RAIN, replace(RAIN, event_codes=(NameValue("CN-12379", "12A01"),))))
    assert denied(second) == [("event", ("12A01",))]


def test_unknown_events_need_the_star_or_their_own_pattern() -> None:
    nameless = with_info(event="11Bogus", event_codes=())
    assert denied(nameless) == [("event", ("11Bogus",))]
    assert denied(nameless, replace(BUREAU, events=("*",))) == []
    storm = with_info(event="Severe Thunderstorm", event_codes=())
    assert denied(storm, replace(BUREAU, events=("Severe*",))) == []
    assert denied(with_info(event_codes=(NameValue("CN-12379", "11B77"),))) == []


def test_a_cancel_without_info_is_judged_by_what_it_ends() -> None:
    cancel = replace(ALERT, msg_type=MsgType.CANCEL, infos=())
    assert authorise(cancel, BUREAU, HERE, ALERT) == []
    assert [d.what for d in authorise(cancel, BUREAU, HERE, with_info(grade=Grade.BLUE))] == ["grade"]
    colourless = replace(ALERT, msg_type=MsgType.CANCEL, infos=(replace(RAIN, grade=Grade.UNKNOWN),))
    assert authorise(colourless, BUREAU, HERE, ALERT) == []


CODES = st.from_regex(r"[1-9][0-9]{5}([0-9]{6})?", fullmatch=True)


@given(
    st.sets(CODES, max_size=6), st.lists(st.from_regex(r"[1-9][0-9](0[1-9]|[1-9][0-9])?", fullmatch=True), max_size=3)
)
def test_no_region_escapes_its_scope(regions: set[str], scopes: list[str]) -> None:
    foreign = {code for code in regions if not any(code.startswith(scope) for scope in scopes)}
    found = authorise(ALERT, replace(BUREAU, regions=tuple(scopes)), regions)
    assert {value for denial in found for value in denial.values} == foreign


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, AlertState.RELEASED, "released"),
        ({"msg_type": MsgType.ACK}, AlertState.STORED, "ack"),
        ({"msg_type": MsgType.ERROR}, AlertState.STORED, "error"),
        ({"status": Status.DRAFT}, AlertState.STORED, "draft"),
        ({"scope": Scope.PRIVATE}, AlertState.STORED, "scope"),
        ({"scope": Scope.RESTRICTED, "addresses": ("a",)}, AlertState.STORED, "scope"),
        ({"infos": (replace(RAIN, expires=NOW),)}, AlertState.STORED, "expired"),
        ({"infos": (replace(RAIN, expires=NOW), RAIN)}, AlertState.RELEASED, "released"),
        ({"infos": (replace(RAIN, expires=None),)}, AlertState.RELEASED, "released"),
        ({"status": Status.TEST}, AlertState.RELEASED, "sinks"),
        ({"status": Status.SYSTEM, "infos": (replace(RAIN, grade=Grade.RED),)}, AlertState.RELEASED, "sinks"),
        ({"infos": (replace(RAIN, grade=Grade.RED),)}, AlertState.HELD, "needs_approval"),
        ({"infos": (replace(RAIN, grade=Grade.RED),), "status": Status.EXERCISE}, AlertState.HELD, "needs_approval"),
        (
            {"infos": (replace(RAIN, grade=Grade.RED, expires=NOW),), "msg_type": MsgType.CANCEL},
            AlertState.RELEASED,
            "released",
        ),
        ({"infos": ()}, AlertState.HELD, "unresolved"),
        ({"infos": (), "msg_type": MsgType.CANCEL}, AlertState.RELEASED, "released"),
    ],
)
def test_verdicts(changes: dict[str, object], state: AlertState, reason: str) -> None:
    source = replace(BUREAU, needs_approval=(Grade.RED,))
    given_ = verdict(replace(ALERT, **changes), source, resolved=True, now=NOW)  # type: ignore[arg-type]
    assert (given_.state, given_.reason) == (state, reason)


def test_unresolved_areas_wait_for_a_person_but_tests_do_not() -> None:
    assert verdict(ALERT, BUREAU, resolved=False, now=NOW).reason == "unresolved"
    assert verdict(replace(ALERT, status=Status.TEST), BUREAU, resolved=False, now=NOW).reason == "sinks"


def test_addressed_messages_are_released_once_we_hold_the_addresses() -> None:
    private = replace(ALERT, scope=Scope.PRIVATE, addresses=("station-7",))
    assert verdict(private, BUREAU, resolved=True, now=NOW, addressable=True).state is AlertState.RELEASED
    assert (
        verdict(replace(private, addresses=()), BUREAU, resolved=True, now=NOW, addressable=True).state
        is AlertState.STORED
    )


def test_expired_infos_are_left_out() -> None:
    assert live_infos(replace(ALERT, infos=(replace(RAIN, expires=NOW), RAIN)), NOW) == (RAIN,)
