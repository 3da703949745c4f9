"""For tests, ours and those of third parties: a clock moved by hand, a gateway in one process, and the contract kit for channels.

`ChannelContract` and `Harness` need pytest and pytest-asyncio, which the gateway itself does not: they are loaded when asked for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.testing.contract import ChannelContract
    from gateway.testing.stage import Harness

__all__ = ["ChannelContract", "Harness"]


def __getattr__(name: str) -> object:
    if name == "ChannelContract":
        import pytest

        if "gateway.testing.contract" not in sys.modules:
            pytest.register_assert_rewrite("gateway.testing.contract", "gateway.testing.judging")
        from gateway.testing.contract import ChannelContract

        return ChannelContract
    if name == "Harness":
        from gateway.testing.stage import Harness

        return Harness
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
