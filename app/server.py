"""Running the service or a worker until a signal asks it to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from app.adapters.store import Store
from app.errors import ConfigurationError
from app.main import create_app, running, sending
from app.runtime import open_database
from app.settings import Settings

GRACE_SECONDS = 5
"""How long requests under way may take after a stop was asked for."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end the process before it has tidied up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, *, with_sender: bool) -> bool:
    """HTTP and, with_sender, the sender. Gives whether a call to SES was left hanging.

    Raises ConfigurationError, DatabaseUnavailable when it can't start.
    """
    listener = _listen(settings.host, settings.port)
    async with running(settings, with_sender=with_sender) as services:
        server = _Server(
            uvicorn.Config(
                create_app(services),
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

        def stop() -> None:
            server.should_exit = True
            services.stop_sending()

        _on_stop_signal(stop)
        await server.serve([listener])
    return services.sender is not None and services.sender.hung


async def work(settings: Settings) -> bool:
    """A sender alone. Gives whether a call to SES was left hanging."""
    if missing := settings.missing_to_send():
        raise ConfigurationError(f"A worker has to send: set {', '.join(missing)}.")
    async with (
        open_database(settings) as database,
        sending(Store(database), settings, with_sender=True) as (sender, _),
    ):
        assert sender is not None
        stopped = asyncio.Event()
        _on_stop_signal(stopped.set)
        await stopped.wait()
        sender.stop()
    return sender.hung


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise ConfigurationError(
            f"Can't listen on {host}:{port} ({exc.strerror}): set HOST and PORT to a free address."
        ) from exc


def _on_stop_signal(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
