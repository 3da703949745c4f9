"""One connection to an MQTT broker, as `session` needs it: a window of publishes, and messages acknowledged when kept.

aiomqtt has neither: it makes a task-like wait for each publish, and lets paho acknowledge a message as soon as it came in.
`Wire` adds both with paho's own calls beneath aiomqtt's connection. A confirmed publish means that the broker has it, and
nothing more; one that was not confirmed is *unknown*.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import aiomqtt
from paho.mqtt import client as paho

KEEPALIVE, CONNECT = 15, 5.0

logging.getLogger("mqtt").setLevel(logging.ERROR)


class Letter(NamedTuple):
    """Something to publish. `mark` is the caller's own number for it."""

    mark: int
    topic: str
    payload: bytes
    retain: bool = False


class Arrival(NamedTuple):
    """Something that came in and is not acknowledged yet."""

    topic: str
    payload: bytes
    mid: int
    qos: int


@dataclass(frozen=True, slots=True)
class Login:
    """Where the broker is and who we are. `lasting`: the broker keeps our subscriptions and messages while we are away."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    qos: int = 1
    window: int = 200
    patience: float = 10.0
    lasting: bool = True


@dataclass(slots=True)
class Parcel:
    """Letters on their way together: which are confirmed, how many are still open."""

    confirmed: list[int] = field(default_factory=list)
    open: int = 0
    written: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self, mark: int, kept: bool) -> None:
        self.open -= 1
        if kept:
            self.confirmed.append(mark)
        if not self.open:
            self.settled.set()


class Wire(aiomqtt.Client):
    """One connection: publishes in a window, and inbound messages that wait for `acknowledge`."""

    def __init__(self, login: Login) -> None:
        super().__init__(
            login.host,
            login.port,
            identifier=login.client_id,
            username=login.username,
            password=login.password,
            tls_context=login.tls,
            clean_session=not login.lasting,
            timeout=CONNECT,
            keepalive=KEEPALIVE,
            max_inflight_messages=0,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        self._client.manual_ack_set(True)
        self._qos = login.qos
        self._window = asyncio.Semaphore(login.window)
        self._parcels: dict[int, tuple[Parcel, int]] = {}
        self._inbox: list[Arrival] = []
        self._arrived = asyncio.Event()
        self._lost = False

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._disconnected.add_done_callback(lambda end: end.cancelled() or end.exception())
        return self

    async def put(self, parcel: Parcel, letter: Letter) -> bool:
        """Write one letter as soon as the window has room; False when the connection is gone."""
        await self._window.acquire()
        sent = None if self._lost else self._client.publish(letter.topic, letter.payload, self._qos, letter.retain)
        if sent is None or sent.rc != paho.MQTT_ERR_SUCCESS:
            self._window.release()
            return False
        parcel.open += 1
        parcel.written += 1
        parcel.settled.clear()
        self._parcels[sent.mid] = (parcel, letter.mark)
        return True

    def _on_publish(self, client: paho.Client, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        parcel, mark = self._parcels.pop(mid, (None, 0))
        if parcel is None:
            super()._on_publish(client, userdata, mid, reason_code, properties)
            return
        self._window.release()
        parcel.close(mark, kept=True)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._inbox.append(Arrival(topic, bytes(message.payload), message.mid, message.qos))
        self._arrived.set()

    async def arrivals(self) -> Sequence[Arrival]:
        """Everything that came in since the last call; waits for the first."""
        await self._arrived.wait()
        self._arrived.clear()
        taken, self._inbox = self._inbox, []
        return taken

    def acknowledge(self, arrivals: Iterable[Arrival]) -> None:
        """Let the broker forget them."""
        for arrival in arrivals:
            self._client.ack(arrival.mid, arrival.qos)

    async def ended(self) -> None:
        """Return when the connection is gone."""
        await asyncio.wait([self._disconnected])

    def cut(self) -> None:
        """Close the socket under a broker that does not answer; `ended` follows."""
        found = self._client.socket()
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def bury(self) -> None:
        """The connection is gone: nobody may wait for its confirmations any more."""
        self._lost = True
        lost, self._parcels = self._parcels, {}
        for parcel, mark in lost.values():
            self._window.release()
            parcel.close(mark, kept=False)
        self._window.release()
