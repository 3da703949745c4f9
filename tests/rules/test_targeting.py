from dataclasses import replace

import numpy as np
import pytest
import shapely
from small_county import EAST, NORTH, REGIONS, UPPER, WEST, alert, codes, info, shaped, square

from gateway.model.alert import Area, Circle, NameValue
from gateway.model.region import NamedArea, RegionLevel
from gateway.model.roster import PPM
from gateway.rules.locating import EARTH, Locator, Standing
from gateway.rules.targeting import Atlas, Resolved, Targets, resolve, resolve_area
from gateway.rules.tree import Tree

tree = Tree(REGIONS)
AREAS = {
    "A1": NamedArea("A1", "浑河上游", "流域", (EAST, NORTH), owner="水利局"),
    "A2": NamedArea("A2", "老危险区", "危险区", (WEST,), valid_to="2020-01-01"),
}


def of(area: Area, source: str = "", trees: Tree = tree) -> Resolved:
    return resolve_area(area, Atlas(trees, AREAS, source))


def leaves(resolved: Resolved, trees: Tree = tree) -> dict[str, int]:
    return {leaf.code: int(share) for leaf, share in zip(trees.leaves, resolved.shares, strict=True) if share}


def found(resolved: Resolved | Targets) -> list[str]:
    return [finding.code for finding in resolved.findings]


@pytest.mark.parametrize("code", ["210401001", "210401001000", "２１０４０１００１"])
def test_a_geocode_means_all_leaves_below(code: str) -> None:
    assert leaves(of(codes(code))) == {EAST: 1_000_000, WEST: 1_000_000}


def test_one_geocode_may_list_several_with_any_comma() -> None:
    resolved = of(codes(f"{EAST},{WEST},210402"))
    assert set(leaves(resolved)) == {EAST, WEST, "210402"}
    assert found(resolved) == []


def test_a_code_deeper_than_our_tree_is_widened_and_said() -> None:
    resolved = of(codes("210402005017"))
    assert set(leaves(resolved)) == {"210402"}
    assert found(resolved) == ["region_prefix_used"]
    assert "210402005017" in resolved.findings[0].message


@pytest.mark.parametrize("scheme", ["SAME", "FIPS6", "WARNCELLID", ""])
def test_a_number_of_another_scheme_is_never_taken_for_a_division(scheme: str) -> None:
    resolved = of(codes("210401", name=scheme))
    assert leaves(resolved) == {}
    assert found(resolved) == ["geocode_scheme_unknown", "area_unresolved"]


def test_unknown_and_malformed_codes_are_said_and_the_others_count() -> None:
    resolved = of(codes("210477", "2104", "21040x"))
    assert len(leaves(resolved)) == 5
    assert found(resolved) == ["region_unknown", "geocode_malformed"]


def test_ten_thousand_unknown_codes_are_one_finding() -> None:
    resolved = of(codes(*[f"22{number:04}" for number in range(1, 9999)]))
    assert found(resolved) == ["region_unknown", "area_unresolved"]
    assert "(9998)" in resolved.findings[0].message


def test_a_description_alone_is_never_guessed() -> None:
    for name in ("铁西区", "甲县", "浑河上游"):
        resolved = of(Area(name), source="气象局")
        assert leaves(resolved) == {}
        assert found(resolved) == ["area_unresolved"]


def test_a_named_area_is_a_target_by_its_id() -> None:
    area = Area("浑河", geocodes=(NameValue("tongluo:area", "A1"),))
    assert set(leaves(of(area))) == {EAST, NORTH}


def test_a_named_area_is_a_target_by_name_only_on_the_sources_own_list() -> None:
    by_name = Area("某处", geocodes=(NameValue("tongluo:area", "浑河上游"),))
    assert set(leaves(of(by_name, source="水利局"))) == {EAST, NORTH}
    assert found(of(by_name, source="气象局")) == ["named_area_unknown", "area_unresolved"]
    described = of(Area("浑河上游"), source="水利局")
    assert set(leaves(described)) == {EAST, NORTH}
    assert found(described) == ["named_area_used"]


