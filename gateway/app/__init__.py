"""The composition root: `open_gateway` makes a running gateway of settings; nothing else knows all the rooms."""

from gateway.app.composing import ADMIN, Gateway
from gateway.app.gateway import open_gateway

__all__ = ["ADMIN", "Gateway", "open_gateway"]
