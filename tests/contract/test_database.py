"""One suite for every way to the database: the same calls, the same answers, the same errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow

from app.adapters.database.postgres import PostgresDatabase
from app.adapters.database.supabase import SupabaseDatabase
from app.errors import DatabaseError, DatabaseUnavailable
from app.ports import Database
from tests.support.databases import DatabaseServer
from tests.support.postgrest import make_key

FUNCTIONS = """
create function echo(p_value jsonb) returns jsonb language sql as $$ select p_value $$;
create function echo_typed(p_text text, p_count int, p_rate numeric, p_flag boolean, p_id uuid,
                           p_at timestamptz, p_nothing text) returns jsonb language sql as $$
    select jsonb_build_array(p_text, p_count, p_rate, p_flag, p_id, p_at at time zone 'utc',
                             p_nothing) $$;
create function nothing() returns jsonb language sql as $$ select null::jsonb $$;
create function with_default(p_a int, p_b int default 7) returns jsonb language sql as $$
    select to_jsonb(p_a + p_b) $$;
create function many(p_count int) returns jsonb language sql as $$
    select jsonb_agg(n) from generate_series(1, p_count) n $$;
create function refuse(p_state text) returns jsonb language plpgsql as $$
    begin raise exception 'refused on purpose' using errcode = p_state; end $$;
create table marks (id int primary key);
create function mark_and_fail(p_id int) returns jsonb language plpgsql as $$
    begin insert into marks values (p_id); raise exception 'too late'; end $$;
create function mark(p_id int) returns jsonb language sql as $$
    insert into marks values (p_id) returning to_jsonb(id) $$;
"""


@pytest.fixture(autouse=True)
async def functions(sql: psycopg.AsyncConnection[DictRow]) -> None:
    """The suite brings its own functions, so that it needs nothing of the schema."""
    await sql.execute(FUNCTIONS)


@pytest.mark.few_variants(3)
@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        [None],
        {"a": [1, 2.5, {"b": None}], "ä": "é"},
        [True, False],
        ["'; drop table marks; --", "%s %(x)s {} \\ \" '"],
        ["Zoë 🎉 \u2028 \x1f \ufffd"],
        [2**53, -1, 0, 0.1, 1e-7],
        {"nested": {"deeply": [[[[]]]]}},
    ],
)
async def test_a_json_value_comes_back_as_it_was(database: Database, value: Any) -> None:
    """dict, list and null travel both ways unchanged."""
    assert await database.call("echo", p_value=value) == value


@pytest.mark.few_variants(3)
@pytest.mark.parametrize("value", ['"text"', '""', "3", "0", "0.5", "true", "false", "null", "[]"])
async def test_a_scalar_answer_is_a_python_scalar(
    database: Database, sql: psycopg.AsyncConnection[DictRow], value: str
) -> None:
    """A jsonb answer needs not be an object."""
    await sql.execute(
        f"create function answer() returns jsonb language sql as $$ select '{value}'::jsonb $$"
    )
    expected = json.loads(value)
    answer = await database.call("answer")
    assert answer == expected
    assert type(answer) is type(expected)


async def test_sql_null_is_none(database: Database) -> None:
    """A function that finds nothing answers None."""
    assert await database.call("nothing") is None


async def test_arguments_become_the_declared_types(database: Database) -> None:
    """Text, numbers, booleans, ids and times fit the parameter, whatever Python calls them."""
    answer = await database.call(
        "echo_typed",
        p_text="naïve",
        p_count=5,
        p_rate=12.5,
        p_flag=True,
        p_id="7b0e0000-0000-4000-8000-000000000001",
        p_at="2026-01-31T09:00:00+02:00",
        p_nothing=None,
    )
    assert answer == [
        "naïve",
        5,
        12.5,
        True,
        "7b0e0000-0000-4000-8000-000000000001",
        "2026-01-31T07:00:00",
        None,
    ]


async def test_an_int_fits_a_numeric_parameter(database: Database) -> None:
    """PostgreSQL has no implicit cast from double precision to numeric; nobody should notice."""
    answer = await database.call(
        "echo_typed",
        p_text="5",
        p_count=2**31 - 1,
        p_rate=3,
        p_flag=False,
        p_id=None,
        p_at=None,
        p_nothing="",
    )
    assert answer == ["5", 2147483647, 3, False, None, None, ""]


async def test_arguments_with_defaults_may_be_left_out(database: Database) -> None:
    """So a function can gain a parameter before the code that passes it."""
    assert await database.call("with_default", p_a=1) == 8
    assert await database.call("with_default", p_b=1, p_a=1) == 2


async def test_a_large_answer_is_not_cut(database: Database) -> None:
    """Supabase cuts tables at 1,000 rows; a jsonb value is one row."""
    assert await database.call("many", p_count=5_000) == list(range(1, 5_001))


async def test_a_large_argument_arrives(database: Database) -> None:
    """A batch of events or results goes in one call."""
    value = [{"email": f"person{n}@example.com", "name": "Ä" * 100} for n in range(5_000)]
    assert await database.call("echo", p_value=value) == value


async def test_calls_run_at_the_same_time(database: Database) -> None:
    """More callers than connections wait their turn."""
    answers = await asyncio.gather(*(database.call("with_default", p_a=n) for n in range(50)))
    assert answers == [n + 7 for n in range(50)]


@pytest.mark.parametrize("name", ["no_such_function", 'echo"; drop table marks; --', "pg_sleep"])
async def test_an_unknown_function_is_an_error(database: Database, name: str) -> None:
    """Its code tells `check_schema` that there is no schema."""
    with pytest.raises(DatabaseError) as caught:
        await database.call(name)
    assert caught.value.sqlstate in ("42883", "PGRST202")


async def test_an_unknown_argument_is_an_error(database: Database) -> None:
    """A call that the database's functions are too old for must not pass silently."""
    with pytest.raises(DatabaseError) as caught:
        await database.call("with_default", p_a=1, p_c=2)
    assert caught.value.sqlstate in ("42883", "PGRST202")


