"""A stand-in for Notion alone, on a free port, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette

from app.sandbox.main import listen, local_url
from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.remote import NotionRemote
from app.sandbox.notion.standin import NotionStandIn
from app.sandbox.threads import ServerThread


class NotionServer(NotionRemote):
    """A context manager: a stand-in in a thread. Inside, `url` is its address (NOTION_API_URL),
    `token` the connection's token (NOTION_API_TOKEN), and the methods act on it.

    Raises RuntimeError when it doesn't start.
    """

    def __init__(self, config: NotionConfig | None = None) -> None:
        self.config = config or NotionConfig()
        self.token = self.config.token

    def __enter__(self) -> Self:
        listener = listen("127.0.0.1", 0)
        url = local_url(listener)
        standin = NotionStandIn(self.config, url)

        @contextlib.asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            async with standin.running():
                yield

        settings = uvicorn.Config(
            Starlette(routes=standin.routes(), lifespan=lifespan),
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._running = ServerThread(uvicorn.Server(settings), listener, name="Notion")
        self.connect(url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.control.close()
        self._running.stop()
