"""When a simulated device has finished playing, and whether the audio it was pointed at is the audio that was signed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import heapq
import ipaddress
import itertools
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from channels.loudspeaker.terminal import Terminal

LARGEST = 64 * 1024 * 1024


class Timetable:
    """Who finishes what, in order of time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Terminal, str]] = []
        self._order = itertools.count()

    def add(self, seconds: float, terminal: Terminal, key: str) -> None:
        """`terminal` will have played `key` in `seconds`."""
        heapq.heappush(self._heap, (_now() + seconds, next(self._order), terminal, key))

    def due(self) -> Iterator[tuple[Terminal, str]]:
        """Take what is due."""
        while self._heap and self._heap[0][0] <= _now():
            _, _, terminal, key = heapq.heappop(self._heap)
            yield terminal, key

    async def wait(self, wake: asyncio.Event, at_once: bool) -> None:
        """Until something is due or `wake` is set; only a breath if `at_once`."""
        if at_once:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._heap[0][0] if self._heap else None):
                await wake.wait()
        wake.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()


class Ears:
    """Downloads audio from loopback and compares its SHA-256; each file once."""

    def __init__(self) -> None:
        self._heard: dict[str, bool] = {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Ears:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http:
            await self._http.close()

    async def hear(self, audio: Mapping[str, Any]) -> bool:
        """Whether what lies at the URL is what was signed."""
        name = audio["sha256"]
        if name not in self._heard:
            self._heard[name] = _on_loopback(audio["url"]) and await self._fetch(audio["url"]) == name
        return self._heard[name]

    async def _fetch(self, url: str) -> str:
        digest, size = hashlib.sha256(), 0
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            if self._http is None:
                return ""
            async with self._http.get(url, allow_redirects=False) as answer:
                async for part in answer.content.iter_chunked(65_536):
                    digest.update(part)
                    size += len(part)
                    if size > LARGEST:
                        return ""
                return digest.hexdigest() if answer.status == 200 else ""
        return ""


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
