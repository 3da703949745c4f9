"""Makes the sample data, always the same from the same seed: `python deploy/sample/make_sample.py` writes it into config/.

Codes and names of the divisions are facts; village populations and coordinates, and the whole directory, are made up
(示例数据). Tests and benches import `load_regions` and `load_rows` for any number of recipients and villages.

The arithmetic, for all channels healthy (every SMS and WeChat message receipted, every loudspeaker plays):
a = people registered / P, a loudspeaker is heard by 0.5 of the village, a county broadcast reaches 0.3, so
est = 1 - (1 - a) * 0.5 * 0.7 with both, 1 - (1 - a) * 0.5 without the broadcast (coverage.md §1.5).

| kind of village | a | loudspeakers | est without broadcast | with it |
| good            | 0.88 to 0.97 | 1 or 2 | 0.940 to 0.985 | 0.958 and more: passes 92 % |
| good, Xiuyan    | 0.965 to 0.99 | 1 or 2 | 0.982 to 0.995 | 0.987 and more: passes 98 % |
| silent          | 0.93 to 0.97 | none | 0.930 to 0.970 | 0.951 and more: passes 92 % |
| thin            | 0.55 to 0.70 | 1 | 0.775 to 0.850 | 0.843 to 0.895: fails 92 % |
| blind           | 0 | none | 0 | 0.3, and nothing proves a delivery |

Populations of 55 to 165 and households of 1 to 5 people (3.3 on average) make some 20,000 recipients in 662 villages.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil, cos, pi, radians, sin, sqrt
from pathlib import Path
from random import Random
from typing import NamedTuple

from gateway.model.region import DirectoryRow, Region, RegionLevel
from gateway.reference.directory import write_directory
from gateway.reference.regions import load_regions as read_files
from gateway.reference.regions import write_regions

SEED = 20260722
CONFIG = Path(__file__).resolve().parents[2] / "config"
NOTE = "示例数据：人口与坐标为虚构"
PLATFORM = "http://127.0.0.1:9104/ebd"
"""Where the county broadcast platforms of the sample listen; the demo puts its simulator's address in its place."""

TIEXI, QINGYUAN, XIUYAN, XINBIN = "210106", "210423", "210323", "210422"
SPREAD = {TIEXI: 0.06, QINGYUAN: 0.30, XIUYAN: 0.30}
"""How far towns lie around the county's centroid, in degrees."""

HOUSEHOLDS = (1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5)
"""Sizes to draw from: 3.25 on average."""


class Kind(NamedTuple):
    """A kind of village: the bounds of a, and its loudspeakers."""

    name: str
    least: float
    most: float
    speakers: int


GOOD, TWIN = Kind("good", 0.88, 0.97, 1), Kind("twin", 0.88, 0.97, 2)
FIRM, FIRM_TWIN = Kind("firm", 0.965, 0.99, 1), Kind("firm twin", 0.965, 0.99, 2)
SILENT, THIN, BLIND = Kind("silent", 0.93, 0.97, 0), Kind("thin", 0.55, 0.70, 1), Kind("blind", 0.0, 0.0, 0)

PLANS: dict[str, tuple[tuple[Kind, int], ...]] = {
    TIEXI: ((BLIND, 3), (THIN, 24), (SILENT, 12), (TWIN, 8)),
    QINGYUAN: ((BLIND, 2), (THIN, 20), (SILENT, 8), (TWIN, 6)),
    XIUYAN: ((BLIND, 2), (THIN, 4), (FIRM_TWIN, 4)),
}
"""How many villages of each kind a county has; the others are good (Xiuyan: firm)."""


def place(regions: Sequence[Region], counties: Iterable[Region], seed: int = SEED) -> list[Region]:
    """The towns and villages with made-up populations (villages) and coordinates (both), in the order given."""
    rng = Random(seed)
    spots = {county.code: (county.lat or 0.0, county.lon or 0.0) for county in counties}
    placed: dict[str, Region] = {}
    for county, centre in spots.items():
        towns = [region for region in regions if region.level is RegionLevel.TOWN and region.code.startswith(county)]
        for town, spot in zip(towns, spiral(centre, SPREAD[county], len(towns)), strict=True):
            placed[town.code] = _at(town, spot)
            villages = [region for region in regions if region.parent == town.code]
            reach = 0.6 * SPREAD[county] / sqrt(len(towns))
            for village, where in zip(villages, spiral(spot, reach, len(villages)), strict=True):
                placed[village.code] = replace(_at(village, where), population=rng.randint(55, 165))
    return [placed[region.code] for region in regions]


def spiral(centre: tuple[float, float], reach: float, count: int) -> Iterator[tuple[float, float]]:
    """`count` points (latitude, longitude) spread evenly over a disc of `reach` degrees, as the seeds of a sunflower."""
    for number in range(count):
        distance, turn = reach * sqrt((number + 0.5) / count), number * pi * (3 - sqrt(5))
        lat = centre[0] + distance * sin(turn)
        yield round(lat, 5), round(centre[1] + distance * cos(turn) / cos(radians(lat)), 5)


def _at(region: Region, spot: tuple[float, float]) -> Region:
    return replace(region, lat=spot[0], lon=spot[1], extra=(("note", NOTE),))


def kinds(villages: Sequence[Region], county: str, rng: Random) -> list[Kind]:
    """A kind for each village of a county, by its plan."""
    usual = FIRM if county == XIUYAN else GOOD
    dealt = [kind for kind, count in PLANS.get(county, ()) for _ in range(count)]
    dealt += [usual] * (len(villages) - len(dealt))
    rng.shuffle(dealt)
    return dealt


