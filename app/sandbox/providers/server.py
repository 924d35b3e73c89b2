"""Both stand-ins on a free port, for tests."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette

from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.main import listen, local_url
from app.sandbox.providers.serving import routes
from app.sandbox.sendgrid.standin import PATHS, SendGridStandIn
from app.sandbox.ses.wire import SandboxProtocol
from app.sandbox.threads import ServerThread


class ProvidersServer:
    """A context manager: the stand-ins in a thread. Inside, `url` is the address of both.

    Raises RuntimeError when it doesn't start.
    """

    def __init__(self) -> None:
        self.sendgrid, self.mailgun = SendGridStandIn(), MailgunStandIn()

    def __enter__(self) -> Self:
        listener = listen("127.0.0.1", 0)
        self.url = local_url(listener)
        app = Starlette(
            routes=[
                *routes("sendgrid", self.sendgrid, *PATHS),
                *routes("mailgun", self.mailgun, "/v3/{rest:path}"),
            ]
        )
        settings = uvicorn.Config(
            app,
            http=SandboxProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._running = ServerThread(uvicorn.Server(settings), listener, name="the providers")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.stop()
