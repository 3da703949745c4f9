import random
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.model.region import Region, RegionLevel
from gateway.reference.datum import wgs84
from gateway.reference.regions import load_regions, read_regions, write_regions
from gateway.reference.tables import Loaded

HEADING = "code,name,level,parent,population,lat,lon,goal_bp,languages,valid_from,valid_to\n"


def read(tmp_path: Path, text: str, **options: object) -> Loaded[Region]:
    path = tmp_path / "regions.csv"
    path.write_text(text, encoding="utf-8")
    return read_regions(path, **options)  # type: ignore[arg-type]


def codes(loaded: Loaded[Region]) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column, problem.code) for problem in loaded.problems]


def test_the_contracts_columns_are_read(tmp_path: Path) -> None:
    line = '210106,铁西区,county,,"1,234,567",41.67,123.11,9200,zh-CN;ko,2020-01-01,2030/12/31\n'
    (region,) = read(tmp_path, HEADING + line).sound()
    assert region == Region(
        "210106",
        "铁西区",
        RegionLevel.COUNTY,
        None,
        1234567,
        41.67,
        123.11,
        9200,
        ("zh-CN", "ko"),
        "2020-01-01",
        "2030-12-31",
    )


def test_chinese_headings_words_and_full_width_digits_are_read(tmp_path: Path) -> None:
    text = "区划代码,名称,级别,上级代码,常住人口（人）,纬度,经度,目标,联系人\n"
    rows = "２１０１,某市,市,,,,,92%,张\n210106,铁西区,市辖区,2101,１２,41,123,,李\n"
    city, county = read(tmp_path, text + rows).sound()
    assert (city.code, city.level, city.goal_bp) == ("2101", RegionLevel.CITY, 9200)
    assert (county.level, county.parent, county.population) == (RegionLevel.COUNTY, "2101", 12)
    assert county.extra == (("联系人", "李"),)


def test_level_and_parent_follow_from_the_code_where_they_are_empty(tmp_path: Path) -> None:
    text = "code,name\n210106001000,街道\n210106001017,社区\n210106,区\n"
    town, village, county = read(tmp_path, text).sound()
    assert (town.parent, village.parent, county.parent) == ("210106", "210106001000", None)
    assert (town.level, village.level) == (RegionLevel.TOWN, RegionLevel.VILLAGE)


def test_an_empty_population_is_unknown_and_never_zero(tmp_path: Path) -> None:
    (region,) = read(tmp_path, HEADING + "210106,铁西区,county,,,,,,,,\n").sound()
    assert region.population is None


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ("1.38E+10,甲,village,,,,,,,,", "code", "scientific"),
        ("21010,甲,village,,,,,,,,", "code", "not_a_code"),
        (",甲,village,,,,,,,,", "code", "missing"),
        ("210106,,county,,,,,,,,", "name", "missing"),
        ("210106,甲,大队,,,,,,,,", "level", "bad_level"),
        ("210106,甲,county,210100,,,,,,,", "parent", "parent_unknown"),
        ("210106,甲,county,,-5,,,,,,", "population", "negative"),
        ("210106,甲,county,,1.2E+05,,,,,,", "population", "scientific"),
        ("210106,甲,county,,12.5,,,,,,", "population", "not_whole"),
        ("210106,甲,county,,nan,,,,,,", "population", "not_whole"),
        ("210106,甲,county,,99999999999,,,,,,", "population", "too_large"),
        ("210106,甲,county,,,123.1,41.6,,,,", "lat", "out_of_range"),
        ("210106,甲,county,,,41,,,,,", "lon", "half_a_point"),
        ("210106,甲,county,,,41°,123,,,,", "lat", "not_degrees"),
        ("210106,甲,county,,,,,92,,,", "goal_bp", "not_a_goal"),
        ("210106,甲,county,,,,,101%,,,", "goal_bp", "not_a_goal"),
        ("210106,甲,county,,,,,,中文,,", "languages", "not_a_language"),
        ("210106,甲,county,,,,,,,2026-02-30,", "valid_from", "not_a_date"),
        ("210106,甲,county,,,,,,,2026-01-01,2025-01-01", "valid_to", "dates_swapped"),
        ("210106,#REF!,county,,,,,,,,", "name", "excel_error"),
    ],
)
def test_a_bad_cell_is_named_by_line_column_and_reason(tmp_path: Path, line: str, column: str, code: str) -> None:
    loaded = read(tmp_path, HEADING + "210200,好,city,,,,,,,,\n" + line + "\n")
    assert (3, column, code) in codes(loaded)
    assert [region.code for region in loaded.rows] == ["210200"]
    with pytest.raises(ConfigError, match=r"regions\.csv:3"):
        loaded.sound()


