"""What the contract kit holds against a channel: do its receipts account for a batch, which level is proven for whom, was it taken
once. Called by `ChannelContract` alone; every failure says what is wrong in a channel author's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gateway.channel import Batch, Channel, Endpoint, Level, Misconfigured, Receipt, Rejected
from gateway.model.receipt import TEMPORARY
from gateway.testing.stage import Outcome, Stage


def ordinals(batch: Batch) -> set[int]:
    """The ordinals of a batch."""
    return {endpoint.ordinal for endpoint in batch.endpoints}


def account(channel: Channel, batch: Batch, outcome: Outcome) -> None:
    """At most one receipt per endpoint of the batch, about no other, none above what the channel proves."""
    counts = Counter(receipt.endpoint for receipt in outcome.receipts)
    strangers = sorted(set(counts) - ordinals(batch))
    assert not strangers, f"receipts about ordinals {strangers}, which are not in the batch: use endpoint.ordinal"
    assert max(counts.values(), default=1) == 1, f"more than one receipt per endpoint: {counts.most_common(3)}"
    proves = channel.traits.proves
    above = {receipt.level.label for receipt in outcome.receipts if receipt.level > proves}
    assert not above, f"receipts say {sorted(above)}, but traits.proves is {proves.label}"


def passing(outcome: Outcome) -> None:
    """A far side in trouble: nothing is called handed over, and nothing is given up."""
    assert not outcome.proven, f"the far side has nothing, yet this is called handed over: {outcome}"
    refused = isinstance(outcome.error, Rejected | Misconfigured)
    assert not refused, f"trouble passes: raise Unavailable, not {outcome.error!r}, which is never tried again"
    final = [receipt for receipt in outcome.receipts if receipt.reason not in TEMPORARY]
    assert not final, f"trouble passes: leave out the endpoint or fail it with a temporary reason, not {final[:3]}"


def left(batch: Batch, outcome: Outcome) -> list[Endpoint]:
    """Endpoints that are to be tried again."""
    return [endpoint for endpoint in batch.endpoints if endpoint.ordinal not in outcome.proven]


def ordinal_of(batch: Batch, outcome: Outcome, receipt: Receipt) -> int:
    """Whom a later receipt is about, as the gateway joins it: by key, or by the far id that `send` gave."""
    by_key = {batch.key(endpoint): endpoint.ordinal for endpoint in batch.endpoints}
    by_far_id = {given.far_id: given.endpoint for given in outcome.receipts if given.far_id}
    ordinal = by_key.get(receipt.key) if receipt.key else by_far_id.get(receipt.far_id)
    assert ordinal is not None, f"nobody can tell whom {receipt} is about: give batch.key(endpoint) or send's far_id"
    return ordinal


def best(batch: Batch, outcome: Outcome, journal: Sequence[Receipt]) -> dict[int, Level]:
    """The highest level proven of each endpoint, at once or later."""
    proven = {receipt.endpoint: receipt.level for receipt in outcome.receipts}
    for receipt in journal:
        ordinal = ordinal_of(batch, outcome, receipt)
        proven[ordinal] = max(proven.get(ordinal, Level.FAILED), receipt.level)
    return proven


def unproven(channel: Channel, batch: Batch, outcome: Outcome, journal: Sequence[Receipt]) -> list[int]:
    """Ordinals of which the channel could prove more than it has by now."""
    proven = best(batch, outcome, journal)
    return [ordinal for ordinal in sorted(ordinals(batch)) if proven.get(ordinal, 0) < channel.traits.proves]


async def all_proven(stage: Stage, channel: Channel, batch: Batch, outcome: Outcome) -> None:
    """Everything that the channel can prove is reported in the end: the simulator is healthy."""
    account(channel, batch, outcome)
    proves = channel.traits.proves
    await stage.eventually(
        lambda: not unproven(channel, batch, outcome, stage.journal),
        f"traits.proves is {proves.label}, but it never came for all: {outcome}, then {stage.journal}",
    )


async def taken_once(stage: Stage, batch: Batch) -> None:
    """Every address of the batch has the text, once."""
    await stage.eventually(
        lambda: all(stage.arrived(batch).values()),
        f"called handed over, but the text is not at {_missing(stage, batch)}; the far side has {stage.far.received[:3]}",
    )
    often = {address: len(items) for address, items in stage.arrived(batch).items() if len(items) > 1}
    assert not often, f"sent more than once: {often}"


def _missing(stage: Stage, batch: Batch) -> list[str]:
    return [address for address, items in stage.arrived(batch).items() if not items][:5]
