"""The gateway's end of the contract kit: one channel at work between a journal that may be full and a far side that may misbehave.

`ChannelContract` opens a `Stage` for each test. Sockets, the HTTP session, callbacks and the clock are real ones.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp
import structlog
from aiohttp import web

from gateway.channel import (
    Batch,
    Callback,
    Cause,
    Channel,
    ChannelError,
    Context,
    Endpoint,
    Level,
    Message,
    Receipt,
    Simulator,
)
from gateway.clock import SystemClock
from gateway.errors import Unstorable
from gateway.testing.relay import LOOPBACK, Relay, Trouble, ports_in, rerouted

NAME = "contract"
HOUR = 3_600_000
FIRST, STEP = 40, 3
"""Ordinals of the kit's endpoints are 40, 43, 46 ...: never their places in the batch."""

LIMIT = 2.0
"""Seconds that the kit, as the gateway's `timeout`, lets a send last while the far side misbehaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """A channel type and its simulator (entered), with what the kit cannot know.

    channel: the type, as its entry point names it. address: the n-th good address, for as many n as `traits.max_batch` times
    `traits.parallel`. bad_address: one that the far side will never take; None = there is no such thing. settings: laid over
    `simulator.settings()`. arrives: how a text looks at the far side, where the protocol changes it by design. longest: characters
    of the longest text, if `traits.max_chars` is 0. keyed: whether `received` shows our key.
    """

    channel: Callable[[Any, Context], Channel]
    simulator: Simulator
    address: Callable[[int], str]
    bad_address: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    arrives: Callable[[str], str] = str
    longest: int = 1000
    keyed: bool = True


class Outcome(NamedTuple):
    """What a `send` came to: its receipts, or the error that the gateway would try again or report."""

    receipts: Sequence[Receipt]
    error: ChannelError | TimeoutError | None = None

    @property
    def proven(self) -> set[int]:
        """Ordinals that the channel calls handed over, or better."""
        return {receipt.endpoint for receipt in self.receipts if receipt.level > Level.FAILED}


class Stage:
    """`async with Stage(harness, folder) as stage, stage.opened() as channel:`

    journal: what was reported; while `full`, nothing can be stored and `refusals` counts. lines: what was logged.
    stray: errors that nobody caught. patience: seconds after which something that had to come counts as absent.
    """

    def __init__(self, harness: Harness, folder: Path, patience: float = 30.0) -> None:
        self.harness, self.far, self.patience = harness, harness.simulator, patience
        self.journal: list[Receipt] = []
        self.full = False
        self.refusals = 0
        self.lines: list[str] = []
        self.stray: list[str] = []
        self.relays: list[Relay] = []
        self.callback_url = ""
        self._clock, self._data = SystemClock(), folder / "channel"
        self._routes: dict[int, int] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._data.mkdir)
        async with AsyncExitStack() as stack:
            stack.enter_context(_listening(self.lines))
            stack.enter_context(_catching(self.stray))
            for port in sorted(ports_in(self.far.settings())):
                relay = await stack.enter_async_context(Relay(port))
                self.relays.append(relay)
                self._routes[port] = relay.port
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Channel]:
        """The channel as the gateway opens it: settings checked, callback mounted, its session entered."""
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            if hasattr(self.harness.channel, "callback"):
                self.callback_url = await stack.enter_async_context(_mounted(lambda: channel))
            channel = self.harness.channel(self.config(), self._context(http))
            if isinstance(channel, AbstractAsyncContextManager):
                await stack.enter_async_context(channel)
            if self.callback_url and hasattr(self.far, "callback_url"):
                self.far.callback_url = self.callback_url
            yield channel

    def config(self, **more: Any) -> Any:
        """The checked settings that lead to the far side through the relay."""
        settings = {**self.far.settings(), **self.harness.settings, **more}
        return self.harness.channel.Config.model_validate(rerouted(settings, self._routes))  # type: ignore[attr-defined]

    def address(self, number: int) -> str:
        """The n-th good address, as the far side will see it."""
        return str(rerouted(self.harness.address(number), self._routes))

    def batch(
        self, count: int = 3, text: str = "暴雨红色预警", *, first: int = 0, dispatch: str = "d1", **changes: Any
    ) -> Batch:
        """A batch for the good addresses from the `first` on, valid for an hour."""
        now = self._clock.now()
        values: dict[str, Any] = {
            "alert": "alert-1",
            "identifier": "21042341600000_20260722143000",
            "dispatch": dispatch,
            "channel": NAME,
            "cause": Cause.RELEASE,
            "message": Message("zh-CN", text, title="暴雨红色预警"),
            "endpoints": [
                Endpoint(FIRST + STEP * place, self.address(first + place), "210423") for place in range(count)
            ],
            "expires_at": now + HOUR,
            "grade": "red",
            "event": "暴雨",
            "event_code": "11B03",
            "sent_at": now,
            "sender": "清原县气象台",
        }
        return Batch(**(values | changes))

    async def attempt(self, channel: Channel, batch: Batch, limit: float | None = None) -> Outcome:
        """Send as the gateway sends, within `limit` seconds (patience). Fails on any error that is no ChannelError."""
        try:
            async with asyncio.timeout(limit or self.patience):
                return Outcome(await channel.send(batch))
        except (ChannelError, TimeoutError) as error:
            return Outcome((), error)
        except Exception as error:
            raise AssertionError(f"send raised {error!r}: channels raise ChannelError and nothing else") from error

    async def until_sent(self, channel: Channel, batch: Batch) -> None:
        """Try again until every endpoint is handed over. Fails in the end, with the last outcome."""
        last, left = Outcome(()), {endpoint.ordinal for endpoint in batch.endpoints}
        try:
            async with asyncio.timeout(self.patience):
                while left:
                    last = await self.attempt(channel, batch, LIMIT)
                    left -= last.proven
                    await asyncio.sleep(0.05 if left else 0)
        except TimeoutError:
            raise AssertionError(f"endpoints {sorted(left)} were never handed over; at last: {last}") from None

    async def cancelled(self, channel: Channel, batch: Batch, after: float) -> None:
        """Begin to send and cancel it `after` seconds, as a stop or a withdrawal does. Fails if it does not end."""
        task = asyncio.ensure_future(channel.send(batch))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.wait({task}, timeout=self.patience)
        assert task.done(), "send goes on although it was cancelled"
        error = None if task.cancelled() else task.exception()
        assert error is None or isinstance(error, ChannelError), f"a cancelled send raised {error!r}"

    async def play(self, trouble: Trouble, answer: bytes = b"") -> None:
        """Make the far side misbehave, or behave again; see `Relay.play`."""
        for relay in self.relays:
            await relay.play(trouble, answer)

    async def eventually(self, condition: Callable[[], object], otherwise: str) -> None:
        """Return once `condition()` holds; fail with `otherwise` if it never does."""
        try:
            async with asyncio.timeout(self.patience):
                while not condition():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(otherwise) from None

    async def all_arrived(self, batch: Batch) -> None:
        """Return once the far side has the text for every address of the batch."""
        await self.eventually(
            lambda: all(self.arrived(batch).values()),
            f"handed over was {batch.message.text!r} to {len(batch.endpoints)}, the far side has {self.far.received[-3:]}",
        )

    def nothing_uncaught(self) -> None:
        """Fail on exceptions in tasks that nobody awaited."""
        gc.collect()
        assert not self.stray, f"an exception that nobody caught: {self.stray[0]}"

    @contextmanager
    def watched(self) -> Iterator[list[asyncio.Task[Any]]]:
        """The tasks that are made inside, by this task and by those it makes; what the simulator makes is not among them."""
        tasks: list[asyncio.Task[Any]] = []
        inside = ContextVar("inside", default=False)
        loop = asyncio.get_running_loop()

        def note(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
            task = asyncio.Task(work, loop=loop, **more)
            if inside.get():
                tasks.append(task)
            return task

        token = inside.set(True)
        loop.set_task_factory(note)
        try:
            yield tasks
        finally:
            loop.set_task_factory(None)
            inside.reset(token)

    async def all_ended(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Return once the channel holds no connection and none of these tasks runs."""
        await self.eventually(lambda: not any(relay.open for relay in self.relays), "a connection was left open")
        await self.eventually(lambda: all(task.done() for task in tasks), "a task was left behind")

    def arrived(self, batch: Batch) -> dict[str, list[dict[str, Any]]]:
        """What the far side took for the addresses of `batch` (and its text), by address."""
        text = self.harness.arrives(batch.message.text)
        wanted: dict[str, list[dict[str, Any]]] = {endpoint.address: [] for endpoint in batch.endpoints}
        for item in self.far.received:
            if item["address"] in wanted and item["text"] == text:
                wanted[item["address"]].append(item)
        return wanted

    def _context(self, http: aiohttp.ClientSession) -> Context:
        return Context(NAME, http, self._report, _logger(self.lines), self._clock, self._data, self.callback_url)

    async def _report(self, receipts: Sequence[Receipt]) -> None:
        await asyncio.sleep(0)
        if self.full:
            self.refusals += 1
            raise Unstorable("the disk is full")
        self.journal.extend(receipts)