@pytest.mark.few_variants(3)
@pytest.mark.parametrize(
    "sqlstate", ["P0001", "P0002", "23505", "23503", "42501", "22023", "PT409"]
)
async def test_a_refusal_carries_its_sqlstate(database: Database, sqlstate: str) -> None:
    """Callers decide by the code, never by the text."""
    with pytest.raises(DatabaseError, match="refused on purpose") as caught:
        await database.call("refuse", p_state=sqlstate)
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize("sqlstate", ["57P01", "57014", "53300", "53100", "08006"])
async def test_an_outage_is_unavailable(database: Database, sqlstate: str) -> None:
    """Shutting down, out of resources, cut off: the caller should come back."""
    with pytest.raises(DatabaseUnavailable):
        await database.call("refuse", p_state=sqlstate)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_a_conflict_is_retried_and_then_reported(database: Database, sqlstate: str) -> None:
    """Rolled back for certain, so repeating is safe; but not for ever."""
    with pytest.raises(DatabaseError) as caught:
        await database.call("refuse", p_state=sqlstate)
    assert caught.value.sqlstate == sqlstate


async def test_a_failed_call_leaves_no_trace(
    database: Database, sql: psycopg.AsyncConnection[DictRow]
) -> None:
    """One call is one transaction."""
    with pytest.raises(DatabaseError, match="too late"):
        await database.call("mark_and_fail", p_id=1)
    assert await (await sql.execute("select * from marks")).fetchall() == []


async def test_a_successful_call_is_committed(
    database: Database, sql: psycopg.AsyncConnection[DictRow]
) -> None:
    """When the answer is there, so is the change."""
    assert await database.call("mark", p_id=1) == 1
    assert await (await sql.execute("select * from marks")).fetchall() == [{"id": 1}]


async def test_a_restarted_server_is_found_again(
    database: Database, postgres_server: DatabaseServer
) -> None:
    """After the restart the first call works, though every connection it had is dead."""
    await asyncio.gather(*(database.call("with_default", p_a=n) for n in range(8)))
    await asyncio.to_thread(postgres_server.restart)
    assert await database.call("with_default", p_a=1) == 8


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed early (test_silent_database.py has the real times)."""
    monkeypatch.setattr("app.adapters.database.liveness.QUIET_SECONDS", 0.3)
    monkeypatch.setattr("app.adapters.database.liveness.ASK_SECONDS", 0.5)


async def test_an_outage_ends(
    database: Database, postgres_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it lasts every call is refused in time; afterwards calls pass again."""
    assert await database.call("with_default", p_a=1) == 8
    await asyncio.to_thread(postgres_server.server.stop)
    try:
        with monkeypatch.context() as patch:
            if isinstance(database, PostgresDatabase):
                patch.setattr(database, "_timeout", 0.5)
            for _ in range(2):
                async with asyncio.timeout(5):
                    with pytest.raises(DatabaseUnavailable):
                        await database.call("with_default", p_a=1)
    finally:
        await asyncio.to_thread(postgres_server.server.start)
    assert await database.call("with_default", p_a=1) == 8


