"""The law of lineage, one pitfall per test."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.alert import (
    Alert,
    CancelKind,
    Grade,
    Info,
    MsgType,
    Reference,
    Scope,
    Status,
    UpdateKind,
)
from gateway.rules.lineage import (
    KnownAlert,
    Lineage,
    cancel_kind,
    dropped_regions,
    identity,
    names,
    precedes,
    relation,
    update_kind,
)

MINUTE = 60_000
US = "fushun@met.example"


def alert(
    identifier: str, minute: int, kind: MsgType = MsgType.ALERT, refs: tuple[Reference, ...] = (), sender: str = US
) -> Alert:
    return Alert(
        identifier=identifier,
        sender=sender,
        sent=minute * MINUTE,
        status=Status.ACTUAL,
        msg_type=kind,
        scope=Scope.PUBLIC,
        dialect="cap-1.2",
        references=refs,
    )


def known(one: Alert, source: str = "") -> KnownAlert:
    return KnownAlert(
        one.identifier + f"@{one.sent // MINUTE}",
        one.sender,
        one.identifier,
        one.sent,
        one.status,
        one.msg_type,
        one.references,
        source,
    )


def to(identifier: str, minute: int | None, sender: str = US) -> Reference:
    return Reference(sender, identifier, None if minute is None else minute * MINUTE)


def update(identifier: str, minute: int, *refs: Reference) -> Alert:
    return alert(identifier, minute, MsgType.UPDATE, refs)


def cancel(identifier: str, minute: int, *refs: Reference) -> Alert:
    return alert(identifier, minute, MsgType.CANCEL, refs)


def codes(lineage: Lineage) -> list[str]:
    return [finding.code for finding in lineage.findings]


FIRST = alert("A", 0)


def test_identity_is_sender_identifier_and_instant() -> None:
    assert identity(FIRST) == (US, "A", 0) == identity(known(FIRST))


def test_an_update_replaces_what_it_names() -> None:
    assert relation(update("U", 1, to("A", 0)), [known(FIRST), known(alert("B", 0))]) == Lineage(
        supersedes=("A@0",), chain=("A@0",)
    )


def test_references_are_compared_to_the_second() -> None:
    earlier = replace(known(FIRST), sent=250)
    assert relation(update("U", 1, to("A", 0)), [earlier]).supersedes == ("A@0",)


def test_an_update_replaces_everything_it_names() -> None:
    chain = [FIRST, update("U1", 1, to("A", 0)), update("U2", 2, to("A", 0), to("U1", 1))]
    last = update("U3", 3, to("U2", 2), to("U1", 1), to("A", 0))
    assert relation(last, map(known, chain)).supersedes == ("A@0", "U1@1", "U2@2")


def test_a_cancel_ends_the_chain_even_if_it_names_one_link() -> None:
    chain = [FIRST, update("U1", 1, to("A", 0)), update("U2", 2, to("U1", 1))]
    for link in (to("A", 0), to("U1", 1), to("U2", 2)):
        lineage = relation(cancel("C", 3, link), map(known, chain))
        assert (lineage.cancels, lineage.supersedes) == (("A@0", "U1@1", "U2@2"), ())
        assert lineage.chain[-1] == "U2@2"


def test_the_national_update_names_only_the_first_and_replaces_the_last() -> None:
    chain = [FIRST, update("U1", 1, to("A", None))]
    assert relation(update("U2", 2, to("A", None)), map(known, chain)).supersedes == ("A@0", "U1@1")


def test_an_exact_update_leaves_a_sibling_in_force() -> None:
    sibling = update("U1", 1, to("A", 0))
    lineage = relation(update("U2", 2, to("A", 0)), [known(FIRST), known(sibling)])
    assert (lineage.supersedes, lineage.chain) == (("A@0",), ("A@0", "U1@1"))


def test_a_cancel_spares_what_was_sent_at_the_same_instant() -> None:
    remaining = update("U", 2, to("A", 0))
    assert relation(cancel("C", 2, to("A", 0)), [known(FIRST), known(remaining)]).cancels == ("A@0",)


def test_a_cancel_leaves_what_came_later_and_other_events() -> None:
    later, other = update("U", 9, to("A", 0)), alert("B", 0)
    assert relation(cancel("C", 3, to("A", 0)), map(known, [FIRST, later, other])).cancels == ("A@0",)


def test_a_reference_without_time_means_what_was_sent_before() -> None:
    reused = [alert("A", 0), alert("A", 5)]
    assert relation(cancel("C", 3, to("A", None)), map(known, reused)).cancels == ("A@0",)


def test_an_alert_with_references_only_links() -> None:
    lineage = relation(alert("B", 1, MsgType.ALERT, (to("A", 0),)), [known(FIRST)])
    assert (lineage.supersedes, lineage.linked) == ((), ("A@0",))


def test_a_cancel_does_not_pass_through_a_mere_link() -> None:
    linking = alert("B", 1, MsgType.ALERT, (to("A", 0),))
    assert relation(cancel("C", 2, to("B", 1)), map(known, [FIRST, linking])).cancels == ("B@1",)


@pytest.mark.parametrize("kind", [MsgType.ACK, MsgType.ERROR])
def test_acknowledgements_have_no_effect(kind: MsgType) -> None:
    lineage = relation(alert("K", 1, kind, (to("A", 0),)), [known(FIRST)])
    assert (lineage.supersedes, lineage.cancels, lineage.linked) == ((), (), ("A@0",))


def test_a_reference_to_oneself_is_ignored() -> None:
    itself = update("A", 1, to("A", 1), to("A", None))
    assert relation(itself, [known(itself)]) == Lineage(findings=relation(itself, []).findings)
    assert codes(relation(itself, [])) == ["reference_self", "reference_self"]


@pytest.mark.parametrize("kind", [MsgType.ALERT, MsgType.UPDATE])
def test_an_identifier_used_again_later_is_a_new_version(kind: MsgType) -> None:
    assert relation(alert("A", 7, kind), [known(FIRST)]).supersedes == ("A@0",)
    assert relation(alert("A", 7, kind), [known(alert("A", 0, sender="other"))]).supersedes == ()


def test_an_older_version_arriving_late_is_ended_on_arrival() -> None:
    lineage = relation(FIRST, [known(alert("A", 7))])
    assert (lineage.supersedes, lineage.ended_by, lineage.ended_as) == ((), "A@7", MsgType.ALERT)


def test_an_unknown_reference_is_kept_and_works_when_its_alert_comes() -> None:
    early = update("U", 1, to("A", 0))
    lineage = relation(early, [])
    assert (lineage.dangling, codes(lineage)) == ((to("A", 0),), ["reference_dangling"])
    late = relation(FIRST, [known(early)])
    assert (late.ended_by, late.ended_as) == ("U@1", MsgType.UPDATE)


def test_a_late_link_of_a_cancelled_chain_is_ended_by_the_cancel() -> None:
    end = cancel("C", 5, to("A", 0))
    late = relation(update("U", 3, to("A", 0)), [known(FIRST), known(end)])
    assert (late.ended_by, late.ended_as, late.supersedes) == ("C@5", MsgType.CANCEL, ("A@0",))
    after = relation(update("U", 7, to("A", 0)), [known(FIRST), known(end)])
    assert (after.ended_by, after.supersedes) == ("", ("A@0",))


def test_what_is_named_precedes_even_against_the_clock() -> None:
    hasty = update("U", 0, to("A", 5))
    assert precedes(alert("A", 5), hasty)
    assert not precedes(hasty, alert("A", 5))
    assert relation(alert("A", 5), [known(hasty)]).ended_by == "U@0"
    assert not precedes(FIRST, FIRST)


def test_two_that_name_each_other_are_ordered_by_time() -> None:
    one, two = update("X", 1, to("Y", 2)), update("Y", 2, to("X", 1))
    assert (precedes(one, two), precedes(two, one)) == (True, False)
    assert relation(one, [known(two)]).ended_by == "Y@2"
    assert relation(two, [known(one)]).ended_by == ""


def test_another_authoritys_alert_is_never_touched() -> None:
    theirs = alert("A", 0, sender="shenyang@met.example")
    lineage = relation(cancel("C", 1, to("A", 0, "shenyang@met.example")), [known(theirs)])
    assert (lineage.cancels, lineage.linked, codes(lineage)) == ((), ("A@0",), ["reference_foreign"])


def test_a_wrong_sender_in_the_reference_has_no_effect_without_an_alias() -> None:
    message = update("U", 1, to("A", 0, "PAAQ"))
    assert codes(relation(message, [known(FIRST)])) == ["reference_foreign"]
    assert relation(message, [known(FIRST)]).supersedes == ()
    assert relation(message, [known(FIRST)], aliases=["PAAQ"]).supersedes == ("A@0",)


def test_an_alias_of_the_authority_may_end_its_alerts() -> None:
    old_name = alert("A", 0, sender="old@met.example")
    message = update("U", 1, to("A", 0, "old@met.example"))
    assert relation(message, [known(old_name)], aliases={"old@met.example"}).supersedes == ("A@0",)


def test_one_sender_text_under_two_sources_is_two_authorities() -> None:
    message = cancel("C", 1, to("A", 0))
    assert relation(message, [known(FIRST, "met")], source="flood").cancels == ()
    assert relation(message, [known(FIRST, "met")], source="met").cancels == ("A@0",)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ACTUAL])
def test_tests_and_drills_never_touch_the_actual(status: Status) -> None:
    drill = replace(cancel("C", 1, to("A", 0)), status=status)
    lineage = relation(drill, [known(FIRST)])
    assert (lineage.cancels, lineage.linked, codes(lineage)) == ((), ("A@0",), ["reference_other_status"])
    assert relation(drill, [replace(known(FIRST), status=status)]).cancels == ("A@0",)
    assert relation(FIRST, [replace(known(update("U", 1, to("A", 0))), status=status)]).ended_by == ""


def test_a_cancel_is_never_undone() -> None:
    end = cancel("C", 5, to("A", 0))
    assert relation(cancel("D", 6, to("C", 5)), [known(FIRST), known(end)]).cancels == ("A@0",)
    assert relation(end, [known(FIRST), known(cancel("D", 6, to("C", 5)))]).ended_by == ""


def test_chains_merge() -> None:
    both = update("U", 2, to("A", 0), to("B", 1))
    lineage = relation(cancel("C", 3, to("A", 0)), map(known, [FIRST, alert("B", 1), both]))
    assert lineage.cancels == ("A@0", "B@1", "U@2")


def graded(grade: Grade, expires: int | None = None) -> Alert:
    return replace(FIRST, infos=(Info("zh-CN", "11B03", grade, expires=expires),))


@pytest.mark.parametrize(
    ("old", "new", "regions", "kind"),
    [
        (graded(Grade.YELLOW), graded(Grade.RED), "b", UpdateKind.RAISED),
        (graded(Grade.RED), graded(Grade.YELLOW), "ab", UpdateKind.WIDENED),
        (graded(Grade.RED), graded(Grade.YELLOW, 9), "a", UpdateKind.LOWERED),
        (graded(Grade.RED, 5), graded(Grade.RED, 9), "a", UpdateKind.EXTENDED),
        (graded(Grade.RED, 9), graded(Grade.RED, 5), "", UpdateKind.TEXT),
        (graded(Grade.RED), graded(Grade.RED, 5), "a", UpdateKind.TEXT),
        (graded(Grade.UNKNOWN), graded(Grade.BLUE), "a", UpdateKind.RAISED),
    ],
)
def test_kinds_of_update(old: Alert, new: Alert, regions: str, kind: UpdateKind) -> None:
    assert update_kind(old, new, {"a"}, set(regions)) is kind


def test_regions_left_out_are_known() -> None:
    assert dropped_regions({"a", "b"}, {"b", "c"}) == frozenset("a")


def test_kinds_of_cancel() -> None:
    noted = replace(cancel("C", 1), note="误发，撤回更正")
    assert cancel_kind(noted) is CancelKind.LIFTED
    assert cancel_kind(noted, wrong_words=["撤回"]) is CancelKind.WITHDRAWN
    assert cancel_kind(replace(noted, note="Sent in ERROR"), wrong_words=["", "error"]) is CancelKind.WITHDRAWN
    assert cancel_kind(noted, asked=CancelKind.LIFTED, wrong_words=["撤回"]) is CancelKind.LIFTED


MESSAGES = st.lists(
    st.builds(
        lambda name, minute, kind, refs: alert(f"M{name}", minute, kind, tuple(to(f"M{n}", m) for n, m in refs)),
        st.integers(0, 3),
        st.integers(0, 5),
        st.sampled_from([MsgType.ALERT, MsgType.UPDATE, MsgType.CANCEL]),
        st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 5)), max_size=2),
    ),
    max_size=6,
    unique_by=identity,
)


def settle(messages: list[Alert]) -> set[str]:
    """Keys that are in force after the messages came in this order."""
    store: dict[str, KnownAlert] = {}
    ended: set[str] = set()
    for message in messages:
        lineage = relation(message, store.values())
        ended |= {*lineage.supersedes, *lineage.cancels, *(key for key, _ in lineage.overtaken)}
        store[known(message).key] = known(message)
        ended |= {known(message).key} if lineage.ended_by else set()
    return {key for key, one in store.items() if one.msg_type is not MsgType.CANCEL} - ended


@given(MESSAGES, st.randoms(use_true_random=False))
def test_what_stays_in_force_does_not_depend_on_the_order_of_arrival(messages: list[Alert], shuffle: Random) -> None:
    mixed = list(messages)
    shuffle.shuffle(mixed)
    assert settle(messages) == settle(mixed)


@given(MESSAGES)
def test_what_is_named_is_ended_and_what_nothing_follows_stays(messages: list[Alert]) -> None:
    kept = settle(messages)
    for one in messages:
        followers = [other for other in messages if precedes(one, other)]
        if any(other.msg_type is not MsgType.ALERT and names(other, one) for other in followers):
            assert known(one).key not in kept
        if not followers and one.msg_type is not MsgType.CANCEL:
            assert known(one).key in kept


def test_a_late_link_shows_that_a_cancel_ended_a_sibling_too() -> None:
    sibling, end = update("U2", 2, to("A", 0)), cancel("C", 5, to("U1", 1))
    lineage = relation(update("U1", 1, to("A", 0)), map(known, [FIRST, sibling, end]))
    assert lineage.overtaken == (("A@0", "C@5"), ("U2@2", "C@5"))
