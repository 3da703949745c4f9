from dataclasses import replace

import pytest
import shapely
from small_county import EAST, NORTH, REGIONS, TOWN, UPPER, VILLAGE, WEST

from gateway.errors import ConfigError
from gateway.model.region import Region
from gateway.rules.tree import Tree

tree = Tree(REGIONS)


@pytest.mark.parametrize("code", ["210401", "210401000000", "21040100000000", "２１０４０１", "210499", "210499000000"])
def test_a_county_is_found_by_every_spelling_and_by_its_former_code(code: str) -> None:
    found = tree.find(code)
    assert found is not None
    assert found.name == "甲县"


@pytest.mark.parametrize(
    ("code", "name"),
    [("210402003", "铁西区"), ("210402003017", "铁西区"), ("210401001999", "河东镇"), ("210401777000", "甲县")],
)
def test_a_longer_code_falls_to_its_longest_known_prefix(code: str, name: str) -> None:
    region, by_prefix = tree.locate(code)
    assert by_prefix
    assert region is not None
    assert region.name == name


@pytest.mark.parametrize("code", ["210477", "210488777", "110000", "219999001001", "东村", ""])
def test_an_unknown_place_is_never_widened_to_a_city_or_a_province(code: str) -> None:
    assert tree.locate(code) == (None, False)


def test_the_chain_goes_up_to_the_root() -> None:
    assert [region.name for region in tree.chain(EAST)] == ["东村", "河东镇", "甲县", "甲市", "辽宁省"]
    county = tree.county_of(EAST)
    assert county is not None
    assert county.code == "210401"
    assert tree.county_of("210000") is None


def test_leaves_are_one_range_and_a_county_without_villages_is_its_own() -> None:
    assert [leaf.code for leaf in tree.leaves_of("210401")] == [EAST, WEST, NORTH, UPPER]
    assert [leaf.code for leaf in tree.leaves_of("210402")] == ["210402"]
    assert tree.leaf_range("210000") == range(5)
    assert len(tree.leaf_range("999999")) == 0


def test_languages_and_goals_come_from_the_nearest_region_that_has_them() -> None:
    assert tree.languages_of(EAST) == ("ko", "zh-CN")
    assert tree.languages_of(NORTH) == ("zh-CN",)
    assert tree.goal_of(WEST) == 9000
    assert tree.goal_of(EAST) == 9500


def test_a_region_past_its_last_day_is_known_but_has_no_leaves() -> None:
    old = [replace(region, valid_to="2025-12-31") if region.code == EAST else region for region in REGIONS]
    today = Tree(old, today="2026-01-01")
    assert today.find(EAST) is not None
    assert len(today.leaf_range(EAST)) == 0
    assert [leaf.code for leaf in today.leaves_of("210401001")] == [WEST]
    assert len(Tree(old, today="2025-12-31").leaf_range(EAST)) == 1


def test_children_of_a_dissolved_town_hang_on_its_county() -> None:
    old = [replace(region, valid_to="2020-01-01") if region.code == "210401001000" else region for region in REGIONS]
    parent = Tree(old, today="2026-01-01").parent(EAST)
    assert parent is not None
    assert parent.code == "210401"


def test_names_are_for_showing_and_may_be_several() -> None:
    twice = Tree([*REGIONS, Region("210303", "铁西区", tree.leaves[0].level, "210000")])
    assert {region.code for region in twice.named("铁西区")} == {"210402", "210303"}


def test_parents_in_a_circle_are_refused() -> None:
    with pytest.raises(ConfigError, match="circle"):
        Tree([Region("210401001", "甲", TOWN, "210401002"), Region("210401002", "乙", TOWN, "210401001")])


def test_a_tree_walks_parents_before_children() -> None:
    walked = [region.code for region in tree]
    assert len(tree) == len(REGIONS)
    assert walked.index("210401") < walked.index("210401001000") < walked.index(EAST)


def test_a_region_with_only_a_boundary_stands_inside_it() -> None:
    regions = [replace(region, lat=None, lon=None) for region in REGIONS]
    bounded = Tree(regions, {"210401000000": shapely.box(10.0, 20.0, 11.0, 21.0)})
    held, metres = bounded.locator.holding(20.5, 10.5)
    assert {bounded.leaves[number].code for number in held} == {EAST, WEST, NORTH, UPPER}
    assert metres < 1.0


def test_a_full_province_is_built_within_a_moment() -> None:
    villages = [
        Region(f"2105{county:02}{town:03}{village:03}", "村", VILLAGE, "210000")
        for county in range(1, 60)
        for town in range(1, 20)
        for village in range(1, 16)
    ]
    assert len(Tree([REGIONS[0], *villages]).leaves) == 16_815
