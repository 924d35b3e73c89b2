from __future__ import annotations

import asyncio

import pytest

from app.running.stopping import Stopping


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every pause of the program, which takes no time."""
    taken: list[float] = []

    async def sleep(self: Stopping, seconds: float, until: asyncio.Event | None = None) -> None:
        taken.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(Stopping, "sleep", sleep)
    return taken
