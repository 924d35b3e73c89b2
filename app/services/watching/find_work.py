"""Finds out whether there is work, for all loops of a process at rest, with one question to the
database: what is due, and in how many seconds what comes next will be (work_due.sql).

Who starts something rings a bell in the same transaction, and where the connection delivers that
the question is asked at once; else, through a transaction pooler or Supabase's API, it is asked
again and again, less often the longer there was nothing. Whether rings come is tried out with
probes, which other connections send: a pooler takes the words and delivers nothing.

A lost ring costs LISTENING_SECONDS at most. An outage ends the listening; after it, the question is
asked as soon as somebody listens again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from uuid import uuid4

import structlog

from app.domain.sending.backoff import backoff_seconds
from app.errors import AppError, Unavailable
from app.ports import Listen
from app.running.loops import Loops
from app.running.resting import Resting
from app.store.sending import ABOUT_TO_START, SendingCalls

log = structlog.get_logger(__name__)

CHANNEL = "amazonsender"
LISTENING_SECONDS = 10.0
"""Between two questions while rings come."""
POLL_SECONDS, POLL_CAP_SECONDS = 1.0, 5.0
"""Between two questions while none come: slower by a second with every minute without work."""
GAP_SECONDS = 0.1
"""The least between two questions, however often it rings."""
PROBE_SECONDS = 60.0
"""Between two probes. Each goes with a question, so costs no call."""
PROBE_ANSWER_SECONDS = 2.0
"""A probe that isn't heard so soon shows that rings don't come."""
DEAF_SECONDS = 600.0
"""Then it is tried again so much later."""
RECONNECT_SECONDS, RECONNECT_CAP_SECONDS = 0.5, 4.0


class FindWork:
    """now: tells the time, seconds on the monotonic clock. listen: None where nothing can be heard
    (Supabase's API). get_ready: called when somebody is about to start a mailout."""

    def __init__(
        self,
        store: SendingCalls,
        resting: Resting,
        listen: Listen | None,
        *,
        get_ready: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._resting = resting
        self._listen = listen
        self._get_ready = get_ready
        self._now = now
        self._news = asyncio.Event()
        self._next: float | None = None
        """When something becomes due of which is known."""
        self._asked_at = float("-inf")
        self._worked_at = now()
        self._hears = False
        """Whether there is a connection that listens."""
        self._heard = asyncio.Event()
        """The last probe came through it."""
        self._probe = ""
        self._probed_at = float("-inf")
        self._deaf = asyncio.Event()
        self._failures = 0

    @property
    def rings_come(self) -> bool:
        """Whether what others start is heard."""
        return self._hears and self._heard.is_set()

    def start(self, loops: Loops) -> None:
        loops.start("work", self.look, self.pause, news=self._news)
        if self._listen is not None:
            loops.start("listening", self.listen, self._until_next_try)

    def pause(self) -> float:
        """Seconds until the next question, unless it rings."""
        if self.rings_come:
            seconds = LISTENING_SECONDS
        else:
            minutes = (self._now() - self._worked_at) / 60
            seconds = min(POLL_CAP_SECONDS, POLL_SECONDS * max(1.0, minutes))
        if self._next is not None:
            seconds = min(seconds, max(0.0, self._next - self._now()))
        return seconds

    async def look(self) -> None:
        """Ask once, and wake whom the answer concerns. Raises Unavailable, DatabaseError."""
        early = GAP_SECONDS - (self._now() - self._asked_at)
        if early > 0:
            await asyncio.sleep(early)
        self._asked_at = self._now()
        probe = self._new_probe()
        try:
            due = await self._store.work_due(self._resting.kinds, probe)
        except AppError:
            # So all look by themselves until it is over, and say what stops them.
            for kind in self._resting.kinds:
                self._resting.wake(kind)
            raise
        if any(seconds <= 0 for seconds in due.values()):
            self._worked_at = self._now()
        ahead = [seconds for seconds in due.values() if seconds > 0]
        self._next = self._now() + min(ahead) if ahead else None
        for kind, seconds in due.items():
            if seconds <= 0:
                self._resting.wake(kind)
        if probe is not None:
            await self._await_probe()

    async def listen(self) -> None:
        """Hear rings, until the connection ends or is found to deliver none."""
        assert self._listen is not None
        self._deaf.clear()
        try:
            async with self._listen(CHANNEL) as words:
                self._hears, self._probed_at = True, float("-inf")
                self._news.set()  # whatever rang before: ask now, and send a probe
                hearing = asyncio.ensure_future(self._hear(words))
                deaf = asyncio.ensure_future(self._deaf.wait())
                try:
                    await asyncio.wait({hearing, deaf}, return_when=asyncio.FIRST_COMPLETED)
                    if hearing.done():
                        hearing.result()
                finally:
                    deaf.cancel()
                    hearing.cancel()
                    with suppress(asyncio.CancelledError, Unavailable):
                        await hearing
        except Unavailable as exc:
            # No trouble of its own: every question says so, too, if the database is away.
            self._failures += 1
            log.info("not_listening", error=exc.detail)
        finally:
            self._hears = False
            self._heard.clear()
            self._news.set()

    async def _hear(self, words: AsyncIterator[str]) -> None:
        async for word in words:
            if word == self._probe:
                self._heard.set()
                self._failures = 0
            elif word == ABOUT_TO_START:
                self._get_ready()
            elif not word.startswith("probe "):
                self._news.set()

    def _new_probe(self) -> str | None:
        if not self._hears or self._now() - self._probed_at < PROBE_SECONDS:
            return None
        self._probe, self._probed_at = f"probe {uuid4()}", self._now()
        self._heard.clear()
        return self._probe

    async def _await_probe(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), PROBE_ANSWER_SECONDS)
        if not self._heard.is_set() and self._hears:
            log.info(
                "notifications_do_not_come",
                because="the connection goes through a transaction pooler, or is broken",
                remedy=f"nothing: the database is asked every {POLL_SECONDS:.0f} to "
                f"{POLL_CAP_SECONDS:.0f} seconds instead",
            )
            self._deaf.set()

    def _until_next_try(self) -> float:
        if self._deaf.is_set():
            return DEAF_SECONDS
        return backoff_seconds(
            max(1, self._failures), 1.0, base=RECONNECT_SECONDS, cap=RECONNECT_CAP_SECONDS
        )
