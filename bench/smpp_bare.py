"""How fast SMPP can be here: a bare windowed loop, and the `sms` channel, against the same simulator in another process.

    python bench/smpp_bare.py [--recipients 200000] [--window 50] [--parts 1]

Both send to the simulator in its light mode, wait for an answer and a receipt for every message, and acknowledge each
receipt. The bare loop knows nothing of a gateway: it is the ceiling that the channel is measured against.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import structlog

from channels.sms import Sms
from channels.sms.simulator import SmsCentre
from gateway.channel import Batch, Cause, Context, Endpoint, Instant, Message, Receipt

HEADER = struct.Struct(">IIII")
PREFIX = b"\0\0\x0112379\0\1\1"


def far_side(pipe: Connection) -> None:
    """The simulator's process."""

    async def serve() -> None:
        async with SmsCentre(keep=False, faults="unordered", delay=0.02) as centre:
            pipe.send(centre.port)
            await asyncio.to_thread(pipe.recv)

    asyncio.run(serve())


def bare(port: int, recipients: int, window: int) -> float:
    """Submit, collect receipts, acknowledge: plain socket, no event loop. Returns seconds."""
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bind = b"gw\0\0\0\x34\0\0\0"
    line.sendall(HEADER.pack(16 + len(bind), 9, 0, 1) + bind)
    tail = b"\0\0\0\0\0\0\1\0\0\0\x0d" + b"flood warning"
    line.recv(4096)
    began, sent, answered, receipts, rest = time.perf_counter(), 0, 0, 0, b""
    while receipts < recipients:
        room = min(window - (sent - answered), recipients - sent)
        block = []
        for number in range(sent, sent + room):
            body = PREFIX + b"1000%07d" % number + tail
            block.append(HEADER.pack(16 + len(body), 4, 0, number + 2) + body)
        sent += room
        line.sendall(b"".join(block))
        data = rest + line.recv(1 << 20)
        position, acknowledgements = 0, []
        while len(data) - position >= 16:
            length, command, _, sequence = HEADER.unpack_from(data, position)
            if position + length > len(data):
                break
            if command == 5:
                receipts += 1
                acknowledgements.append(HEADER.pack(17, 0x80000005, 0, sequence) + b"\0")
            else:
                answered += 1
            position += length
        rest = data[position:]
        line.sendall(b"".join(acknowledgements))
    line.close()
    return time.perf_counter() - began


class Wall:
    """The gateway's clock."""

    def now(self) -> Instant:
        """Milliseconds."""
        return time.time_ns() // 1_000_000

    async def until(self, at: Instant) -> None:
        """Not needed here."""
        await asyncio.sleep(max(0, at - self.now()) / 1000)


async def channel(port: int, recipients: int, window: int, text: str) -> float:
    """The same through `Sms.send`, four batches of 500 in flight. Returns seconds."""
    far_ids: set[str] = set()
    proven: set[str] = set()
    done = asyncio.Event()

    async def report(receipts: list[Receipt]) -> None:
        proven.update([receipt.far_id for receipt in receipts])
        if len(proven) >= recipients:
            done.set()

    config = Sms.Config.model_validate(
        {"type": "sms", "port": port, "system_id": "gw", "window": window, "key_tlv": True}
    )
    with tempfile.TemporaryDirectory() as folder:
        async with aiohttp.ClientSession() as http:
            context = Context("sms", http, report, structlog.get_logger(), Wall(), Path(folder))  # type: ignore[arg-type]
            async with Sms(config, context) as sms:
                await sms.probe()
                began = time.perf_counter()
                firsts = iter(range(0, recipients, 500))

                async def deliver() -> None:
                    for first in firsts:
                        ordinals = range(first, min(first + 500, recipients))
                        batch = Batch(
                            alert="019a", identifier="bench", dispatch="019b", channel="sms", cause=Cause.RELEASE,
                            message=Message("zh-CN", text), expires_at=Wall().now() + 3_600_000,
                            endpoints=[Endpoint(ordinal, f"1000{ordinal:07d}") for ordinal in ordinals],
                        )  # fmt: skip
                        far_ids.update([receipt.far_id for receipt in await sms.send(batch)])

                await asyncio.gather(*(deliver() for _ in range(4)))
                submitted = time.perf_counter() - began
                await asyncio.wait_for(done.wait(), 120)
                spent = time.perf_counter() - began
    assert proven == far_ids, "every message must have its answer and its receipt"
    print(f"    answers after {submitted:.2f} s, receipts after {spent:.2f} s")
    return spent


def main() -> None:
    """Run both and print recipients a second."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--recipients", type=int, default=200_000)
    options.add_argument("--window", type=int, default=50)
    options.add_argument("--parts", type=int, default=1)
    chosen = options.parse_args()
    text = "暴雨红色预警：请低洼地区居民立即转移到高处。" * 3
    text = text[:60] if chosen.parts == 1 else text * chosen.parts
    text = text[: 67 * chosen.parts] if chosen.parts > 1 else text
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=far_side, args=(there,))
    process.start()
    try:
        port = here.recv()
        runs: list[tuple[str, Callable[[], float]]] = [
            ("bare loop", lambda: bare(port, chosen.recipients, chosen.window)),
            ("channel", lambda: asyncio.run(channel(port, chosen.recipients, chosen.window, text))),
        ]
        for name, run in runs:
            seconds = run()
            print(
                f"{name:10} {chosen.recipients:,} in {seconds:.2f} s = {chosen.recipients / seconds:,.0f} recipients/s"
            )
    finally:
        here.send("stop")
        process.join(10)


if __name__ == "__main__":
    main()
