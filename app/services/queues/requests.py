"""Requests to send out of a queue: at least once by the queue, exactly once by the key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from app.errors import Unauthorized, Unavailable
from app.ports import MessageQueue, Waiting
from app.running.loops import Loops
from app.services.access.callers import known_caller
from app.services.access.keys import Keys, require_scope
from app.services.queues.hands import Hands
from app.services.queues.reading import read_request
from app.services.starting.orders import CarryOut
from app.settings import Settings

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Messages in hand. One that is tried again doesn't hold up the others."""


class TakeRequests:
    def __init__(self, hands: Hands, settings: Settings, keys: Keys, carry_out: CarryOut) -> None:
        self._hands = hands
        self._queue: MessageQueue = hands.queue
        self._settings = settings
        self._keys = keys
        self._carry_out = carry_out
        self._in_hand: set[asyncio.Task[None]] = set()

    def start(self, loops: Loops) -> None:
        loops.start(f"queue {self._queue.name}", self.step, 0.0)

    def stop(self) -> None:
        """Take nothing more; what is in hand may come to its end."""
        self._hands.stopping.set()

    async def close(self, seconds: float) -> None:
        """stop() was called. What isn't at its end after so many seconds is left to the queue,
        which hands it out again."""
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=seconds)
        for task in self._in_hand:
            task.cancel()
        await asyncio.gather(*self._in_hand, return_exceptions=True)
        await self._queue.close()

    async def step(self) -> None:
        """Take what waits, and begin with it. Raises Unavailable: the queue is away, or what
        messages in hand wait for."""
        while len(self._in_hand) >= AT_ONCE:
            await asyncio.wait(self._in_hand, return_when=asyncio.FIRST_COMPLETED)
        if self._hands.stopping.is_set():
            return
        for message in await self._queue.take(AT_ONCE - len(self._in_hand)):
            task = asyncio.create_task(self._settle(message))
            self._in_hand.add(task)
            task.add_done_callback(self._in_hand.discard)
        if self._hands.trouble and self._in_hand:
            raise Unavailable(f"Messages wait: {self._hands.trouble}")

    async def _settle(self, message: Waiting) -> None:
        try:
            await self._hands.settle([message], self.take)
        except Unavailable as exc:  # it comes again
            log.warning("queue_message_left", queue=self._queue.name, error=exc.detail)
        except Exception:  # the same; nobody waits for this task
            log.exception("queue_message_left", queue=self._queue.name)

    async def take(self, message: Waiting) -> None:
        """Do what it asks for. Raises as CarryOut; InvalidRequest, Unauthorized, ScopeMissing."""
        asked = read_request(message)
        order = asked.order
        if asked.auth_token is not None:
            caller = await known_caller([asked.auth_token], self._settings, self._keys)
            if caller is None:
                raise Unauthorized(
                    "auth_token is neither the shared secret nor a living API key. Leave it out: "
                    "who may write into the queue may send."
                )
            require_scope(caller, "send")
            order = replace(order, send=replace(order.send, by=caller.by))
        answer = await self._carry_out(order)
        log.info(
            "queue_request_taken",
            queue=self._queue.name,
            mailout_id=answer["mailout_id"],
            status=answer["status"],
        )
