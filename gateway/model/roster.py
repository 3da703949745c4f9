"""The roster (名册): the frozen targets of one released alert, and coverage's denominator.

Columns, not objects: a roster may hold a million endpoints. Ordinals are positions in these columns and are all that
the journal ever says about a person. Endpoints stand in the order of (channel, variant, leaf), so that a batch is a range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PPM = 1_000_000
"""Shares and people are counted in millionths, in integers."""

NOBODY = -1
"""`endpoint_person` of a device or an area send."""


@dataclass(frozen=True, slots=True)
class RosterLeaf:
    """One targeted leaf region. `micro_people` = its target people P in millionths, None where its population is unknown.

    P = population x target share; with audiences or in an Exercise P = the weight of the selected recipients, and
    `registered` says so. `pseudo` marks the leaf 未分村 that holds people of a region whose village is not known.
    """

    code: str
    name: str
    micro_people: int | None
    pseudo: bool = False
    registered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """Who is to be reached by one alert.

    leaves: targeted leaf regions; an index into it is a *leaf number*.
    channels: names of the channels that hold endpoints; an index into it is a *channel number*.
    person_leaf, person_weight: int32[persons]: leaf number and people represented.
    endpoint_person: int32[endpoints]: person, or NOBODY for a device or area send.
    endpoint_channel: int16[endpoints]: channel number.
    endpoint_leaf: int32[endpoints]: leaf number where the endpoint stands (-1 if above the leaves).
    catch_endpoint, catch_leaf, catch_people: int32[k]: a device's (or area send's) people per leaf, one row for each pair,
    split by population with the largest remainder.
    """

    leaves: tuple[RosterLeaf, ...]
    channels: tuple[str, ...]
    person_leaf: NDArray[np.int32]
    person_weight: NDArray[np.int32]
    endpoint_person: NDArray[np.int32]
    endpoint_channel: NDArray[np.int16]
    endpoint_leaf: NDArray[np.int32]
    catch_endpoint: NDArray[np.int32]
    catch_leaf: NDArray[np.int32]
    catch_people: NDArray[np.int32]

    @property
    def persons(self) -> int:
        """How many recipients."""
        return len(self.person_leaf)

    @property
    def endpoints(self) -> int:
        """How many endpoints."""
        return len(self.endpoint_person)


Columns = dict[str, NDArray[Any]]
