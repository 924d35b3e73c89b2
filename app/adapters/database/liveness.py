"""Telling a database that is slow from one that no longer answers anybody.

A frozen server, or a network that swallows packets, breaks no connection: a call that waits for it
would wait until its time is over. So while a call has no answer, a question that costs nothing is
put to the database on another connection. If that is answered, the call is only slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.errors import DatabaseUnavailable

Answer = TypeVar("Answer")

QUIET_SECONDS = 1.5
"""How long a call may go without an answer before the question is put."""
ASK_SECONDS = 2.5
"""How long the question may take. With QUIET_SECONDS it has to stay below the 5 s within which
every request to this service is answered."""

NEVER_GIVEN_UP = frozenset({"claim_mailout", "queue_test"})
"""Functions that are waited for however silent the database is: when they fail, their caller is
told that nothing was started, which has to be true. A late answer is better."""


class LivenessProbe:
    """Waits for calls for as long as the database shows any sign of life.

    ask: puts the question. An error is an answer, too. However many calls wait, one question at a
    time is put for all of them.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[bool] | None = None

    async def wait_for(self, work: asyncio.Task[Answer]) -> Answer:
        """What `work` gives, however long it takes, while the database answers the question.

        Raises DatabaseUnavailable when it doesn't; `work` then still runs.
        """
        while not (await asyncio.wait({work}, timeout=QUIET_SECONDS))[0]:
            question = self._question()
            await asyncio.wait({work, question}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and question.result():
                raise DatabaseUnavailable("The database doesn't answer in time")
        return work.result()

    def _question(self) -> asyncio.Task[bool]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._stays_unanswered())
        return self._asking

    async def _stays_unanswered(self) -> bool:
        question = asyncio.ensure_future(self._ask())
        done, _ = await asyncio.wait({question}, timeout=ASK_SECONDS)
        if done:
            question.exception()  # taken, or asyncio would log it as never retrieved
            return False
        question.add_done_callback(lambda late: late.cancelled() or late.exception())
        question.cancel()
        return True
