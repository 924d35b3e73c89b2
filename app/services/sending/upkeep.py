"""Work that a sender does beside sending: start what is scheduled, queue audiences and resends,
finish cancels, delete what is no longer needed.

It is done in slices, and the mailouts take turns: while an audience of ten million is queued, the
next mailout's first mail, a cancel or a lost claim doesn't wait until that is through.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from app.errors import Unavailable
from app.store import Store

log = structlog.get_logger(__name__)

FIRST_SLICE = 250
SLICE = 20_000
"""Subscribers queued per call at first, for whom the first mail waits, and later; recipients
cancelled per call. Well under the 8 s that Supabase's API allows a statement."""
LONG_SLICE_SECONDS = 1.0
"""After one that took longer or failed the next is half as large, else four times: of ten million
people that aren't in memory each is a read from the disk, 0.28 ms where that was measured: 20,000
are 5.6 s."""
HOUSE_SECONDS = 60.0
"""Between two looks at what may be deleted (housekeeping.sql)."""


class Upkeep:
    def __init__(
        self, store: Store, queued: Callable[[], None], *, starts_scheduled: bool = True
    ) -> None:
        """queued: called when recipients were queued, who may now be sent to."""
        self._starts_scheduled = starts_scheduled
        self._store = store
        self._queued = queued
        self._looked_at: dict[UUID, int] = {}  # subscribers, of the mailouts that are being queued
        self._slices: dict[UUID, int] = {}  # how large the next one of each is
        self._house_at = 0.0

    async def take_turns(self) -> bool:
        """Do a slice for every mailout that needs one; gives whether there is more to do at once.

        An error with one mailout is logged, and the others still get their slice. Raises
        Unavailable, which would hit all of them.
        """
        more = False
        work = await self._store.sender_work()
        for mailout_id in work.cancelling:
            more |= await self._try(self._cancel, mailout_id)
        # Mailouts that had no slice yet come first: theirs is small, and their first mail waits.
        for mailout_id in sorted(work.queueing, key=self._looked_at.__contains__):
            more |= await self._try(self._queue, mailout_id)
        await self._store.apply_parked_events()
        if time.monotonic() >= self._house_at:
            more_to_tidy = await self._store.keep_house()
            self._house_at = 0.0 if more_to_tidy else time.monotonic() + HOUSE_SECONDS
        # Last, so that what has started goes on, should this fail again and again.
        return await self._start_due() or more

    async def _start_due(self) -> bool:
        """Start what is scheduled, once, whichever sender comes first."""
        due = await self._store.start_due_mailouts(start=self._starts_scheduled)
        for mailout_id in due["held"]:
            log.warning("wave_missed", mailout_id=mailout_id, remedy="a person resumes it")
        if due["started"] is None:
            return False
        if due["status"] == "sending":
            log.info("scheduled_started", mailout_id=due["started"])
        else:
            log.warning("scheduled_held", mailout_id=due["started"], remedy="a person resumes it")
        self._queued()
        return True

    async def _try(self, step: Callable[[UUID], Awaitable[bool]], mailout_id: UUID) -> bool:
        try:
            return await step(mailout_id)
        except Unavailable:
            raise
        except Exception:
            log.exception("sender_step_failed", step=step.__name__, mailout_id=str(mailout_id))
            return False

    async def _queue(self, mailout_id: UUID) -> bool:
        limit, began = self._slices.get(mailout_id, FIRST_SLICE), time.monotonic()
        smaller = max(FIRST_SLICE, limit // 2)
        try:
            count, done = await self._store.queue_recipients(mailout_id, limit)
        except Exception:
            self._slices[mailout_id] = smaller  # as large, it would be cut off again and again
            raise
        if count == 0 and not done:
            return False  # another sender has it
        self._queued()
        self._looked_at[mailout_id] = self._looked_at.get(mailout_id, 0) + count
        is_long = time.monotonic() - began > LONG_SLICE_SECONDS
        self._slices[mailout_id] = smaller if is_long else min(SLICE, 4 * limit)
        if done:
            subscribers = self._looked_at.pop(mailout_id)
            del self._slices[mailout_id]
            log.info("recipients_queued", mailout_id=str(mailout_id), subscribers=subscribers)
        return not done

    async def _cancel(self, mailout_id: UUID) -> bool:
        return await self._store.cancel_recipients(mailout_id, SLICE) == SLICE
