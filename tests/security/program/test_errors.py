"""53: what goes wrong inside is told to nobody outside, and nothing is there for developers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from app.main import create_app
from tests.security.fortress import BEARER, Fortress

DESCRIPTIONS = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
FOR_DEVELOPERS = (
    "/debug", "/debug/pprof", "/__debug__", "/_debug", "/console", "/trace", "/env", "/config",
    "/settings", "/.env", "/.git/config", "/actuator/env", "/server-status", "/phpinfo.php",
    "/static/../app/settings.py", "/dashboard/../.env", "/assets/..%2f..%2f.env",
)  # fmt: skip
INSIDE = ("Traceback", "psycopg", "postgres", ".py", "select ", "line ", "raise ", "canary")
"""Of which none may stand in an answer."""


def told(answer: httpx.Response) -> list[str]:
    """What of the inside an answer shows."""
    text = answer.text + str(answer.headers)
    return [word for word in INSIDE if word.lower() in text.lower()]


@asynccontextmanager
async def with_settings(fortress: Fortress, **changes: object) -> AsyncIterator[httpx.AsyncClient]:
    """The same service with other settings."""
    settings = fortress.settings.model_copy(update=changes)
    app = create_app(replace(fortress.services, settings=settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        yield http


async def test_53_the_description_can_be_switched_off(fortress: Fortress) -> None:
    assert (await fortress.http.get("/openapi.json")).status_code == 200
    async with with_settings(fortress, api_docs=False) as http:
        for path in DESCRIPTIONS:
            answer = await http.get(path)
            assert answer.status_code == 404, path
            assert "/send-mailout" not in answer.text
        assert (await http.get("/health/live")).status_code == 200


async def test_53_there_is_nothing_for_developers(fortress: Fortress) -> None:
    async with fortress.untouched():
        for path in FOR_DEVELOPERS:
            for headers in ({}, BEARER):
                answer = await fortress.http.get(path, headers=headers)
                assert answer.status_code in {303, 401, 404, 405}, path
                assert told(answer) == []
