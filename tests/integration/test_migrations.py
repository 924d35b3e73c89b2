"""The schema gets into a database once, whoever brings it and however often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from app.adapters.database import migrations
from app.adapters.database.migration_files import Bundle, is_stamped, read_bundle, stamp
from app.adapters.database.migrations import check_schema, migrate, print_script, status
from app.adapters.database.postgres import PostgresDatabase
from app.adapters.database.supabase import SupabaseDatabase
from app.errors import ConfigurationError, DatabaseError, DatabaseUnavailable
from app.ports import Database
from tests.support.databases import DatabaseServer
from tests.support.postgrest import PostgrestStandIn, make_key

Sql = psycopg.AsyncConnection[DictRow]

FRUIT = "create table fruit (name text primary key); insert into fruit values ('apple');"
PRICE = "alter table fruit add price int; update fruit set price = 3 where name = 'apple';"
CHEAPEST = "create or replace function cheapest() returns jsonb language sql as $$ select {} $$;"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small program's migrations: one file and one function."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "schema.json").write_text('{"version": 1, "min_code": 1, "digest": ""}')
    (tmp_path / "0001_fruit.sql").write_text(FRUIT)
    (tmp_path / "functions" / "cheapest.sql").write_text(CHEAPEST.format("to_jsonb(1)"))
    return tmp_path


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return read_bundle(folder)


def upgraded(folder: Path) -> Bundle:
    """The next version of it: one more file, and the function uses what it brings."""
    (folder / "0002_price.sql").write_text(PRICE)
    (folder / "functions" / "cheapest.sql").write_text(
        CHEAPEST.format("to_jsonb(min(price)) from fruit")
    )
    return replace(read_bundle(folder), version=2)


@pytest.fixture
async def empty(empty_dsn: str) -> Any:
    """A connection to the database without a schema."""
    connection = await psycopg.AsyncConnection.connect(
        empty_dsn, autocommit=True, row_factory=dict_row
    )
    async with connection:
        yield connection


async def one(sql: Sql, query: str) -> Any:
    """The first value of the first row."""
    row = await (await sql.execute(query.encode())).fetchone()
    assert row is not None
    return next(iter(row.values()))


async def test_everything_is_applied_once(empty_dsn: str, empty: Sql, bundle: Bundle) -> None:
    """A second run finds nothing to do."""
    assert await migrate(empty_dsn, bundle) == ["0001_fruit.sql", "functions"]
    assert await migrate(empty_dsn, bundle) == []
    assert await one(empty, "select count(*) from fruit") == 1
    assert await one(empty, "select cheapest()") == 1


async def test_of_two_runs_at_once_one_applies(empty_dsn: str, empty: Sql, bundle: Bundle) -> None:
    """Several instances may start together."""
    runs = await asyncio.gather(*(migrate(empty_dsn, bundle) for _ in range(4)))
    assert sorted(name for run in runs for name in run) == ["0001_fruit.sql", "functions"]
    assert await one(empty, "select count(*) from fruit") == 1


async def test_an_upgrade_applies_what_is_new(
    empty_dsn: str, empty: Sql, bundle: Bundle, folder: Path
) -> None:
    """Numbered files once each; functions again, as one of them changed."""
    await migrate(empty_dsn, bundle)
    assert await migrate(empty_dsn, upgraded(folder)) == ["0002_price.sql", "functions"]
    assert await one(empty, "select cheapest()") == 3
    assert await one(empty, "select version from schema_version") == 2


async def test_a_database_that_is_ahead_is_left_alone(
    empty_dsn: str, empty: Sql, bundle: Bundle, folder: Path
) -> None:
    """An old instance that starts during a rolling deploy must not bring old functions back."""
    await migrate(empty_dsn, upgraded(folder))
    assert await migrate(empty_dsn, bundle) == []
    assert await one(empty, "select cheapest()") == 3


async def test_a_changed_history_is_refused(empty_dsn: str, bundle: Bundle, folder: Path) -> None:
    """An applied file is history: a change of it would reach new databases only."""
    await migrate(empty_dsn, bundle)
    (folder / "0001_fruit.sql").write_text(FRUIT.replace("apple", "pear"))
    with pytest.raises(ConfigurationError, match="was changed after"):
        await migrate(empty_dsn, read_bundle(folder))


async def test_a_failing_file_leaves_no_trace(
    empty_dsn: str, empty: Sql, bundle: Bundle, folder: Path
) -> None:
    """It is named; what came before it stays; the next run goes on from there."""
    (folder / "0002_price.sql").write_text("create table half_made (); select 1 / 0;")
    with pytest.raises(DatabaseError, match=r"0002_price\.sql failed: division by zero") as caught:
        await migrate(empty_dsn, read_bundle(folder))
    assert caught.value.sqlstate == "22012"
    assert await one(empty, "select to_regclass('half_made')") is None
    assert await migrate(empty_dsn, upgraded(folder)) == ["0002_price.sql", "functions"]


async def test_a_table_in_use_is_waited_for_only_so_long(
    empty_dsn: str, empty: Sql, bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that queues up behind a long query would hold up every query behind it."""
    await migrate(empty_dsn, bundle)
    monkeypatch.setattr(migrations, "_BEGIN", migrations._BEGIN.replace("'10s'", "'50ms'"))
    async with empty.transaction():
        await empty.execute("lock table fruit in access share mode")
        with pytest.raises(DatabaseError, match="another session holds") as caught:
            await migrate(empty_dsn, upgraded(folder))
    assert caught.value.sqlstate == "55P03"
    assert await migrate(empty_dsn, upgraded(folder)) == ["0002_price.sql", "functions"]


