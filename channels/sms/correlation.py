"""Which message a receipt is about, whatever the order in which answers and receipts come. One per channel.

Receipts are named by far id and reported at once, known or not: the gateway joins them. This room adds what only the
channel can know: ids in another base, parts of long messages, and receipts of either kind that overtook their answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from channels.sms.ids import Format, Names, Recent, canonical, other_bases
from channels.sms.parts import Parts
from channels.sms.receipt import Arrival
from gateway.channel import Instant, Receipt

REMEMBERED = 50_000
"""At least this many of the last messages' ids are remembered."""


class Unplaced(NamedTuple):
    """A receipt that came before anybody knew its id, and the far id under which it was reported."""

    arrival: Arrival
    reported_as: str


class Correlation:
    """Told of every answer (`accepted`; `part`, then `whole` or `broken`); `place` names receipts as they come.

    `take_late` gives receipts that became clear by an answer. `save` must be awaited before anything is told to anybody.
    """

    def __init__(self, form: Format, path: Path) -> None:
        self._names = Names(form, REMEMBERED)
        self._parts = Parts(path, REMEMBERED)
        self._unplaced: Recent[tuple[Unplaced, ...]] = Recent(REMEMBERED)
        self._any_unplaced = False
        self._undecided: dict[str, list[Arrival]] = {}
        self._late: list[Receipt] = []
        self._settled: list[str] = []

    @property
    def form(self) -> Format:
        """How receipts write ids, as set or learnt."""
        return self._names.form

    async def open(self, now: Instant) -> None:
        """Take up where the last process ended."""
        self._late.extend(await self._parts.load(now))

    async def close(self) -> None:
        """Write the rest down."""
        await self._parts.close()

    async def save(self) -> None:
        """Make what changed durable. Raises OSError if the disk refuses."""
        await self._parts.save()

    def accepted(self, raws: Sequence[str], addresses: Sequence[str]) -> list[str]:
        """The centre took messages for `addresses` and calls them `raws`; returns the far ids ("" where it gave no id)."""
        far_ids = self._names.accepted(raws, addresses)
        if self._any_unplaced:
            for far_id, address in zip(far_ids, addresses, strict=True):
                for arrival, reported_as in self._waiting(far_id, address):
                    if reported_as != far_id:
                        self._late.append(_receipt(arrival, far_id))
        return far_ids

    def part(self, raw: str, address: str) -> str:
        """As `accepted`, for a part of a message whose other parts are not all answered yet."""
        (far_id,) = self.accepted([raw], [address])
        if far_id:
            self._undecided.setdefault(far_id, [])
        return far_id

    def whole(self, ids: Sequence[str], address: str, at: Instant) -> str:
        """All parts of a message for `address` were taken, with these far ids; returns the far id of the whole."""
        distinct = tuple(dict.fromkeys(ids))
        came = {part: self._came_early(part, address) for part in distinct}
        if len(distinct) == 1:
            self._late += [_receipt(arrival, distinct[0]) for arrival in came[distinct[0]]]
            return distinct[0]
        if not all(distinct):
            return ""
        far_id = self._parts.expect(distinct, at)
        for part, arrivals in came.items():
            for arrival in arrivals:
                self._hear(part, arrival, self._late)
        return far_id

    def broken(self, ids: Sequence[str]) -> None:
        """Parts with these far ids were taken, but not the whole message: what becomes of them proves nothing."""
        for far_id in ids:
            self._undecided.pop(far_id, None)
        self._parts.ignore(ids)

    def spelling(self, far_id: str) -> str:
        """The centre's own spelling of a far id, as far as it is remembered."""
        return self._names.spelling(far_id)

    def place(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """The receipts to report for what came; a part of a long message gives one only when it decides the whole."""
        receipts: list[Receipt] = []
        new_receipt = Receipt._make  # by the hundred thousand a second
        resolve, parts, undecided = self._names.resolve, self._parts, self._undecided
        for arrival in arrivals:
            ids, address, level, reason, event_at = arrival
            far_id, certain = resolve(ids, address)
            if parts.any and parts.knows(far_id):
                self._hear(far_id, arrival, receipts)
            elif undecided and far_id in undecided:
                undecided[far_id].append(arrival)
            elif far_id:
                receipts.append(new_receipt((level, -1, far_id, "", reason, event_at)))
                if not certain:
                    self._put_aside(arrival, far_id)
        return receipts

    def take_late(self) -> list[Receipt]:
        """Receipts that an answer made clear, once."""
        late, self._late = self._late, []
        return late

    def put_back(self, late: Sequence[Receipt]) -> None:
        """These could not be reported: they are given again by the next `take_late`."""
        self._late[:0] = late

    def reported(self) -> None:
        """All that was placed is journalled: long messages of which all is known can be forgotten."""
        settled, self._settled = self._settled, []
        self._parts.forget_complete(settled)

    def _hear(self, far_id: str, arrival: Arrival, receipts: list[Receipt]) -> None:
        merged = self._parts.heard(far_id, arrival.level, arrival.reason, arrival.event_at)
        if merged is not None:
            receipts.append(merged)
            self._settled.append(far_id)

    def _put_aside(self, arrival: Arrival, far_id: str) -> None:
        unplaced = Unplaced(arrival, far_id)
        self._any_unplaced = True
        for spelling in dict.fromkeys(self._possible(arrival)):
            self._unplaced[spelling] = (*(self._unplaced.get(spelling) or ()), unplaced)[-4:]

    def _possible(self, arrival: Arrival) -> list[str]:
        spellings = [canonical(raw) for raw in arrival.ids]
        return spellings + [other for spelling in spellings for _, other in other_bases(spelling)]

    def _came_early(self, part: str, address: str) -> list[Arrival]:
        """Receipts for a part that came before all parts were answered."""
        early = self._undecided.pop(part, [])
        if self._any_unplaced:
            early += [arrival for arrival, _ in self._waiting(part, address)]
        return early

    def _waiting(self, far_id: str, address: str) -> list[Unplaced]:
        waiting = self._unplaced.get(far_id) or ()
        return [unplaced for unplaced in waiting if unplaced.arrival.address[-8:] == address[-8:]]


def _receipt(arrival: Arrival, far_id: str) -> Receipt:
    return Receipt(arrival.level, -1, far_id, "", arrival.reason, arrival.event_at)
