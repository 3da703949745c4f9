"""Signing packages. Production signs in hardware, so the signer is a program of the operator's choice, or none.

The program gets the body file on standard input and the EBDID as its last argument, and writes the signature file to
standard output. No shell is involved.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from channels.broadcast.config import Settings
from gateway.channel import Misconfigured, Unavailable

MAX_SIGNATURE = 65_536


class Signer(Protocol):
    """Gives the content of `EBDS_EBDB_<EBDID>.xml`, b"" for an unsigned package."""

    async def sign(self, ebd_id: str, body: bytes) -> bytes:
        """Raises Unavailable or Misconfigured; nothing leaves unsigned by mistake."""
        ...


class Unsigned:
    """`signature: none`."""

    async def sign(self, ebd_id: str, body: bytes) -> bytes:
        """Nothing."""
        return b""


class Command:
    """`signature: command`."""

    def __init__(self, command: tuple[str, ...], timeout: float) -> None:
        self._command, self._timeout = command, timeout

    async def sign(self, ebd_id: str, body: bytes) -> bytes:
        """What the program writes for `body`."""
        process = await self._start(ebd_id)
        try:
            async with asyncio.timeout(self._timeout):
                signature, _ = await process.communicate(body)
        except TimeoutError as error:
            raise Unavailable(f"the signing program took more than {self._timeout:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode or not 0 < len(signature) <= MAX_SIGNATURE:
            raise Unavailable(f"the signing program gave no signature (exit {process.returncode})")
        return signature

    async def _start(self, ebd_id: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(*self._command, ebd_id, stdin=pipe, stdout=pipe)
        except OSError as error:
            raise Misconfigured(
                f"the signing program {self._command[0]} cannot be started: {error.strerror}"
            ) from error


def signer_of(config: Settings) -> Signer:
    """The signer that the settings ask for."""
    if config.signature == "command":
        return Command(config.signature_command, config.signature_timeout)
    return Unsigned()
