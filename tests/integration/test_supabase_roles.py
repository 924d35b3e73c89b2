"""What Supabase's roles may do: `anon` and `authenticated` nothing, `service_role` its work.

Every table and function of the schema is tried, so a new one that was forgotten in the grants
fails here. The template has Supabase's default privileges, which grant everything to everybody.
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import DictRow

Sql = psycopg.AsyncConnection[DictRow]

STRANGERS = pytest.mark.parametrize("role", ["anon", "authenticated"])

TABLES = """
select c.oid::regclass::text as name, c.relrowsecurity as secured,
       (select count(*) from pg_policy where polrelid = c.oid) as policies,
       (select quote_ident(attname) from pg_attribute
         where attrelid = c.oid and attnum > 0 and not attisdropped
           and attidentity = '' and attgenerated = '' order by attnum limit 1) as a_column
  from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
FUNCTIONS = """
select p.oid::regprocedure::text as name, p.prorettype = 'trigger'::regtype as is_trigger,
       quote_ident(p.proname) || '(' || array_to_string(
           array(select 'null::' || format_type(a, null) from unnest(p.proargtypes) a), ', ')
       || ')' as call
  from pg_proc p where p.pronamespace = 'public'::regnamespace
"""
SEQUENCES = """
select c.oid::regclass::text as name
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'
"""


async def found(sql: Sql, query: str) -> list[DictRow]:
    rows = await (await sql.execute(query.encode())).fetchall()
    assert rows
    return rows


async def not_refused(sql: Sql, role: str, statements: list[str]) -> list[str]:
    """Which of `statements` get past the permissions of `role`. Nothing they do is kept."""
    passed = []
    for statement in statements:
        async with sql.transaction(force_rollback=True):
            await sql.execute(f"set local role {role}".encode())
            try:
                async with sql.transaction():
                    await sql.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                continue
            except psycopg.Error:
                pass  # it got as far as its own mistakes
            passed.append(statement)
    return passed


@pytest.mark.few_variants(1)
@STRANGERS
async def test_strangers_can_neither_read_nor_write_a_table(sql: Sql, role: str) -> None:
    """Not even an empty answer: permission denied."""
    statements = [
        statement.format(**table)
        for table in await found(sql, TABLES)
        for statement in (
            "select * from {name}",
            "select {a_column} from {name} limit 0",
            "insert into {name} default values",
            "update {name} set {a_column} = {a_column}",
            "delete from {name}",
            "truncate {name}",
        )
    ]
    assert await not_refused(sql, role, statements) == []


@pytest.mark.few_variants(1)
@STRANGERS
async def test_strangers_can_call_no_function(sql: Sql, role: str) -> None:
    """PostgreSQL lets everybody execute a new function, and so does Supabase."""
    statements = [f"select {row['call']}" for row in await found(sql, FUNCTIONS)]
    assert await not_refused(sql, role, statements) == []


@STRANGERS
async def test_strangers_can_use_no_sequence(sql: Sql, role: str) -> None:
    """Its values would tell how much is sent."""
    statements = [
        statement.format(**sequence)
        for sequence in await found(sql, SEQUENCES)
        for statement in ("select nextval('{name}')", "select last_value from {name}")
    ]
    assert await not_refused(sql, role, statements) == []


async def test_row_level_security_is_on_and_lets_nobody_in(sql: Sql) -> None:
    """The second wall, should a grant slip in: no policy, so no row."""
    for table in await found(sql, TABLES):
        assert (table["secured"], table["policies"]) == (True, 0), table["name"]


async def test_the_service_role_can_call_every_function(sql: Sql) -> None:
    """And what the functions touch, as they run with the caller's rights."""
    statements = [
        f"select {row['call']}" for row in await found(sql, FUNCTIONS) if not row["is_trigger"]
    ]
    assert await not_refused(sql, "service_role", statements) == statements
