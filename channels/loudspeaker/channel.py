"""The loudspeaker channel: each endpoint's address is a device id, each device listens on its own topic.

    {topic}/{device}/play     to the device: signed play and stop instructions (QoS 1, never retained)
    {topic}/{device}/status   from the device: received, playing, played, failed, stopped
    {topic}/{device}/online   from the device, retained, its last will is 0: 1 or 0
    {topic}/key               from us, retained: the public key, so that an installer can compare it

The broker's PUBACK says `accepted` and no more: brokers drop what they cannot queue without a word. The device's own `played`
is the delivery. Status messages are journalled before the broker may forget them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError

from channels.loudspeaker import keys
from channels.loudspeaker.instruction import (
    Order,
    Signer,
    Status,
    address_to,
    play_order,
    stop_order,
    usable_address,
)
from channels.loudspeaker.session import Link
from channels.loudspeaker.tls import tls_context
from channels.loudspeaker.wire import Arrival, Letter, Login
from gateway.channel import (
    Batch,
    ChannelConfig,
    Context,
    Endpoint,
    EvidenceConfig,
    Level,
    Misconfigured,
    Reason,
    Receipt,
    Traits,
    Unavailable,
)

STOP_HOLDS = 3_600_000
"""A stop instruction is good for an hour at least: the alert that it stops may be about to expire."""


def _plain_topic(topic: str) -> str:
    if not topic or set(topic) & set("+#$") or topic.startswith("/") or topic.endswith("/") or not topic.isprintable():
        raise ValueError("a topic without + # $ and without a slash at either end, such as tongluo or county/tongluo")
    return topic


EVIDENCE = EvidenceConfig(
    kind="device",
    count_level="delivered",
    q_unknown=0.8,
    hear=(0.0, 0.5, 1.0),
    hear_night=(0.0, 0.3, 1.0),
    failure_domain="power",
    source="starting point of the coverage model; not surveyed, to be calibrated by drill surveys",
    date="2026-11-22",
)


class Loudspeaker:
    """Village loudspeakers behind one MQTT broker."""

    class Config(ChannelConfig):
        """Settings of one broker and its devices."""

        host: str = Field("127.0.0.1", description="The broker's host.")
        port: int = Field(1883, ge=1, le=65535, description="The broker's port; usually 8883 with TLS.")
        tls: bool = Field(False, description="Speak TLS and verify the broker's certificate.")
        ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's.")
        cert_file: Path | None = Field(None, description="Our certificate, where the broker asks for one.")
        cert_key_file: Path | None = Field(None, description="The private key of `cert_file`.")
        username: str | None = Field(None, description="Login at the broker.")
        password: SecretStr | None = Field(None, description="Its password; better in `password_file`.")
        password_file: Path | None = Field(None, description="A file with the password on its first line.")
        client_id: str = Field("", description="MQTT client id; empty = made once and kept in the data folder.")
        topic: Annotated[str, AfterValidator(_plain_topic)] = Field(
            "tongluo", description="First levels of all topics."
        )
        signing_key_file: Path = Field(
            description="Ed25519 private key (PEM or 32 raw bytes); made with mode 0600 if the file is not there."
        )
        repeats: int = Field(2, ge=1, le=20, description="How often a device plays one instruction.")
        volume: int | None = Field(None, ge=0, le=100, description="Per cent; empty = as set at the device.")
        qos: Literal[1, 2] = Field(1, description="MQTT quality of service of instructions.")
        inflight: int = Field(
            200, ge=1, le=20_000, description="Publishes under way without the broker's confirmation."
        )
        hold: float = Field(
            2.0, ge=0, description="Seconds that a send waits for a lost connection before it gives up."
        )
        patience: float = Field(10.0, gt=0, description="Seconds to wait for the broker's confirmations.")

    traits = Traits(
        kind="device",
        proves=Level.DELIVERED,
        parallel=4,
        media="audio",
        audible=True,
        format="loudspeaker",
        methods=("SPEAKER",),
        evidence=EVIDENCE,
    )

    def __init__(self, config: Config, context: Context) -> None:
        self._config, self._context, self._log = config, context, context.log
        self._online: dict[str, bool] = {}
        self._signer: Signer | None = None
        self._link: Link | None = None
        self._identity: keys.Identity | None = None
        self.rejected_statuses = 0

    async def __aenter__(self) -> Loudspeaker:
        self._signer = await self._load_key()
        login = await self._log_in()
        topic = self._config.topic
        self._link = Link(
            login,
            (f"{topic}/+/status", f"{topic}/+/online"),
            self._take,
            self._log,
            announce=(Letter(0, f"{topic}/key", keys.public_pem(self._signer.public), retain=True),),
            begin=self._online.clear,
        )
        await self._link.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._link:
            await self._link.__aexit__(*exc)
        if self._identity:
            self._identity.release()

    async def _load_key(self) -> Signer:
        private, fresh = await asyncio.to_thread(keys.signing_key, self._config.signing_key_file)
        signer = Signer(private)
        if fresh:
            self._log.warning(
                "signing_key_created",
                channel=self._context.name,
                file=str(self._config.signing_key_file),
                public_key=keys.public_pem(signer.public).decode(),
                remedy="install this public key in every device: they obey no other",
            )
        return signer

    async def _log_in(self) -> Login:
        config = self._config
        password = await asyncio.to_thread(self._password)
        files = (config.ca_file, config.cert_file, config.cert_key_file)
        tls = await asyncio.to_thread(tls_context, *files) if config.tls else None
        return Login(
            host=config.host,
            port=config.port,
            client_id=config.client_id or await self._own_client_id(),
            username=config.username,
            password=password,
            tls=tls,
            qos=config.qos,
            window=config.inflight,
            patience=config.patience,
        )

    async def _own_client_id(self) -> str:
        prefix = f"tongluo-{self._context.name}"
        self._identity = await asyncio.to_thread(keys.identity, self._context.data, prefix)
        return self._identity.client_id

    def _password(self) -> str | None:
        if self._config.password_file is None:
            return self._config.password.get_secret_value() if self._config.password else None
        try:
            return self._config.password_file.read_text(encoding="utf-8").split("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as problem:
            raise Misconfigured(f"password_file {self._config.password_file} cannot be read: {problem}") from None

    @property
    def online(self) -> Mapping[str, bool]:
        """Device id -> whether it says that it is connected. A device that never said anything is not in it."""
        return MappingProxyType(self._online)

    async def probe(self) -> None:
        """A message to the broker and its confirmation. Raises Unavailable or Misconfigured with what to do."""
        link, _ = self._ready()
        if link.deaf:
            raise Misconfigured(
                f"the broker does not let us read {self._config.topic}/+/status: no playback is ever proven"
            )
        if not await link.publish([Letter(0, f"{self._config.topic}/probe", b"")], self._config.hold):
            raise Unavailable(f"the MQTT broker {self._config.host}:{self._config.port} took no message in time")

    async def send(self, batch: Batch) -> Sequence[Receipt]:
        """Tell the devices to play. ACCEPTED = the broker has the instruction; what is left out is unknown."""
        order = play_order(batch, self._context.clock.now(), self._config.repeats, self._config.volume)
        return await self._instruct(batch, batch.endpoints, order)

    async def recall(self, batch: Batch, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
        """Tell the devices to be silent about this batch, now and later. ACCEPTED = the broker has the stop instruction.

        Endpoints that failed for good are left alone. A device that stopped says so itself (FAILED, WITHDRAWN).
        """
        gone = {receipt.endpoint for receipt in receipts if receipt.level is Level.FAILED}
        now = self._context.clock.now()
        endpoints = [endpoint for endpoint in batch.endpoints if endpoint.ordinal not in gone]
        return await self._instruct(batch, endpoints, stop_order(batch, now, max(batch.expires_at, now + STOP_HOLDS)))

    async def _instruct(self, batch: Batch, endpoints: Sequence[Endpoint], order: Order) -> Sequence[Receipt]:
        link, signer = self._ready()
        usable = [endpoint for endpoint in endpoints if usable_address(endpoint.address)]
        confirmed = await link.publish(self._letters(batch, usable, order, signer), self._config.hold)
        refused = [endpoint.ordinal for endpoint in endpoints if not usable_address(endpoint.address)]
        return [
            *(Receipt(Level.ACCEPTED, endpoint=ordinal) for ordinal in confirmed),
            *(Receipt(Level.FAILED, endpoint=ordinal, reason=Reason.INVALID_ADDRESS) for ordinal in refused),
        ]

    def _letters(self, batch: Batch, endpoints: Sequence[Endpoint], order: Order, signer: Signer) -> Iterator[Letter]:
        """One signed letter per device, made only when the wire has room for it."""
        now, topic = self._context.clock.now, self._config.topic
        for endpoint in endpoints:
            personal = address_to(order, endpoint, batch.key(endpoint), signer, now())
            yield Letter(endpoint.ordinal, f"{topic}/{endpoint.address}/play", signer.seal(personal))

    def _ready(self) -> tuple[Link, Signer]:
        if self._link is None or self._signer is None:
            raise Unavailable(f"channel {self._context.name} is not running")
        return self._link, self._signer

    async def _take(self, arrivals: Sequence[Arrival]) -> None:
        """Journal what devices said; whoever calls acknowledges it to the broker after that."""
        receipts = [receipt for arrival in arrivals if (receipt := self._understand(arrival))]
        if receipts:
            await self._context.report(receipts)

    def _understand(self, arrival: Arrival) -> Receipt | None:
        device, _, kind = arrival.topic.removeprefix(f"{self._config.topic}/").partition("/")
        if kind == "online":
            self._note_presence(device, arrival.payload)
        return self._receipt(device, arrival.payload) if kind == "status" else None

    def _note_presence(self, device: str, payload: bytes) -> None:
        if payload:
            self._online[device] = payload == b"1"
        else:
            self._online.pop(device, None)

    def _receipt(self, device: str, payload: bytes) -> Receipt | None:
        """The receipt of a status message, None if it is no status or not about an instruction to this device."""
        _, signer = self._ready()
        try:
            status = Status.model_validate_json(payload)
        except ValidationError as problem:
            self._reject(device, f"{problem.error_count()} members are wrong")
            return None
        if not signer.knows(device, status.key, status.ticket):
            self._reject(device, "its ticket is not the one that this device was given with this key")
            return None
        return status.receipt()

    def _reject(self, device: str, why: str) -> None:
        self.rejected_statuses += 1
        self._log.warning("status_rejected", channel=self._context.name, device=device[:40], why=why)
