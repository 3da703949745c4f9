"""Where a URL out of a directory may lead: into the public network only, checked on the very address we connect to.

Loopback, private, link-local and all other special ranges are refused after the name has been resolved and by the
resolver that serves the connection, so a name that changes its mind between check and use gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class Forbidden(OSError):
    """The address lies in a network that a directory must not lead us into."""


def is_public(text: str) -> bool:
    """Whether an IP address literal, in canonical spelling, belongs to the public network. Anything unclear does not."""
    try:
        address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address.sixtofour or address.teredo or address in _TRANSLATED:
            return False
    return address.is_global and not address.is_multicast


def check(url: URL) -> None:
    """Raise ValueError for what is no web address, `Forbidden` for an IP literal outside the public network."""
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not an http address")
    if _is_literal(url.host) and not is_public(url.host):
        raise Forbidden("address literal outside the public network")


def _is_literal(host: str) -> bool:
    # aiohttp skips the resolver for such hosts, decimal spellings (2130706433) among them.
    return ":" in host or host.replace(".", "").isdigit()


class PublicResolver(AbstractResolver):
    """Resolves names by the system and hands out public addresses only."""

    def __init__(self) -> None:
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of `host`. Raises `Forbidden` if it has any other."""
        found = await self._system.resolve(host, port, family)
        if not all(is_public(entry["host"]) for entry in found):
            raise Forbidden(f"{host} leads into a private network")
        return found

    async def close(self) -> None:
        """Nothing is held open."""
        await self._system.close()