def directory(regions: Sequence[Region], xinbin: Region, seed: int = SEED) -> Iterator[DirectoryRow]:
    """The sample directory: households, officers, loudspeakers, pagers of town duty desks, county broadcasts."""
    rng = Random(seed)
    phone = iter(range(1, 10**8))
    people: list[DirectoryRow] = []
    for county in SPREAD:
        villages = [one for one in regions if one.level is RegionLevel.VILLAGE and one.code.startswith(county)]
        for number, (village, kind) in enumerate(zip(villages, kinds(villages, county, rng), strict=True)):
            drill = ("drill",) if number % 20 == 10 else ()
            registered = ceil(rng.uniform(kind.least, kind.most) * (village.population or 0))
            people += households(village, registered, drill, phone, rng)
            yield from speakers(village, kind.speakers, drill)
    people += households(xinbin, ceil(0.8 * (xinbin.population or 0)), (), phone, rng)
    yield from people
    yield from desks([region for region in regions if region.level is RegionLevel.TOWN], people)
    yield from broadcasts(regions)


def households(
    village: Region, people: int, drill: tuple[str, ...], phone: Iterator[int], rng: Random
) -> Iterator[DirectoryRow]:
    """Households until exactly `people` are registered; most by SMS, a third by WeChat too, a few by WeChat alone."""
    number = 0
    while people > 0:
        covers = min(people, rng.choice(HOUSEHOLDS))
        people, number = people - covers, number + 1
        officer = ("officers",) if number <= 2 else ()
        school = ("schools",) if number == 3 and rng.random() < 0.2 else ()
        line, chance = next(phone), rng.random()
        row = DirectoryRow(
            endpoint=f"sms-{line}",
            channel="sms",
            address=f"100{line:08}",
            region=village.code,
            recipient=f"{village.code}-{number:04}",
            covers=covers,
            audiences=(*officer, *school, *drill),
            name=f"示例村责任人{'AB'[number - 1]}" if officer else "",
            post=f"责任人{'AB'[number - 1]}" if officer else "",
        )
        if chance < 0.95 or officer:
            yield row
        if chance >= 0.67:
            yield replace(row, endpoint=f"wx-{line}", channel="wechat", address=f"oSAMPLE-{line:08}")


def speakers(village: Region, count: int, drill: tuple[str, ...]) -> Iterator[DirectoryRow]:
    """The loudspeakers of a village share its people between them."""
    people = village.population or 0
    for number in range(count):
        share = people // count + (number < people % count)
        name = f"spk-{village.code}-{number + 1}"
        yield DirectoryRow(name, "village-speakers", name, village.code, "", share, drill)


def desks(towns: Sequence[Region], people: Sequence[DirectoryRow]) -> Iterator[DirectoryRow]:
    """The duty desks of twenty towns: a pager for the first officer of the town who is registered in a village."""
    for number, town in enumerate(towns[:: len(towns) // 20][:20]):
        officer = next(row for row in people if "officers" in row.audiences and row.region.startswith(town.code[:9]))
        desk = f"desk-{town.code[:9]}"
        post = f"责任人{'AB'[number % 2]}"
        yield replace(
            officer, endpoint=f"pager-{desk}", channel="pager", address=desk, name=f"{town.name}值班室", post=post
        )


def broadcasts(regions: Sequence[Region]) -> Iterator[DirectoryRow]:
    """One platform for each of the three counties; it covers everybody in it."""
    for county in SPREAD:
        people = sum(region.population or 0 for region in regions if region.code.startswith(county))
        yield DirectoryRow(f"ebd-{county}", "county-broadcast", PLATFORM, county, "", people)


def load_regions(villages: int, per_town: int = 20) -> list[Region]:
    """A made-up county 219901 with that many villages of 50 people, for load tests."""
    made = [Region("219901", "示例县", RegionLevel.COUNTY, None, lat=41.0, lon=124.0)]
    for number in range(villages):
        town, village = number // per_town + 1, number % per_town
        if not village:
            made.append(Region(f"219901{town:03}000", f"示例{town}镇", RegionLevel.TOWN, "219901"))
        code = f"219901{town:03}{village + 1:03}"
        spot = (40.5 + town * 0.001, 123.5 + village * 0.001)
        made.append(Region(code, f"示例{number}村", RegionLevel.VILLAGE, f"219901{town:03}000", 50, *spot))
    return made


def load_rows(recipients: int, regions: Sequence[Region], channel: str = "sms") -> Iterator[DirectoryRow]:
    """That many recipients of one person each on one channel, spread evenly over the villages."""
    villages = [region.code for region in regions if region.level is RegionLevel.VILLAGE]
    for number in range(recipients):
        address = f"100{number:08}"
        yield DirectoryRow(f"{channel}-{number}", channel, address, villages[number % len(villages)], f"load-{number}")


def main(config: Path = CONFIG) -> None:
    """Write the towns and villages and the directory into `config`."""
    towns = config / "regions" / "three-counties.csv"
    regions = {region.code: region for region in read_files([config / "regions" / "liaoning.csv", towns])}
    with towns.open(encoding="utf-8-sig", newline="") as file:
        order = [row["code"] for row in csv.DictReader(file)]
    placed = place([regions[code] for code in order], [regions[county] for county in SPREAD])
    _write(towns, write_regions(placed))
    _write(config / "directory" / "sample.csv", write_directory(directory(placed, regions[XINBIN])))


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(lines)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
