"""The way to a server, which can be shut: then connections are refused, and open ones are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tests.support.ports import free_port

CHUNK_BYTES = 1 << 16


class Door:
    """Passes connections on to the server at `target`, in a thread of its own: whatever holds up a
    test's loop holds up nothing that passes."""

    def __init__(self, target: str) -> None:
        self._target, self._port = urlsplit(target), free_port()
        self._server: asyncio.Server | None = None
        self._through: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="a door", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Harmless when it is open."""
        await self._there(self._open())

    async def shut(self) -> None:
        """Whoever is inside learns nothing more. Harmless when it is shut."""
        await self._there(self._shut())

    async def remove(self) -> None:
        await self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def _there(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._pass, "127.0.0.1", self._port, backlog=256
            )

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._through):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, out = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._through |= {writer, out}
        if self._server is None:  # shut meanwhile
            writer.transport.abort()
            out.transport.abort()
        try:
            await asyncio.gather(_copy(reader, out), _copy(further, writer))
        finally:
            self._through -= {writer, out}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def door(target: str) -> AsyncIterator[Door]:
    """An open one."""
    made = Door(target)
    await made.open()
    try:
        yield made
    finally:
        await made.remove()