def test_two_spellings_of_one_place_are_a_duplicate(tmp_path: Path) -> None:
    loaded = read(tmp_path, "code,name\n210106,甲\n210106000000,乙\n")
    assert codes(loaded) == [(3, "code", "twice")]


def test_parents_in_a_circle_and_upside_down_are_refused(tmp_path: Path) -> None:
    loop = "code,name,level,parent\n210101,甲,county,210102\n210102,乙,county,210101\n210103,丙,county,210103\n"
    assert codes(read(tmp_path, loop)) == [(line, "parent", "parent_circle") for line in (2, 3, 4)]
    over = "code,name,level,parent\n210101,甲,county,\n210100,乙,city,210101\n"
    assert codes(read(tmp_path, over)) == [(3, "level", "level_order")]


def test_one_bad_parent_does_not_blame_its_children(tmp_path: Path) -> None:
    loaded = read(tmp_path, HEADING + "210106,区,county,,-1,,,,,,\n210106001,街道,town,210106,,,,,,,\n")
    assert codes(loaded) == [(2, "population", "negative")]


def test_parents_may_stand_in_another_file_and_later_files_correct_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,name,population\n210106,旧名,\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("code,name,parent\n210106001,街道,210106000000\n210106,铁西区,\n", encoding="utf-8")
    assert [region.name for region in load_regions([tmp_path / "a.csv", tmp_path / "b.csv"])] == ["铁西区", "街道"]


def test_gcj02_is_shifted_back(tmp_path: Path) -> None:
    lat, lon = wgs84(39.908823, 116.397470)  # Tiananmen as map services show it
    assert lat == pytest.approx(39.907420, abs=2e-5)
    assert lon == pytest.approx(116.391228, abs=2e-5)
    assert wgs84(48.85, 2.35) == (48.85, 2.35)
    text = "code,name,lat,lon,datum\n110101,东城,39.908823,116.397470,GCJ02\n"
    loaded = read(tmp_path, text + "110102,西城,39.9,116.3,wgs84\n110105,朝阳,39.9,116.4,x\n")
    assert [region.lat for region in loaded.rows] == [lat, 39.9]
    assert codes(loaded) == [(4, "datum", "datum_unknown")]
    whole = read(tmp_path, "code,name,lat,lon\n110101,东城,39.908823,116.397470\n", datum="gcj02")
    assert whole.rows[0].lat == lat


def test_an_export_reads_back_unchanged(tmp_path: Path) -> None:
    rng = random.Random(4)
    regions = [
        Region(
            f"2101{number:02}",
            rng.choice(["铁西区", "=HYPERLINK()", "'+a", 'x,"y"\n', "@b"]).strip(),
            RegionLevel.COUNTY,
            None,
            rng.choice([None, 0, 5]),
            *rng.choice([(None, None), (41.5, -123.25)]),
            goal_bp=rng.choice([None, 9200]),
            languages=rng.choice([(), ("zh-CN", "ko")]),
            valid_to=rng.choice(["", "2030-01-01"]),
            aliases=rng.choice([(), ("210199", "旧区")]),
            extra=rng.choice([(), (("note", "=1"),)]),
        )
        for number in range(1, 40)
    ]
    path = tmp_path / "out.csv"
    path.write_text("".join(write_regions(regions)), encoding="utf-8", newline="")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfcode,")
    assert read_regions(path).sound() == tuple(regions)
