from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from gateway.errors import ConfigError
from gateway.reference.reasons import REASONS
from gateway.reference.tables import diff, guarded, open_table, unguarded

HEADING = {"code": ("代码",), "name": ("名称",)}


def rows(path: Path, **options: object) -> list[dict[str, str]]:
    table = open_table(path, HEADING, ("code",), **options)  # type: ignore[arg-type]
    return [{column: row.text(column) for column in ("code", "name")} for row in table.rows()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("comma", [",", "\t", ";"])
def test_every_encoding_and_comma_gives_the_same_rows(tmp_path: Path, encoding: str, comma: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"代码{comma}名称\r\n210106{comma}铁西区\r\n\r\n".encode(encoding))
    assert rows(path) == [{"code": "210106", "name": "铁西区"}]


def test_headings_may_bear_brackets_spaces_and_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(" 代 码（必填）,乡镇叫法\n1, 甲 \n", encoding="utf-8")
    assert rows(path, mapping={"乡镇叫法": "name"}) == [{"code": "1", "name": "甲"}]


def test_a_workbook_keeps_codes_whole_and_shows_the_damaged_ones(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (
        ["代码", "名称"],
        [210106001017, "甲"],
        ["210106001018", None],
        [1.38e17, True],
        [None, None],
        [2.5, "乙"],
    ):
        sheet.append(line)
    book.save(tmp_path / "t.xlsx")
    book.close()
    assert rows(tmp_path / "t.xlsx") == [
        {"code": "210106001017", "name": "甲"},
        {"code": "210106001018", "name": ""},
        {"code": "1.38E+17", "name": "True"},
        {"code": "2.5", "name": "乙"},
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "columns are missing"),
        ("代码,code\n".encode(), "two columns"),
        (b"\xd0\xcf\x11\xe0....", "xls"),
        (b"PK\x03\x04broken", "workbook"),
        (b"\xff\xff\xff", "GB18030"),
    ],
)
def test_a_useless_file_is_refused_with_what_to_do(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=said):
        rows(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        rows(tmp_path / "none.csv")


def test_a_line_with_shifted_cells_is_blamed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code,name\n1,a,b\n2,c,\n", encoding="utf-8")
    problems = [problem for row in open_table(path, HEADING, ("code",)).rows() for problem in row.problems]
    assert [(problem.line, problem.code) for problem in problems] == [(2, "too_many_cells")]
    assert REASONS["too_many_cells"][0] in str(problems[0])


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "@sum", "-x", "'=a", "''+b"])
def test_no_cell_of_an_export_is_a_formula(text: str) -> None:
    assert guarded(text)[0] == "'"
    assert unguarded(guarded(text)) == text


@given(st.text())
def test_guarding_is_undone_by_reading(text: str) -> None:
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("number", ["-123.4", "+8610000000001", "41.9", "0"])
def test_numbers_stay_numbers(number: str) -> None:
    assert guarded(number) == number


def test_a_diff_says_what_comes_changes_and_goes() -> None:
    found = diff([("a", 1), ("b", 1), ("c", 1)], [("c", 1), ("b", 2), ("d", 1)], lambda row: row[0])
    assert found == (("d",), ("b",), ("a",))
    assert str(found) == "+1 d; ~1 b; -1 a"
