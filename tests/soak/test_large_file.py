"""An import of a file that is larger than the memory it may take."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.services.imports.imports import Imports, Options
from app.store import Store
from app.store.jobs import JobStore
from tests.support.imports import counts, run, shown

MEGABYTE = b"x" * 1_000_000


async def half_a_gigabyte_in_one_line() -> AsyncIterator[bytes]:
    yield b"email,name\nann@example.com,Ann\neve@example.com,"
    for _ in range(500):
        yield MEGABYTE
    yield b"\nbob@example.com,Bob\n"


@pytest.mark.short
async def test_a_line_of_500_mb_costs_neither_memory_nor_its_neighbours(
    direct_store: Store, postgres_database: PostgresDatabase
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = await Imports(direct_store).upload(
        half_a_gigabyte_in_one_line(), Options(), by="owner"
    )
    await run(direct_store, JobStore(postgres_database), started)
    done = await shown(direct_store, UUID(started["id"]))
    assert (done["state"], counts(done)) == ("done", {"added": 2, "refused": 1}), done["error"]
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert kilobytes < 100_000
