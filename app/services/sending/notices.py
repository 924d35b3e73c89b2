"""Sends mails of our own (to the owner, to those who sign up): one at a time, beside the
mailouts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.events import NOTICE_TAG
from app.domain.ses.mail import Notice
from app.ports import NoticeSender
from app.running.stopping import Stopping
from app.settings import Settings

_STOPPED = Answer("unknown", "stopped", "SES had not answered when it was stopped.")


@dataclass(frozen=True)
class Way:
    """The region that a mail of our own is sent from, and who sends it there."""

    region: str
    ses: NoticeSender


FindWay = Callable[[], Way]
"""Gives the preferred region of those that would take mail now."""


class Notices:
    def __init__(self, settings: Settings, stopping: Stopping, thread: str) -> None:
        """thread: its name. It has one of its own, so that no mailout waits for it and it for
        none."""
        self._bulk = settings.ses_send_mode == "bulk"
        self._fence_seconds = settings.lease_seconds / 2
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=thread)

    async def send(
        self, notice: Notice, way: Way, *, from_mailbox: str, to: str, about: str
    ) -> Answer:
        """Send it once; `unknown` when SES hangs though a stop was asked for. about: the value of
        its tag, by which its events are known to be none of a mailout's."""
        fence = Fence(self._fence_seconds)
        work = asyncio.get_running_loop().run_in_executor(
            self._pool,
            lambda: way.ses.send_notice(
                notice,
                from_mailbox=from_mailbox,
                to=to,
                tags=((NOTICE_TAG, about),),
                bulk=self._bulk,
                fence=fence,
            ),
        )
        return work.result() if await self._stopping.ended(work) else _STOPPED

    def close(self) -> None:
        """Let the thread begin nothing more; a call that hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def settled(answer: Answer) -> str | None:
    """The outcome to record; None: certainly not accepted, so it is tried again."""
    return None if answer.outcome in {"retry", "requeue"} else answer.outcome
