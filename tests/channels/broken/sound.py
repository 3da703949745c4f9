"""A sound channel with its simulator, for the broken ones of this folder to break in one place each: gongs behind a tower."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import aiohttp
from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from gateway.channel import (
    Batch,
    Callback,
    ChannelConfig,
    Context,
    Endpoint,
    Level,
    Reason,
    Receipt,
    Reply,
    Traits,
    Unavailable,
)
from gateway.testing import ChannelContract, Harness

SECRET = "beaten by hand"


class Answer(BaseModel):
    """The tower's answer: our keys, each with the tower's number, or "" where there is no such gong."""

    taken: dict[str, str]


class Proof(BaseModel):
    """A gong was beaten."""

    number: str


PROOFS = TypeAdapter(list[Proof])


class Gong:
    """Keeps every promise of the seam."""

    class Config(ChannelConfig):
        """Where the tower is."""

        url: str

    traits = Traits(kind="addressed", proves=Level.DELIVERED, max_batch=50, parallel=3)

    def __init__(self, config: Config, context: Context) -> None:
        self.config, self.context = config, context

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        answer = await self.ask([self.stroke(batch, endpoint) for endpoint in batch.endpoints])
        return [self.receipt(endpoint, answer.taken.get(batch.key(endpoint), "")) for endpoint in batch.endpoints]

    def stroke(self, batch: Batch, endpoint: Endpoint) -> dict[str, str]:
        return {"to": endpoint.address, "key": batch.key(endpoint), "text": batch.message.text}

    def receipt(self, endpoint: Endpoint, number: str) -> Receipt:
        if not number:
            return Receipt(Level.FAILED, endpoint.ordinal, reason=Reason.INVALID_ADDRESS)
        return Receipt(Level.ACCEPTED, endpoint.ordinal, number)

    async def ask(self, strokes: Sequence[Mapping[str, str]]) -> Answer:
        try:
            async with self.context.http.post(self.config.url, json=strokes) as response:
                return Answer.model_validate_json(await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"the tower does not answer: {type(error).__name__}") from error

    async def probe(self) -> None:
        await self.ask([])

    async def callback(self, request: Callback) -> Reply:
        if request.headers.get("Authorization") != SECRET:
            return Reply(403)
        await self.take(PROOFS.validate_json(request.body))
        return Reply()

    async def take(self, proofs: list[Proof]) -> None:
        await self.context.report([Receipt(Level.DELIVERED, far_id=proof.number) for proof in proofs])


class Tower:
    """Beats every gong but `nowhere`, once per key, and says so at `callback_url` until that is taken."""

    def __init__(self, port: int = 0, log: str | None = None, faults: str = "") -> None:
        self.received: list[dict[str, Any]] = []
        self.callback_url = ""
        self._port, self._numbers, self._messengers = port, dict[str, str](), set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._take, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for messenger in self._messengers:
            messenger.cancel()
        await asyncio.gather(*self._messengers, return_exceptions=True)
        await self._runner.cleanup()

    def settings(self) -> dict[str, Any]:
        return {"type": "gong", "url": f"http://127.0.0.1:{self._port}/"}

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        strokes = [stroke for stroke in json.loads(await request.read()) if stroke["to"] not in ("", "nowhere")]
        fresh = [stroke for stroke in strokes if stroke["key"] not in self._numbers]
        for stroke in fresh:
            self._numbers[stroke["key"]] = f"stroke-{len(self._numbers)}"
            item = {"at": 0, "channel": "gong", "address": stroke["to"], "alert": ""}
            self.received.append({**item, "text": stroke["text"], "key": stroke["key"]})
        self._tell([self._numbers[stroke["key"]] for stroke in fresh])
        return web.json_response({"taken": {stroke["key"]: self._numbers[stroke["key"]] for stroke in strokes}})

    def _tell(self, numbers: Sequence[str]) -> None:
        if numbers and self.callback_url:
            messenger = asyncio.create_task(self._tell_until_taken([{"number": number} for number in numbers]))
            self._messengers.add(messenger)
            messenger.add_done_callback(self._messengers.discard)

    async def _tell_until_taken(self, proofs: Sequence[Mapping[str, str]]) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": SECRET}) as http:
            while True:
                await asyncio.sleep(0.02)
                try:
                    async with http.post(self.callback_url, json=proofs) as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    continue


class SoundContract(ChannelContract):
    """The contract for a channel of this folder."""

    patience = 1.0
    channel_type: ClassVar[type[Gong]] = Gong

    @asynccontextmanager
    async def make(self, folder: Path) -> AsyncIterator[Harness]:
        async with Tower() as far:
            yield Harness(channel=self.channel_type, simulator=far, address="1000{:07}".format, bad_address="nowhere")


class TestGong(SoundContract):
    """Passes, however slow the machine."""

    patience = 30.0
