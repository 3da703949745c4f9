import pytest

from gateway.model.region import RegionLevel
from gateway.rules.divisions import is_division_scheme, level_of, normal, shorter, significant, split, within


@pytest.mark.parametrize(
    ("code", "core"),
    [
        ("21", "21"),
        ("210000", "21"),
        ("2101", "2101"),
        ("210100000000", "2101"),
        ("210106", "210106"),
        ("210106000000", "210106"),
        ("62102300000000", "621023"),
        ("210106001", "210106001"),
        ("210106001000", "210106001"),
        ("210106001017", "210106001017"),
        ("21010600101700", "210106001017"),
        ("210106001017000", "210106001017"),
        ("210106001017003", "210106001017003"),
        ("441900003000", "441900003"),  # a town straight under a city keeps the empty county
        ("429004", "429004"),
        ("210200", "2102"),
        ("000000", ""),
    ],
)
def test_all_spellings_of_a_place_share_their_significant_digits(code: str, core: str) -> None:
    assert significant(code) == core


@pytest.mark.parametrize(
    "code", ["", "2", "21010", "2101060", "21010600101", "1.38E+10", "21O106", "-21", "000000", "২১"]
)
def test_what_is_no_code_is_told_apart(code: str) -> None:
    assert normal(code) is None


def test_full_width_digits_and_outer_spaces_are_read() -> None:
    assert normal(" 210106　") == "210106"


def test_codes_are_split_at_any_comma() -> None:
    assert split("210423,210323,210106、21 22") == ["210423", "210323", "210106", "21", "22"]


def test_shorter_goes_from_the_town_to_the_province() -> None:
    assert shorter("210106001017") == ["210106001", "210106", "2101", "21"]
    assert shorter("441900003") == ["4419", "44"]


def test_scope_is_compared_by_place_not_by_characters() -> None:
    assert within("210106001017", "210000")
    assert within("210106", "210106000000")
    assert not within("210106", "210106001000")
    assert not within("210303", "2101")


def test_level_follows_from_the_length() -> None:
    assert level_of("210000") is RegionLevel.PROVINCE
    assert level_of("210106001017") is RegionLevel.VILLAGE
    assert level_of("000000") is None


@pytest.mark.parametrize(
    "name", ["CN-GB2260", "gb/t 2260", "GB/T 2260-2007", "行政区划代码", "adcode", "GBT10114-2003"]
)
def test_names_of_chinese_codes(name: str) -> None:
    assert is_division_scheme(name)


@pytest.mark.parametrize(
    "name", ["FIPS6", "SAME", "UGC", "WARNCELLID", "profile:CAP-CP:Location:0.3", "", "tongluo:area"]
)
def test_names_of_other_codes(name: str) -> None:
    assert not is_division_scheme(name)
