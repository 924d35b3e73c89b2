"""55: with Supabase's public key nothing of ours can be read or called, whatever was granted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from app.adapters.database.migration_files import read_bundle
from app.adapters.database.migrations import migrate, print_script
from app.services.checks.database import check_database
from tests.support.databases import DatabaseServer
from tests.support.postgrest import PostgrestStandIn, make_key

Sql = psycopg.Connection

# What of a database can be given to a role, but for large objects and languages.
GIVEN = """
with strangers(role) as (values ('public'), ('anon'), ('authenticated'))
select format('%s: %s %s', role, kind, name) as found from strangers, (
    select 'relation' as kind, c.oid, c.oid::regclass::text as name, c.relkind from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'routine', p.oid, p.oid::regprocedure::text, 'x' from pg_proc p
     where p.pronamespace = 'public'::regnamespace
) objects
where case
    when kind = 'routine' then has_function_privilege(role, oid, 'execute')
    when relkind = 'S' then has_sequence_privilege(role, oid, 'usage, select, update')
    else has_table_privilege(
             role, oid, 'select, insert, update, delete, truncate, references, trigger')
         or has_any_column_privilege(role, oid, 'select, insert, update, references') end
union all
select format('%s: may create in the schema public', role) from strangers
 where has_schema_privilege(role, 'public', 'create')
union all
select format('its owner''s rights, its caller''s search path: %s', oid::regprocedure) from pg_proc
 where pronamespace = 'public'::regnamespace and prosecdef
   and not coalesce(proconfig, '{}')::text like '%search_path=public, pg_temp%'
union all
select format('event trigger: %s', evtname) from pg_event_trigger where evtname <> 'note_change'
union all
select format('published: %s', prrelid::regclass) from pg_publication_rel
union all
select format('view with the rights of its owner: %s', oid::regclass) from pg_class
 where relnamespace = 'public'::regnamespace and relkind = 'v'
   and not coalesce(reloptions, '{}') @> '{security_invoker=true}'
union all
select format('no row level security: %s', oid::regclass) from pg_class
 where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relrowsecurity
union all
select format('policy of %s', polrelid::regclass) from pg_policy
"""

# What somebody may do by hand, each that opens something.
BY_HAND = {
    "grant select on subscribers to anon": "anon may use the table subscribers",
    "grant select (email) on subscribers to authenticated":
        "authenticated may use the table subscribers",
    "grant insert on send_logs to public": "public may use the table send_logs",
    "grant usage on sequence send_logs_id_seq to anon":
        "anon may use the sequence send_logs_id_seq",
    "grant execute on function schema_status() to authenticated":
        "authenticated may use the function schema_status()",
    "grant execute on all functions in schema public to public": "public may use the function",
    "grant all on all tables in schema public to anon with grant option": "anon may use the table",
    "alter table api_keys disable row level security": "row level security of the table api_keys",
}  # fmt: skip


@pytest.fixture
def mine(postgres_server: DatabaseServer) -> Iterator[tuple[str, Sql]]:
    """A database whose permissions may be changed."""
    with postgres_server.database(new=True) as name:
        dsn = postgres_server.dsn(name)
        with psycopg.connect(dsn, autocommit=True) as sql:
            yield dsn, sql


def given(sql: Sql) -> list[str]:
    return [row[0] for row in sql.execute(GIVEN.encode()).fetchall()]


def named(sql: Sql) -> list[str]:
    """What `doctor` says is open."""
    [[found]] = sql.execute("select open_grants()").fetchall()
    return list(found)


def test_55_strangers_are_given_nothing(mine: tuple[str, Sql]) -> None:
    """Everything in the schema, from the catalogue: also what isn't there yet today."""
    _, sql = mine
    assert given(sql) == []
    assert named(sql) == []


