"""One stand-in: a workspace with its guard and webhooks, and the routes by which it is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.notion import api, control, databases, uploads
from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.errors import NotionError
from app.sandbox.notion.guard import Guard, refusal
from app.sandbox.notion.model.workspace import Workspace
from app.sandbox.notion.webhooks import Webhooks

METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class NotionStandIn:
    """base_url: where others reach it."""

    def __init__(self, config: NotionConfig, base_url: str) -> None:
        self.config, self._base_url = config, base_url
        self._begin()

    def _begin(self) -> None:
        self.space = Workspace(self._base_url)
        self.guard = Guard(self.config)
        self.webhooks = Webhooks(self.config, self.space)

    def reset(self) -> None:
        """An empty workspace, and no fault, limit or subscription."""
        old = self.webhooks
        self._begin()
        self.webhooks.adopt(old)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.webhooks.running():
            yield
            self.webhooks.stop()

    def routes(self) -> list[Route]:
        door = api.Door(lambda: self.space, lambda: self.guard)
        return [
            *api.routes(door),
            *databases.routes(door),
            *uploads.routes(door, lambda: self.space.files),
            Route("/v1/{path:path}", _unknown, methods=METHODS),
            *control.routes(self),
        ]


async def _unknown(_request: Request) -> Response:
    return refusal(NotionError(400, "invalid_request_url", "Invalid request URL."))
