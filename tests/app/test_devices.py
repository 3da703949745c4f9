"""Devices that a channel hears, counted by county: those online, of those that the directory has there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app.devices import by_county
from gateway.model.directory import columns
from gateway.model.region import DirectoryRow, Region, RegionLevel
from gateway.rules.tree import Tree

QINGYUAN, TIEXI = "210423", "210106"


def speaker(address: str, region: str, channel: str = "speakers") -> DirectoryRow:
    return DirectoryRow(f"e-{channel}-{address}", channel, address, region, covers=5)


@pytest.fixture
def world() -> Any:
    """Two counties with three and one speakers, one of the city's own; and a phone whose number is a speaker's address."""
    regions = [
        Region("210000", "辽宁省", RegionLevel.PROVINCE, None),
        Region("210400", "抚顺市", RegionLevel.CITY, "210000"),
        Region(QINGYUAN, "清原县", RegionLevel.COUNTY, "210400"),
        Region("210423100", "清原镇", RegionLevel.TOWN, QINGYUAN),
        Region("210423100201", "南山村", RegionLevel.VILLAGE, "210423100"),
        Region("210100", "沈阳市", RegionLevel.CITY, "210000"),
        Region(TIEXI, "铁西区", RegionLevel.COUNTY, "210100"),
    ]
    rows = [
        speaker("s-1", "210423100201"),
        speaker("s-2", "210423100"),
        speaker("s-3", QINGYUAN),
        speaker("s-4", TIEXI),
        speaker("s-5", "210400"),
        speaker("s-9", TIEXI, "sms"),
    ]
    return SimpleNamespace(tree=Tree(regions), directory=columns(rows))


def test_every_device_counts_for_the_county_that_holds_it(world: Any) -> None:
    heard = {"s-1": True, "s-2": False, "s-4": True}
    assert by_county(world, "speakers", heard) == {QINGYUAN: (1, 3), TIEXI: (1, 1)}


def test_devices_that_were_never_heard_count_as_silent(world: Any) -> None:
    assert by_county(world, "speakers", {"s-1": True}) == {QINGYUAN: (1, 3), TIEXI: (0, 1)}


def test_devices_that_no_county_knows_are_counted_apart(world: Any) -> None:
    heard = {"s-1": True, "s-9": True, "stranger": False, "s-5": True}
    assert by_county(world, "speakers", heard) == {QINGYUAN: (1, 3), TIEXI: (0, 1), "": (2, 3)}


def test_a_channel_without_devices_in_the_directory_has_strangers_alone(world: Any) -> None:
    assert by_county(world, "sirens", {"x": True, "y": False}) == {"": (1, 2)}


def test_a_channel_that_hears_no_devices_says_nothing_of_them(world: Any) -> None:
    assert by_county(world, "speakers", {}) == {}