@pytest.mark.short
async def test_55_what_was_granted_by_hand_is_named_and_taken_back(mine: tuple[str, Sql]) -> None:
    """By a `migrate` that has nothing else to do."""
    dsn, sql = mine
    for statement, words in BY_HAND.items():
        sql.execute(statement.encode())
        assert any(words in said for said in named(sql)), statement
        about = {"open_grants": named(sql), "superuser": False}
        about |= {"synchronous_commit": {"setting": "on"}, "unusable_addresses": 0}
        [finding] = check_database(about)
        assert finding.level == "fail"
        assert "amazonsender migrate" in finding.sentences
    assert await migrate(dsn) == ["functions"]
    assert named(sql) == given(sql) == []
    assert await migrate(dsn) == []


def test_55_pasting_the_script_takes_it_back_as_well(mine: tuple[str, Sql]) -> None:
    _, sql = mine
    for statement in BY_HAND:
        sql.execute(statement.encode())
    sql.execute(print_script().encode())
    assert named(sql) == given(sql) == []


async def test_55_what_is_the_owners_stays_as_it_is(mine: tuple[str, Sql]) -> None:
    dsn, sql = mine
    sql.execute("create table orders (id int); grant select on orders to anon")
    sql.execute("create function price() returns int language sql as 'select 1'")
    sql.execute("grant select on subscribers to anon")
    await migrate(dsn)
    assert sorted(given(sql)) == sorted(
        [f"{role}: routine price()" for role in ("anon", "authenticated", "public")]
        + [f"{role}: relation orders" for role in ("anon", "authenticated")]
        + ["no row level security: orders"]
    )
    assert named(sql) == []


def test_55_what_zz_grants_forgot_is_closed(
    postgres_server: DatabaseServer, tmp_path: Path
) -> None:
    """Tables, a view, a sequence, functions that nobody named there, by either way to migrate."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "0001_first.sql").write_text(
        "create table forgotten (id bigint generated by default as identity, said text);\n"
        "create view seen with (security_invoker = true) as select * from forgotten;\n"
        "create sequence counted;\n"
    )
    (tmp_path / "functions" / "forgotten.sql").write_text(
        "create or replace function forgotten_function(p_a int) returns jsonb language sql "
        "set search_path = public, pg_temp as $$ select '{}'::jsonb $$;\n"
    )
    (tmp_path / "schema.json").write_text('{"version": 1, "min_code": 1, "digest": "x"}')
    bundle = read_bundle(tmp_path)
    for by_script in (False, True):
        with postgres_server.empty_database() as name:
            dsn = postgres_server.dsn(name)
            with psycopg.connect(dsn, autocommit=True) as sql:
                if by_script:
                    sql.execute(print_script(bundle).encode())
                else:
                    asyncio.run(migrate(dsn, bundle))
                assert sql.execute("select count(*) from forgotten").fetchall() == [(0,)]
                assert given(sql) == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_55_by_supabases_api_functions_are_refused(
    postgrest: PostgrestStandIn, database_name: str, dsn: str, role: str
) -> None:
    async with (
        await psycopg.AsyncConnection.connect(dsn, row_factory=dict_row) as sql,
        httpx.AsyncClient(
            base_url=postgrest.url(database_name),
            headers={"apikey": make_key(role), "Authorization": f"Bearer {make_key(role)}"},
        ) as http,
    ):
        names = await (
            await sql.execute(
                "select array(select unnest(own_functions()) "
                "intersect select proname from pg_proc) as found"
            )
        ).fetchone()
        assert names
        for function in sorted(names["found"])[::25]:  # all of them by SQL, above
            answer = await http.post(f"/rest/v1/rpc/{function}", json={})
            assert answer.status_code in {401, 403, 404}, function


def test_a_superuser_is_named(dsn: str) -> None:
    """Who connects as one risks more than this database."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        [[quiet]] = sql.execute("select examine_database()").fetchall()
        sql.execute("set amazonsender.disposable = off")
        [[about]] = sql.execute("select examine_database()").fetchall()
    assert not list(check_database(quiet | {"synchronous_commit": {"setting": "on"}}))
    [finding] = check_database(about | {"synchronous_commit": {"setting": "on"}})
    assert (finding.level, "superuser" in finding.sentences) == ("warn", True)
    assert not list(
        check_database(about | {"synchronous_commit": {"setting": "on"}}, embedded=True)
    )
