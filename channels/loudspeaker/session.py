"""One lasting conversation with an MQTT broker, over as many connections as it takes. Channel and simulator both hold one.

An aiomqtt client serves one connection only: `Link` opens a new `Wire` whenever the old one ended, with growing pauses, and
hands over what arrives in groups, which the broker may forget only when they were kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import aiomqtt
import structlog
from paho.mqtt.reasoncodes import ReasonCode

from channels.loudspeaker.wire import CONNECT, Arrival, Letter, Login, Parcel, Wire
from gateway.channel import Misconfigured, Unavailable

SHORTEST, LONGEST = 0.2, 10.0
BREATH = 16
CROWD = 10_000
REFUSED = 0x80
CREDENTIALS = {134, 135}
"""Bad user name or password, not authorized (CONNACK 4 and 5 of MQTT 3.1.1 §3.2.2.3, in paho's numbers)."""

Deliver = Callable[[Sequence[Arrival]], Awaitable[None]]


def _nothing() -> None: ...


class Link:
    """Keeps a `Wire` up: `async with Link(login, filters, deliver, log) as link: await link.publish(letters)`.

    `deliver` gets what arrived, in groups; when it returns, the group is acknowledged; when it raises, it is asked again.
    `announce` are letters published on each new connection before anything else; `begin` is called before it subscribes.
    """

    def __init__(
        self,
        login: Login,
        filters: Sequence[str],
        deliver: Deliver,
        log: structlog.stdlib.BoundLogger,
        announce: Sequence[Letter] = (),
        begin: Callable[[], None] = _nothing,
    ) -> None:
        self._login, self._filters, self._deliver, self._log = login, filters, deliver, log
        self._announce, self._begin = announce, begin
        self._wire: Wire | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._why = "no connection yet"
        self._turned_away = False
        self.deaf = False

    async def __aenter__(self) -> Link:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def wire(self, hold: float) -> Wire:
        """The connection, waiting for one at most `hold` seconds. Raises Unavailable or Misconfigured with what to do."""
        if self._wire is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(hold):
                    await self._up.wait()
        if self._wire is not None:
            return self._wire
        if self._turned_away:
            where = f"{self._login.host}:{self._login.port}"
            raise Misconfigured(f"the MQTT broker {where} refuses our login ({self._why}); mend username and password")
        raise self._unavailable(self._why)

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            f"no connection to the MQTT broker {self._login.host}:{self._login.port} ({why}); is it running?"
        )

    async def publish(self, letters: Iterable[Letter], hold: float = 0.0) -> list[int]:
        """Publish all, many in flight at once; the marks of those that the broker confirmed within its patience.

        What is missing in the answer is unknown: it may still arrive. Raises Unavailable or Misconfigured while there is no
        connection: then nothing was written.
        """
        wire, parcel = await self.wire(hold), Parcel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._login.patience):
                whole = await self._write(wire, parcel, letters)
                if not whole and not parcel.written:
                    raise self._unavailable("it was just lost")
                if parcel.open:
                    await parcel.settled.wait()
        if parcel.open and not parcel.confirmed:
            self._give_up(wire, f"it confirmed none of {parcel.open} messages within {self._login.patience:g} s")
        return parcel.confirmed

    async def _write(self, wire: Wire, parcel: Parcel, letters: Iterable[Letter]) -> bool:
        for count, letter in enumerate(letters, 1):
            if not await wire.put(parcel, letter):
                return False
            if count % BREATH == 0:
                await asyncio.sleep(0)
        return True

    def _give_up(self, wire: Wire, why: str) -> None:
        """A broker that is there and does not answer: the next send must not wait for this connection again."""
        self._log.warning("mqtt_broker_silent", host=self._login.host, port=self._login.port, why=why)
        wire.cut()
        self._forget(wire)

    def _forget(self, wire: Wire) -> None:
        if self._wire is wire:
            self._wire = None
            self._up.clear()

    async def _keep(self) -> None:
        pause = SHORTEST
        while True:
            try:
                async with self._connected() as (wire, reading):
                    pause = SHORTEST
                    await self._attend(wire, reading)
                self._why = "the connection was lost"
            except (aiomqtt.MqttError, OSError) as problem:
                self._turned_away = _credentials_refused(problem)
                self._why = str(problem)
            except Exception as bug:
                self._why = repr(bug)
                self._log.exception("mqtt_connection_bug")
            self._log.warning("mqtt_broker_away", host=self._login.host, port=self._login.port, why=self._why)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Wire, asyncio.Task[None]]]:
        """A connection that is already being read: a broker may hand over what it kept before it answers our subscription."""
        wire = await _opened(Wire(self._login))
        reading = asyncio.create_task(self._read(wire))
        try:
            self._begin()
            self._listen(await wire.subscribe([(name, 1) for name in self._filters], timeout=CONNECT))
            await self._write(wire, Parcel(), self._announce)
            self._wire, self._turned_away = wire, False
            self._up.set()
            yield wire, reading
        finally:
            self._forget(wire)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await _closed(wire)

    def _listen(self, granted: Iterable[int | ReasonCode]) -> None:
        self.deaf = any((code.value if isinstance(code, ReasonCode) else code) >= REFUSED for code in granted)
        if self.deaf:
            self._log.error(
                "mqtt_subscription_refused", filters=list(self._filters), remedy="allow it in the broker's ACL"
            )

    async def _attend(self, wire: Wire, reading: asyncio.Task[None]) -> None:
        ending = asyncio.create_task(wire.ended())
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _read(self, wire: Wire) -> None:
        while True:
            arrivals = await wire.arrivals()
            if len(arrivals) > CROWD:
                self._log.warning("mqtt_inbound_crowded", messages=len(arrivals))
            await self._hand_over(arrivals)
            wire.acknowledge(arrivals)

    async def _hand_over(self, arrivals: Sequence[Arrival]) -> None:
        pause = SHORTEST
        while True:
            try:
                return await self._deliver(arrivals)
            except Exception:
                self._log.exception("mqtt_messages_not_kept", messages=len(arrivals), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST)


async def _opened(wire: Wire) -> Wire:
    """Enter the connection. aiomqtt connects in a thread: a cancellation waits for it, or its socket would stay open."""
    entering = asyncio.create_task(wire.__aenter__())
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await _closed(wire)
        raise
    except aiomqtt.MqttError:
        wire.cut()
        raise
    return wire


async def _closed(wire: Wire) -> None:
    """Leave the connection, politely if the broker still listens."""
    wire.bury()
    try:
        await wire.__aexit__(None, None, None)
    except aiomqtt.MqttError:
        wire.cut()


def _credentials_refused(problem: Exception) -> bool:
    code = getattr(problem, "rc", None)
    return isinstance(code, ReasonCode) and code.value in CREDENTIALS
