"""The way to a server, which can be shut: then connections are refused, and open ones are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.ports import free_port

CHUNK_BYTES = 1 << 16


@dataclass
class Door:
    """Passes connections on to the server at `target`, in the loop of the test."""

    target: str
    _port: int = field(default_factory=free_port)
    _server: asyncio.Server | None = None
    _through: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Harmless when it is open."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port, backlog=256)

    async def shut(self) -> None:
        """Whoever is inside learns nothing more. Harmless when it is shut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._through):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = urlsplit(self.target)
        further, out = await asyncio.open_connection(there.hostname, there.port)
        self._through |= {writer, out}
        if self._server is None:  # shut meanwhile
            writer.transport.abort()
        await asyncio.gather(_copy(reader, out), _copy(further, writer))
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
        await made.shut()
