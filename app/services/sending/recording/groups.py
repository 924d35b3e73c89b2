"""Results of several batches go to the database in one call, as commits go to a disk.

Nobody waits for more: who comes while no call is under way is written at once, and all who come
during a call are the next one's. A commit for each batch took half of what recording costs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import structlog

from app.domain.sending.batches import Batch, Result
from app.errors import Unavailable
from app.store import Store

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 20
"""Batches in a group: 1,000 recipients take some 20 ms, where 8 s are allowed."""
BLOCKED_SECONDS = 1.0
"""A call that takes longer, since somebody holds a lock that it needs, holds the next group back no
more: it may be about other mailouts."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    batch: Batch
    results: tuple[Result, ...]
    recorded: asyncio.Future[None]


class Groups:
    """Writes each batch's results once for each time that it is asked to. What is refused as a
    group is tried batch by batch, so that one batch's value that can't be written costs the others
    nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def record(
        self, batch: Batch, results: tuple[Result, ...], *, alone: bool = False
    ) -> None:
        """Return when they are committed. alone: in no group, and at once. Raises what the store
        raises; they may be recorded all the same, and may be recorded again."""
        if alone:
            await self._write_in_one([(batch.attempt_id, results)])
            return
        mine = _Waiting(batch, results, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting())
        await mine.recorded

    def close(self) -> None:
        """Give up what is under way."""
        for task in (*self._calls, *([self._writing] if self._writing else [])):
            task.cancel()

    async def _write_waiting(self) -> None:
        structlog.contextvars.unbind_contextvars("mailout_id", "attempt")  # of who came first
        while self._waiting:
            # Who gave up meanwhile, at the deadline of a stop, is not there any more.
            group = [one for one in self._waiting if not one.recorded.done()][:MOST_AT_ONCE]
            self._waiting = [
                one for one in self._waiting if one not in group and not one.recorded.done()
            ]
            if group:
                call = asyncio.create_task(self._write(group))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
                await asyncio.wait({call}, timeout=BLOCKED_SECONDS)

    async def _write(self, group: list[_Waiting]) -> None:
        """Each of the group is told, whatever happens."""
        try:
            error = await self._error_of(group)
            if error is None or isinstance(error, Unavailable) or len(group) == 1:
                _tell(group, error)
                return
            log.warning("group_refused", batches=len(group), error=type(error).__name__)
            for one in group:
                _tell([one], await self._error_of([one]))
        finally:
            for one in group:
                one.recorded.cancel()  # where this was cancelled; else all have been told

    async def _error_of(self, group: list[_Waiting]) -> Exception | None:
        try:
            await self._write_in_one([(one.batch.attempt_id, one.results) for one in group])
        except Exception as exc:  # noqa: BLE001  who waits for it is told
            return exc
        return None

    async def _write_in_one(self, group: list[tuple[UUID, tuple[Result, ...]]]) -> None:
        """In one transaction."""
        for mailout_id, status in (await self._store.record_batches(group)).items():
            if status in {"sent", "failed"}:
                log.info("mailout_finished", mailout_id=str(mailout_id), status=status)


def _tell(group: list[_Waiting], error: Exception | None) -> None:
    for one in group:
        if one.recorded.done():
            continue  # its batch waits no more
        if error is None:
            one.recorded.set_result(None)
        else:
            one.recorded.set_exception(error)
