"""Group commit for SES events: concurrent requests share one database call.

A lone event is written at once. What comes while a group is being committed is the next group, so
groups grow with the load by themselves; each caller returns only when its own event is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from app.domain.ses.events import without_payload
from app.errors import AppError, DatabaseError, Unavailable
from app.services.sending.pausing import Guards
from app.store import Store
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

MAX_GROUP = 500
MAX_WAITING = 5_000
"""Beyond this, callers are turned away (503), so that SNS comes back and memory stays bounded."""


_Waiting = tuple[dict[str, Any], asyncio.Future[None]]
"""An event as a row, and what its caller waits for."""


class RecordEvents:
    """guards: pause the mailouts whose events pass a limit; None: none."""

    def __init__(
        self, store: Store, guards: Guards | None = None, metrics: Metrics | None = None
    ) -> None:
        self._store = store
        self._guards = guards
        self._metrics = metrics or Metrics()
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, row: dict[str, Any]) -> None:
        """Return when the event (domain/ses/events.py:to_row) is committed.

        Raises Unavailable when it can't be stored now; then SNS should send it again.
        """
        await self._begin([row])[0]

    async def all(self, rows: Sequence[dict[str, Any]]) -> list[AppError | None]:
        """As of each by itself, and what that would raise, without a task for each."""
        ends: list[AppError | None] = []
        try:
            futures = self._begin(rows)
        except Unavailable as full:
            return [full] * len(rows)
        try:
            for future in futures:
                try:
                    await future
                    ends.append(None)
                except AppError as error:
                    ends.append(error)
        finally:  # who is cancelled asks for none of them any more
            for future in futures:
                future.cancel()
        return ends

    def _begin(self, rows: Sequence[dict[str, Any]]) -> list[asyncio.Future[None]]:
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable("Too many events at once; try again.")
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in rows]
        self._waiting += zip(rows, futures, strict=True)
        if self._writer is None and self._waiting:
            self._writer = asyncio.create_task(self._write())
        return futures

    async def _write(self) -> None:
        """Write groups until nobody waits; then end."""
        group: list[_Waiting] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                try:
                    await self._commit(group)
                except Exception:
                    # The group's callers have their answers: only metrics or a pause failed, and
                    # the events that came since must still be written.
                    log.exception("events_not_counted")
        finally:
            # When this task is cancelled, every caller gets an answer: none waits for ever.
            self._writer = None
            behind, self._waiting = self._waiting, []
            self._settle([*group, *behind], Unavailable("The event isn't stored; send it again."))

    async def _commit(self, group: list[_Waiting]) -> None:
        rows = [row for row, _ in group]
        try:
            stored = await self._store.apply_ses_events(
                rows, self._guards.limits if self._guards else None
            )
        except Unavailable as exc:
            # Those that came since are turned away, too: each would wait as long for the database
            # to time out, and SNS sends them again.
            behind, self._waiting = self._waiting, []
            self._settle([*group, *behind], exc)
        except Exception as exc:
            # One event that can't be stored must not hold up the others: halve until it is alone.
            if len(group) > 1:
                half = len(group) // 2
                await self._commit(group[:half])
                await self._commit(group[half:])
            elif _may_do_without_payload(rows[0], exc):
                # Whatever is odd about it, a bounce or complaint has to have its effect.
                await self._commit([(without_payload(rows[0]), group[0][1])])
            else:
                # Kept by SNS, which tries for an hour and then has its dead-letter queue.
                log.exception("event_refused", type=rows[0].get("type"))
                self._settle(group, Unavailable("The event can't be stored; send it again."))
        else:
            self._settle(group, None)
            self._metrics.events_committed(rows, stored)
            log.info(
                "events_recorded",
                events=len(group),
                new=stored["new"],
                matched=stored["matched"],
            )
            await self._enforce(stored["tripped"])

    async def _enforce(self, tripped: list[str]) -> None:
        """Pause these mailouts. A failure is harmless: the database lets nobody claim of them any
        more, and the sender that tries pauses them (Dispatcher)."""
        for mailout_id in tripped:
            assert self._guards is not None  # without limits nothing trips
            try:
                await self._guards.enforce(UUID(mailout_id))
            except AppError as exc:
                log.warning("pause_failed", mailout_id=mailout_id, error=exc.detail)

    @staticmethod
    def _settle(group: list[_Waiting], error: AppError | None) -> None:
        for _, future in group:
            if future.done():  # the caller has gone away
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)


def _may_do_without_payload(row: dict[str, Any], error: Exception) -> bool:
    """Whether the database refused what the event holds, and it still has a payload to drop."""
    its_own_fault = not isinstance(error, DatabaseError) or error.concerns_arguments
    return its_own_fault and bool(row.get("payload")) and "dropped" not in row["payload"]
