"""Pausing what the guards stop. Whether they do is for the database to say (guards.sql)."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.domain.sending.guards import GuardLimits, pause_reason
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)


def guard_limits(settings: Settings) -> GuardLimits:
    return GuardLimits(settings.bounce_rate_pause, settings.complaint_rate_pause)


class Guards:
    """Any process may say it first; claims stop with the events' own transaction already."""

    def __init__(self, store: Store, limits: GuardLimits) -> None:
        self._store = store
        self.limits = limits

    async def enforce(self, mailout_id: UUID) -> None:
        """Pause the mailout if its rates, or the account's, are past their limits.

        A mailout with nobody left to send to is not paused; a person's resume has the last word.
        Raises Unavailable.
        """
        trip = await self._store.guard_trip(mailout_id, self.limits)
        if trip is None:
            return
        reason = pause_reason(trip)
        if (await self._store.pause_tripped(mailout_id, reason, self.limits)).changed:
            log.warning(
                "mailout_paused",
                mailout_id=str(mailout_id),
                reason=reason,
                guard=trip.rate,
                scope=trip.scope,
            )
