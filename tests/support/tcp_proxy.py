"""A network between two programs, which can be cut and can go silent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class TcpProxy:
    """Async context manager: passes on what comes at `port` to another port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Every connection ends at once, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    def silence(self) -> None:
        """Connections stay, and nothing gets through."""
        self._open.clear()

    def speak(self) -> None:
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError):
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._target)
            pair = {writer, other_writer}
            self._writers |= pair
            await asyncio.gather(
                self._pass_on(reader, other_writer),
                self._pass_on(other_reader, writer),
                return_exceptions=True,
            )
            self._writers -= pair
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
