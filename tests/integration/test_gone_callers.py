"""Who no longer waits for the database gets nothing done by it, and leaves no error in the log."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from app.adapters.database.postgres import PostgresDatabase


async def test_a_caller_leaves_at_the_moment_their_connection_comes(dsn: str) -> None:
    """However many turns of the loop lie between the two."""
    failed: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failed.append(context))
    database = PostgresDatabase(dsn, max_size=1)
    try:
        await database.open()
        for turns in range(5):
            async with database._pool.connection():
                call = asyncio.create_task(database.call("database_identity"))
                for _ in range(10):
                    await asyncio.sleep(0)  # until it waits for the only connection
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        async with database._pool.connection():
            pass  # all before us in the queue are done
        gc.collect()
    finally:
        await database.close()
        loop.set_exception_handler(None)
    assert failed == []
