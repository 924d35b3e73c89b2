"""53: what goes wrong inside is told to nobody outside, and nothing is there for developers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

import httpx
import pytest
from psycopg import conninfo

from app.adapters.database.migrations import check_schema
from app.adapters.database.postgres import PostgresDatabase
from app.main import create_app
from app.processes.member import Member
from app.running.loops import Loops
from app.sandbox.server import SandboxServer
from app.services.watching.health import Health
from app.store import Store
from tests.security.fortress import BEARER, Fortress
from tests.support.ports import free_port

DESCRIPTIONS = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
FOR_DEVELOPERS = (
    "/debug", "/debug/pprof", "/__debug__", "/_debug", "/console", "/trace", "/env", "/config",
    "/settings", "/.env", "/.git/config", "/actuator/env", "/server-status", "/phpinfo.php",
    "/static/../app/settings.py", "/dashboard/../.env", "/assets/..%2f..%2f.env",
)  # fmt: skip
INSIDE = ("Traceback", "psycopg", "postgres", '.py"', "does not exist", "relation", "select ")
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


async def test_53_a_fault_inside_is_told_without_its_words(fortress: Fortress) -> None:
    """A table that is gone: API, pages, webhooks and health say no more than that it failed."""
    await fortress.sql.execute("alter table mailouts rename to mailouts_gone")
    try:
        asked = [
            await fortress.http.get("/mailouts", headers=BEARER),
            await fortress.http.get(f"/mailouts/{UUID(int=7)}", headers=BEARER),
            await fortress.http.post(
                "/send-mailout", json={"mailout_id": str(UUID(int=7))}, headers=BEARER
            ),
            await fortress.http.post("/mailouts", json={"subject": "x"}, headers=BEARER),
            await fortress.http.get("/dashboard", headers={"Accept": "text/html"}),
            await fortress.http.get("/health"),
        ]
    finally:
        await fortress.sql.execute("alter table mailouts_gone rename to mailouts")
    assert 500 in {answer.status_code for answer in asked}
    for answer in asked:
        assert told(answer) == [], answer.url
    problem = next(answer for answer in asked if answer.status_code == 500).json()
    assert problem == {
        "type": "about:blank",
        "title": problem["title"],
        "status": 500,
        "code": problem["code"],
        "detail": problem["title"],
    }


@pytest.mark.parametrize("user", ["nobody_canary", "postgres"])
async def test_53_a_database_that_is_away_is_told_without_its_address(
    fortress: Fortress, sandbox: SandboxServer, user: str
) -> None:
    """Whose user it refuses, and which can't be reached at all."""
    given = conninfo.conninfo_to_dict(fortress.settings.database_url.get_secret_value())  # type: ignore[union-attr]
    port = given["port"] if user != "postgres" else free_port()
    dsn = f"postgresql://{user}:pw-canary-of-its-own@127.0.0.1:{port}/{given['dbname']}"
    database = PostgresDatabase(dsn)
    try:
        services = replace(fortress.services, store=Store(database))
        health = Health(
            partial(check_schema, database),
            services.store,
            fortress.settings,
            services.watchdog,
            service_id=None,
            board=Member().board,
            loops=Loops(),
        )
        app = create_app(replace(services, health=health))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            for path in ("/health", "/mailouts", "/unsubscribe?token=x", "/assets/x.png"):
                answer = await http.get(path, headers=BEARER)
                for word in (user, "canary", str(port), given["dbname"], "127.0.0.1"):
                    assert str(word) not in answer.text.replace("PostgreSQL", ""), (path, word)
                assert told(answer) == [], path
    finally:
        await database.close()
