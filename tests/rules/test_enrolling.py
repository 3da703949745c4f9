import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_county import EAST, NORTH, REGIONS, UPPER, WEST, alert, codes, device, info, person, shaped

from gateway.model.alert import Circle, Grade, Info
from gateway.model.directory import columns
from gateway.model.region import DirectoryRow
from gateway.model.roster import NOBODY, Roster
from gateway.rules.apportioning import apportion
from gateway.rules.choosing import choose
from gateway.rules.enrolling import Enrolment, blind_spots, compose
from gateway.rules.targeting import resolve
from gateway.rules.tree import Tree

tree = Tree(REGIONS)


def enrol(rows: list[DirectoryRow], *infos: Info, **options: object) -> Enrolment:
    message = alert(*infos)
    return compose(resolve(message, tree, {}), columns(rows), message.infos, **options)  # type: ignore[arg-type]


def people(roster: Roster) -> dict[tuple[str, bool], int | None]:
    return {(leaf.code, leaf.pseudo): leaf.micro_people for leaf in roster.leaves}


def test_endpoints_stand_in_order_of_channel_text_and_leaf() -> None:
    rows = [
        person("b", WEST),
        person("b", WEST, "wechat"),
        person("x", "210402"),
        device("horn", WEST, 50),
        person("a", EAST, language="en"),
        person("c", NORTH),
    ]
    both = (info(codes("210401")), info(codes("210401"), language="en"))
    enrolment = enrol(rows, *both)
    assert enrolment.addresses(columns(rows)) == ["sms:b", "sms:c", "sms:a", "wechat:b", "dev:horn"]
    assert [tuple(run) for run in enrolment.runs] == [
        ("sms", 0, 0, 2),
        ("sms", 1, 2, 1),
        ("wechat", 0, 3, 1),
        ("speaker", 0, 4, 1),
    ]
    assert enrolment.ids(columns(rows)).tolist() == [0, 5, 4, 1, 3]
    roster = enrolment.roster
    assert roster.channels == ("sms", "wechat", "speaker")
    assert [roster.leaves[leaf].code for leaf in roster.endpoint_leaf] == [WEST, NORTH, EAST, WEST, WEST]


def test_one_recipient_with_two_addresses_is_one_person_with_the_largest_weight() -> None:
    roster = enrol([person("h", EAST, covers=3), person("h", EAST, "wechat", covers=4)], info(codes("210401"))).roster
    assert roster.persons == 1
    assert roster.endpoint_person.tolist() == [0, 0]
    assert roster.person_weight.tolist() == [4]


def test_people_are_population_by_share_and_unknown_stays_unknown() -> None:
    roster = enrol([], info(codes("210401"))).roster
    assert people(roster) == {
        (EAST, False): 100_000_000,
        (WEST, False): 200_000_000,
        (NORTH, False): 300_000_000,
        (UPPER, False): None,
    }


def test_people_of_unknown_village_sit_in_a_leaf_of_their_own() -> None:
    rows = [person("t", "210401001"), person("u", "210401001000"), person("n", "210401002"), person("e", EAST)]
    roster = enrol(rows, info(codes("210401"))).roster
    assert people(roster)["210401001000", True] == 30_000_000  # the town's 330 less its villages' 300
    assert people(roster)["210401002000", True] is None
    assert [leaf.name for leaf in roster.leaves if leaf.pseudo] == ["未分村", "未分村"]
    assert [roster.leaves[leaf].code for leaf in roster.person_leaf] == ["210401001000"] * 2 + ["210401002000", EAST]


def test_a_known_village_wins_over_an_unknown_one() -> None:
    roster = enrol([person("p", "210401001"), person("p", EAST, "wechat")], info(codes("210401"))).roster
    assert [roster.leaves[leaf].code for leaf in roster.person_leaf] == [EAST]


def test_recipients_above_a_region_partly_targeted_are_left_out_and_said() -> None:
    enrolment = enrol([person("t", "210401001"), person("e", EAST)], info(codes(EAST)))
    assert enrolment.roster.persons == 1
    assert [finding.code for finding in enrolment.findings] == ["recipients_unplaced"]


def test_a_recipient_in_a_village_we_do_not_know_stands_at_its_county() -> None:
    roster = enrol([person("q", "210402001001")], info(codes("210402"))).roster
    assert [roster.leaves[leaf].code for leaf in roster.person_leaf] == ["210402"]


def test_endpoints_of_unknown_regions_and_channels_are_said() -> None:
    rows = [person("a", "999999"), person("b", EAST, "fax"), person("c", EAST)]
    enrolment = enrol(rows, info(codes(EAST)), channels={"sms"})
    assert enrolment.roster.endpoints == 1
    assert [finding.code for finding in enrolment.findings] == ["channel_unknown", "directory_region_unknown"]


def test_a_device_above_the_villages_counts_only_the_targeted_ones() -> None:
    rows = [device("county", "210401", 61, "broadcast")]
    catch = enrol(rows, info(codes(EAST, NORTH))).roster
    # 61 over 100 : 200 : 300 : 200 (unknown = mean of the known) is 7.625, 15.25, 22.875, 15.25 -> 8, 15, 23, 15
    assert catch.catch_people.tolist() == [8, 23]
    assert [catch.leaves[leaf].code for leaf in catch.catch_leaf] == [EAST, NORTH]
    assert catch.endpoint_leaf.tolist() == [-1]
    assert catch.endpoint_person.tolist() == [NOBODY]


