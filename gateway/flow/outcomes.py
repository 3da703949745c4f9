"""Outcomes: what one send came to, endpoint by endpoint, whatever the channel answered or raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.errors import ChannelError, Misconfigured, Rejected, Unavailable
from gateway.model.dispatch import Batch
from gateway.model.receipt import TEMPORARY, Level, Reason, Receipt
from gateway.ports.store import Ordinals


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one slice.

    receipts: what is proven now; again: ordinals to be tried again; failure: why (an exception of `send`, or a reason);
    unknown: how many of `again` may have arrived all the same; final: nothing of it may be tried again.
    """

    receipts: Sequence[Receipt]
    again: Ordinals
    failure: BaseException | Reason = Reason.UNKNOWN
    unknown: int = 0
    final: bool = False

    @property
    def reason(self) -> Reason:
        """The word for metrics, journal and dead letters."""
        if isinstance(self.failure, Reason):
            return self.failure
        if isinstance(self.failure, ChannelError):
            return self.failure.reason or Reason[self.failure.default_reason.upper()]
        return Reason.TIMEOUT if isinstance(self.failure, TimeoutError) else Reason.ERROR


def answered(part: Batch, receipts: Sequence[Receipt], proves: Level) -> Outcome:
    """`send` returned: sort its receipts. A level above what the channel proves is cut down to it; who was left out is unknown."""
    known = {endpoint.ordinal for endpoint in part.endpoints}
    kept: dict[int, Receipt] = {}
    passing: dict[int, Reason] = {}
    for receipt in receipts:
        if receipt.endpoint not in known:
            continue
        if receipt.level is Level.FAILED and receipt.reason in TEMPORARY:
            passing[receipt.endpoint] = receipt.reason
        else:
            kept[receipt.endpoint] = receipt if receipt.level <= proves else receipt._replace(level=proves)
    again = [endpoint.ordinal for endpoint in part.endpoints if endpoint.ordinal not in kept]
    silent = sum(ordinal not in passing for ordinal in again)
    failure = Reason.UNKNOWN if silent or not passing else next(iter(passing.values()))
    return Outcome(tuple(kept.values()), np.array(again, np.int32), failure, silent)


def raised(part: Batch, error: BaseException) -> Outcome:
    """`send` raised: the whole slice shares one fate."""
    everyone = np.fromiter((endpoint.ordinal for endpoint in part.endpoints), np.int32, len(part.endpoints))
    untouched = isinstance(error, Unavailable | Rejected)
    return Outcome((), everyone, error, 0 if untouched else len(everyone), isinstance(error, Rejected))


def far_side_gone(outcome: Outcome) -> bool:
    """Whether going on with the next slice would only fail again."""
    return not outcome.receipts and isinstance(outcome.failure, Unavailable | TimeoutError | Misconfigured)
