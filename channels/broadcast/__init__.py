"""Emergency broadcasting (应急广播): packages handed to county platforms, their states read back (docs/channels/broadcast.md)."""

from channels.broadcast.channel import Broadcast

__all__ = ["Broadcast"]
