"""Telling a database that is slow from one that has fallen silent.

A frozen server, or a network that swallows packets, breaks no connection: whoever waits, waits on.
So while a call has no answer, a second question is asked beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.errors import DatabaseUnavailable

Answer = TypeVar("Answer")

QUIET_SECONDS = 1.5
"""A call without an answer for this long is a reason to ask."""
ASK_SECONDS = 2.5
"""How long the question may take. Both together leave a request of a caller within 5 s."""

# Callers of these are told that nothing happened when they fail: better a late answer than none.
WAITED_FOR = frozenset({"claim_mailout", "queue_test"})


class Silence:
    """ask: puts a question of its own to the database. An error is an answer, too.

    One question at a time, however many calls wait.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[bool] | None = None

    async def unless(self, work: asyncio.Task[Answer]) -> Answer:
        """What `work` gives, however long it takes as long as the database answers others.

        Raises DatabaseUnavailable when it answers nobody; `work` then still runs.
        """
        while not (await asyncio.wait({work}, timeout=QUIET_SECONDS))[0]:
            question = self._question()
            await asyncio.wait({work, question}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and question.result():
                raise DatabaseUnavailable("The database doesn't answer in time")
        return work.result()

    def _question(self) -> asyncio.Task[bool]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._unanswered())
        return self._asking

    async def _unanswered(self) -> bool:
        question = asyncio.ensure_future(self._ask())
        done, _ = await asyncio.wait({question}, timeout=ASK_SECONDS)
        if done:
            question.exception()  # whatever it was
            return False
        question.add_done_callback(lambda late: late.cancelled() or late.exception())
        question.cancel()
        return True
