from pathlib import Path

import pytest

from gateway.model.directory import DEVICE, columns
from gateway.model.region import DirectoryRow, NamedArea, Region, RegionLevel
from gateway.reference.areas import load_areas, read_areas, write_areas
from gateway.reference.directory import read_directory, scan_directory, write_directory
from gateway.reference.tables import Problem
from gateway.rules.tree import Tree

HEADING = "endpoint,channel,address,region,recipient,covers,audiences,language,name,post\n"
TREE = Tree([Region("210106", "铁西区", RegionLevel.COUNTY, None), Region("210422", "新宾", RegionLevel.COUNTY, None)])


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "directory.csv"
    path.write_text(text, encoding="gb18030")
    return path


def test_people_and_devices_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEADING
        + "e1,sms,10000000001,210106,p1,3,schools；drill,zh-CN,示例,责任人A\ne2,horn,spk-1,210106000000,,,,,,\n",
    )
    person, device = read_directory(path, tree=TREE, channels={"sms", "horn"}).sound()
    assert person == DirectoryRow(
        "e1", "sms", "10000000001", "210106", "p1", 3, ("schools", "drill"), "zh-CN", "示例", "责任人A"
    )
    assert (device.recipient, device.covers) == ("", 1)


def test_chinese_headings_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path, "终端编号,渠道,手机号码,所在区划,受众,覆盖人数,人群\n1,sms,10000000001,210422001001,p,2,学校、医院\n"
    )
    (row,) = read_directory(path, tree=TREE).sound()
    assert row.audiences == ("学校", "医院")


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ("e2,sms,1.38E+10,210106,p,,,,,", "address", "scientific"),
        ("e1,sms,10000000002,210106,p,,,,,", "endpoint", "twice"),
        ("e2,fax,10000000002,210106,p,,,,,", "channel", "channel_unknown"),
        ("e2,sms,,210106,p,,,,,", "address", "missing"),
        ("e2,sms,10000000002,999999,p,,,,,", "region", "region_unknown"),
        ("e2,sms,10000000002,2.1E+11,p,,,,,", "region", "scientific"),
        ("e2,sms,10000000002,210106,p,0,,,,", "covers", "not_positive"),
        ("e2,sms,10000000002,210106,p,-3,,,,", "covers", "negative"),
        ("e2,sms,10000000002,210106,1.38E+17,,,,,", "recipient", "scientific"),
        ("e2,sms,10000000002,210106,p,,,说中文,,", "language", "not_a_language"),
        ("e2,sms,1000000\x010002,210106,p,,,,,", "address", "control_character"),
    ],
)
def test_a_bad_row_is_named_by_line_column_and_reason(tmp_path: Path, line: str, column: str, code: str) -> None:
    path = written(tmp_path, f"{HEADING}e1,sms,10000000001,210106,q,,,,,\n{line}\n")
    loaded = read_directory(path, tree=TREE, channels={"sms"})
    assert [(problem.line, problem.column, problem.code) for problem in loaded.problems] == [(3, column, code)]
    assert len(loaded.rows) == 1


def test_a_scan_gives_rows_as_they_come(tmp_path: Path) -> None:
    path = written(tmp_path, HEADING + "e1,sms,a,210106,,,,,,\ne1,sms,b,210106,,,,,,\ne3,sms,c,210106,,,,,,\n")
    assert [isinstance(found, Problem) for found in scan_directory(path)] == [False, True, False]


def test_an_export_reads_back_unchanged(tmp_path: Path) -> None:
    rows = (
        DirectoryRow("e1", "sms", "+8610000000001", "210106", "p1", 3, ("a", "drill"), "zh-CN", "=cmd()", "-责任人"),
        DirectoryRow("e2", "horn", "@spk", "210106", "", 0),
    )
    path = tmp_path / "out.csv"
    path.write_text("".join(write_directory(rows)), encoding="utf-8", newline="")
    assert read_directory(path).sound() == rows


def test_columns_number_the_distinct_values() -> None:
    table = columns(
        [
            DirectoryRow("1", "sms", "a", "210106", "p", 2, ("x",)),
            DirectoryRow("2", "wechat", "b", "210106", "p"),
            DirectoryRow("3", "sms", "c", "210422", "", 40, ("x",), "ko"),
        ]
    )
    assert (table.channels, table.regions, table.languages) == (("sms", "wechat"), ("210106", "210422"), ("", "ko"))
    assert table.recipient.tolist() == [0, 0, DEVICE]
    assert [table.audiences[number] for number in table.audience] == [{"x"}, frozenset(), {"x"}]
    assert len(table) == 3


def test_named_areas_are_read_checked_and_written_back(tmp_path: Path) -> None:
    path = written(
        tmp_path, "编号,名称,类型,成员,发布单位,有效期止\nA1,浑河,流域,210106；210422001,水利局,2030-01-01\n"
    )
    assert read_areas(path, tree=TREE).problems[0].value == "210422001"
    areas = load_areas([path])
    assert areas["A1"] == NamedArea("A1", "浑河", "流域", ("210106", "210422001"), "水利局", "2030-01-01")
    out = tmp_path / "out.csv"
    out.write_text("".join(write_areas(areas.values())), encoding="utf-8", newline="")
    assert load_areas([out]) == areas


def test_named_areas_stand_once_and_have_members(tmp_path: Path) -> None:
    path = written(
        tmp_path, "id,name,members,owner\nA1,甲,210106,s\nA1,乙,210106,s\nA3,甲,210422,s\nA4,甲,210422,t\nA5,丁,,\n"
    )
    loaded = read_areas(path)
    assert [(problem.line, problem.column, problem.code) for problem in loaded.problems] == [
        (3, "id", "twice"),
        (4, "name", "twice"),
        (6, "members", "missing"),
    ]
