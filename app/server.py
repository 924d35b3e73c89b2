"""Running the service or a worker until a signal asks it to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from app.adapters.store import Store
from app.api.entrance import Entrance
from app.api.metrics import metrics_app
from app.errors import ConfigurationError
from app.listening import listen
from app.main import create_app, running, sending
from app.metrics import Metrics
from app.runtime import StopAsked, open_database
from app.services.cloudwatch import telling_cloudwatch
from app.services.database_gauges import DatabaseGauges
from app.settings import Settings

GRACE_SECONDS = 5
"""How long requests under way may take after a stop was asked for."""
EXIT_SECONDS = 9.5
"""After this long the process ends, however things stand."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before it has tidied up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, *, with_sender: bool) -> None:
    """HTTP and, with_sender, the sender. Waits for a database that is away, answering 503.

    Raises ConfigurationError, DatabaseError when it can't start.
    """
    stopped = _stop_signal()
    listener = _listen(settings.host, settings.port)
    async with _Http(listener, stopped) as http:
        with suppress(StopAsked):
            async with running(settings, with_sender=with_sender, stopping=stopped) as services:
                http.entrance.app = create_app(services)
                _spare_collections()
                await stopped.wait()
                services.stop_sending()
                await http.stop()


async def work(settings: Settings) -> None:
    """A sender alone, with `/metrics` where METRICS_PORT is set. Waits for a database that is away.

    Raises ConfigurationError, DatabaseError when it can't start.
    """
    if missing := settings.missing_to_send():
        raise ConfigurationError(f"A worker has to send: set {', '.join(missing)}.")
    stopped = _stop_signal()
    port = settings.metrics_port
    listener = None if port is None else _listen(settings.host, port, "METRICS_PORT")
    meters = Metrics()
    async with _Http(listener, stopped) as http:
        with suppress(StopAsked):
            async with open_database(settings, stopping=stopped) as database:
                store = Store(database)
                http.entrance.app = metrics_app(meters, DatabaseGauges(store, meters))
                async with (
                    telling_cloudwatch(settings, meters),
                    sending(store, settings, meters, with_sender=True) as (sender, _),
                ):
                    assert sender is not None
                    _spare_collections()
                    await stopped.wait()
                    sender.stop()


def _spare_collections() -> None:
    """What stands now, stands until the end. To look through all of it, as a full collection
    otherwise does under load, makes every request wait for a tenth of a second."""
    gc.collect()
    gc.freeze()


class _Http:
    """Answers on `listener`, where there is one, until `stop` or its end; first by `entrance`.

    stopped: set when the server ends by itself, too.
    """

    def __init__(self, listener: socket.socket | None, stopped: asyncio.Event) -> None:
        self.entrance = Entrance()
        self._listener = listener
        self._stopped = stopped
        self._server = _server(self.entrance)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._listener is not None:
            self._task = asyncio.create_task(self._server.serve([self._listener]))
            self._task.add_done_callback(lambda _: self._stopped.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Take nothing more and let requests under way end. Raises what ended the server."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def _listen(host: str, port: int, setting: str = "PORT") -> socket.socket:
    return listen(host, port, remedy=f"Set HOST and {setting} to a free address of this machine.")


def _stop_signal() -> asyncio.Event:
    """Set when SIGTERM or SIGINT comes."""
    stopped = asyncio.Event()

    def stop_in_time() -> None:
        stopped.set()
        # Whatever hangs (a call to SES, a frozen database): gone within 10 s. What isn't recorded
        # by then is found in `sending` by the next sender, and called unknown.
        last_resort = threading.Timer(EXIT_SECONDS, os._exit, args=(1,))
        last_resort.daemon = True
        last_resort.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_in_time)
    return stopped
