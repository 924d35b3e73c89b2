"""Running the service or a worker until a signal asks it to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from app.adapters.store import Store
from app.api.metrics import metrics_app
from app.errors import ConfigurationError
from app.main import create_app, running, sending
from app.metrics import Metrics
from app.runtime import open_database
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
    """HTTP and, with_sender, the sender.

    Raises ConfigurationError, DatabaseUnavailable when it can't start.
    """
    listener = _listen(settings.host, settings.port)
    async with running(settings, with_sender=with_sender) as services:
        server = _server(create_app(services))

        def stop() -> None:
            server.should_exit = True
            services.stop_sending()

        _on_stop_signal(stop)
        await server.serve([listener])


async def work(settings: Settings) -> None:
    """A sender alone, with `/metrics` where METRICS_PORT is set.

    Raises ConfigurationError, DatabaseUnavailable when it can't start.
    """
    if missing := settings.missing_to_send():
        raise ConfigurationError(f"A worker has to send: set {', '.join(missing)}.")
    port = settings.metrics_port
    listener = None if port is None else _listen(settings.host, port, "METRICS_PORT")
    meters = Metrics()
    async with open_database(settings) as database:
        store = Store(database)
        async with (
            telling_cloudwatch(settings, meters),
            _answering(metrics_app(meters, DatabaseGauges(store, meters)), listener),
            sending(store, settings, meters, with_sender=True) as (sender, _),
        ):
            assert sender is not None
            stopped = asyncio.Event()
            _on_stop_signal(stopped.set)
            await stopped.wait()
            sender.stop()


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


@asynccontextmanager
async def _answering(app: ASGIApp, listener: socket.socket | None) -> AsyncIterator[None]:
    """Requests to `app` are answered meanwhile, where there is a listener."""
    if listener is None:
        yield
        return
    server = _server(app)
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _listen(host: str, port: int, setting: str = "PORT") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise ConfigurationError(
            f"Can't listen on {host}:{port} ({exc.strerror}): set HOST and {setting} to a free "
            "address."
        ) from exc


def _on_stop_signal(stop: Callable[[], None]) -> None:
    def stop_in_time() -> None:
        stop()
        # Whatever hangs (a call to SES, a frozen database): gone within 10 s. What isn't recorded
        # by then is found in `sending` by the next sender, and called unknown.
        last_resort = threading.Timer(EXIT_SECONDS, os._exit, args=(1,))
        last_resort.daemon = True
        last_resort.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_in_time)
