"""Bring a database to this program's schema.

`migrations/NNNN_name.sql` are applied in order, once each; the files in `migrations/functions/`
and its folders replace what they define and are all put again whenever anything changed.
`schema.json` says which schema this program has, so that the start of a process can compare. After
a change of any SQL file: `python -m app.adapters.database.migrations stamp`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row

from app.adapters.database.migration_files import Bundle, SqlFile, read_bundle, stamp
from app.adapters.database.postgres import CONNECT_ERRORS, not_connected
from app.adapters.database.sqlstates import is_outage
from app.errors import ConfigurationError, DatabaseError, DatabaseUnavailable
from app.ports import Database

MIN_SERVER_VERSION = 15  # `security_invoker` views and `on delete set null (column)`

# The key of the advisory lock that lets one run at a time work: "amzs" in ASCII.
_LOCK_KEY = 0x616D7A73

_LOCK_WAIT = "10s"  # how long a migration may wait for a table that others use

_TABLES = """\
create table if not exists public.schema_migrations (
    name text primary key, checksum text not null, applied_at timestamptz not null default now());
create table if not exists public.schema_version (
    version int not null, min_code int not null, digest text not null,
    applied_at timestamptz not null default now());
create unique index if not exists schema_version_one_row on public.schema_version ((true));
alter table public.schema_migrations enable row level security;
alter table public.schema_version enable row level security;
do $runner$ declare v_role text; begin
    for v_role in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
        execute format(
            'revoke all on public.schema_migrations, public.schema_version from %I', v_role);
    end loop;
end $runner$;
"""

# What each transaction begins with. The advisory lock is waited for as long as it takes. Bodies
# aren't checked, so that functions may call each other whatever their files' order (a test does).
_BEGIN = f"""\
set local statement_timeout = 0;
set local search_path = public, extensions;
set local check_function_bodies = off;
select pg_advisory_xact_lock({_LOCK_KEY});
set local lock_timeout = '{_LOCK_WAIT}';"""

# Drops the older form of each function that has got other parameters since: see signatures.py.
_DROP_OVERLOADS = """\
do $overloads$ declare v_function text; begin
    for v_function in select jsonb_array_elements_text(schema_overloads('{signatures}')) loop
        execute 'drop function ' || v_function;
    end loop;
end $overloads$;
"""

# What each transaction ends with: whatever it made or put anew is ours and for none but ourselves,
# also where zz_grants.sql forgot it. Supabase's default privileges gave it to everybody.
_CLOSE = """\
do $close$ declare v_what text; v_role text; begin
    for v_what, v_role in
        with made as (
            select case relkind when 'S' then 'sequence ' else 'table ' end || oid::regclass as what
              from pg_class
             where relnamespace = 'public'::regnamespace
               and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
               and xmin = pg_current_xact_id()::xid
            union all
            select 'routine ' || oid::regprocedure from pg_proc
             where pronamespace = 'public'::regnamespace and xmin = pg_current_xact_id()::xid
        )
        select made.what, roles.name
          from made, (select 'public' as name union all
                      select quote_ident(rolname) from pg_roles
                       where rolname in ('anon', 'authenticated')) roles
    loop
        execute format('revoke all on %s from %s cascade', v_what, v_role);
    end loop;
    for v_what in
        select oid::regclass from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
           and xmin = pg_current_xact_id()::xid and not relrowsecurity
    loop
        execute format('alter table %s enable row level security', v_what);
    end loop;
