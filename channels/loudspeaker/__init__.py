"""Village loudspeakers over MQTT: signed instructions out, playback receipts back.

`channel` is what the gateway runs; `instruction` is the wire format and its signature; `session` and `wire` are the
connection to the broker; `terminal` is the law by which a device obeys or refuses; `broker` and `simulator` are the far
side that ships.
"""

from channels.loudspeaker.channel import Loudspeaker

__all__ = ["Loudspeaker"]
