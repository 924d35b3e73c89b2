"""What the tests with Zapier, Make and n8n share: a service that may tell this machine, whose API
they reach with a key of theirs, and things that happen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.domain.access import OWNER
from app.services.hooks.deliver import DeliverHooks
from app.services.hooks.poster import Poster
from app.telemetry.metrics import Metrics
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for


@dataclass
class World:
    """http: knows no credential. key: may manage, and nothing else."""

    http: httpx.AsyncClient
    key: str
    arrange: Arrange
    deliverer: DeliverHooks

    async def list_hooks(self) -> list[dict[str, Any]]:
        found = await self.http.get("/hooks", headers=self.bearer)
        items: list[dict[str, Any]] = found.raise_for_status().json()["items"]
        return items

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def unsubscribe(self, email: str) -> None:
        """Somebody who was on the list leaves it; and whoever is told is told."""
        await self.arrange.subscriber(email, name="Zoë", tags=["news"], fields={"plan": "gold"})
        change = {"status": "unsubscribed", "reason": "Asked by phone."}
        answer = await self.http.patch(f"/subscribers/{email}", json=change, headers=self.bearer)
        answer.raise_for_status()
        await self.deliverer.run_dry()

    async def finish(self, subject: str) -> str:
        """A mailout comes to its end. Gives its id."""
        mailout = await self.arrange.mailout("sending", subject=subject)
        await self.arrange.sql.execute(
            "update mailouts set status = 'sent', sent_at = now() where id = %s", [mailout]
        )
        await self.deliverer.run_dry()
        return str(mailout)


@asynccontextmanager
async def running_world(dsn: str, arrange: Arrange) -> AsyncIterator[World]:
    settings = settings_for(dsn, None, AWS_REGION=None, HOOKS_ALLOW_PRIVATE="true")
    async with (
        in_process(settings, with_sender=False) as service,
        Poster(allow_private=True) as poster,
    ):
        made = await service.services.keys.create("Automation", ["manage"], OWNER)
        deliverer = DeliverHooks(service.services.store, poster, Metrics())
        yield World(service.http, made["key"], arrange, deliverer)
