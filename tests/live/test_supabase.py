"""A live Supabase project: `pytest -m supabase`, with SUPABASE_URL and its key in the environment.

Reads only. The project needs our schema: paste what `amazonsender migrate --print` prints.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.adapters.database.migrations import check_schema
from app.adapters.database.supabase import SupabaseDatabase
from app.errors import DatabaseError

pytestmark = pytest.mark.supabase


@pytest.fixture
def url(outer_environment: dict[str, str]) -> str:
    if "SUPABASE_URL" not in outer_environment:
        pytest.skip("SUPABASE_URL is not set")
    return outer_environment["SUPABASE_URL"]


@pytest.fixture
async def live(url: str, outer_environment: dict[str, str]) -> AsyncIterator[SupabaseDatabase]:
    database = SupabaseDatabase(url, outer_environment["SUPABASE_SERVICE_ROLE_KEY"])
    yield database
    await database.close()


async def test_the_schema_fits(live: SupabaseDatabase) -> None:
    """The project's functions are this program's."""
    await check_schema(live)


async def test_an_unknown_function_has_postgrests_code(live: SupabaseDatabase) -> None:
    """What `check_schema` relies on, and what the stand-in answers."""
    with pytest.raises(DatabaseError) as caught:
        await live.call("no_such_function", p_a=1)
    assert caught.value.sqlstate == "PGRST202"


async def test_a_wrong_key_is_refused(url: str) -> None:
    """By the gateway, in whose words we don't trust: the status decides."""
    database = SupabaseDatabase(url, "wrong")
    with pytest.raises(DatabaseError, match="SUPABASE_SERVICE_ROLE_KEY"):
        await database.call("schema_status")
    await database.close()