def test_a_device_in_a_village_covers_its_own_people() -> None:
    roster = enrol([device("horn", EAST, 80), device("far", "210402", 9)], info(codes(EAST))).roster
    assert roster.catch_people.tolist() == [80]
    assert roster.endpoints == 1


def test_an_exercise_reaches_the_audience_drill_and_counts_whom_it_selected() -> None:
    rows = [
        person("d", EAST, covers=3, audiences=("schools", "drill")),
        person("e", EAST, covers=9),
        device("horn", WEST, 40, audiences=("drill",)),
    ]
    roster = enrol(rows, info(codes("210401001")), exercise=True).roster
    assert roster.endpoints == 2
    assert people(roster) == {(EAST, False): 3_000_000, (WEST, False): 40_000_000}
    assert all(leaf.registered for leaf in roster.leaves)
    assert enrol(rows, info(codes("210401001"))).roster.endpoints == 3


def test_audiences_select_and_set_the_denominator() -> None:
    rows = [
        person("s", EAST, covers=2, audiences=("schools",)),
        person("o", EAST, audiences=("officers",)),
        person("x", EAST),
    ]
    roster = enrol(rows, info(codes(EAST)), audiences={"schools", "hospitals"}).roster
    assert people(roster) == {(EAST, False): 2_000_000}


def test_language_falls_from_recipient_to_region_to_chinese_and_is_flagged() -> None:
    infos = (info(codes("2104")), info(codes("2104"), language="ko-KR"))
    rows = [person("a", EAST), person("b", NORTH), person("c", NORTH, language="ko"), person("d", NORTH, language="en")]
    enrolment = enrol(rows, *infos)
    named = dict(zip(enrolment.addresses(columns(rows)), enrolment.info.tolist(), strict=True))
    assert named == {"sms:a": 1, "sms:b": 0, "sms:c": 1, "sms:d": 0}
    assert [finding.code for finding in enrolment.findings] == ["language_missing"]
    assert "en × 1" in enrolment.findings[0].message


def test_chinese_stands_in_before_any_other_language() -> None:
    infos = (info(language="en", grade=Grade.RED), info(language="zh-CN", grade=Grade.BLUE))
    assert choose(infos, (0, 1), "fr", ["ko"]) == (1, "fr")
    assert choose(infos, (0, 1), "", ["ko", "mn"]) == (1, "ko")


def test_a_lone_foreign_text_is_sent_and_flagged() -> None:
    enrolment = enrol([person("b", NORTH)], info(codes("2104"), language="en-US"))
    assert enrolment.info.tolist() == [0]
    assert "zh-CN × 1" in enrolment.findings[0].message


def test_of_several_infos_the_gravest_that_covers_the_place_is_chosen() -> None:
    infos = (
        info(codes("210401"), grade=Grade.YELLOW),
        info(codes("210401001"), grade=Grade.RED),
        info(codes("210401001"), grade=Grade.RED),
    )
    rows = [person("e", EAST), person("n", NORTH), device("county", "210401", 10)]
    assert enrol(rows, *infos).info.tolist() == [0, 1, 1]
    assert choose(infos, (0, 2), "zh").info == 2


def test_a_blind_spot_has_people_and_nothing_that_proves_delivery() -> None:
    rows = [
        person("e", EAST),
        device("deaf", NORTH, 0),
        device("county", "210401", 600, "broadcast"),
        person("w", WEST, "wechat"),
    ]
    roster = enrol(rows, info(codes("210401"))).roster
    blind = [roster.leaves[number].code for number in blind_spots(roster, {"sms", "speaker"})]
    assert blind == [WEST, NORTH, UPPER]
    assert blind_spots(roster, ()) == [0, 1, 2, 3]


def test_a_message_for_nobody_gives_an_empty_roster() -> None:
    enrolment = enrol([person("x", "210402")], info(shaped(circles=[Circle(0, 0, 10)])))
    assert enrolment.roster.endpoints == 0
    assert enrolment.roster.leaves == ()
    assert enrolment.runs == ()


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**4), min_size=1, max_size=30))
def test_apportioned_people_add_up_and_follow_the_weights(total: int, weights: list[int]) -> None:
    shares = apportion(total, np.array(weights, dtype=np.int64))
    assert shares.sum() == (total if sum(weights) else 0)
    for share, weight in zip(shares.tolist(), weights, strict=True):
        assert abs(share * sum(weights) - total * weight) < max(1, sum(weights))


def test_a_hundred_thousand_endpoints_are_enrolled_whole() -> None:
    rows = [person(f"p{number}", (EAST, WEST, NORTH)[number % 3], covers=1 + number % 4) for number in range(100_000)]
    roster = enrol(rows, info(codes("210401"))).roster
    assert roster.endpoints == roster.persons == 100_000
    assert int(roster.person_weight.sum()) == sum(row.covers for row in rows)
    assert np.all(np.diff(roster.endpoint_leaf) >= 0)