end $close$;
"""

_RECORD_FILE = "insert into public.schema_migrations (name, checksum) values (%s, %s)"

_RECORD_BUNDLE = "insert into public.schema_version (version, min_code, digest) values (%s, %s, %s)"

_HISTORY_CHANGED = (
    "The migration {name} was changed after it was applied: put the file back as it was and "
    "write the change as a new migration"
)

_UPDATE_PROGRAM = "The database is newer than this program: update AmazonSender"

_MIGRATE = (
    "run `amazonsender migrate`, or with Supabase's API alone paste what "
    "`amazonsender migrate --print` prints into its SQL editor"
)


_Connection = psycopg.AsyncConnection[DictRow]


@dataclass(frozen=True)
class MigrationStatus:
    """One numbered file, or `functions` for all of those. applied_at: None unless applied.

    state: `changed` when the file differs from what was applied, `unknown` when the database
    has one that this program doesn't know (it is newer).
    """

    name: str
    state: Literal["applied", "pending", "changed", "unknown"]
    applied_at: datetime | None


async def migrate(dsn: str, bundle: Bundle | None = None) -> list[str]:
    """Apply what is missing, a transaction per file; give the names applied.

    Safe when two run at once and behind a transaction pooler. A database that is ahead of this
    program is left as it is.
    Raises DatabaseUnavailable, ConfigurationError (history changed, old server), or
    DatabaseError naming the file that failed, which then left no trace.
    """
    bundle = bundle or read_bundle()
    applied: list[str] = []
    async with _connection(dsn) as connection:
        _require_server_version(connection.info.server_version)
        with _errors_of("The look at the schema"):
            if await _is_done(connection, bundle):
                return []
        async with _step(connection, "The runner's tables"):
            await connection.execute(_TABLES.encode())
        for file in bundle.numbered:
            async with _step(connection, file.name):
                if await _is_missing(connection, file):
                    await connection.execute(file.text.encode())
                    await connection.execute(_CLOSE.encode())
                    await connection.execute(_RECORD_FILE, [file.name, file.checksum])
                    applied.append(file.name)
        async with _step(connection, "functions"):
            if not await _is_done(connection, bundle):
                await _replace_functions(connection, bundle)
                applied.append("functions")
    return applied


async def status(dsn: str, bundle: Bundle | None = None) -> list[MigrationStatus]:
    """What is applied and what isn't. Changes nothing. Raises DatabaseUnavailable."""
    bundle = bundle or read_bundle()
    async with _connection(dsn) as connection:
        with _errors_of("The list of migrations"):
            stamp_row = await _stamp_row(connection)
            rows = await _applied_rows(connection)
    done = {row["name"]: row for row in rows}
    found = [_file_status(file, done.pop(file.name, None)) for file in bundle.numbered]
    found += [MigrationStatus(name, "unknown", row["applied_at"]) for name, row in done.items()]
    return [*found, _functions_status(bundle, stamp_row)]


def print_script(bundle: Bundle | None = None) -> str:
    """All of it as one script for Supabase's SQL editor.

    Pasting it again is harmless, and after an upgrade applies what is missing.
    """
    bundle = bundle or read_bundle()
    functions = "\n".join(file.text for file in bundle.functions)
    return f"""\
-- AmazonSender's schema, version {bundle.version}. Paste all of it and run it, now and at upgrades.
begin;
{_BEGIN}
{_TABLES}
do $guard$ begin
    if exists (select from public.schema_version where version > {bundle.version}) then
        raise exception '{_UPDATE_PROGRAM}';
    end if;
end $guard$;
{"".join(_script_step(file) for file in bundle.numbered)}
{functions}
{_drop_overloads(bundle)}{_CLOSE}delete from public.schema_version;
insert into public.schema_version (version, min_code, digest)
values ({bundle.version}, {bundle.min_code}, '{bundle.digest}');
commit;
notify pgrst, 'reload schema';
"""  # noqa: S608 - our own files


def _drop_overloads(bundle: Bundle) -> str:
    """Nothing for a schema without the function that finds them."""
    if not any(each.startswith("schema_overloads(") for each in bundle.signatures):
        return ""
    return _DROP_OVERLOADS.format(signatures=json.dumps(bundle.signatures))


