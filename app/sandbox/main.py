"""The sandbox as an ASGI application, and its server."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.running import event_loop
from app.sandbox.config import SandboxConfig
from app.sandbox.control import ControlApi
from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.notion.pages import NotionPages
from app.sandbox.notion.standin import NotionStandIn
from app.sandbox.pages import Pages
from app.sandbox.providers.model import StandIn
from app.sandbox.providers.serving import posting
from app.sandbox.providers.serving import routes as routes_of
from app.sandbox.sendgrid.standin import PATHS, SendGridStandIn
from app.sandbox.ses.api import SesApi
from app.sandbox.ses.wire import SandboxProtocol
from app.sandbox.slack.pages import SlackPages
from app.sandbox.sns.api import SnsApi
from app.sandbox.state import Sandbox
from app.sandbox.tracking.routes import TrackingRoutes

# A pool's idle connection must not be closed under a request: AWS keeps them for about a minute.
KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 1


def create_sandbox(config: SandboxConfig) -> Starlette:
    """SES v2, SNS, the certificate, the inbox and the control API as one application; with
    `config.notion` Notion, too, with `config.slack` Slack, with `config.sendgrid` and
    `config.mailgun` those.

    `app.state.sandbox` is its Sandbox. Faults of the connection need the server of `run`.
    Raises OSError when the accept log can't be opened.
    """
    sandbox = Sandbox(config)
    sns = SnsApi(sandbox)
    notion = NotionStandIn(config.notion, config.base_url) if config.notion else None
    providers: dict[str, tuple[StandIn, tuple[str, ...]]] = {
        **({"sendgrid": (SendGridStandIn(), PATHS)} if config.sendgrid else {}),
        **({"mailgun": (MailgunStandIn(), ("/v3/{rest:path}",))} if config.mailgun else {}),
    }

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(sandbox.publisher.running())
            if notion:
                await stack.enter_async_context(notion.running())
            for name, (standin, _) in providers.items():
                if config.provider_events:
                    url = f"{config.provider_events.rstrip('/')}/{name}-events"
                    await stack.enter_async_context(posting(standin, url))
            yield
        sandbox.store.accept_log.close()

    async def certificate(_request: Request) -> Response:
        return Response(sandbox.identity.certificate_pem, media_type="application/x-pem-file")

    routes = [
        *SesApi(sandbox).routes(),
        Route("/", sns.post, methods=["POST"]),
        Route(sandbox.identity.certificate_path, certificate),
        *TrackingRoutes(sandbox.store, sandbox.publisher, sandbox.tracker).routes(),
        *ControlApi(sandbox).routes(),
        *Pages(sandbox, sns).routes(),
        *([*notion.routes(), *NotionPages(notion, config).routes()] if notion else []),
        *(SlackPages(config).routes() if config.slack else []),
        *(
            route
            for name, (one, paths) in providers.items()
            for route in routes_of(name, one, *paths)
        ),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.sandbox = sandbox
    return app


class SandboxUvicorn(uvicorn.Server):
    """uvicorn that writes one line to stdout when it is ready, for which a script can wait. After
    it has stopped in good order it doesn't raise the signal again, which would end the process."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"sandbox ready on {self._url}\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def local_url(listener: socket.socket) -> str:
    """The address under which this machine reaches `listener`."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_for(listener: socket.socket, config: SandboxConfig) -> SandboxUvicorn:
    """A server of a new sandbox for `listener`; it runs by `server.run([listener])`."""
    url = local_url(listener)
    config = dataclasses.replace(config, public_url=config.public_url or url)
    settings = uvicorn.Config(
        create_sandbox(config),
        http=SandboxProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return SandboxUvicorn(settings, url)


def run(listener: socket.socket, config: SandboxConfig) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError when the log can't be had."""
    with listener:
        event_loop.run(server_for(listener, config).serve([listener]))
