"""What holds for every test: nobody is reached beyond this machine."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import Any


def stay_home(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: a connection to anything but loopback is an error of the test that asked for it."""
    if event != "socket.connect" or arguments[0].family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = str(arguments[1][0])
    if host != "localhost" and not ip_address(host.partition("%")[0]).is_loopback:
        raise ConnectionRefusedError(f"tests stay on this machine; this one asked for {host}")


sys.addaudithook(stay_home)
