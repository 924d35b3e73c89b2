"""What is done with the messages in hand, whatever they say: the rules of every queue here.

A message leaves the queue only when what it asks for is committed, or when it is refused for good
and buried with the reason. While what it needs is away (the database, a setting), it stays in hand
and is tried again: handing it out anew would count as one of the few times after which a queue
buries a message by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Literal

import structlog

from app.domain.sending.backoff import backoff_seconds
from app.errors import AppError, DatabaseError, SesNotConfigured, Unavailable
from app.ports import Burial, MessageQueue, Waiting
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

Do = Callable[[Waiting], Awaitable[None]]
DoAll = Callable[[Sequence[Waiting]], Awaitable[Sequence[BaseException | None]]]

TRIES = 5
"""Of a message at which the program itself fails, before it is buried."""
PAUSE_BASE_SECONDS = 0.5
PAUSE_CAP_SECONDS = 30.0
MARGIN_SECONDS = 90.0
"""How much longer than the pause before its next try a message is kept in hand."""
KEEP_SECONDS = 40.0
"""So often while its commit takes its time: well before the margin is over."""
ASIDE_SECONDS = 900.0
"""A message that waits for something of its own is handed out again after so long: where it never
comes, the queue's limit of ten times or so is reached after hours."""
FAILED = Burial("internal", "The program fails at this message; its log says how.")

Fate = Literal["done", "buried", "back"]


class Hands:
    """stopping: set when the process is to end: then nothing is tried again."""

    def __init__(
        self,
        queue: MessageQueue,
        metrics: Metrics,
        *,
        pause_cap: float = PAUSE_CAP_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue = queue
        self.stopping = asyncio.Event()
        self._waits: dict[int, str] = {}
        self._metrics = metrics
        self._pause_cap = pause_cap
        self._keep_seconds = keep_seconds
        self._monotonic = monotonic

    @property
    def trouble(self) -> str | None:
        """Why messages in hand wait now; None: none does."""
        return next(iter(self._waits.values()), None)

    async def settle(self, messages: Sequence[Waiting], do: Do) -> None:
        """As settle_all. do: commits what a message asks for, or raises why not; called for all at
        once."""

        def do_all(left: Sequence[Waiting]) -> Awaitable[Sequence[BaseException | None]]:
            return asyncio.gather(*map(do, left), return_exceptions=True)

        await self.settle_all(messages, do_all)

    async def settle_all(self, messages: Sequence[Waiting], do: DoAll) -> None:
        """Bring each to its end. do: commits what they ask for, and gives for each what it failed
        at. Raises Unavailable when the queue can't be told; they come again then."""
        try:
            await self._settle(messages, do)
        finally:
            self._waits.pop(id(messages), None)

    async def _settle(self, messages: Sequence[Waiting], do: DoAll) -> None:
        since, tries = self._monotonic(), 0
        left = list(messages)
        while left:
            results = await self._do(left, do)
            tries += 1
            ends = [_end_of(result, tries) for result in results]
            done = [m for m, end in zip(left, ends, strict=True) if end is None]
            if done:
                await self.queue.done(done)
                self._count("done", len(done))
            for message, end in zip(left, ends, strict=True):
                if isinstance(end, Burial):
                    await self._bury(message, end)
            aside = [m for m, end in zip(left, ends, strict=True) if isinstance(end, _Aside)]
            if aside:
                await self.queue.give_back(aside, ASIDE_SECONDS)
                self._count("back", len(aside))
            waits = [(m, end) for m, end in zip(left, ends, strict=True) if isinstance(end, _Later)]
            left = [message for message, _ in waits]
            if not left:
                break
            self._waits[id(messages)] = waits[0][1].why
            held = self._monotonic() - since
            if self.stopping.is_set() or held >= self.queue.hold_seconds:
                await self.queue.give_back(left)
                self._count("back", len(left))
                return
            await self._wait(left, tries)

    async def _do(self, messages: Sequence[Waiting], do: DoAll) -> Sequence[BaseException | None]:
        """What each failed at. However long it takes, nobody else gets them meanwhile."""
        work = asyncio.ensure_future(do(messages))
        try:
            while not (await asyncio.wait({work}, timeout=self._keep_seconds))[0]:
                with suppress(Unavailable):  # the commit may succeed; then it comes as a repeat
                    await self.queue.keep(messages, MARGIN_SECONDS)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait({work})
            raise
        return work.result()

    async def _wait(self, messages: Sequence[Waiting], tries: int) -> None:
        """Raises Unavailable when the queue can't keep them: they come again by themselves."""
        pause = backoff_seconds(tries, 1.0, base=PAUSE_BASE_SECONDS, cap=self._pause_cap)
        await self.queue.keep(messages, pause + MARGIN_SECONDS)
        try:
            await asyncio.wait_for(self.stopping.wait(), pause)
        except TimeoutError:
            return

    async def _bury(self, message: Waiting, burial: Burial) -> None:
        buried = await self.queue.bury(message, burial)
        log.warning(
            "queue_message_refused",
            queue=self.queue.name,
            message=message.id,
            code=burial.code,
            reason=burial.reason,
            buried=buried,
            **({} if buried else {"remedy": "give the queue a dead-letter queue"}),
        )
        self._count("buried", 1)

    def _count(self, fate: Fate, number: int) -> None:
        self._metrics.queue_messages(self.queue.name, fate, number)


class _Later:
    def __init__(self, why: str) -> None:
        self.why = why


class _Aside:
    """Others needn't wait for what this message waits for."""


def _end_of(result: object, tries: int) -> Burial | _Later | _Aside | None:
    """None: it is done. result: what `do` gave or raised."""
    if not isinstance(result, BaseException):
        return None
    if isinstance(result, Unavailable) and result.concerns_one:
        log.warning("queue_message_aside", code=result.code, reason=result.detail)
        return _Aside()
    if isinstance(result, Unavailable | SesNotConfigured):
        return _Later(result.detail)
    if isinstance(result, DatabaseError) and not result.concerns_arguments:
        return _Later(result.title)  # its access or its schema, whatever is asked
    if isinstance(result, AppError) and result.status != 500:
        return Burial(result.code, result.detail)
    if not isinstance(result, Exception):
        raise result  # a stop
    log.error("queue_message_failed", tries=tries, exc_info=result)
    return FAILED if tries >= TRIES else _Later(FAILED.reason)
