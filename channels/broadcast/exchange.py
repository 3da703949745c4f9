"""One exchange with a platform: an EBD goes there as a multipart upload, an EBD comes back as a TAR.

Numbers and dresses the envelope, signs it, and tells apart what was never sent, what was refused and what nobody can tell.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import aiohttp
from yarl import URL

from channels.broadcast import ebd, package
from channels.broadcast.config import Settings
from channels.broadcast.ebd import Element, Envelope, Unreadable
from channels.broadcast.messages import write_time
from channels.broadcast.signature import signer_of
from gateway.channel import Context, Instant, Reason, Unavailable, instant, moment

CONNECT_SECONDS = 5.0
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Faults before a byte of the request was written."""


class Unanswered(Exception):
    """The package may have been taken; there was no answer to tell."""


class Refused(Exception):
    """The platform, or our own settings, will not have it: `reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.label)
        self.reason = reason


class Numbers:
    """EBDIDs: `10` + EBRID + day + the millisecond of the day, never twice."""

    def __init__(self, config: Settings) -> None:
        self._ebrid, self._zone = config.ebrid, config.zone
        self._last = 0

    def next(self, now: Instant) -> str:
        """A new EBDID, later than any before."""
        self._last = max(self._last + 1, now)
        local = moment(self._last, self._zone)
        midnight = instant(local.replace(hour=0, minute=0, second=0, microsecond=0))
        return f"10{self._ebrid}{local:%Y%m%d}{self._last - midnight:08}"


class Exchange:
    """Talks to platforms on behalf of one channel."""

    def __init__(self, config: Settings, context: Context) -> None:
        self._config, self._context = config, context
        self._signer = signer_of(config)
        self._numbers = Numbers(config)
        self._timeout = aiohttp.ClientTimeout(
            total=config.request_timeout, sock_connect=min(CONNECT_SECONDS, config.request_timeout)
        )

    def new_id(self) -> str:
        """The EBDID of a package to come."""
        return self._numbers.next(self._context.clock.now())

    async def dress(
        self,
        ebd_id: str,
        body: Element,
        *,
        address: str = "",
        related: str = "",
        attachments: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """The signed package around a message. Raises what the signer raises."""
        now = write_time(self._context.clock.now(), self._config.zone)
        destination = self._config.destinations.get(address, "")
        envelope = Envelope(ebd_id, self._config.ebrid, now, body, destination=destination, related=related)
        xml = ebd.write(envelope)
        return package.pack(ebd_id, xml, await self._signer.sign(ebd_id, xml), attachments)

    async def ask(self, address: str, ebd_id: str, raw: bytes) -> Envelope:
        """The platform's answer to a package. Raises Unavailable, Refused or Unanswered."""
        form = aiohttp.FormData()
        name = package.file_name(ebd_id)
        form.add_field("file", io.BytesIO(raw), filename=name, content_type="application/octet-stream")
        try:
            async with self._context.http.post(
                self._url(address), data=form, timeout=self._timeout, allow_redirects=False
            ) as response:
                _check_status(response.status)
                return ebd.read(package.unpack(await _read(response)).body)
        except NEVER_SENT as error:
            raise Unavailable(f"no connection to the platform: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, Unreadable) as error:
            raise Unanswered from error

    def _url(self, address: str) -> URL:
        try:
            url = URL(address)
        except ValueError as error:
            raise Refused(Reason.INVALID_ADDRESS) from error
        if url.scheme not in ("http", "https") or not url.host or url.user or not self._permitted(url):
            raise Refused(Reason.INVALID_ADDRESS)
        return url

    def _permitted(self, url: URL) -> bool:
        permitted = [URL(prefix) for prefix in self._config.platforms]
        return not permitted or any(
            url.origin() == each.origin() and url.path.startswith(each.path) for each in permitted
        )


def _check_status(status: int) -> None:
    if status >= 500 or status == 429:
        raise Unavailable(f"HTTP {status}")
    if status != 200:
        raise Refused(Reason.REJECTED)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) <= package.MAX_PACKAGE and (chunk := await response.content.read(65_536)):
        body += chunk
    return bytes(body)
