"""TLS towards the broker: the channel makes one context when it starts, the session wraps each connection in it."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.channel import Misconfigured


class TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho would leave it to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """Like its parent."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Verifies the broker against `ca_file` or the system's certificates, and shows ours if there is one. Reads files.

    Raises Misconfigured.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        if cert_file:
            context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as problem:
        raise Misconfigured(f"the TLS files (ca_file, cert_file, cert_key_file) cannot be used: {problem}") from None
    context.sslsocket_class = TidySocket
    return context