@pytest.mark.parametrize("may_read", [False, True])
async def test_another_role_than_the_owner_is_told_so(
    empty_dsn: str, empty: Sql, bundle: Bundle, folder: Path, may_read: bool
) -> None:
    """As after a backup that a superuser restored."""
    await migrate(empty_dsn, bundle)
    role = f"not_the_owner_{uuid4().hex[:12]}"
    await empty.execute(f"create role {role} login".encode())
    try:
        if may_read:
            await empty.execute(f"grant all on all tables in schema public to {role}".encode())
        dsn = make_conninfo(empty_dsn, options=f"-c role={role}")
        with pytest.raises(DatabaseError, match=r"has to own the tables.*pg_restore --role="):
            await migrate(dsn, upgraded(folder))
    finally:
        await empty.execute(f"drop owned by {role}; drop role {role}".encode())


async def test_an_unreachable_database_is_unavailable(bundle: Bundle) -> None:
    """The message names the setting and not the password."""
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL") as caught:
        await migrate("postgresql://user:canary-secret@127.0.0.1:1/x", bundle)
    assert "canary-secret" not in str(caught.value)


async def test_status_tells_what_is_applied(empty_dsn: str, bundle: Bundle, folder: Path) -> None:
    """Pending, applied, changed since, or from a newer program."""

    async def states(of: Bundle) -> dict[str, str]:
        return {item.name: item.state for item in await status(empty_dsn, of)}

    assert await states(bundle) == {"0001_fruit.sql": "pending", "functions": "pending"}
    await migrate(empty_dsn, bundle)
    assert await states(bundle) == {"0001_fruit.sql": "applied", "functions": "applied"}
    newer = upgraded(folder)
    assert (await states(newer))["0002_price.sql"] == "pending"
    assert (await states(newer))["functions"] == "pending"
    await migrate(empty_dsn, newer)
    assert (await states(bundle))["0002_price.sql"] == "unknown"
    assert (await states(bundle))["functions"] == "unknown"
    (folder / "0001_fruit.sql").write_text(FRUIT + " -- edited")
    assert (await states(read_bundle(folder)))["0001_fruit.sql"] == "changed"


# -- the script for Supabase's SQL editor


async def test_the_printed_script_may_be_pasted_again(
    empty_dsn: str, empty: Sql, bundle: Bundle
) -> None:
    """It leaves the same state as `migrate`, which then finds nothing to do."""
    for _ in range(2):
        await empty.execute(print_script(bundle).encode())
    assert await one(empty, "select count(*) from fruit") == 1
    assert await migrate(empty_dsn, bundle) == []


async def test_the_printed_script_upgrades(
    empty_dsn: str, empty: Sql, bundle: Bundle, folder: Path
) -> None:
    """Whatever was applied before, by either way, isn't applied again."""
    await migrate(empty_dsn, bundle)
    await empty.execute(print_script(upgraded(folder)).encode())
    assert await one(empty, "select cheapest()") == 3
    assert await one(empty, "select count(*) from schema_migrations") == 2


async def test_an_old_printed_script_is_refused(empty: Sql, bundle: Bundle, folder: Path) -> None:
    """Somebody pastes the wrong file: nothing changes."""
    await empty.execute(print_script(upgraded(folder)).encode())
    with pytest.raises(psycopg.errors.RaiseException, match="update AmazonSender"):
        await empty.execute(print_script(bundle).encode())
    await empty.rollback()
    assert await one(empty, "select cheapest()") == 3


async def test_a_printed_script_with_a_changed_history_is_refused(
    empty: Sql, bundle: Bundle, folder: Path
) -> None:
    """As with `migrate`."""
    await empty.execute(print_script(bundle).encode())
    (folder / "0001_fruit.sql").write_text(FRUIT.replace("apple", "pear"))
    with pytest.raises(psycopg.errors.RaiseException, match="was changed after"):
        await empty.execute(print_script(read_bundle(folder)).encode())


