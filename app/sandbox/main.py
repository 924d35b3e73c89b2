"""The sandbox as an ASGI application, and its server."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.running import event_loop
from app.sandbox.config import SandboxConfig
from app.sandbox.control import ControlApi
from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.notion.pages import NotionPages
from app.sandbox.notion.standin import NotionStandIn
from app.sandbox.pages import Pages
from app.sandbox.providers.model import ReceivedMail, StandIn
from app.sandbox.providers.serving import posting
from app.sandbox.providers.serving import routes as routes_of
from app.sandbox.sendgrid.standin import PATHS, SendGridStandIn
from app.sandbox.ses.api import SesApi
from app.sandbox.ses.wire import SandboxProtocol
from app.sandbox.slack.pages import SlackPages
from app.sandbox.sns.api import SnsApi
from app.sandbox.state import Sandbox
from app.sandbox.store import AcceptLog
from app.sandbox.tracking.routes import TrackingRoutes

# A pool's idle connection must not be closed under a request: AWS keeps them for about a minute.
KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 1


def create_sandbox(config: SandboxConfig, further: Mapping[int, SandboxConfig]) -> ASGIApp:
    """SES v2, SNS, the certificate, the inbox and the control API as one application; with
    `config.notion` Notion, too, with `config.slack` Slack, with `config.sendgrid` and
    `config.mailgun` those.

    further: other regions' sandboxes by the port at which they are asked; what all of them accept
    is in one log. Faults of the connection need the server of `run`.
    Raises OSError when the accept log can't be opened.
    """
    accepted = AcceptLog(config.accept_log)
    sandboxes = [Sandbox(each, accepted) for each in (config, *further.values())]
    notion = NotionStandIn(config.notion, config.base_url) if config.notion else None
    providers: dict[str, tuple[StandIn, tuple[str, ...]]] = {
        **({"sendgrid": (SendGridStandIn(), PATHS)} if config.sendgrid else {}),
        **({"mailgun": (MailgunStandIn(), ("/v3/{rest:path}",))} if config.mailgun else {}),
    }
    for name, (standin, _) in providers.items():
        standin.told = partial(_note, accepted, name)

    def reset() -> None:
        for sandbox in sandboxes:
            sandbox.reset()
        for standin, _ in providers.values():
            standin.reset()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for sandbox in sandboxes:
                await stack.enter_async_context(sandbox.publisher.running())
            if notion:
                await stack.enter_async_context(notion.running())
            for name, (standin, _) in providers.items():
                if config.provider_events:
                    url = f"{config.provider_events.rstrip('/')}/{name}-events"
                    await stack.enter_async_context(posting(standin, url))
            yield
        accepted.close()

    home = Starlette(
        routes=[
            *_aws(sandboxes[0], sandboxes, reset),
            *([*notion.routes(), *NotionPages(notion, config).routes()] if notion else []),
            *(SlackPages(config).routes() if config.slack else []),
            *(
                route
                for name, (one, paths) in providers.items()
                for route in routes_of(name, one, *paths)
            ),
        ],
        lifespan=lifespan,
    )
    others = [Starlette(routes=_aws(each, sandboxes, reset)) for each in sandboxes[1:]]
    return _ByPort(home, dict(zip(further, others, strict=True)))


def _aws(
    sandbox: Sandbox, sandboxes: Sequence[Sandbox], reset: Callable[[], None]
) -> list[BaseRoute]:
    """What one region's address answers."""
    sns = SnsApi(sandboxes)

    async def certificate(_request: Request) -> Response:
        return Response(sandbox.identity.certificate_pem, media_type="application/x-pem-file")

    return [
        *SesApi(sandbox).routes(),
        Route("/", sns.post, methods=["POST"]),
        Route(sandbox.identity.certificate_path, certificate),
        *TrackingRoutes(sandbox.store, sandbox.publisher, sandbox.tracker).routes(),
        *ControlApi(sandbox, reset).routes(),
        *Pages(sandbox, sandboxes, sns).routes(),
    ]


def _note(accepted: AcceptLog, provider: str, mail: ReceivedMail) -> None:
    accepted.write(provider, [(time.time(), mail.message_id, mail.to, mail.variables)])


class _ByPort:
    """Each port is a region; the home region has all that isn't another's."""

    def __init__(self, home: ASGIApp, others: Mapping[int, ASGIApp]) -> None:
        self._home, self._others = home, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, port = scope.get("server") or ("", 0)
        await self._others.get(port, self._home)(scope, receive, send)


class SandboxUvicorn(uvicorn.Server):
    """uvicorn that writes a line for each region to stdout when it is ready, for which a script can
    wait; the home region's is the last. After it has stopped in good order it doesn't raise the
    signal again, which would end the process."""

    def __init__(self, config: uvicorn.Config, url: str, further: Mapping[str, str]) -> None:
        """further: addresses by region."""
        super().__init__(config)
        self._url, self._further = url, further

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for region, url in self._further.items():
            sys.stdout.write(f"{region} ready on {url}\n")
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


def server_for(listeners: Sequence[socket.socket], config: SandboxConfig) -> SandboxUvicorn:
    """A server of a new sandbox; it runs by `server.run(listeners)`.

    listeners: of the home region, then of each of `config.regions`.
    """
    url, *urls = (local_url(listener) for listener in listeners)
    config = dataclasses.replace(config, public_url=config.public_url or url)
    further = dict(zip(config.regions, urls, strict=True))
    ports = [listener.getsockname()[1] for listener in listeners[1:]]
    regions = [config.in_region(name, public) for name, public in further.items()]
    settings = uvicorn.Config(
        create_sandbox(config, dict(zip(ports, regions, strict=True))),
        http=SandboxProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return SandboxUvicorn(settings, url, further)


def run(listeners: Sequence[socket.socket], config: SandboxConfig) -> None:
    """Serve until SIGINT or SIGTERM; see `server_for`. Raises OSError when the log can't be had."""
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        event_loop.run(server_for(listeners, config).serve(list(listeners)))
