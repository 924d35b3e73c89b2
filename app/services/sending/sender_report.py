"""Tells the database how the sender is, and so the process that answers `/health`, which shares
nothing else with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from app.running.loops import Loops, Trouble
from app.services.sending.sender import Sender
from app.store import Store
from app.telemetry.metrics import Metrics

LOOK_SECONDS = 1.0
FIRST_LOOK_SECONDS = 0.02
"""Between two reports until the first is taken: the sender's first heartbeat makes the row that it
is written into."""
REPEAT_SECONDS = 20.0
"""An unchanged report is written again after this time, because the row may have been made anew."""
LASTING_SECONDS = 30.0
"""Trouble that lasts this long is reported as stopping sending; a lock, or a database that is
restarted, is over sooner."""


def details_by_loop(troubles: Iterable[Trouble]) -> dict[str, str]:
    """Of each loop in trouble: what it waits for, or how it fails."""
    return {trouble.loop: trouble.detail for trouble in troubles}


def mildest(breakers: Iterable[str]) -> str:
    """Of the breakers of all routes: mail goes out as long as one lets it."""
    return min(breakers, key=("closed", "half_open", "open").index)


class SenderReport:
    def __init__(
        self,
        store: Store,
        sender: Sender,
        metrics: Metrics,
        service_id: UUID,
        loops: Loops,
    ) -> None:
        """loops: those of this process beside the sender's own."""
        self._store = store
        self._sender = sender
        self._metrics = metrics
        self._service_id = service_id
        self._loops = loops
        self._told: dict[str, Any] | None = None
        self._told_at = float("-inf")
        self._troubled_since: float | None = None

    def start(self, loops: Loops) -> None:
        loops.start("report", self.look, LOOK_SECONDS)

    async def look(self) -> None:
        """Report what is new. Raises Unavailable, and then tells it with the next look."""
        await self.tell(time.monotonic())
        while self._told is None:
            await asyncio.sleep(FIRST_LOOK_SECONDS)
            await self.tell(time.monotonic())

    async def tell(self, now: float) -> None:
        """Report, if there is something new. now: seconds, monotonic. Raises Unavailable."""
        routes = self._sender.routes
        breaker = mildest(route.breaker.state(now) for route in routes)
        errors = [route.account.error for route in routes]
        self._metrics.breaker_is(breaker)
        state = {
            "trouble": self._sender.trouble,
            "stops_sending": self._stops_sending(now),
            "loops": details_by_loop(self._sender.troubles + self._loops.troubles),
            "breaker": breaker,
            "account_error": errors[0] if all(errors) else None,
            "routes": {
                route.name: {
                    "breaker": route.breaker.state(now),
                    "proved": route.breaker.trusted,
                    "account_error": route.account.error,
                }
                for route in routes
            }
            | {
                route.name: {"breaker": route.breaker.state(now)}
                for route in self._sender.fallbacks
            },
        }
        if state == self._told and now - self._told_at < REPEAT_SECONDS:
            return
        if await self._store.tell_executor_state(self._sender.id, self._service_id, state):
            self._told, self._told_at = state, now

    def _stops_sending(self, now: float) -> bool:
        """Whether what is wrong won't pass by itself, or has not for long."""
        troubles = self._sender.troubles
        if not any(trouble.is_vital for trouble in troubles):
            self._troubled_since = None
            return False
        if self._troubled_since is None:
            self._troubled_since = now
        lasting = now - self._troubled_since >= LASTING_SECONDS
        return lasting or any(trouble.stops_sending for trouble in troubles)
