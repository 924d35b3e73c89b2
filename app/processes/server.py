"""Running the service or a worker until a signal asks it to stop.

Whatever speaks HTTP is a quarter of all that there is to import. Only the process that needs it
does so, while the one that works starts on another core.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import uuid4

from app.errors import ConfigurationError
from app.listening import listen
from app.processes.member import Member
from app.processes.supervisor import Chore, Role, Supervisor
from app.running.event_loop import run
from app.running.importing import importing, models_made_late
from app.running.loops import Loops
from app.running.resting import Resting
from app.runtime import StopRequested, open_database
from app.services.rendering.renderer import RENDERER
from app.services.rendering.shared import SharedServer
from app.settings import Settings
from app.store import Store
from app.telemetry.cloudwatch import EVERY_SECONDS, CloudWatch, telling_cloudwatch
from app.telemetry.counts import Board
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.metrics import Metrics
from app.working import require_secrets, working

EXIT_SECONDS = 9.5
"""This long after the signal the process ends, whatever is unfinished."""
YOUNG_OBJECTS = 10_000
"""With so many more than before the process that sends looks for garbage among them (Python's own
700 are less than two batches). Sending makes none that only such a look finds, and has some 5,000
under way at once, so it never looks meanwhile: 2 of 57 microseconds a mail."""


def supervise(settings: Settings) -> int:
    """HTTP and the work, each in a process of its own, until SIGTERM or SIGINT; the exit code.

    Raises ConfigurationError when they can't start.
    """
    require_secrets(settings)
    listener = _listen(settings.host, settings.port)
    service_id, board = uuid4(), Board(("web", "work"))
    web, work_ = (Member(service_id, board, role) for role in board.rows)

    def answer(begun: Callable[[], None]) -> None:
        run(serve(settings, with_sender=False, member=web, listener=listener, begun=begun))

    def do_work(begun: Callable[[], None]) -> None:
        listener.close()
        run(work(settings, member=work_, begun=begun))

    rendering = SharedServer(RENDERER.modules)
    RENDERER.share(rendering.requests)
    chore, regions = None, settings.region_names
    if settings.metrics_cloudwatch:
        chore = Chore(EVERY_SECONDS, CloudWatch(web.metrics(regions), regions).write)
    # The supervisor keeps the port open, so that callers wait while the web process is started
    # again, instead of being refused.
    with listener:
        roles = [Role("work", do_work), Role("web", answer)]
        return Supervisor(roles, board, chore, rendering).run()


def nothing() -> None:
    """The default for `begun`: there is no supervisor to tell."""


async def serve(
    settings: Settings,
    *,
    with_sender: bool,
    member: Member | None = None,
    listener: socket.socket | None = None,
    begun: Callable[[], None] = nothing,
) -> None:
    """HTTP and, with_sender, the work. Waits for a database that is away, answering 503.

    listener: None: its own. begun: called when it no longer can fail to start.
    Raises ConfigurationError, DatabaseError when it can't start.
    """
    with importing(), models_made_late():
        from app.main import create_app, running
        from app.processes.http import Http

    member = member or Member()
    member.beat()
    stopped = _stop_signal()
    listener = listener or _listen(settings.host, settings.port)
    async with Http(listener, stopped, settings.forwarded_allow_ips) as http:
        with suppress(StopRequested):
            async with running(
                settings, with_sender=with_sender, stopping=stopped, member=member
            ) as services:
                http.root.app = create_app(services)
                _exempt_from_collection()
                begun()
                await stopped.wait()
                services.stop_sending()
                await http.stop()


async def work(
    settings: Settings,
    *,
    member: Member | None = None,
    begun: Callable[[], None] = nothing,
) -> None:
    """The work alone. Waits for a database that is away.

    A worker (member: None) has to send, and shows `/metrics` where METRICS_PORT is set.
    Raises ConfigurationError, DatabaseError when it can't start.
    """
    is_worker, member = member is None, member or Member()
    member.beat()
    if is_worker and (missing := settings.missing_to_send()):
        raise ConfigurationError(f"A worker has to send: set {', '.join(missing)}.")
    stopped = _stop_signal()
    port = settings.metrics_port if is_worker else None
    listener = None if port is None else _listen(settings.host, port, "METRICS_PORT")
    meters = member.metrics(settings.region_names)
    async with _metrics_shown(listener, stopped, settings) as show:
        with suppress(StopRequested):
            async with open_database(settings, stopping=stopped) as database:
                show(meters, DatabaseGauges(Store(database), meters))
                async with AsyncExitStack() as stack:
                    loops = await stack.enter_async_context(Loops(resting=Resting()))
                    if is_worker:
                        await stack.enter_async_context(telling_cloudwatch(settings, meters, loops))
                    await stack.enter_async_context(
                        working(database, settings, meters, member.service_id, loops)
                    )
                    _exempt_from_collection()
                    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
                    begun()
                    await stopped.wait()


@asynccontextmanager
async def _metrics_shown(
    listener: socket.socket | None, stopped: asyncio.Event, settings: Settings
) -> AsyncIterator[Callable[[Metrics, DatabaseGauges], None]]:
    """Gives what to call with what is to be shown at `listener`; None: nowhere."""
    if listener is None:
        yield lambda *_: None
        return
    from app.api.metrics import metrics_app
    from app.processes.http import Http

    async with Http(listener, stopped, settings.forwarded_allow_ips) as http:

        def show(meters: Metrics, gauges: DatabaseGauges) -> None:
            http.root.app = metrics_app(meters, gauges)

        yield show


def _exempt_from_collection() -> None:
    """Keep the garbage collector from looking through all objects that exist now, which live until
    the end anyway: under load each full collection would make every request wait a tenth of a
    second. What is garbage among them stays, too: to collect it would write to pages that the
    processes share, and so copy more than it frees.
    """
    gc.freeze()


def _listen(host: str, port: int, setting: str = "PORT") -> socket.socket:
    return listen(host, port, remedy=f"Set HOST and {setting} to a free address of this machine.")


def _stop_signal() -> asyncio.Event:
    """Set when SIGTERM or SIGINT comes."""
    stopped = asyncio.Event()

    def stop_in_time() -> None:
        stopped.set()
        # Whatever hangs (a call to SES, a frozen database), the process is gone within 10 s. What
        # it hasn't recorded by then the next sender finds in `sending` and calls unknown.
        last_resort = threading.Timer(EXIT_SECONDS, os._exit, args=(1,))
        last_resort.daemon = True
        last_resort.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_in_time)
    return stopped
