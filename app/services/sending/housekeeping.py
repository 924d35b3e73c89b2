"""What a sender does for the database beside sending: it says that it lives, calls the recipients
of lost senders unknown, gives back claims of its own that got no answer, and takes its turns at
slow work (upkeep.py)."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import structlog

from app.services.sending.upkeep import Upkeep
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

LATE_COMMIT_SECONDS = 60.0
"""How long a claim that got no answer is asked for: the database may commit it late."""
LEAVE_SECONDS = 0.3
"""How long signing off may take at a stop."""


class Housekeeping:
    def __init__(
        self,
        sender_id: UUID,
        store: Store,
        settings: Settings,
        metrics: Metrics,
        *,
        routes: Sequence[str],
        providers: Sequence[str] = (),
        wake: Callable[[], None],
    ) -> None:
        """routes: of SES by which this sender sends, the first is home. providers: in its place.
        wake: called when somebody may be sent to who couldn't be before."""
        self._sender_id = sender_id
        self._store = store
        self._settings = settings
        self._home = routes[0]
        self._rates: dict[str, float | None] = dict.fromkeys(routes, settings.rate_limit_per_sec)
        self._rates |= dict.fromkeys(providers, settings.fallback_rate_per_sec)
        self._metrics = metrics
        self._wake = wake
        self._upkeep = Upkeep(store, wake, starts_scheduled=not settings.dry_run_send)
        self._unanswered: dict[UUID, float | None] = {}
        """Attempts whose claim got no answer, and since when the database has answered again."""

    async def heartbeat(self) -> None:
        """Say that this sender lives, and call unknown what lost senders had claimed."""
        await self._store.heartbeat(
            self._sender_id,
            region=self._home,
            label=f"{socket.gethostname()}:{os.getpid()}",
            lease_seconds=self._settings.lease_seconds,
            rate_limit=self._settings.rate_limit_per_sec,
            routes=self._rates,
        )
        if lost := await self._store.recover_lost(self._sender_id):
            self._metrics.recipients_lost(lost)
            log.warning("recipients_unknown", recipients=lost, because="their sender is gone")

    async def take_turns(self) -> bool:
        """Give back unanswered claims, and do a slice of what else is under way; gives whether
        there is more to do at once. Raises Unavailable."""
        await self._give_back_claims()
        return await self._upkeep.take_turns()

    def note_unanswered(self, attempts: Iterable[UUID]) -> None:
        """These were to be claimed, and nobody knows whether they are: give them back."""
        self._unanswered.update(dict.fromkeys(attempts))

    async def sign_off(self) -> None:
        """At the stop: this sender has nothing in flight any more, so nobody need wait for its
        lease to end."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._give_back_claims()
                await self._store.leave(self._sender_id)
        except Exception:  # its rows are called unknown once its lease is over
            log.warning("sender_left_silently", exc_info=True)

    async def _give_back_claims(self) -> None:
        """Queue the recipients of unanswered claims again: nobody was sent anything, because the
        sender never learned whom it had."""
        if not (asked := list(self._unanswered)):
            return
        given_back = await self._store.release_batches(asked)
        now = time.monotonic()
        for attempt_id in asked:
            # The time counts from the first answer to this question and not from the claim: while
            # the database is away it can't commit the claim, but once it is back it still may.
            since = self._unanswered.pop(attempt_id, None) or now
            if attempt_id in given_back:
                log.info("claim_given_back", attempt=str(attempt_id))
                self._wake()
            elif now - since < LATE_COMMIT_SECONDS:
                self._unanswered[attempt_id] = since