def _script_step(file: SqlFile) -> str:
    """What `migrate` does with a numbered file, in SQL alone."""
    if "$amazonsender_" in file.text:
        raise ConfigurationError(f"{file.name} uses a quote of ours: $amazonsender_…$")
    return f"""
do $amazonsender_step$ begin
    if not exists (select from public.schema_migrations where name = '{file.name}') then
        execute $amazonsender_file${file.text}$amazonsender_file$;
        insert into public.schema_migrations (name, checksum)
        values ('{file.name}', '{file.checksum}');
    elsif not exists (select from public.schema_migrations
                       where name = '{file.name}' and checksum = '{file.checksum}') then
        raise exception '{_HISTORY_CHANGED.format(name=file.name)}';
    end if;
end $amazonsender_step$;
"""  # noqa: S608 - our own files


async def check_schema(database: Database, bundle: Bundle | None = None) -> None:
    """Whether this program can work on `database`. A database that is ahead is fine unless its
    `min_code` says otherwise.

    Raises ConfigurationError with the remedy, DatabaseUnavailable, DatabaseError.
    """
    bundle = bundle or read_bundle()
    try:
        found = await database.call("schema_status")
    except DatabaseError as error:
        if error.sqlstate in ("42883", "42P01", "PGRST202"):  # no such function, no such table
            raise ConfigurationError(f"The database has no schema yet: {_MIGRATE}") from error
        if error.sqlstate in ("42501", "PGRST301"):
            raise ConfigurationError(
                "The database refuses us its functions: use the user who ran `amazonsender "
                "migrate`, or for Supabase the service_role or secret key"
            ) from error
        raise
    if found is None:
        raise ConfigurationError(f"The database's schema is incomplete: {_MIGRATE}")
    _require_fitting(bundle, found)
    if found["version"] == bundle.version:
        signatures = list(bundle.signatures)
        if left := await database.call("schema_overloads", p_signatures=signatures):
            raise ConfigurationError(
                f"The database has functions left over from another version, which would take our "
                f"calls ({', '.join(left)}): {_MIGRATE}"
            )


def _require_fitting(bundle: Bundle, found: dict[str, Any]) -> None:
    _require_server_version(found["server_version_num"])
    if found["min_code"] > bundle.version:
        raise ConfigurationError(_UPDATE_PROGRAM)
    behind = found["version"] < bundle.version
    if behind or (found["version"] == bundle.version and found["digest"] != bundle.digest):
        raise ConfigurationError(f"The database's schema is older than this program: {_MIGRATE}")
    if unsafe := found.get("unsafe"):
        raise ConfigurationError(
            f"The database runs with {' and '.join(f'{name} = off' for name in unsafe)}: after a "
            "crash of its machine the data may be damaged, and people mailed twice or lost. "
            f"Set {' and '.join(unsafe)} to on in postgresql.conf, and reload it"
        )


def _require_server_version(server_version_num: int) -> None:
    if server_version_num < MIN_SERVER_VERSION * 10_000:
        raise ConfigurationError(
            f"PostgreSQL {server_version_num // 10_000} is too old: "
            f"AmazonSender needs {MIN_SERVER_VERSION} or newer"
        )


@asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[_Connection]:
    try:
        connection = await _Connection.connect(
            dsn, autocommit=True, prepare_threshold=None, row_factory=dict_row, connect_timeout=10
        )
    except CONNECT_ERRORS as error:
        raise not_connected(error) from error
    async with connection:
        yield connection


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """psycopg's errors become ours, with the name of what failed."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise DatabaseError(
            f"{name} waited {_LOCK_WAIT} for a table that another session holds, and was undone: "
            "run it again when that one is done",
            sqlstate=error.sqlstate,
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseError(
            f"{name} failed: {error.diag.message_primary}. The role of DATABASE_URL has to own the "
            "tables and functions: use the one that made them, or, where a backup was restored as "
            "another role, restore it with `pg_restore --role=` the one of DATABASE_URL "
            "(docs/deployment.md, The database's role)",
            sqlstate=error.sqlstate,
        ) from error
    except psycopg.Error as error:
        if error.sqlstate is None or is_outage(error.sqlstate):
            raise DatabaseUnavailable(f"{name}: the connection to the database broke") from error
        reason = error.diag.message_primary
        raise DatabaseError(f"{name} failed: {reason}", sqlstate=error.sqlstate) from error


@asynccontextmanager
async def _step(connection: _Connection, name: str) -> AsyncIterator[None]:
    """One transaction, one runner at a time."""
    with _errors_of(name):
        async with connection.transaction():
            await connection.execute(_BEGIN.encode())
            yield


async def _rows(connection: _Connection, query: LiteralString) -> list[DictRow]:
    return await (await connection.execute(query)).fetchall()


async def _has_tables(connection: _Connection) -> bool:
    query: LiteralString = "select to_regclass('public.schema_version') is not null as found"
    return bool((await _rows(connection, query))[0]["found"])


async def _stamp_row(connection: _Connection) -> DictRow | None:
    if not await _has_tables(connection):
        return None
    rows = await _rows(connection, "select * from public.schema_version")
    return rows[0] if rows else None


async def _applied_rows(connection: _Connection) -> list[DictRow]:
    if not await _has_tables(connection):
        return []
    return await _rows(connection, "select * from public.schema_migrations order by name")


async def _is_done(connection: _Connection, bundle: Bundle) -> bool:
    """Whether the database has this program's schema, nothing beside it and nothing of it open to
    strangers, or a later one."""
    row = await _stamp_row(connection)
    if row is None:
        return False
    if row["version"] > bundle.version:
        return True
    same = (row["version"], row["digest"]) == (bundle.version, bundle.digest)
    return same and not await _overloads(connection, bundle) and not await _open(connection, bundle)


async def _overloads(connection: _Connection, bundle: Bundle) -> list[str]:
    if not _drop_overloads(bundle):
        return []
    done = await connection.execute(
        "select schema_overloads(%s) as found", [json.dumps(bundle.signatures)]
    )
    [row] = await done.fetchall()
    found: list[str] = row["found"]
    return found


async def _open(connection: _Connection, bundle: Bundle) -> list[str]:
    """What somebody granted to strangers since."""
    if "open_grants()" not in bundle.signatures:
        return []
    [row] = await _rows(connection, "select open_grants() as found")
    found: list[str] = row["found"]
    return found


async def _is_missing(connection: _Connection, file: SqlFile) -> bool:
    query = "select checksum from public.schema_migrations where name = %s"
    row = await (await connection.execute(query, [file.name])).fetchone()
    if row is not None and row["checksum"] != file.checksum:
        raise ConfigurationError(_HISTORY_CHANGED.format(name=file.name))
    return row is None


async def _replace_functions(connection: _Connection, bundle: Bundle) -> None:
    for file in bundle.functions:
        await connection.execute(file.text.encode())
    await connection.execute(_drop_overloads(bundle).encode())
    await connection.execute(_CLOSE.encode())
    await connection.execute("delete from public.schema_version")
    await connection.execute(_RECORD_BUNDLE, [bundle.version, bundle.min_code, bundle.digest])
    await connection.execute("notify pgrst, 'reload schema'")


def _file_status(file: SqlFile, row: DictRow | None) -> MigrationStatus:
    if row is None:
        return MigrationStatus(file.name, "pending", None)
    same = row["checksum"] == file.checksum
    return MigrationStatus(file.name, "applied" if same else "changed", row["applied_at"])


def _functions_status(bundle: Bundle, row: DictRow | None) -> MigrationStatus:
    if row is None:
        return MigrationStatus("functions", "pending", None)
    if row["version"] > bundle.version:
        return MigrationStatus("functions", "unknown", row["applied_at"])
    same = row["digest"] == bundle.digest
    return MigrationStatus("functions", "applied" if same else "pending", row["applied_at"])


if __name__ == "__main__":
    if sys.argv[1:] != ["stamp"]:
        sys.exit("usage: python -m app.adapters.database.migrations stamp")
    sys.stdout.write(f"schema version {stamp()}\n")
