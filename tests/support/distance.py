"""A database that is far away: a TCP proxy through which everything takes longer.

Every piece is passed on `seconds` after it came, in order and whole, in both directions; a call
and its answer take twice that. Bandwidth is kept: what follows doesn't wait for what is still
under way. A line that is cut breaks nothing, it is silent: connections stay, and what was sent
meanwhile arrives when it is mended, as by TCP's own repeats.

`python -m tests.support.distance HOST:PORT SECONDS LINES` opens that many lines in a process of
its own, prints their ports, and takes `cut N` and `mend N` on its input.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

UNDER_WAY = 4 * 2**20
"""Bytes in one direction of a connection, at most, as a TCP window."""


class Line:
    """One line to the server at `host`:`port`, with any number of connections."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self.host, self.port, self.seconds = host, port, seconds
        self.is_cut = False
        self.sides: set[_Side] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Gives the port of 127.0.0.1 at which it begins."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Near(self), "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for side in list(self.sides):
                side.abort()

    def cut(self) -> None:
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False
        for side in list(self.sides):
            side.pass_on()


class _Side(asyncio.Protocol):
    """One end of a connection: what comes in here leaves at the other end later."""

    other: _Side

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._under_way: deque[tuple[float, bytes | None]] = deque()  # None: the end
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        line.sides.add(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by class
        self.other.pass_on()

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > UNDER_WAY and self._transport is not None:
            self._transport.pause_reading()
        self._send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._send(None)
        self._line.sides.discard(self)

    def pass_on(self) -> None:
        """Let out at the other end what is due there."""
        out = self.other._transport
        while self._under_way and not self._line.is_cut and out is not None:
            due, data = self._under_way[0]
            if due > self._loop.time():
                if self._timer is None:
                    self._timer = self._loop.call_at(due, self._on_time)
                return
            self._under_way.popleft()
            if data is None:
                out.close()
            elif not out.is_closing():
                out.write(data)
                self._size -= len(data)
                self._read_on()

    def _read_on(self) -> None:
        here = self._transport
        if here is not None and not here.is_closing() and self._size <= UNDER_WAY:
            here.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, data: bytes | None) -> None:
        self._under_way.append((self._loop.time() + self._line.seconds, data))
        self.pass_on()

    def _on_time(self) -> None:
        self._timer = None
        self.pass_on()


class _Far(_Side):
    """The end at the server."""


class _Near(_Side):
    """The end at the client, which brings the other one about."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.other = far = _Far(self._line)
        far.other = self
        super().connection_made(transport)
        self._reaching = self._loop.create_task(self._reach(far))

    async def _reach(self, far: _Far) -> None:
        try:
            await self._loop.create_connection(lambda: far, self._line.host, self._line.port)
        except OSError:
            self.abort()


async def serve(host: str, port: int, seconds: float, lines: int) -> None:
    opened = [Line(host, port, seconds) for _ in range(lines)]
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(line.open()) for line in opened]
        sys.stdout.write(" ".join(map(str, ports)) + "\n")
        sys.stdout.flush()
        while command := await asyncio.to_thread(sys.stdin.readline):
            verb, number = command.split()
            line = opened[int(number)]
            line.cut() if verb == "cut" else line.mend()


if __name__ == "__main__":
    import uvloop

    host, _, port = sys.argv[1].rpartition(":")
    uvloop.run(serve(host, int(port), float(sys.argv[2]), int(sys.argv[3])))
