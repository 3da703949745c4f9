"""The shipped sample: it is what its seeded script makes, it holds no real number, and its arithmetic is what it says."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from gateway.model.directory import columns
from gateway.model.region import DirectoryRow, RegionLevel
from gateway.reference.areas import load_areas
from gateway.reference.directory import read_directory
from gateway.reference.eventcodes import label, list_codes
from gateway.reference.regions import load_regions
from gateway.rules.tree import Tree

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
COUNTIES = ("210106", "210423", "210323")
HEARD, BROADCAST = 0.5, 0.3


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "deploy" / "sample" / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_sample"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree(load_regions([CONFIG / "regions" / "liaoning.csv", CONFIG / "regions" / "three-counties.csv"]))


@pytest.fixture(scope="module")
def rows(tree: Tree) -> tuple[DirectoryRow, ...]:
    return read_directory(CONFIG / "directory" / "sample.csv", tree=tree).sound()


def registered(rows: tuple[DirectoryRow, ...]) -> Counter[str]:
    """People registered by village, each recipient once."""
    weight: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.recipient:
            weight[row.region, row.recipient] = max(row.covers, weight.get((row.region, row.recipient), 0))
    total: Counter[str] = Counter()
    for (region, _), people in weight.items():
        total[region] += people
    return total


def expected(tree: Tree, rows: tuple[DirectoryRow, ...]) -> dict[str, float]:
    """est of each village when every channel is healthy (coverage.md §1.5)."""
    people = registered(rows)
    speakers: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        if row.channel == "village-speakers":
            speakers[row.region] += row.covers
    est = {}
    for county in COUNTIES:
        for village in tree.leaves_of(county):
            assert village.population
            heard = HEARD * min(1.0, speakers[village.code] / village.population)
            a = min(1.0, people[village.code] / village.population)
            est[village.code] = 1 - (1 - a) * (1 - heard) * (1 - BROADCAST)
    return est


def test_the_sample_is_what_its_script_makes(script: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(CONFIG / "regions", tmp_path / "regions")
    (tmp_path / "directory").mkdir()
    script.main(tmp_path)
    for name in ("regions/three-counties.csv", "directory/sample.csv"):
        assert (tmp_path / name).read_bytes() == (CONFIG / name).read_bytes()


def test_the_tree_is_liaoning_with_three_counties_to_the_village(tree: Tree) -> None:
    assert len(tree) == 115 + 715
    assert [root.name for root in tree.roots] == ["辽宁省"]
    assert [len(tree.leaves_of(county)) for county in COUNTIES] == [248, 209, 205]
    assert [leaf.name for leaf in tree.leaves_of("210422")] == ["新宾满族自治县"]
    assert {region.code for region in tree.named("铁西区")} == {"210106", "210303"}


def test_every_made_up_figure_says_so(tree: Tree) -> None:
    for county in COUNTIES:
        assert all("示例" in dict(village.extra)["note"] for village in tree.leaves_of(county))
    xinbin = tree.find("210422")
    assert xinbin is not None
    assert "示例" in dict(xinbin.extra)["note"]
    known = [leaf for leaf in tree.leaves if leaf.population is not None and leaf.level is RegionLevel.COUNTY]
    assert known == [xinbin]


def test_no_number_of_the_sample_can_belong_to_anybody(rows: tuple[DirectoryRow, ...]) -> None:
    numbers = [row.address for row in rows if row.channel == "sms"]
    assert all(re.fullmatch(r"100\d{8}", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
    assert all(row.address.startswith("oSAMPLE-") for row in rows if row.channel == "wechat")


def test_the_sample_has_some_20000_people_and_700_devices(rows: tuple[DirectoryRow, ...]) -> None:
    assert 19_000 <= len({row.recipient for row in rows if row.recipient}) <= 22_000
    channels = Counter(row.channel for row in rows)
    assert channels["village-speakers"] + channels["pager"] + channels["county-broadcast"] == 676
    assert (channels["pager"], channels["county-broadcast"]) == (20, 3)
    assert channels["sms"] > 2 * channels["wechat"] > 10_000
    drill = sum("drill" in row.audiences for row in rows) / len(rows)
    assert 0.03 < drill < 0.07


def test_most_villages_pass_their_goal_some_do_not_and_a_few_are_blind(
    tree: Tree, rows: tuple[DirectoryRow, ...]
) -> None:
    est = expected(tree, rows)
    served = {row.region for row in rows if row.channel in ("sms", "wechat", "village-speakers")}
    for county, goal, least, most in (("210106", 0.92, 20, 30), ("210423", 0.92, 18, 26), ("210323", 0.98, 4, 10)):
        villages = [village.code for village in tree.leaves_of(county)]
        short = [code for code in villages if est[code] < goal]
        assert least <= len(short) <= most
        assert len([code for code in villages if code not in served]) in (2, 3)
    people = registered(rows)
    assert all(
        people[village.code] <= (village.population or 0) for county in COUNTIES for village in tree.leaves_of(county)
    )


def test_each_county_passes_on_the_whole(tree: Tree, rows: tuple[DirectoryRow, ...]) -> None:
    est = expected(tree, rows)
    for county, goal in (("210106", 0.92), ("210423", 0.92), ("210323", 0.98)):
        villages = tree.leaves_of(county)
        reached = sum(est[village.code] * (village.population or 0) for village in villages)
        assert reached / sum(village.population or 0 for village in villages) >= goal


def test_the_named_areas_of_the_sample_are_ours(tree: Tree) -> None:
    areas = load_areas([CONFIG / "areas" / "sample.csv"], tree)
    assert len(areas) == 3


def test_event_codes_have_names_and_unknown_ones_are_shown_by_class() -> None:
    codes = list_codes(CONFIG / "event-codes.csv")
    assert len(codes) == 301
    assert label(codes, "11B03") == codes["11B03"].zh
    assert label(codes, "11A01", "en-US") == "Flood"
    assert label(codes, "11E02") == codes["11E02"].zh
    assert label(codes, "11A77") == "水旱灾害"
    assert label(codes, "99Z99") == "99Z99"


def test_load_rows_spread_any_number_over_any_villages(script: ModuleType) -> None:
    regions = script.load_regions(50)
    table = columns(script.load_rows(1000, regions))
    assert len(table) == 1000
    assert len(table.regions) == 50
    assert len(Tree(regions).leaves) == 50