OBJECTS = """
select 'function' as kind, p.oid::regprocedure::text as name, p.proacl::text as acl,
       pg_get_functiondef(p.oid) as definition
  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
union all
select 'table', c.oid::regclass::text, c.relacl::text,
       (select jsonb_agg(jsonb_build_array(attname, format_type(atttypid, atttypmod), attnotnull)
                         order by attnum)::text
          from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)
  from pg_class c where c.relnamespace = 'public'::regnamespace
order by 1, 2
"""


async def test_both_ways_make_the_same_schema(empty: Sql, sql: Sql) -> None:
    """Our real schema: what the printed script makes is what `migrate` made of the template."""
    await empty.execute(print_script().encode())
    printed = await (await empty.execute(OBJECTS)).fetchall()
    assert len(printed) > 20
    assert printed == await (await sql.execute(OBJECTS)).fetchall()


async def test_every_function_body_is_valid(sql: Sql) -> None:
    """They are put without a check, so that they may call each other in any order."""
    await sql.execute("set check_function_bodies = on")
    for file in read_bundle().functions:
        await sql.execute(file.text.encode())


# -- one signature for each function


OVERLOADS = """
select p.proname, array_agg(p.oid::regprocedure::text) as signatures from pg_proc p
 where p.pronamespace = 'public'::regnamespace group by 1 having count(*) > 1
"""

# As it was in an earlier version: two parameters fewer.
EARLIER = """
create function queue_recipients(p_mailout uuid) returns jsonb language sql as $$
    select '0'::jsonb $$;
create function find_subscriber(p_email text default null) returns jsonb language sql as $$
    select '"earlier"'::jsonb $$;
"""
THEIRS = (
    "create function find_subscriber(email text) returns text language sql as $$ select 'mine' $$;"
)


async def test_every_signature_is_read_from_the_files(sql: Sql) -> None:
    """As PostgreSQL has it: the check is only as good as this."""
    numbered = "".join(file.text for file in read_bundle().numbered)
    done = await sql.execute(
        "select p.oid::regprocedure::text as name from pg_proc p "
        "where p.pronamespace = 'public'::regnamespace and p.proname <> all (%s)",
        [re.findall(r"^create function (\w+)", numbered, re.MULTILINE)],
    )
    there = {row["name"] for row in await done.fetchall()}
    asked = list(read_bundle().signatures)
    done = await sql.execute(
        "select to_regprocedure('public.' || s)::text as name from unnest(%s::text[]) s", [asked]
    )
    assert {row["name"] for row in await done.fetchall()} == there
    assert len(asked) == len(there)


@pytest.mark.parametrize("pasted", [False, True], ids=["migrate", "pasted"])
async def test_an_earlier_signature_goes_with_the_upgrade(
    empty_dsn: str, empty: Sql, pasted: bool
) -> None:
    """Beside the new function it would make the old program's call "not unique"."""
    await migrate(empty_dsn)
    await empty.execute(EARLIER.encode())
    await empty.execute("update schema_version set version = version - 1, digest = 'earlier'")
    with pytest.raises(psycopg.errors.AmbiguousFunction):
        await empty.execute("select find_subscriber(p_email => 'a@example.com')")
    if pasted:
        await empty.execute(print_script().encode())
    else:
        await migrate(empty_dsn)
    assert await (await empty.execute(OVERLOADS)).fetchall() == []
    assert await one(empty, "select find_subscriber(p_email => 'a@example.com')") is None


async def test_a_leftover_function_is_named_by_the_start_and_dropped_by_migrate(
    database: Database, dsn: str, sql: Sql
) -> None:
    """Also when the schema is up to date otherwise, such as after a script was pasted in pieces."""
    await sql.execute(EARLIER.encode())
    with pytest.raises(
        ConfigurationError, match=r"find_subscriber\(text\), queue_recipients\(uuid\)"
    ):
        await check_schema(database)
    assert await migrate(dsn) == ["functions"]
    await check_schema(database)


async def test_a_function_of_somebody_else_is_left_alone(
    database: Database, dsn: str, sql: Sql
) -> None:
    """It has one of our names, but takes none of our calls."""
    await sql.execute(THEIRS.encode())
    await check_schema(database)
    await sql.execute("update schema_version set digest = 'before'")
    await migrate(dsn)
    assert await one(sql, "select find_subscriber(email => 'x')") == "mine"


# -- the stamp


def test_the_stamp_is_up_to_date() -> None:
    """After a change of SQL: `python -m app.adapters.database.migrations stamp`."""
    assert is_stamped()


