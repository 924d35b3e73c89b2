"""How many rows a call reads: what its plan costs, whatever the machine's mood."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

# What sequential scans returned, and the entries that indexes did, those of rows that were then
# left aside included. Counted by PostgreSQL for this transaction, in tables and indexes of ours.
_READ = """
select coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::bigint from pg_class
 where relnamespace = 'public'::regnamespace and relkind in ('r', 'i')
"""


class Reader:
    """One connection, as a pool keeps it: its plans stay from one call to the next."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def call(self, function: str, **arguments: Any) -> tuple[Any, int]:
        """Its answer, and how many rows it read."""
        names = ", ".join(f"{name} => %({name})s" for name in arguments)
        values = {
            name: Jsonb(value) if isinstance(value, list | dict) else value
            for name, value in arguments.items()
        }
        async with self._connection.transaction():
            before = await self._one(_READ)
            answer = await self._one(f"select {function}({names})", values)
            return answer, await self._one(_READ) - before

    async def _one(self, query: str, values: dict[str, Any] | None = None) -> Any:
        row = await (await self._connection.execute(query.encode(), values)).fetchone()
        assert row is not None
        return row[0]


@asynccontextmanager
async def reader(dsn: str) -> AsyncIterator[Reader]:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield Reader(connection)
