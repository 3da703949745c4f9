"""The directory as columns: every endpoint that may ever be addressed, in a form that targeting can sift by the million.

The store keeps it in memory and hands it to `gateway.rules.enrolling`; `columns` makes it from rows (files, tests, benches).
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.model.region import DirectoryRow

DEVICE = -1
"""`recipient` of a device or an area send: nobody's own address."""

DRILL = "drill"
"""The reserved audience: the only endpoints that an Exercise reaches."""

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class DirectoryColumns:
    """n endpoints in columns; a row's place in them is its *position*.

    channels, regions, languages, audiences: the distinct values, pointed at by the columns of the same name.
    id: int64[n] the store's number of the endpoint; channel: int16[n]; region: int32[n]; language: int16[n];
    audience: int32[n] (a whole set of audiences); recipient: int64[n], equal for the addresses of one person, DEVICE for
    a device; covers: int32[n] people; addresses: n strings.
    """

    channels: tuple[str, ...]
    regions: tuple[str, ...]
    languages: tuple[str, ...]
    audiences: tuple[frozenset[str], ...]
    id: NDArray[np.int64]
    channel: NDArray[np.int16]
    region: NDArray[np.int32]
    language: NDArray[np.int16]
    audience: NDArray[np.int32]
    recipient: NDArray[np.int64]
    covers: NDArray[np.int32]
    addresses: Sequence[str]

    def __len__(self) -> int:
        return len(self.id)


class _Numbers(dict[T, int], Generic[T]):
    """Distinct values, numbered in the order they are first met."""

    def __missing__(self, value: T) -> int:
        self[value] = number = len(self)
        return number


def columns(rows: Iterable[DirectoryRow]) -> DirectoryColumns:
    """The rows as columns, `id` = position. Reads the iterable once and keeps nothing but the columns and the addresses."""
    channels, regions, languages = _Numbers[str](), _Numbers[str](), _Numbers[str]()
    audiences, recipients = _Numbers[tuple[str, ...]](), _Numbers[str]()
    channel, region, language = array("h"), array("i"), array("h")
    audience, recipient, covers = array("i"), array("q"), array("i")
    addresses: list[str] = []
    for row in rows:
        channel.append(channels[row.channel])
        region.append(regions[row.region])
        language.append(languages[row.language])
        audience.append(audiences[row.audiences])
        recipient.append(recipients[row.recipient] if row.recipient else DEVICE)
        covers.append(row.covers)
        addresses.append(row.address)
    return DirectoryColumns(
        channels=tuple(channels),
        regions=tuple(regions),
        languages=tuple(languages),
        audiences=tuple(frozenset(names) for names in audiences),
        id=np.arange(len(addresses), dtype=np.int64),
        channel=np.frombuffer(channel, dtype=np.int16),
        region=np.frombuffer(region, dtype=np.int32),
        language=np.frombuffer(language, dtype=np.int16),
        audience=np.frombuffer(audience, dtype=np.int32),
        recipient=np.frombuffer(recipient, dtype=np.int64),
        covers=np.frombuffer(covers, dtype=np.int32),
        addresses=addresses,
    )
