"""What the caller may decide about reading: the source's defaults and the limits of contract and configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """A source's habits. `zone` (IANA name) reads times without an offset, "" leaves them unread.

    `strict` says that warnings refuse too; reading itself only reports them, the caller (and `verdict`) decides.
    """

    default_language: str = "zh-CN"
    zone: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one message may hold; one more is refused (HTTP 413).

    `body` in bytes after decompression; `identifier` in characters, for sender too. `elements` counts elements and
    attributes: beyond what the other limits allow together, so only a bomb meets it.
    """

    body: int = 4_000_000
    depth: int = 64
    points_per_polygon: int = 50_000
    points: int = 200_000
    geocodes: int = 10_000
    infos: int = 64
    references: int = 1_000
    identifier: int = 256
    elements: int = 100_000
