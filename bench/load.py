"""A closed loop of keep-alive connections that costs little itself: it shares the cores.

The requests are whole and ready; of an answer only status, length and end are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import cast

import uvloop


class Loop:
    """What the connections have in common."""

    def __init__(self, requests: Iterable[bytes]) -> None:
        self.waiting: Iterator[bytes] = iter(requests)
        self.latencies: list[float] = []
        """Seconds from the request to the whole answer."""
        self.refused = 0
        """Answers other than 200, and requests whose connection broke."""


class Connection(asyncio.Protocol):
    """Sends its next request when the last one is answered; done: when there is none left."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._answer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by class
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < length_of(head):
            return
        self._loop.latencies.append(time.monotonic() - self._started)
        self._loop.refused += not head.startswith(b"HTTP/1.1 200 ")
        self._answer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._loop.refused += 1
            self.done.set_result(None)

    def _next(self) -> None:
        request = next(self._loop.waiting, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._started = time.monotonic()
            self._transport.write(request)


def length_of(head: bytes) -> int:
    """The Content-Length of an answer."""
    return int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


def post_all(port: int, requests: Iterable[bytes], connections: int) -> tuple[Loop, float]:
    """Every request, once, over that many connections; gives what came of it, and the seconds."""

    async def post() -> tuple[Loop, float]:
        shared = Loop(requests)
        running = asyncio.get_running_loop()
        started = time.monotonic()
        opened = [
            await running.create_connection(lambda: Connection(shared), "127.0.0.1", port)
            for _ in range(connections)
        ]
        await asyncio.gather(*(connection.done for _, connection in opened))
        return shared, time.monotonic() - started

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(post())
