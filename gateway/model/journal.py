"""The journal's fixed-width records. The journal is append-only; everything else is a fold of it.

Two kinds of record, both little-endian and packed, so that a block is read by `numpy.frombuffer` on any machine:
an *attempt* is written before a send, a *statement* after it. A statement of kind ACCEPTED is what `send` itself answered and
may bind a far side's id to an ordinal; one of kind RECEIPT came later and names either the ordinal or only that id.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

ATTEMPT = np.dtype(
    [
        ("at", "<i8"),
        ("batch", "<i8"),
        ("dispatch", "<i4"),
        ("first", "<i4"),
        ("count", "<i4"),
        ("channel", "<i2"),
        ("number", "<i2"),
    ]
)
"""`count` endpoints from ordinal `first` are about to be sent: attempt `number` of `batch`, at instant `at`. Number 0 = they have
been planned: they stand in the outbox, and count for coverage from now on (batch, channel and time are 0 then)."""

STATEMENT = np.dtype(
    [
        ("far", "<u8"),
        ("event_at", "<i8"),
        ("received_at", "<i8"),
        ("dispatch", "<i4"),
        ("ordinal", "<i4"),
        ("channel", "<i2"),
        ("kind", "u1"),
        ("level", "u1"),
        ("reason", "u1"),
        ("spare", "u1"),
    ]
)
"""`level` and `reason` are those of `model.receipt`; `far` = `far_hash` of the far side's id or 0; `dispatch` and `ordinal`
are 0 and -1 where only the far id is known; `event_at` is NEVER where the far side gave no time; `channel` is the store's
number of the channel."""

ACCEPTED, RECEIPT = 1, 2
NEVER = np.iinfo(np.int64).max

Attempts = NDArray[np.void]
Statements = NDArray[np.void]


def far_hash(channel: str, far_id: str) -> int:
    """64 bits of the far side's id within its channel; never 0. A million open ids collide once in 10^7 such nights."""
    digest = hashlib.blake2b(far_id.encode(), key=channel.encode()[:64], digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
