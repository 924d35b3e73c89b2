"""Drop details of the past (docs/personal-data.md), a slice at a time, with rests: what nobody
waits for never takes the database from what is being sent."""

from __future__ import annotations

import time

from app.settings import Settings
from app.store import Store

REST_SECONDS = 1.0
"""Between two slices. One of 2,000 events takes some 150 ms, and more events than that a second
don't come from mails that SES accepts."""
LOOK_SECONDS = 3600.0
"""Between two looks when nothing was left to drop, another process is at it, or it failed: nobody
waits for it, and a slice that the database cuts off shouldn't be tried each second."""


class DropDetails:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._look_at = 0.0

    def pause(self) -> float:
        """Seconds until the next look."""
        return max(REST_SECONDS, self._look_at - time.monotonic())

    async def look(self) -> None:
        """Drop the next slice of each kind, once it is time. Raises Unavailable."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        more = await self._store.drop_old_events(self._settings.events_retention_days)
        more |= await self._store.drop_old_batches(self._settings.events_retention_days)
        more |= await self._store.shrink_old_mailouts(self._settings.ledger_retention_days)
        if more:
            self._look_at = 0.0
