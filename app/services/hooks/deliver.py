"""Delivers what hooks are to be told: claims what is due, posts it, records what came of it.

Any number of these may run on one database. A process may be killed at any moment: what it held is
sent again when its lease has run out, with the same `webhook-id`. So each delivery is made at least
once, and in order for each hook and subject (hook_deliveries.sql).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from app.domain.hooks.deliveries import LATER, Answer, Delivery, Result, judge_answer
from app.domain.hooks.words import shown_host
from app.errors import AppError, DatabaseError
from app.running.loops import Loops
from app.services.hooks.poster import ANSWER_SECONDS, Poster
from app.store.hooks.deliveries import HookDeliveryCalls
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Deliveries of one process. Most of them wait, so that many endpoints may be slow before one
that isn't has to wait for them."""
AT_ONCE_EACH = 8
"""To one hook, by all processes."""
LEASE_SECONDS = 60.0
POLL_SECONDS = 1.0
STOP_SECONDS = 2.0
"""How long those under way may take at a stop; then they are given back."""
TIDY_SECONDS = 600.0
TIDY_ROWS = 2000
DONE_DAYS, DEAD_DAYS = 3, 30
FAULT = Answer(None, "A fault of ours; the log has it.")


class DeliverHooks:
    def __init__(
        self,
        store: HookDeliveryCalls,
        poster: Poster,
        meters: Metrics,
        *,
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._poster = poster
        self._meters = meters
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Delivery, Result]] = []
        """Not recorded yet."""
        self._news = asyncio.Event()

    def start(self, loops: Loops) -> None:
        loops.start(
            "hooks", self.step, POLL_SECONDS, kind="hooks", news=self._news, to_the_end=True
        )
        loops.start("hooks-tidy", self.tidy, TIDY_SECONDS, first_after=60.0)

    async def step(self) -> None:
        """Record what ended, and begin what is due. Raises Unavailable, DatabaseError."""
        await self._settle()
        free = AT_ONCE - len(self._tasks)
        if free <= 0:
            return
        claimed_at = self._monotonic()
        due = await self._store.claim_hook_deliveries(free, AT_ONCE_EACH, self._lease_seconds)
        for delivery in due:
            task = asyncio.create_task(self._deliver(delivery, claimed_at))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def tidy(self) -> None:
        while await self._store.tidy_hooks(TIDY_ROWS, done_days=DONE_DAYS, dead_days=DEAD_DAYS):
            pass

    async def run_dry(self) -> None:
        """Deliver what is due and what follows from it, until nothing is due any more."""
        while True:
            await self.step()
            if not self._tasks:
                return
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Let those under way end for a moment, give the others back, and record both."""
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(AppError):  # those are sent again when their lease has run out
            await self._settle()

    async def _deliver(self, delivery: Delivery, claimed_at: float) -> None:
        result = LATER
        try:
            # Who was stopped for so long might send it after somebody else has sent the next one.
            left = claimed_at + self._lease_seconds - self._monotonic()
            if left > ANSWER_SECONDS:
                answer = await self._poster.post(delivery)
                result = judge_answer(answer, delivery.attempts, random.random())  # noqa: S311 jitter
        except Exception:
            log.exception("hook_delivery_failed", hook_id=str(delivery.hook_id))
            result = judge_answer(FAULT, delivery.attempts, 0.0)
        finally:
            self._ended.append((delivery, result))
            self._news.set()

    async def _settle(self) -> None:
        """In one call, whatever ended since the last."""
        if not (ended := self._ended):
            return
        self._ended = []
        try:
            hooks = await self._store.settle_hook_deliveries(ended)
        except DatabaseError:
            raise  # a fault of ours: they are sent again
        except AppError:
            self._ended = ended + self._ended
            raise
        for delivery, result in ended:
            self._meters.hook_delivered(result.outcome)
            if result.outcome not in ("done", "later"):
                log.info(
                    "hook_not_delivered",
                    hook_id=str(delivery.hook_id),
                    host=shown_host(delivery.url),
                    type=delivery.type,
                    event_id=delivery.event_id,
                    outcome=result.outcome,
                    attempts=delivery.attempts + 1,
                    error=result.error,
                )
        for hook in hooks:
            log.error(
                "hook_ended",
                hook_id=hook["id"],
                host=shown_host(hook["url"]),
                state=hook["state"],
                reason=hook["reason"],
                remedy="mend its endpoint and switch the hook on again, or delete it",
            )