async def test_a_closed_database_is_unavailable(database: Database) -> None:
    """Calls after the shutdown fail plainly."""
    await database.call("with_default", p_a=1)
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await database.call("with_default", p_a=1)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port that accepts and never answers, as a frozen server does."""
    opened: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: opened.append(writer), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in opened:
            writer.close()


async def test_a_silent_server_is_unavailable_within_five_seconds(silent_port: int) -> None:
    """The contract's bound for a database that can't be reached. The message has no secret."""
    dsn = f"postgresql://user:canary-secret@127.0.0.1:{silent_port}/x"
    database = PostgresDatabase(dsn, timeout=0.5)
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailable) as caught:
            await database.call("schema_status")
    assert "canary-secret" not in str(caught.value)
    await database.close()


@pytest.mark.usefixtures("_impatient")
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
async def test_a_frozen_server_is_unavailable_within_five_seconds(
    postgres_database: PostgresDatabase, postgres_server: DatabaseServer
) -> None:
    """Its connections look open, and the kernel goes on acknowledging what we send."""
    await postgres_database.call("with_default", p_a=1)
    with postgres_server.frozen():
        async with asyncio.timeout(5):
            with pytest.raises(DatabaseUnavailable):
                await postgres_database.call("with_default", p_a=1)
    assert await postgres_database.call("with_default", p_a=1) == 8


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://supabase.invalid"])
async def test_an_unreachable_api_is_unavailable_within_five_seconds(url: str) -> None:
    """As for the direct connection."""
    database = SupabaseDatabase(url, make_key("service_role"))
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailable):
            await database.call("schema_status")
    await database.close()


@pytest.mark.parametrize("key", ["wrong", "e30.e30.e30"])
async def test_a_refused_key_is_named(supabase_url: str, key: str) -> None:
    """The message says which setting to look at, and doesn't repeat it."""
    database = SupabaseDatabase(supabase_url, key)
    with pytest.raises(DatabaseError, match="SUPABASE_SERVICE_ROLE_KEY") as caught:
        await database.call("nothing")
    assert caught.value.sqlstate == "PGRST301"
    await database.close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, "<html>", DatabaseError),
        (429, "slow down", DatabaseUnavailable),
        (502, '{"message": "An invalid response was received"}', DatabaseUnavailable),
        (503, '{"code": "PGRST002", "message": "no schema cache"}', DatabaseUnavailable),
        (504, '{"code": "PGRST003", "message": "no connection"}', DatabaseUnavailable),
        (540, "project paused", DatabaseUnavailable),
    ],
)
async def test_what_the_gateway_answers_is_told_apart(
    status: int, body: str, expected: type[Exception]
) -> None:
    """An address without PostgREST needs a remedy, a gateway without an upstream patience."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as gateway:
        port = gateway.sockets[0].getsockname()[1]
        database = SupabaseDatabase(f"http://127.0.0.1:{port}", make_key("service_role"))
        with pytest.raises(expected):
            await database.call("schema_status")
        await database.close()


async def test_two_deadlocked_calls_both_succeed(
    postgres_database: PostgresDatabase, sql: psycopg.AsyncConnection[DictRow]
) -> None:
    """The loser of a deadlock is repeated."""
    await sql.execute("insert into marks values (1), (2)")
    await sql.execute("""
        create sequence turns;
        create function cross_over(p_first int, p_second int) returns jsonb language plpgsql as $$
        begin
            perform from marks where id = p_first for update;
            -- Only the first two wait for each other; the repeated one finds its way free.
            if nextval('turns') <= 2 then
                perform pg_advisory_lock_shared(1);
                perform pg_advisory_unlock_shared(1);
            end if;
            perform from marks where id = p_second for update;
            return to_jsonb(true);
        end $$""")
    await sql.execute("select pg_advisory_lock(1)")
    calls = [
        asyncio.create_task(postgres_database.call("cross_over", p_first=a, p_second=b))
        for a, b in ((1, 2), (2, 1))
    ]
    await _until_waiting_for_advisory_lock(sql, count=2)
    await sql.execute("select pg_advisory_unlock(1)")
    assert await asyncio.gather(*calls) == [True, True]
    turns = await (await sql.execute("select last_value from turns")).fetchone()
    assert turns is not None
    assert turns["last_value"] > 2


async def _until_waiting_for_advisory_lock(
    sql: psycopg.AsyncConnection[DictRow], *, count: int
) -> None:
    """Each look is a round trip to the server, which lets the calls get on."""
    waiting = -1
    while waiting != count:
        found = await sql.execute(
            "select count(*) as waiting from pg_locks where locktype = 'advisory' and not granted"
            " and database = (select oid from pg_database where datname = current_database())"
        )
        waiting = (await found.fetchall())[0]["waiting"]


async def test_a_call_that_takes_too_long_is_given_up(
    postgres_database: PostgresDatabase,
    sql: psycopg.AsyncConnection[DictRow],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its query is cancelled, and the next call is served."""
    await sql.execute(
        "create function dawdle() returns jsonb language sql as"
        " $$ select to_jsonb(pg_sleep(60)::text) $$"
    )
    monkeypatch.setattr("app.adapters.database.postgres.CALL_SECONDS", 0.2)
    with pytest.raises(DatabaseUnavailable):
        await postgres_database.call("dawdle")
    assert await postgres_database.call("with_default", p_a=1) == 8
