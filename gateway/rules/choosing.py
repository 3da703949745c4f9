"""Which info of an alert each endpoint gets: the one that covers its place, in its language. Only enrolling calls it.

A missing translation never means silence: recipient's language, the region's languages, zh-CN, then whatever there is, flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.alert import Finding, Info
from gateway.model.directory import DirectoryColumns
from gateway.rules.grounding import Ground
from gateway.rules.remarks import remark
from gateway.rules.targeting import Targets

DEFAULT = "zh-CN"

Covering = tuple[int, ...]
"""Indices of the infos whose areas hold a place."""


class Choice(NamedTuple):
    """The info for one kind of endpoint, and the language that was wanted in vain ("" = it was there)."""

    info: int
    missing: str


class Wording(NamedTuple):
    """int16[chosen]: the info of each chosen endpoint, and what was missing."""

    info: NDArray[np.int16]
    findings: tuple[Finding, ...]

    @classmethod
    def of(
        cls,
        ground: Ground,
        infos: Sequence[Info],
        targets: Targets,
        directory: DirectoryColumns,
        chosen: NDArray[np.int64],
    ) -> Wording:
        """Choose once for each kind of endpoint (region and language of the directory), then look it up for all."""
        many = len(directory.languages)
        kinds, kind = np.unique(
            directory.region[chosen].astype(np.int64) * max(many, 1) + directory.language[chosen], return_inverse=True
        )
        covering = _Covering(targets)
        choices = []
        for number in kinds.tolist():
            place = ground.places[number // many]
            code = place.region.code if place.region else ""
            own, local = directory.languages[number % many], ground.tree.languages_of(code)
            choices.append(choose(infos, covering.at(place.leaves), own, local))
        info = np.array([choice.info for choice in choices], dtype=np.int16)[kind] if choices else np.zeros(0, np.int16)
        counts = np.bincount(kind, minlength=len(choices))
        return cls(info, tuple(_missing(choices, counts)))


class _Covering:
    """The infos over a range of leaves; equal answers are found once."""

    def __init__(self, targets: Targets) -> None:
        covers = np.array(targets.infos, dtype=np.int32).reshape(len(targets.infos), len(targets.union)) > 0
        self._bits = np.packbits(covers, axis=0)
        self._seen: dict[bytes, Covering] = {}

    def at(self, leaves: range) -> Covering:
        bits = np.bitwise_or.reduce(self._bits[:, leaves.start : leaves.stop], axis=1)
        found = self._seen.get(bits.tobytes())
        if found is None:
            found = self._seen[bits.tobytes()] = tuple(np.flatnonzero(np.unpackbits(bits)).tolist())
        return found


def choose(infos: Sequence[Info], covering: Covering, own: str, local: Sequence[str] = ()) -> Choice:
    """The best of the covering infos: in the recipient's `own` language ("" = not known), else in one of the region's `local`
    ones, else in zh-CN, else any; of these the gravest, then the first.

    Missing is the recipient's own language, or all of the region's where no own one is known. A language matches exactly
    before it matches by its first part (zh).
    """
    hoped = [own] if own else [*local] or [DEFAULT]
    for language in [*hoped, *local, DEFAULT]:
        if fitting := _speaking(infos, covering, language):
            return Choice(_gravest(infos, fitting), "" if language in hoped else hoped[0])
    return Choice(_gravest(infos, covering), hoped[0])


def _speaking(infos: Sequence[Info], covering: Covering, language: str) -> list[int]:
    wanted = language.casefold()
    exact = [number for number in covering if infos[number].language.casefold() == wanted]
    return exact or [number for number in covering if _primary(infos[number].language) == _primary(wanted)]


def _primary(language: str) -> str:
    return language.casefold().replace("_", "-").partition("-")[0]


def _gravest(infos: Sequence[Info], covering: Sequence[int]) -> int:
    return min(covering, key=lambda number: (-infos[number].grade, number))


def _missing(choices: Sequence[Choice], counts: NDArray[np.int64]) -> list[Finding]:
    """One finding that says which languages are missing, for how many endpoints."""
    lacking: dict[str, int] = {}
    for choice, count in zip(choices, counts.tolist(), strict=True):
        if choice.missing:
            lacking[choice.missing] = lacking.get(choice.missing, 0) + count
    said = [f"{language} × {count}" for language, count in sorted(lacking.items())]
    return [remark("language_missing", "/alert", said)] if said else []
