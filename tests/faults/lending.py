"""What the fault suite shares: a nursery for real processes, and a voice that prints figures whatever pytest captures.
Test modules name this one in `pytest_plugins`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from nursery import Nursery
from rounds import Say


@pytest.fixture
def say(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Say:
    """Print a line of figures. (To standard error: pytest-xdist's workers have no other way out.)"""

    def told(text: str) -> None:
        with capsys.disabled():
            print(f"\n[faults] {request.node.name}: {text}", file=sys.stderr, flush=True)

    return told


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nursery() -> AsyncIterator[Nursery]:
    """Where processes are born quickly."""
    async with Nursery() as one:
        yield one
