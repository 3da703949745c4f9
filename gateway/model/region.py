"""Regions: nodes of *our* tree province-city-county-town-village-group, keyed by division code.

A code is written in reference data with 2, 4, 6, 9, 12, 14 or 15 digits, often padded with zeros (`210000`, `2101`,
`210106001000`). `Region.code` is what the file says; `significant(code)` is what two spellings of one place share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class RegionLevel(IntEnum):
    """Depth in the tree, province first."""

    PROVINCE = 1
    CITY = 2
    COUNTY = 3
    TOWN = 4
    VILLAGE = 5
    GROUP = 6

    @property
    def label(self) -> str:
        """The word in the `level` column."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Region:
    """One administrative division.

    `population` None = unknown (never 0 by default); `lat`/`lon` in WGS 84 degrees or None; `goal_bp` the coverage goal in
    basis points or None (inherit); `valid_from`/`valid_to` ISO dates or ""; `aliases` former codes (found like the code
    itself) and former names (shown only); `extra` the file's other columns, kept as they are.
    """

    code: str
    name: str
    level: RegionLevel
    parent: str | None
    population: int | None = None
    lat: float | None = None
    lon: float | None = None
    goal_bp: int | None = None
    languages: tuple[str, ...] = ()
    valid_from: str = ""
    valid_to: str = ""
    name_en: str = ""
    aliases: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NamedArea:
    """A named set of regions (流域, 危险区, 海区): a target by name. `owner` = the source whose list it is on, or ""."""

    id: str
    name: str
    kind: str
    members: tuple[str, ...]
    owner: str = ""
    valid_to: str = ""


@dataclass(frozen=True, slots=True)
class DirectoryRow:
    """One endpoint of the directory, as in its CSV. `recipient` "" = a device that covers `covers` people of `region`."""

    endpoint: str
    channel: str
    address: str
    region: str
    recipient: str = ""
    covers: int = 1
    audiences: tuple[str, ...] = ()
    language: str = ""
    name: str = ""
    post: str = ""
