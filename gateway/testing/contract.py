"""The contract of the channel seam as tests. Whoever writes a channel subclasses `ChannelContract`, says in `make` what channel and
simulator there are, and runs pytest; ours do the same (tests/channels/test_contract_*.py, docs/channels/README.md).

Importing this module needs pytest and pytest-asyncio. Every test talks to the simulator over real sockets.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from pydantic import ValidationError

from gateway.channel import Callback, Channel, ChannelConfig, ChannelError, Level, Reply, Traits
from gateway.model.receipt import TEMPORARY
from gateway.testing import judging
from gateway.testing.relay import Trouble
from gateway.testing.samples import DRILL, NONSENSE, STRANGE, TEXTS, long_text
from gateway.testing.stage import HOUR, LIMIT, Harness, Stage

CANCELLATIONS = 8
GRACE = 0.2
"""Seconds in which a receipt that should not come has time to come."""
TROUBLES = [trouble for trouble in Trouble if trouble is not Trouble.NONE]


class ChannelContract(ABC):
    """Subclass it in a test module, with a name that begins with `Test`."""

    pytestmark = pytest.mark.asyncio
    patience: ClassVar[float] = 30.0
    """Seconds after which something that had to come counts as absent."""

    @abstractmethod
    def make(self, folder: Path) -> AbstractAsyncContextManager[Harness]:
        """The channel type with its simulator at work; `folder` is the test's own."""

    @pytest_asyncio.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[Stage]:
        """The gateway's end, between the channel and its simulator."""
        async with self.make(tmp_path) as harness, Stage(harness, tmp_path, self.patience) as stage:
            yield stage

    @pytest_asyncio.fixture
    async def channel(self, stage: Stage) -> AsyncIterator[Channel]:
        """The channel at work."""
        async with stage.opened() as channel:
            yield channel

    # -- what it says of itself

    async def test_it_is_a_channel(self, stage: Stage, channel: Channel) -> None:
        assert isinstance(channel, Channel), "a channel has `traits` and `send`"
        assert isinstance(channel.traits, Traits)
        assert min(channel.traits.max_batch, channel.traits.parallel) >= 1
        assert channel.traits.proves >= Level.SENT, "traits.proves: what can this channel prove at best?"
        assert isinstance(stage.config(), ChannelConfig), "Config derives from ChannelConfig"

    async def test_an_unknown_setting_is_refused(self, stage: Stage) -> None:
        with pytest.raises(ValidationError):
            stage.config(a_setting_that_is_none=1)

    # -- receipts

    async def test_every_endpoint_gets_one_receipt(self, stage: Stage, channel: Channel) -> None:
        batch = stage.batch(min(5, channel.traits.max_batch))
        outcome = await stage.attempt(channel, batch)
        judging.account(channel, batch, outcome)
        assert outcome.proven == judging.ordinals(batch), f"a healthy far side takes all: {outcome}"
        await judging.taken_once(stage, batch)

    async def test_no_receipt_says_more_than_the_channel_proves(self, stage: Stage, channel: Channel) -> None:
        batch = stage.batch(min(3, channel.traits.max_batch))
        outcome = await stage.attempt(channel, batch)
        await judging.all_proven(stage, channel, batch, outcome)
        await asyncio.sleep(GRACE)
        above = [receipt for receipt in stage.journal if receipt.level > channel.traits.proves]
        assert not above, f"traits.proves is {channel.traits.proves.label}, reported was {above[0]}"

    async def test_a_full_batch_is_taken(self, stage: Stage, channel: Channel) -> None:
        batch = stage.batch(channel.traits.max_batch)
        outcome = await stage.attempt(channel, batch)
        judging.account(channel, batch, outcome)
        await stage.until_sent(channel, replace(batch, endpoints=judging.left(batch, outcome), attempt=2))
        await judging.taken_once(stage, batch)

    async def test_sends_at_the_same_time_do_not_mix(self, stage: Stage, channel: Channel) -> None:
        count, sends = min(20, channel.traits.max_batch), min(8, max(2, channel.traits.parallel))
        batches = [
            stage.batch(count, f"第{number}号预警", first=number * count, dispatch=f"d{number}")
            for number in range(sends)
        ]
        outcomes = await asyncio.gather(*(stage.attempt(channel, batch) for batch in batches))
        for batch, outcome in zip(batches, outcomes, strict=True):
            judging.account(channel, batch, outcome)
            assert outcome.proven == judging.ordinals(batch)
            await judging.taken_once(stage, batch)
        far_ids = [receipt.far_id for outcome in outcomes for receipt in outcome.receipts if receipt.far_id]
        assert len(far_ids) == len(set(far_ids)), "two endpoints share a far id: their receipts could not be told apart"

    async def test_a_bad_address_fails_alone_and_for_good(self, stage: Stage, channel: Channel) -> None:
        if stage.harness.bad_address is None or channel.traits.max_batch < 3:
            pytest.skip("no bad address is known, or a batch has no room beside it")
        first, second, third = stage.batch(3).endpoints
        batch = replace(stage.batch(), endpoints=[first, second._replace(address=stage.harness.bad_address), third])
        outcome = await stage.attempt(channel, batch)
        judging.account(channel, batch, outcome)
        assert outcome.proven == {first.ordinal, third.ordinal}, f"a bad address spoils the others: {outcome}"
        reasons = [receipt.reason for receipt in outcome.receipts if receipt.endpoint == second.ordinal]
        assert reasons, "a bad address that is left out is tried again: give a failed receipt"
        assert reasons[0] not in TEMPORARY, f"{reasons[0].label} is tried again"

    async def test_receipts_come_later_and_can_be_joined(self, stage: Stage, channel: Channel) -> None:
        batch = stage.batch(min(5, channel.traits.max_batch))
        await judging.all_proven(stage, channel, batch, await stage.attempt(channel, batch))

    async def test_a_receipt_that_cannot_be_stored_comes_again(self, stage: Stage, channel: Channel) -> None:
        stage.full = True
        batch = stage.batch(min(5, channel.traits.max_batch))
        outcome = await stage.attempt(channel, batch)
        if judging.unproven(channel, batch, outcome, stage.journal):
            await stage.eventually(
                lambda: stage.refusals, "traits.proves more than send gives, but nothing is reported"
            )
        stage.full = False
        await judging.all_proven(stage, channel, batch, outcome)

    # -- words and keys

    @pytest.mark.parametrize("name", TEXTS)
    async def test_the_text_arrives_unchanged(self, stage: Stage, channel: Channel, name: str) -> None:
        await _arrives(stage, channel, TEXTS[name])

    async def test_a_long_text_arrives_whole(self, stage: Stage, channel: Channel) -> None:
        await _arrives(stage, channel, long_text(channel.traits.max_chars or stage.harness.longest))

    async def test_a_drill_keeps_its_mark(self, stage: Stage, channel: Channel) -> None:
        await _arrives(stage, channel, f"{DRILL}铁西区发布暴雨红色预警，请勿惊慌。", status="Exercise")

    async def test_the_key_is_the_same_on_a_retry_and_new_for_a_dispatch(self, stage: Stage, channel: Channel) -> None:
        if not stage.harness.keyed:
            pytest.skip("this protocol does not carry the key")
        for dispatch in ("d1", "d2"):
            batch = stage.batch(min(3, channel.traits.max_batch), f"来自{dispatch}", dispatch=dispatch)
            for attempt in (1, 2):
                await stage.until_sent(channel, replace(batch, attempt=attempt))
            await stage.all_arrived(batch)
            for endpoint in batch.endpoints:
                keys = {item["key"] for item in stage.arrived(batch)[endpoint.address]}
                assert keys == {batch.key(endpoint)}, f"the key is batch.key(endpoint), whatever the attempt: {keys}"

    # -- trouble

    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_a_far_side_in_trouble_is_no_success_and_may_return(
        self, stage: Stage, channel: Channel, trouble: Trouble
    ) -> None:
        await stage.until_sent(channel, stage.batch(1, dispatch="before"))
        await stage.play(trouble)
        batch = stage.batch(min(3, channel.traits.max_batch), "遇险")
        outcome = await stage.attempt(channel, batch, LIMIT)
        judging.account(channel, batch, outcome)
        judging.passing(outcome)
        await stage.play(Trouble.NONE)
        await stage.until_sent(channel, replace(batch, attempt=2))
        await stage.all_arrived(batch)
        stage.nothing_uncaught()

    async def test_it_opens_while_the_far_side_is_away(self, stage: Stage) -> None:
        await stage.play(Trouble.REFUSES)
        async with stage.opened() as channel:
            judging.passing(await stage.attempt(channel, stage.batch(1), LIMIT))
            await stage.play(Trouble.NONE)
            await stage.until_sent(channel, stage.batch(1))

    @pytest.mark.parametrize("name", NONSENSE)
    async def test_an_answer_that_is_none_raises_nothing_strange(
        self, stage: Stage, channel: Channel, name: str
    ) -> None:
        await stage.until_sent(channel, stage.batch(1, dispatch="before"))
        await stage.play(Trouble.RAVES, NONSENSE[name])
        batch = stage.batch(min(3, channel.traits.max_batch))
        judging.account(channel, batch, await stage.attempt(channel, batch, LIMIT))
        await stage.play(Trouble.NONE)
        await stage.until_sent(channel, stage.batch(1, dispatch="d2"))
        stage.nothing_uncaught()

    async def test_the_probe_tells_whether_the_far_side_is_there(self, stage: Stage, channel: Any) -> None:
        if not hasattr(channel, "probe"):
            pytest.skip("no probe")
        await stage.until_sent(channel, stage.batch(1))
        await channel.probe()
        await stage.play(Trouble.REFUSES)
        with pytest.raises((ChannelError, TimeoutError)):
            async with asyncio.timeout(LIMIT):
                await channel.probe()

    async def test_a_send_may_be_cancelled_at_any_moment(self, stage: Stage, channel: Channel) -> None:
        count, chance = min(20, channel.traits.max_batch), random.Random(7)
        start = time.monotonic()
        await stage.until_sent(channel, stage.batch(count, dispatch="measure"))
        usual = time.monotonic() - start
        for number in range(CANCELLATIONS):
            batch = stage.batch(count, dispatch=f"cancelled-{number}")
            beside = stage.batch(1, dispatch=f"beside-{number}")
            async with asyncio.TaskGroup() as group:
                group.create_task(stage.until_sent(channel, beside))
                at_once = number % 4 == 0  # a slow machine may make every later moment too late
                await stage.cancelled(channel, batch, after=0 if at_once else chance.uniform(0, usual))
        batch = stage.batch(count, "之后", dispatch="after")
        await stage.until_sent(channel, batch)
        await stage.all_arrived(batch)
        stage.nothing_uncaught()

    @pytest.mark.parametrize("hours", [-24, -0.000001, 0.000001, 24 * 365])
    async def test_an_expiry_near_past_or_far_harms_nothing(self, stage: Stage, channel: Channel, hours: float) -> None:
        batch = stage.batch(min(3, channel.traits.max_batch))
        batch = replace(batch, expires_at=batch.sent_at + round(hours * HOUR))
        judging.account(channel, batch, await stage.attempt(channel, batch))
        await stage.until_sent(channel, stage.batch(1, dispatch="d2"))
        stage.nothing_uncaught()

    # -- abilities that a channel may have

    async def test_a_recall_speaks_of_its_batch_alone(self, stage: Stage, channel: Any) -> None:
        if not hasattr(channel, "recall"):
            pytest.skip("no recall")
        batch = stage.batch(min(3, channel.traits.max_batch))
        outcome = await stage.attempt(channel, batch)
        for trouble in (Trouble.NONE, Trouble.REFUSES):
            await stage.play(trouble)
            with suppress(ChannelError, TimeoutError):
                async with asyncio.timeout(LIMIT):
                    receipts = await channel.recall(batch, outcome.receipts)
                    assert {receipt.endpoint for receipt in receipts} <= judging.ordinals(batch)

    async def test_a_stranger_at_the_callback_moves_nothing(self, stage: Stage, channel: Any) -> None:
        if not hasattr(channel, "callback"):
            pytest.skip("no callback")
        for method, body in product(("GET", "POST"), STRANGE):
            reply = await channel.callback(Callback(method, "/callbacks/contract", {}, {}, body))
            assert isinstance(reply, Reply), "a callback answers with a Reply, whatever comes in"
            assert 400 <= reply.status < 500, f"a stranger who said {body!r} was told {reply.status}"
        assert stage.journal == [], "a stranger's word was journalled"

    # -- manners

    async def test_no_log_line_holds_an_address(self, stage: Stage, channel: Channel) -> None:
        if channel.traits.kind != "addressed":
            pytest.skip("its addresses are devices or platforms, not people")
        batch = stage.batch(min(5, channel.traits.max_batch))
        for trouble in (Trouble.NONE, *TROUBLES):
            await stage.play(trouble)
            await stage.attempt(channel, batch, LIMIT)
        addresses = {endpoint.address for endpoint in batch.endpoints}
        told = [line for line in stage.lines if any(address in line for address in addresses)]
        assert not told, f"an address in full: {told[0][:300]}"

    async def test_it_leaves_nothing_behind(self, stage: Stage) -> None:
        threads = set(threading.enumerate())
        for trouble in (Trouble.NONE, Trouble.REFUSES):
            await stage.play(trouble)
            with stage.watched() as tasks:
                async with stage.opened() as channel:
                    await stage.attempt(channel, stage.batch(1), LIMIT)
            await stage.all_ended(tasks)
        left = [one for one in set(threading.enumerate()) - threads if not one.name.startswith("asyncio_")]
        assert left == [], "a thread was left behind"
        stage.nothing_uncaught()


async def _arrives(stage: Stage, channel: Channel, text: str, **changes: Any) -> None:
    batch = stage.batch(min(2, channel.traits.max_batch), text, **changes)
    await stage.until_sent(channel, batch)
    await stage.all_arrived(batch)
