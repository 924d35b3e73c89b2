"""Hooks, what they were told, and a receiver on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from app.domain.hooks.events import EVENTS
from app.domain.hooks.signing import new_secret
from app.store import Store
from tests.support.factories import Arrange


@dataclass
class Outbox:
    """What was written to be told."""

    arrange: Arrange

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Each event with its data, in the order of writing."""
        return [(row["type"], row["data"]) for row in await self.rows()]

    async def types(self) -> list[str]:
        return [row["type"] for row in await self.rows()]

    async def rows(self) -> list[dict[str, Any]]:
        done = await self.arrange.sql.execute("select * from hook_deliveries order by id")
        return [dict(row) async for row in done]

    async def clear(self) -> None:
        await self.arrange.sql.execute("delete from hook_deliveries")


@pytest.fixture
def outbox(arrange: Arrange) -> Outbox:
    return Outbox(arrange)


async def a_hook(
    store: Store, url: str = "https://example.com/hook", *events: str, rate: float = 1000.0
) -> UUID:
    """One that wants these events, or all."""
    made = await store.create_hook(
        url,
        events or EVENTS,
        secret=new_secret(),
        description="",
        source=None,
        rate_per_second=rate,
        by="owner",
    )
    return UUID(made["id"])
