"""What was handed to which platform under which number, kept in the channel's own folder as one small JSON file.

A number is on disk before its package leaves, so that a retry after a crash repeats the same EBMID and the platform can tell.
Messages whose outcome is open are found here after a restart; ended ones are forgotten three days after they expired.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.channel import Instant, Misconfigured, Rejected, Unavailable, moment

KEPT_AFTER_EXPIRY = 3 * 86_400_000
PER_DAY = 9_999


@dataclass(slots=True)
class Handed:
    """One message at one platform. `open` until its last state is known."""

    key: str
    ebm_id: str
    address: str
    alert: str
    expires_at: Instant
    open: bool = False


class Ledger:
    """Numbers messages (EBMID = EBRID + day + four digits) and remembers them."""

    def __init__(self, folder: Path, ebrid: str, zone: ZoneInfo) -> None:
        self._path, self._ebrid, self._zone = folder / "handed.json", ebrid, zone
        self._lock = asyncio.Lock()
        self._entries: dict[str, Handed] | None = None
        self._day, self._serial = "", 0
        self._saved = True
        self._writing: asyncio.Future[None] | None = None

    async def number(self, wanted: Sequence[Handed], now: Instant) -> list[Handed]:
        """The entries of `wanted` by key, with the EBMID of the first time it was asked for. On disk on return.

        Raises Unavailable if they cannot be kept, Rejected if the day has no number left.
        """
        async with self._lock:
            entries = await self._loaded()
            new = [entry for entry in wanted if entry.key not in entries]
            for entry in new:
                entry.ebm_id = self._next(now)
                entries[entry.key] = entry
            if new:
                self._forget(entries, now)
            await self._save(entries, changed=bool(new))
            return [entries[entry.key] for entry in wanted]

    async def mark(self, entries: Sequence[Handed], *, open: bool) -> None:
        """Note that the outcome of `entries` is open, or known for good."""
        async with self._lock:
            changed = [entry for entry in entries if entry.open is not open]
            for entry in changed:
                entry.open = open
            await self._save(await self._loaded(), changed=bool(changed))

    async def find(self, key: str) -> Handed | None:
        """The entry of a key."""
        async with self._lock:
            return (await self._loaded()).get(key)

    async def sent_before(self, alert: str, address: str) -> str:
        """The latest EBMID under which `alert` went to the platform at `address`; "" if it never did."""
        async with self._lock:
            entries = (await self._loaded()).values()
        ids = [entry.ebm_id for entry in entries if entry.alert == alert and entry.address == address]
        return max(ids, default="")

    async def open_ones(self) -> list[Handed]:
        """Everything whose outcome is open."""
        async with self._lock:
            return [entry for entry in (await self._loaded()).values() if entry.open]

    def _next(self, now: Instant) -> str:
        day = moment(now, self._zone).strftime("%Y%m%d")
        if day != self._day:
            self._day, self._serial = day, 0
        if self._serial >= PER_DAY:
            raise Rejected(f"{PER_DAY} broadcast messages were sent today; the numbering has no more room")
        self._serial += 1
        return f"{self._ebrid}{day}{self._serial:04}"

    def _forget(self, entries: dict[str, Handed], now: Instant) -> None:
        for key in [key for key, entry in entries.items() if entry.expires_at + KEPT_AFTER_EXPIRY < now]:
            del entries[key]

    async def _loaded(self) -> dict[str, Handed]:
        if self._entries is None:
            self._entries = await asyncio.to_thread(self._read)
        return self._entries

    def _read(self) -> dict[str, Handed]:
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            self._day, self._serial = str(kept["day"]), int(kept["serial"])
            return {entry["key"]: Handed(**entry) for entry in kept["handed"]}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Misconfigured(f"{self._path} cannot be read; restore it or move it away") from error

    async def _save(self, entries: dict[str, Handed], *, changed: bool) -> None:
        """Put everything on disk if anything is not there yet. Raises Unavailable; the next call tries again."""
        if self._saved and not changed:
            return
        self._saved = False
        await self.settle()
        kept = {"day": self._day, "serial": self._serial, "handed": [asdict(entry) for entry in entries.values()]}
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, json.dumps(kept, ensure_ascii=False)))
        try:
            # Shielded: a thread goes on writing whoever is cancelled, so the next write has to wait for it.
            await asyncio.shield(self._writing)
        except OSError as error:
            raise Unavailable(f"{self._path} cannot be written: {error.strerror}") from error
        self._saved = True

    async def settle(self) -> None:
        """Return once no thread is writing any more."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    def _write(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