def test_a_named_area_past_its_day_targets_nothing() -> None:
    today = Tree(REGIONS, today="2026-01-01")
    resolved = of(Area("x", geocodes=(NameValue("tongluo:area", "A2"),)), trees=today)
    assert found(resolved) == ["named_area_unknown", "area_unresolved"]


def test_a_region_out_of_force_is_not_targeted() -> None:
    gone = [replace(region, valid_to="2025-01-01") if region.code == EAST else region for region in REGIONS]
    resolved = of(codes(EAST), trees=Tree(gone, today="2026-01-01"))
    assert found(resolved) == ["region_expired", "area_unresolved"]


def test_a_polygon_holds_the_points_inside_it_and_on_its_border() -> None:
    resolved = of(shaped(square(41.85, 123.94, 41.95, 123.95)))
    assert leaves(resolved) == {WEST: 1_000_000}
    assert leaves(of(shaped(square(41.90, 123.96, 41.95, 123.99)))) == {EAST: 1_000_000}


def test_a_polygon_that_crosses_itself_is_mended() -> None:
    upright = ((41.89, 123.93), (41.89, 123.97), (41.91, 123.93), (41.91, 123.97), (41.89, 123.93))
    assert leaves(of(shaped(upright))) == {}  # its two triangles lie north and south of the villages
    lying = ((41.89, 123.93), (41.91, 123.97), (41.89, 123.97), (41.91, 123.93), (41.89, 123.93))
    assert set(leaves(of(shaped(lying)))) == {EAST, WEST}


def test_a_leaf_without_a_point_stands_at_the_nearest_region_that_has_one() -> None:
    resolved = of(shaped(square(41.98, 123.89, 41.995, 123.91)))
    assert leaves(resolved) == {UPPER: 1_000_000}
    assert found(resolved) == ["region_located_by_ancestor"]


def test_a_circle_measures_along_the_great_circle() -> None:
    east_to_west = EARTH * 0.02 * 3.141592653589793 / 180 * 0.744311  # 0.02° of longitude at 41.9° north
    far = of(shaped(circles=[Circle(41.90, 123.96, east_to_west + 2)]))
    near = of(shaped(circles=[Circle(41.90, 123.96, east_to_west - 2)]))
    assert set(leaves(far)) == {EAST, WEST}
    assert set(leaves(near)) == {EAST}


def test_a_circle_is_not_its_box() -> None:
    corner = of(shaped(circles=[Circle(41.90 - 0.008, 123.96 - 0.0108, 1000.0)]))  # 0.89 km each way, 1.26 km across
    assert leaves(corner) == {}


def test_an_area_on_nobodys_list_is_no_target_by_name() -> None:
    common = {"C": NamedArea("C", "公共区", "流域", (EAST,))}
    assert found(resolve_area(Area("公共区"), Atlas(tree, common))) == ["area_unresolved"]
    assert found(resolve_area(Area(""), Atlas(tree, common, "气象局"))) == ["area_unresolved"]


def test_a_point_lies_in_the_nearest_leaf_within_reach() -> None:
    exact = of(shaped(circles=[Circle(41.90, 123.96, 0)]))
    assert leaves(exact) == {EAST: 1_000_000}
    assert found(exact) == []
    beside = of(shaped(circles=[Circle(41.91, 123.965, 0)]))
    assert leaves(beside) == {EAST: 1_000_000}
    assert found(beside) == ["point_matched_nearest"]
    nowhere = of(shaped(circles=[Circle(10.0, 10.0, 0)]))
    assert found(nowhere) == ["shape_outside_regions", "area_unresolved"]


def test_circles_near_the_pole_and_the_date_line_do_no_harm() -> None:
    for lat, lon in ((90.0, 0.0), (-90.0, 10.0), (0.0, 180.0), (41.9, -180.0)):
        assert leaves(of(shaped(circles=[Circle(lat, lon, 1000.0), Circle(lat, lon, 0)]))) == {}
    assert len(leaves(of(shaped(circles=[Circle(90.0, 0.0, 6_000_000.0)])))) == 5