def test_a_stamp_counts_changes(folder: Path) -> None:
    """One version per change, none without; `min_code` is set by hand."""
    assert stamp(folder) == 2
    assert stamp(folder) == 2
    upgraded(folder)
    assert stamp(folder) == 3
    stamped = json.loads((folder / "schema.json").read_text())
    assert (stamped["version"], stamped["min_code"]) == (3, 1)
    assert stamped["digest"] == read_bundle(folder).digest


def test_a_misnamed_file_is_refused(folder: Path) -> None:
    """`2_x.sql` would be applied after `0010_y.sql`, or never."""
    (folder / "2_price.sql").write_text("")
    with pytest.raises(ConfigurationError, match="2_price"):
        read_bundle(folder)


def test_functions_are_read_by_file_name_whatever_their_folder(folder: Path) -> None:
    """So `zz_grants.sql` stays the last, and a file that moves changes no version."""
    (folder / "functions" / "zz_last.sql").write_text("")
    version = stamp(folder)
    (folder / "functions" / "prices").mkdir()
    (folder / "functions" / "cheapest.sql").rename(folder / "functions" / "prices" / "cheapest.sql")
    assert [file.name for file in read_bundle(folder).functions] == ["cheapest.sql", "zz_last.sql"]
    assert stamp(folder) == version


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    (folder / "functions" / "prices").mkdir()
    (folder / "functions" / "prices" / "cheapest.sql").write_text("")
    with pytest.raises(ConfigurationError, match=r"cheapest\.sql"):
        read_bundle(folder)


# -- the check at the start of a process


async def test_a_migrated_database_passes(database: Database) -> None:
    """Over both ways."""
    await check_schema(database)


@pytest.mark.parametrize("way", ["postgres", "supabase"])
async def test_a_database_without_schema_is_refused(
    way: str, empty_dsn: str, postgrest: PostgrestStandIn, supabase_key: str
) -> None:
    """One line says what to do."""
    name = empty_dsn.rpartition("/")[2]
    database: PostgresDatabase | SupabaseDatabase = (
        PostgresDatabase(empty_dsn)
        if way == "postgres"
        else SupabaseDatabase(postgrest.url(name), supabase_key)
    )
    with pytest.raises(ConfigurationError, match="amazonsender migrate"):
        await check_schema(database)
    await database.close()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_a_publishable_key_is_refused(supabase_url: str, role: str) -> None:
    """Those who paste the wrong one of Supabase's two keys are told so."""
    database = SupabaseDatabase(supabase_url, make_key(role))
    with pytest.raises(ConfigurationError, match="service_role"):
        await check_schema(database)
    await database.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("version = version - 1", "amazonsender migrate"),
        ("digest = 'another branch'", "amazonsender migrate"),
        ("version = version + 1, digest = 'newer'", None),
        ("version = version + 2, min_code = version + 1, digest = 'newer'", "update AmazonSender"),
    ],
)
async def test_database_and_program_must_fit(
    postgres_database: PostgresDatabase, sql: Sql, change: str, message: str | None
) -> None:
    """Behind stops the start; ahead doesn't, unless the database says that we are too old."""
    await sql.execute(f"update schema_version set {change}".encode())
    if message is None:
        await check_schema(postgres_database)
    else:
        with pytest.raises(ConfigurationError, match=message):
            await check_schema(postgres_database)


async def test_settings_that_risk_the_data_stop_the_start(
    database: Database, database_name: str, sql: Sql
) -> None:
    """Outside tests: this server says of itself that its data are disposable."""
    await check_schema(database)
    await sql.execute(f"alter database {database_name} set amazonsender.disposable = off".encode())
    await sql.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid()"
    )
    with pytest.raises(ConfigurationError, match="fsync = off and full_page_writes = off"):
        await eventually_checked(database)


async def eventually_checked(database: Database) -> None:
    """The connections of the pools were cut: the first calls may find that out."""
    for _ in range(20):
        with contextlib.suppress(DatabaseUnavailable):
            return await check_schema(database)
    raise AssertionError("the database stayed away")


class OldServer:
    """A database of PostgreSQL 14 with our schema."""

    async def call(self, function: str, /, **arguments: Any) -> Any:
        bundle = read_bundle()
        return {
            "version": bundle.version,
            "min_code": bundle.min_code,
            "digest": bundle.digest,
            "server_version_num": 140_010,
        }

    async def check_access(self) -> None: ...

    async def close(self) -> None: ...


async def test_an_old_server_is_refused() -> None:
    """PostgreSQL 14 lacks what the schema uses."""
    with pytest.raises(ConfigurationError, match="PostgreSQL 14 is too old"):
        await check_schema(OldServer())


async def test_the_template_is_migrated(postgres_server: DatabaseServer, dsn: str) -> None:
    """What the suite runs on is what `migrate` makes."""
    assert await migrate(dsn) == []
