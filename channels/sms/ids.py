"""The message ids of a centre: one spelling for the same id, and which of our messages a receipt is about.

Centres write ids in hexadecimal or decimal, with or without leading zeros, and some use one base in their answers and the
other in their receipts. Our spelling (the `far_id`) is that of the answer, in lower case and without leading zeros. The
ids of the last messages are remembered with their phone numbers, so that a receipt in the other base is recognised with
certainty; what was learnt is used for ids that are no longer remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Literal, TypeVar

Format = Literal["any", "hex", "dec"]
"""How receipts write ids: like the answers (or to be learnt), in hexadecimal of the answers' decimal, or the reverse."""

T = TypeVar("T")


class Recent(Generic[T]):
    """A mapping that keeps at least the `keep` entries set last and forgets older ones, in constant time."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._young: dict[str, T] = {}
        self._old: dict[str, T] = {}

    def __setitem__(self, key: str, value: T) -> None:
        self._young[key] = value
        if len(self._young) >= self._keep:
            self._old, self._young = self._young, {}

    def update(self, pairs: Iterable[tuple[str, T]]) -> None:
        """Set many at once."""
        self._young.update(pairs)
        if len(self._young) >= self._keep:
            self._old, self._young = self._young, {}

    def get(self, key: str) -> T | None:
        """The value set last, or None."""
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)


def canonical(raw: str) -> str:
    """One spelling of an id: lower case, no leading zeros, no blanks around it. An id that is all zeros is `0`."""
    short = raw.strip().lower().lstrip("0")
    return short or ("0" if raw.strip() else "")


def other_bases(far_id: str) -> Iterator[tuple[Format, str]]:
    """The ids that `far_id`, read in a receipt, may stand for if the answers use the other base."""
    if len(far_id) > 20 or not far_id.isascii() or not far_id.isalnum():
        return
    if far_id.isdigit():
        yield "dec", format(int(far_id), "x")
    try:
        yield "hex", str(int(far_id, 16))
    except ValueError:
        return


class Names:
    """Which far id a receipt means.

    `accepted` is told of every answer, `resolve` asked for every receipt with its ids, the surest first.
    """

    def __init__(self, form: Format, keep: int) -> None:
        self.form: Format = form
        self._fixed = form != "any"
        self._known: Recent[tuple[str, str]] = Recent(keep)

    def accepted(self, raws: Sequence[str], addresses: Sequence[str]) -> list[str]:
        """Remember the ids the centre gave to messages for these addresses; returns the far ids."""
        far_ids = [raw.strip().lower().lstrip("0") or canonical(raw) for raw in raws]
        self._known.update(zip(far_ids, zip(addresses, raws, strict=True), strict=True))
        return far_ids

    def spelling(self, far_id: str) -> str:
        """The id as the centre wrote it, if it is still remembered: that is how a cancel_sm must name it."""
        known = self._known.get(far_id)
        return known[1] if known else far_id

    def resolve(self, ids: tuple[str, ...], address: str) -> tuple[str, bool]:
        """The far id meant by a receipt about `address`, and whether it is certain (one of the remembered)."""
        first = ids[0].strip().lower().lstrip("0")
        known = self._known.get(first)
        if known is not None and known[0] == address:
            return first, True
        return self._search([canonical(raw) for raw in ids], address)

    def _search(self, spellings: list[str], address: str) -> tuple[str, bool]:
        for spelling in spellings:
            if self._is_about(spelling, address):
                return spelling, True
        for spelling in spellings:
            for form, converted in other_bases(spelling):
                if self._is_about(converted, address):
                    self._learn(form)
                    return converted, True
        return self._guess(spellings[0]), False

    def _is_about(self, far_id: str, address: str) -> bool:
        known = self._known.get(far_id)
        return known is not None and (known[0] == address or known[0][-8:] == address[-8:])

    def _learn(self, form: Format) -> None:
        if not self._fixed:
            self.form = form

    def _guess(self, spelling: str) -> str:
        return dict(other_bases(spelling)).get(self.form, spelling)