def test_geocodes_polygons_and_circles_of_an_area_add_up() -> None:
    area = Area(
        "并集",
        polygons=(square(41.99, 123.89, 42.01, 123.91),),
        circles=(Circle(41.80, 123.80, 100.0),),
        geocodes=(NameValue("CN-GB2260", EAST),),
    )
    assert set(leaves(of(area))) == {EAST, NORTH, UPPER, "210402"}


def test_a_boundary_counts_by_the_share_of_its_surface() -> None:
    bounded = Tree(REGIONS, {EAST: shapely.box(123.95, 41.85, 123.97, 41.95)})
    half = of(shaped(square(41.85, 123.96, 41.95, 124.5)), trees=bounded)
    assert leaves(half, bounded) == {EAST: 500_000}
    beside = of(shaped(square(41.85, 123.97, 41.95, 124.5)), trees=bounded)
    assert leaves(beside, bounded) == {}
    point = of(shaped(circles=[Circle(41.94, 123.951, 0)]), trees=bounded)
    assert leaves(point, bounded) == {EAST: 1_000_000}
    round_ = of(shaped(circles=[Circle(41.90, 123.96, 100_000.0)]), trees=bounded)
    assert leaves(round_, bounded)[EAST] == 1_000_000


def test_two_areas_that_cut_one_leaf_are_measured_together() -> None:
    bounded = Tree(REGIONS, {EAST: shapely.box(0.0, 0.0, 10.0, 1.0)})
    left, right = shaped(square(0, 0, 1, 4)), shaped(square(0, 3, 1, 6))
    one = resolve(alert(info(left, right)), bounded, {})
    two = resolve(alert(info(left), info(right, language="en")), bounded, {})
    assert one.shares() == two.shares() == {EAST: 600_000}
    assert two.shares(0) == {EAST: 400_000}


def test_an_alert_is_unresolved_if_any_of_its_areas_is() -> None:
    targets = resolve(alert(info(codes("210402")), info(Area("铁西区"), language="en")), tree, {})
    assert targets.unresolved == ("铁西区",)
    assert targets.codes == {"210402"}
    assert targets.findings[-1].xpath == "/alert/info[2]/area[1]"
    assert resolve(alert(info()), tree, {}).unresolved == ("",)
    assert resolve(alert(), tree, {}).unresolved == ()


def test_a_lost_target_is_said() -> None:
    assert found(of(Area("某地", lost=True))) == ["area_target_lost", "area_unresolved"]


def test_summits_are_the_fewest_regions_that_say_the_target() -> None:
    targets = resolve(alert(info(codes(EAST, WEST, NORTH))), tree, {})
    assert [region.name for region in targets.summits()] == ["河东镇", "北村"]
    only_city = resolve(alert(info(codes("21"))), tree, {})
    assert [region.name for region in only_city.summits()] == [
        "甲市"
    ]  # an only child is never called by its parent's name


def test_a_ring_that_crosses_itself_a_million_times_is_judged_at_once() -> None:
    spots = np.array((41.0, 123.0)) + np.random.default_rng(1).random((20_000, 2))
    star = (*map(tuple, spots.tolist()), tuple(spots[0].tolist()))
    leaves = [Standing(RegionLevel.VILLAGE, 41.5, 123.5 + step / 1000) for step in range(100)]
    bounded = [Standing(RegionLevel.VILLAGE, boundary=shapely.box(123, 41, 124, 42))]
    outside = [
        Standing(RegionLevel.VILLAGE, 43.0, 123.5),
        Standing(RegionLevel.VILLAGE, boundary=shapely.box(130, 41, 131, 42)),
    ]
    shares = Locator([*leaves, *bounded, *outside]).cover([star], [])
    assert set(shares.tolist()) <= {0, PPM}
    assert shares[:100].any()
    assert shares[-2:].tolist() == [0, 0]
