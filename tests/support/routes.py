"""Every route of the program, as it declares itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast
from uuid import UUID

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from app.api.http.deps import Protected, Services
from app.main import create_app

MAILOUT = UUID(int=7)
# For whom there is no credential of ours. A route that isn't here has a scope or is a page.
PUBLIC = {
    ("GET", "/unsubscribe"), ("HEAD", "/unsubscribe"), ("POST", "/unsubscribe"),
    ("POST", "/resubscribe"), ("GET", "/subscribe"), ("POST", "/subscribe"),
    ("GET", "/confirm"), ("HEAD", "/confirm"), ("POST", "/confirm"),
    ("POST", "/ses-events"), ("POST", "/notion-events"),
    ("POST", "/sendgrid-events"), ("POST", "/mailgun-events"),
    ("GET", "/health"), ("GET", "/health/live"), ("GET", "/metrics"),
    ("GET", "/assets/{name}"), ("HEAD", "/assets/{name}"),
}  # fmt: skip
# The credential may be in its body, so it looks itself.
IN_THE_BODY = {("POST", "/send-mailout")}


@dataclass(frozen=True)
class Route:
    """path: as declared. declared: the object that FastAPI calls."""

    method: str
    path: str
    declared: APIRoute

    @property
    def scope(self) -> str | None:
        """The usual one of those that it takes. None: it isn't a Protected route."""
        return self.scopes[0] if self.scopes else None

    @property
    def scopes(self) -> tuple[str, ...]:
        return self.declared.scopes if isinstance(self.declared, Protected) else ()

    @property
    def url(self) -> str:
        """With something of the right form for each parameter."""
        return re.sub(r"{(\w+)(?::\w+)?}", _example, self.path)


def _example(parameter: re.Match[str]) -> str:
    return "a@example.com" if parameter[1] == "email" else str(MAILOUT)


def bare_app() -> FastAPI:
    """The application without anything behind it, to look at what it declares."""
    settings = SimpleNamespace(api_docs=True)
    return create_app(cast("Services", SimpleNamespace(settings=settings)))


ROUTES = [
    Route(method, context.original_route.path, context.original_route)
    for context in iter_route_contexts(bare_app().routes)
    if isinstance(context.original_route, APIRoute)
    for method in sorted(context.original_route.methods or ())
]
PROTECTED = [route for route in ROUTES if route.scope is not None]
