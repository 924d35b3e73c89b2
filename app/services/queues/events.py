"""SES's events by SNS and SQS, for a service without a public address.

The queue's policy says who may write into it; that can be set too wide by mistake, so each message
has to be signed by SNS and of one of our topics all the same, as over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import structlog

from app.domain.ses.sns_message import (
    MalformedSnsMessage,
    RawDelivery,
    SnsMessage,
    parse_sns_message,
)
from app.errors import AppError, PayloadTooLarge, Unavailable
from app.ports import SnsVerifier, Waiting
from app.running.loops import Loops
from app.services.queues.hands import Hands
from app.services.watching.take_message import TakeMessage, usual_row
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

BATCH = 10
RECEIVERS = 16
"""Calls for messages at once, while each brings a full batch."""
LOOK_SECONDS = 1.0
MAX_MESSAGE_BYTES = 300_000  # SNS's 256 KB and its envelope


class TakeEvents:
    def __init__(
        self,
        hands: Hands,
        verifier: SnsVerifier,
        take_message: TakeMessage,
        metrics: Metrics,
        *,
        receivers: int = RECEIVERS,
    ) -> None:
        self._hands = hands
        self._queue = hands.queue
        self._verifier = verifier
        self._take_message = take_message
        self._metrics = metrics
        self._most_receivers = receivers
        self._receivers = 1
        self._busy: set[asyncio.Task[bool]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()
        """Of these, those that wait for messages."""

    def start(self, loops: Loops) -> None:
        loops.start(f"queue {self._queue.name}", self.step, 0.0)

    def stop(self) -> None:
        """Take nothing more; what is in hand may come to its end."""
        self._hands.stopping.set()
        for task in self._waiting:
            task.cancel()

    async def close(self, seconds: float) -> None:
        """As of TakeRequests."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=seconds)
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self._queue.close()

    async def step(self) -> None:
        """Receive: with one call at a time, and with ever more of them while they bring full
        batches. Raises Unavailable: the queue is away, or what messages in hand wait for."""
        stopping, waits = self._hands.stopping, self._hands.trouble
        while len(self._busy) < self._receivers and not waits and not stopping.is_set():
            self._busy.add(asyncio.create_task(self.receive()))
        if not self._busy:
            return
        ended, self._busy = await asyncio.wait(
            self._busy, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        for full in await asyncio.gather(*ended, return_exceptions=True):
            if isinstance(full, asyncio.CancelledError):  # by stop
                continue
            if isinstance(full, BaseException):
                self._receivers = 1
                raise full
            more = self._receivers * 2 if full else self._receivers - 1
            self._receivers = max(1, min(self._most_receivers, more))
        if self._hands.trouble and self._busy:
            raise Unavailable(f"Messages wait: {self._hands.trouble}")

    async def receive(self) -> bool:
        """One batch, to its end; gives whether it was full. Raises Unavailable."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            messages = await self._queue.take(BATCH)
        finally:
            self._waiting.discard(task)
        if messages:
            await self._hands.settle_all(messages, self.take_all)
        return len(messages) == BATCH

    async def take_all(self, messages: Sequence[Waiting]) -> list[BaseException | None]:
        """`take` of each, and what it raised. Those that need nothing but the commit, nearly all,
        are read one after the other and committed together, which spares a task for each."""
        ends: list[BaseException | None] = [None] * len(messages)
        rows: dict[int, dict[str, Any]] = {}
        others: dict[int, Awaitable[None]] = {}
        for place, waiting in enumerate(messages):
            try:
                message = self._read(waiting)
                row = None
                if self._verifier.knows(message):
                    await self._verify(message, waiting)
                    row = usual_row(message, of_any_age=True)
            except Exception as refusal:  # noqa: BLE001  Hands knows what it means
                ends[place] = refusal
                continue
            if row is None:
                others[place] = self._take_read(message, waiting)
            else:
                rows[place] = row
        committed, rest = await asyncio.gather(
            self._take_message.record_events.all(list(rows.values())),
            asyncio.gather(*others.values(), return_exceptions=True),
        )
        for place, end in zip((*rows, *others), (*committed, *rest), strict=True):
            ends[place] = end
        return ends

    async def take(self, waiting: Waiting) -> None:
        """Commit what a message tells. Raises what RecordEvents and the checks raise."""
        await self._take_read(self._read(waiting), waiting)

    async def _take_read(self, message: SnsMessage, waiting: Waiting) -> None:
        await self._verify(message, waiting)
        await self._take_message(message, of_any_age=True)

    def _read(self, waiting: Waiting) -> SnsMessage:
        with self._counted():
            return read_envelope(waiting.body)

    async def _verify(self, message: SnsMessage, waiting: Waiting) -> None:
        with self._counted():
            await self._verifier.verify(message, at=waiting.sent_at)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except AppError as refusal:
            self._metrics.message_refused(refusal.code)
            raise


def read_envelope(body: bytes) -> SnsMessage:
    """Raises PayloadTooLarge, MalformedSnsMessage; RawDelivery for an event of SES without its
    envelope: nothing says then who wrote it, and a copy isn't known as one."""
    if len(body) > MAX_MESSAGE_BYTES:
        raise PayloadTooLarge(f"A message of SNS has at most {MAX_MESSAGE_BYTES:,} bytes.")
    try:
        return parse_sns_message(body, {})
    except MalformedSnsMessage:
        if _is_bare_event(body):
            raise RawDelivery(
                "Raw message delivery removes the signature. Switch it off in the queue's "
                "subscription to the topic (attribute RawMessageDelivery = false)."
            ) from None
        raise


def _is_bare_event(body: bytes) -> bool:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(found, dict) and bool({"eventType", "notificationType"} & found.keys())
