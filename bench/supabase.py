"""The sender through Supabase's API instead of a connection: tests/support/postgrest.py stands in.

The stand-in connects to PostgreSQL anew for each call, which PostgREST doesn't, and works in this
process: the rate is a lower bound, the number of round trips is exact.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from app.adapters.database.migrations import migrate
from tests.support.postgrest import (
    AUTHENTICATOR_PASSWORD,
    PRIVILEGES_SQL,
    ROLES_SQL,
    PostgrestStandIn,
    make_key,
)

NAME = "bench_supabase"


class CountingStandIn(PostgrestStandIn):
    """calls: how often each function was called."""

    def __init__(self, dsn: str) -> None:
        self.calls: Counter[str] = Counter()
        super().__init__(lambda _: dsn)

    async def _rpc(self, request: Request) -> Response:
        self.calls[request.path_params["function"]] += 1
        return await super()._rpc(request)


@contextmanager
def supabase(server_dsn: str) -> Iterator[tuple[str, CountingStandIn, dict[str, Any]]]:
    """A database with Supabase's roles, the stand-in before it, and the variables that name it
    (None: not set)."""
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        made = connection.execute("select from pg_roles where rolname = 'authenticator'").fetchone()
        if made is None:
            connection.execute(ROLES_SQL.encode())
        name = sql.Identifier(NAME)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        connection.execute(sql.SQL("create database {}").format(name))
    server = urlsplit(server_dsn)
    dsn = server._replace(path=f"/{NAME}").geturl()
    with psycopg.connect(dsn) as connection:
        connection.execute(PRIVILEGES_SQL.encode())
    asyncio.run(migrate(dsn))
    login = f"authenticator:{AUTHENTICATOR_PASSWORD}@{server.hostname}:{server.port}"
    with CountingStandIn(f"postgresql://{login}/{NAME}") as stand_in:
        yield (
            dsn,
            stand_in,
            {
                "DATABASE_URL": None,
                "SUPABASE_URL": stand_in.url(NAME),
                "SUPABASE_SERVICE_ROLE_KEY": make_key("service_role"),
            },
        )
