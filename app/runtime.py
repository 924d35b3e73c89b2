"""Wiring that the service and the command line share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.adapters.database.connection_string import read_connection_string
from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.migrations import check_schema, migrate
from app.adapters.database.postgres import PostgresDatabase
from app.domain.sending.backoff import backoff_seconds
from app.errors import DatabaseUnavailable
from app.ports import Database
from app.settings import Settings

log = structlog.get_logger(__name__)

RETRY_SECONDS = 2.0
"""At the start: the longest pause between two tries to reach the database."""
LOG_EVERY_SECONDS = 5.0
"""The shortest pause between two log lines about a database that isn't there yet."""


class StopRequested(Exception):
    """The process was told to stop while it still waited for the database."""


@asynccontextmanager
async def open_database(
    settings: Settings, *, checked: bool = True, stopping: asyncio.Event | None = None
) -> AsyncIterator[Database]:
    """The database that the settings name: a server, Supabase's API, or the embedded one.

    checked: make sure first that its schema fits (the embedded one is migrated by itself).
    stopping: wait for a database that can't be reached until this is set; None: don't wait.
    Raises ConfigurationError, DatabaseUnavailable, DatabaseError; StopRequested when `stopping` was
    set first.
    """
    async with direct_dsn(settings) as dsn:
        if dsn is not None:
            if settings.uses_embedded_database:
                await migrate(dsn)
            database: Database = PostgresDatabase(dsn)
        else:
            # Imported here because that takes a moment and most installations don't need it.
            from app.adapters.database.supabase import SupabaseDatabase

            assert settings.supabase_url is not None
            assert settings.supabase_service_role_key is not None
            database = SupabaseDatabase(
                settings.supabase_url, settings.supabase_service_role_key.get_secret_value()
            )
        try:
            if checked:
                await _await(database, stopping) if stopping else await _check(database)
            yield database
        finally:
            await database.close()


async def _check(database: Database) -> None:
    await database.check_access()
    await check_schema(database)


async def _await(database: Database, stopping: asyncio.Event) -> None:
    """Raises ConfigurationError, DatabaseError, StopRequested."""
    there = asyncio.create_task(_until_there(database))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({there, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        there.cancel()
        stopped.cancel()
    if not there.done():
        raise StopRequested
    there.result()


async def _until_there(database: Database) -> None:
    """Raises ConfigurationError, DatabaseError: waiting doesn't help against these."""
    tries, said_at = 0, float("-inf")
    while True:
        try:
            return await _check(database)
        except DatabaseUnavailable as exc:
            if time.monotonic() - said_at >= LOG_EVERY_SECONDS:
                said_at = time.monotonic()
                log.warning("database_waits", error=exc.detail)
        tries += 1
        await asyncio.sleep(backoff_seconds(tries, 1.0, base=0.1, cap=RETRY_SECONDS))


@asynccontextmanager
async def direct_dsn(settings: Settings) -> AsyncIterator[str | None]:
    """A connection string, starting the embedded server when it is the one; None when only
    Supabase's API is configured."""
    if settings.database_url is not None:
        given = read_connection_string(settings.database_url.get_secret_value())
        if given.ignored:
            log.info("database_parameters_ignored", parameters=list(given.ignored))
        yield given.conninfo
    elif settings.supabase_url is not None:
        yield None
    else:
        server = EmbeddedPostgres(settings.data_dir)
        dsn = await asyncio.to_thread(server.start)
        try:
            yield dsn
        finally:
            await asyncio.to_thread(server.stop)
