"""What a process that does the work does for outgoing webhooks: wiring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.services.hooks.deliver import DeliverHooks
from app.services.hooks.poster import Poster
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics


@asynccontextmanager
async def hook_work(
    store: Store, settings: Settings, meters: Metrics
) -> AsyncIterator[DeliverHooks]:
    async with Poster(allow_private=settings.hooks_allow_private) as poster:
        yield DeliverHooks(store, poster, meters)
