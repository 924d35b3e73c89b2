"""Wiring that the service and the command line share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.adapters.embedded import EmbeddedPostgres
from app.adapters.migrations import check_schema, migrate
from app.adapters.postgres import PostgresDatabase
from app.ports import Database
from app.settings import Settings


@asynccontextmanager
async def open_database(settings: Settings, *, checked: bool = True) -> AsyncIterator[Database]:
    """The database that the settings name: a server, Supabase's API, or the embedded one.

    checked: make sure first that its schema fits (the embedded one is migrated by itself).
    Raises ConfigurationError, DatabaseUnavailable.
    """
    async with direct_dsn(settings) as dsn:
        if dsn is not None:
            if settings.uses_embedded_database:
                await migrate(dsn)
            database: Database = PostgresDatabase(dsn)
        else:
            # It takes a moment to import, and most start without it.
            from app.adapters.supabase import SupabaseDatabase

            assert settings.supabase_url is not None
            assert settings.supabase_service_role_key is not None
            database = SupabaseDatabase(
                settings.supabase_url, settings.supabase_service_role_key.get_secret_value()
            )
        try:
            if checked:
                await check_schema(database)
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def direct_dsn(settings: Settings) -> AsyncIterator[str | None]:
    """A connection string, starting the embedded server when it is the one; None when only
    Supabase's API is configured."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif settings.supabase_url is not None:
        yield None
    else:
        server = EmbeddedPostgres(settings.data_dir)
        dsn = await asyncio.to_thread(server.start)
        try:
            yield dsn
        finally:
            await asyncio.to_thread(server.stop)
