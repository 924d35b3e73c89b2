"""A sender's part in the fallback to other providers: it has the database apply the rule
(watch_fallback.sql), and knows whose turn it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from app.domain.providers.words import provider_name
from app.settings import Settings
from app.store import Store
from app.store.telling.news import Way

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
SETTLED_SECONDS = 60.0
"""So long a region of SES must have been able to send before SES alone sends again; less where
FALLBACK_AFTER_SECONDS is."""


class WatchFallback:
    """on_change: called when a mailout may go on, or another has the turn."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        regions: Sequence[str],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._providers = settings.fallback_providers
        self._regions = tuple(regions)
        self._after = settings.fallback_after_seconds
        self._on_change = on_change
        self._ways: tuple[Way, ...] = (
            *(("mail",) if settings.owner_email else ()),
            *(("slack",) if settings.uses_slack else ()),
        )
        self._headlines = {"": "Amazon SES alone sends again."} | {
            name: f"{provider_name(name)} sends in Amazon SES’s place." for name in self._providers
        }
        self.provider: str | None = None
        """Whose turn it is, as the database said last: it decides again with every claim."""

    async def look(self) -> None:
        """Raises Unavailable."""
        found = await self._store.watch_fallback(
            self._providers,
            self._regions,
            after_seconds=self._after,
            settled_seconds=min(SETTLED_SECONDS, self._after or SETTLED_SECONDS),
            headlines=self._headlines,
            ways=self._ways,
        )
        if found["change"] is not None:
            log.warning(
                f"fallback_{found['change']}", provider=found["provider"], because=found["reason"]
            )
        for mailout_id in found["resumed"]:
            log.info("mailout_resumed", mailout_id=mailout_id, by="fallback")
        changed = found["provider"] != self.provider
        self.provider = found["provider"]
        if changed or found["resumed"]:
            await self._on_change()
