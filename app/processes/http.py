"""The HTTP server of a process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from app.api.http.connection import ClientConnection
from app.api.http.startup_app import StartupApp
from app.api.strangers.proxies import Proxies

GRACE_SECONDS = 5
"""How long requests under way may still take after a signal asked the process to stop."""
DATE_SECONDS = 1.0
"""How old the time in the header `Date` may be."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before it has tidied up; and
    once a second, for the header `Date`, where it would look ten times whether it is to end: that
    was half of the processor's time at rest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), DATE_SECONDS)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Http:
    """The HTTP server of a process.

    It runs `root` from the start, before the database is there. stopped: the server sets it when it
    ends by itself, so that the process ends, too. proxies: FORWARDED_ALLOW_IPS.
    """

    def __init__(self, listener: socket.socket, stopped: asyncio.Event, proxies: str) -> None:
        self.root = StartupApp()
        self._listener = listener
        self._stopped = stopped
        self._server = _server(self.root, proxies)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._server.serve([self._listener]))
        self._task.add_done_callback(lambda _: self._stopped.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Accept no more requests and wait for those under way. Raises the error that ended the
        server.
        """
        self._server.end()
        if self._task is not None:
            await self._task


def _server(app: ASGIApp, proxies: str) -> _Server:
    return _Server(
        uvicorn.Config(
            Proxies(app, proxies),
            http=ClientConnection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # Proxies does that
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
