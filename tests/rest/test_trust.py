"""A service at rest makes one call where there is one thing to ask: its connections aren't asked
each time whether they live."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.database.postgres import TRUSTED_SECONDS, PostgresDatabase, _Connection


@pytest.mark.parametrize(
    ("idle", "asked"), [(0.0, 0), (TRUSTED_SECONDS - 5, 0), (TRUSTED_SECONDS + 1, 1)]
)
async def test_a_connection_is_asked_when_it_was_long_silent(
    dsn: str, monkeypatch: pytest.MonkeyPatch, idle: float, asked: int
) -> None:
    database = PostgresDatabase(dsn)
    try:
        await database.call("work_due", p_kinds=[])
        for connection in database._pool._pool:
            connection.answered_at -= idle
        queries: list[Any] = []
        execute = _Connection.execute

        async def noted(self: _Connection, query: Any, *arguments: Any, **more: Any) -> Any:
            queries.append(query)
            return await execute(self, query, *arguments, **more)

        monkeypatch.setattr(_Connection, "execute", noted)
        await database.call("work_due", p_kinds=[])
        assert queries.count("") == asked
        assert len(queries) == asked + 1
    finally:
        await database.close()
