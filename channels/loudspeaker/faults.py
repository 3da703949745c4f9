"""What goes wrong in the simulated village, and for which devices: always the same ones for the same words."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

SHARED = ("silent", "offline", "broken", "double")
KNOWN = (*SHARED, "slow", "stop")


def fraction(*words: str) -> float:
    """A number in [0, 1) that looks random and is always the same for the same words."""
    return zlib.crc32(":".join(words).encode()) / 2**32


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults by name: the share of devices they hit, or the seconds of `slow`."""

    values: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Faults:
        """From words such as `silent,offline=0.3,slow=5`. Raises ValueError that names the known ones."""
        values = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = word.partition("=")
            if name not in KNOWN:
                raise ValueError(f"{name!r} is no fault of a loudspeaker village; known: {', '.join(KNOWN)}")
            values[name] = float(value or 1)
        return cls(values)

    def hits(self, fault: str, device: str) -> bool:
        """Whether this device has that fault."""
        return fraction(fault, device) < self.values.get(fault, 0.0)

    @property
    def slow(self) -> float:
        """Seconds that every device plays later."""
        return self.values.get("slow", 0.0)

    @property
    def stop(self) -> bool:
        """Whether the broker has stopped answering."""
        return "stop" in self.values