@asynccontextmanager
async def _mounted(channel: Callable[[], Any]) -> AsyncIterator[str]:
    """The URL of the channel's callback, mounted as the gateway does."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        asked = Callback(request.method, request.path, request.query, request.headers, body)
        try:
            reply = await channel().callback(asked)
        except Unstorable:
            return web.Response(status=503)
        headers = {"Content-Type": reply.content_type} | dict(reply.headers)
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}/callbacks/{NAME}"
    finally:
        await runner.cleanup()


def _logger(lines: list[str]) -> Any:
    """A structlog logger that keeps each event as one line, tracebacks included."""

    def keep(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        lines.append(f"{method} {dict(event)!r}")
        raise structlog.DropEvent

    return structlog.wrap_logger(
        logging.getLogger(NAME),
        processors=[structlog.stdlib.PositionalArgumentsFormatter(), structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


class _Ears(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@contextmanager
def _listening(lines: list[str]) -> Iterator[None]:
    """Keep what any library or author says by the standard `logging`."""
    ears, root = _Ears(lines), logging.getLogger()
    level = root.level
    root.addHandler(ears)
    root.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(ears)
        root.setLevel(level)


@contextmanager
def _catching(stray: list[str]) -> Iterator[None]:
    """Keep what would otherwise only be logged: exceptions in tasks and callbacks that nobody awaits."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: stray.append(f"{context['message']}: {context.get('exception')!r}"))
    try:
        yield
    finally:
        gc.collect()
        loop.set_exception_handler(before)
