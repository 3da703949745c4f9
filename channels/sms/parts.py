"""Long messages: which parts make one message, and what is known of each. A message is delivered when all its parts are.

The far id of a message in parts is `id1+id2+...`; receipts name the parts, so that the table of open messages decides
when the whole is delivered or failed. It stands in a file of the channel's own folder, written before the answers are
reported and before a part's receipt is acknowledged: a restart goes on where the process ended, and a receipt whose
table is lost proves nothing rather than too much.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from channels.sms.ids import Recent
from gateway.channel import Instant, Level, Reason, Receipt

JOINT = "+"
KEEP_MS = 72 * 3_600_000
"""How long receipts of a message are waited for."""

Heard = tuple[Level, Reason, Instant | None]


class Long:
    """A message in parts that is still open."""

    __slots__ = ("at", "heard", "ids")

    def __init__(self, ids: Sequence[str], at: Instant) -> None:
        self.ids, self.at = tuple(ids), at
        self.heard: dict[str, Heard] = {}

    @property
    def complete(self) -> bool:
        """Whether every part's fate is known."""
        return len(self.heard) == len(self.ids)

    def receipt(self) -> Receipt | None:
        """What is proven of the whole: failed as soon as one part failed, delivered when all are, at the last one's time."""
        for level, reason, at in self.heard.values():
            if level == Level.FAILED:
                return Receipt(Level.FAILED, far_id=JOINT.join(self.ids), reason=reason, event_at=at)
        if not self.complete:
            return None
        times = [at for _, _, at in self.heard.values()]
        latest = None if None in times else max(at for at in times if at is not None)
        return Receipt(Level.DELIVERED, far_id=JOINT.join(self.ids), event_at=latest)


class Parts:
    """The table of open long messages, in memory and in `path`.

    `any` tells whether there ever was one. `expect` and `heard` only change memory; `save` writes what they changed and
    must be awaited before anybody is told.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self._path = path
        self.any = False
        self._open: dict[str, Long] = {}
        self._ended: Recent[bool] = Recent(keep)
        self._lines: list[str] = []
        self._file = -1
        self._saving = asyncio.Lock()

    async def load(self, now: Instant) -> list[Receipt]:
        """Open the file and take up what it holds; the receipts that may not have been reported before the restart."""
        self._file = await asyncio.to_thread(self._read, now)
        return [receipt for long in self._messages() if (receipt := long.receipt())]

    async def close(self) -> None:
        """Write the rest and close the file."""
        try:
            await self.save()
        finally:
            os.close(self._file)
            self._file = -1

    def expect(self, ids: Sequence[str], at: Instant) -> str:
        """A message went out in parts with these far ids; returns its own far id."""
        self._drop_older(at - KEEP_MS)
        self._add(ids, at)
        self._lines.append("\t".join(("M", str(at), *ids)))
        return JOINT.join(ids)

    def knows(self, far_id: str) -> bool:
        """Whether this is the id of a part, of an open message or of one ended lately."""
        return far_id in self._open or self._ended.get(far_id) is not None

    def heard(self, far_id: str, level: Level, reason: Reason, at: Instant | None) -> Receipt | None:
        """A receipt for a part; returns what it proves of the whole, if anything. Hearing it again changes nothing."""
        long = self._open.get(far_id)
        if long is None or level not in (Level.FAILED, Level.DELIVERED):
            return None
        if self._note(long, far_id, level, reason, at):
            self._lines.append(f"R\t{far_id}\t{level:d}\t{reason:d}\t{'' if at is None else at}")
        return long.receipt()

    def forget_complete(self, far_ids: Sequence[str]) -> None:
        """These parts' receipts are reported: drop the messages of which nothing more is to come."""
        for far_id in far_ids:
            long = self._open.get(far_id)
            if long is not None and long.complete:
                self._drop(long)
                self._lines.append(f"D\t{far_id}")

    def ignore(self, far_ids: Sequence[str]) -> None:
        """These are parts of a message that is not whole: their receipts mean nothing."""
        self.any = True
        for far_id in far_ids:
            self._ended[far_id] = True

    async def save(self) -> None:
        """Write down what changed; an empty table empties the file. Raises OSError if the disk refuses."""
        if not self._lines:
            return
        async with self._saving:
            lines, self._lines = self._lines, []
            if lines and self._open:
                await asyncio.to_thread(_write, self._file, ("\n".join(lines) + "\n").encode())
            elif lines:
                await asyncio.to_thread(os.ftruncate, self._file, 0)

    def _add(self, ids: Sequence[str], at: Instant) -> None:
        self.any = True
        long = Long(ids, at)
        for far_id in long.ids:
            self._open[far_id] = long

    def _note(self, long: Long, far_id: str, level: Level, reason: Reason, at: Instant | None) -> bool:
        before = long.heard.get(far_id)
        if before is not None and before[0] >= level:
            return False
        long.heard[far_id] = (level, reason, at)
        return True

    def _drop(self, long: Long) -> None:
        for far_id in long.ids:
            self._open.pop(far_id, None)
            self._ended[far_id] = True

    def _drop_older(self, limit: Instant) -> None:
        while self._open and (eldest := next(iter(self._open.values()))).at < limit:
            self._drop(eldest)

    def _messages(self) -> Iterator[Long]:
        yield from {id(long): long for long in self._open.values()}.values()

    def _read(self, now: Instant) -> int:
        """Replay the file, then write it anew with what is open and young enough. Returns its descriptor."""
        if self._path.exists():
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
            for line in lines:
                self._replay(line.split("\t"), now)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for long in self._messages() for line in _lines(long)), "utf-8")
        fresh.replace(self._path)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def _replay(self, words: list[str], now: Instant) -> None:
        """One line; a line torn by a crash is passed over."""
        try:
            match words:
                case ["M", at, *ids] if int(at) > now - KEEP_MS:
                    self._add(ids, int(at))
                case ["R", far_id, level, reason, at] if far_id in self._open:
                    heard = Level(int(level)), Reason(int(reason)), int(at) if at else None
                    self._note(self._open[far_id], far_id, *heard)
                case ["D", far_id] if far_id in self._open:
                    self._drop(self._open[far_id])
        except ValueError:
            return


def _lines(long: Long) -> Iterator[str]:
    yield "\t".join(("M", str(long.at), *long.ids))
    for far_id, (level, reason, at) in long.heard.items():
        yield f"R\t{far_id}\t{level:d}\t{reason:d}\t{'' if at is None else at}"


def _write(file: int, block: bytes) -> None:
    while block:
        block = block[os.write(file, block) :]
