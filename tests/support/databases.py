"""A real PostgreSQL for the tests, and a database of its own for each test.

The server is the embedded one (TEST_POSTGRES_BIN names another PostgreSQL's programs). The
schema is migrated once into a template with Supabase's roles, and each test gets a copy, new or
emptied after another test.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.embedded_host import processes_in
from app.adapters.database.migrations import migrate
from tests.support.kept_connections import KEPT
from tests.support.postgrest import AUTHENTICATOR_PASSWORD, PRIVILEGES_SQL, ROLES_SQL

TEMPLATE = "template_migrated"

TURKISH = ("locale_provider icu icu_locale 'tr-TR' locale 'C'", "locale 'tr_TR.utf8'")

FAST_SETTINGS = {
    "amazonsender.disposable": "on",  # else a start with the next two is refused
    # Lost data at a power cut are no matter here, the time of a disk's flush is.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    # No database lives long enough to need it, and statistics come when a test says so.
    "autovacuum": "off",
    # A client that gave up while the server was frozen leaves a half-open connection, which holds
    # up the next `drop database` for as long as PostgreSQL waits for its password.
    "authentication_timeout": "10s",
}


REUSE_SQL = """
create schema testing;
grant usage on schema testing to public;

-- A database whose schema a test has changed isn't used again, but for tables and functions that
-- the test added: these are dropped.
create table testing.changes (command text);
create table testing.added (class oid, object oid);
create table testing.newest as
    select greatest((select max(oid) from pg_class), (select max(oid) from pg_proc)) as object;
create function testing.note_change() returns event_trigger language plpgsql security definer as $$
begin
    if tg_tag in ('CREATE TABLE', 'CREATE FUNCTION') and not exists (
            select from pg_event_trigger_ddl_commands(), testing.newest where objid <= object) then
        insert into testing.added select classid, objid from pg_event_trigger_ddl_commands();
    else
        insert into testing.changes values (tg_tag);
    end if;
end $$;

-- What the migrations put into tables.
do $$ declare
    one name;
    filled boolean;
begin
    for one in select relname from pg_class
                where relnamespace = 'public'::regnamespace and relkind = 'r' loop
        execute format('select exists (select from public.%I)', one) into filled;
        if filled then
            execute format('create table testing.%I as table public.%I', 'was_' || one, one);
        end if;
    end loop;
end $$;

-- Makes a database as it was when it was new; false: it isn't, so a new one is needed.
-- p_kept: the process ids of connections that may be there.
create function testing.empty(p_kept int[]) returns boolean language plpgsql
    set session_replication_role = replica as $$
declare
    one record;
    bytes bigint := 0;
begin
    for one in select format('drop function if exists %s cascade', p.oid::regprocedure) as statement
                 from testing.added join pg_proc p on class = 'pg_proc'::regclass and object = p.oid
               union all
               select format('drop table if exists %s cascade', c.oid::regclass)
                 from testing.added join pg_class c on object = c.oid
                where class = 'pg_class'::regclass and relkind = 'r' loop
        execute one.statement;
    end loop;
    delete from testing.added;
    if exists (select from testing.changes)
        or exists (select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
                    where d.datname = current_database())
        or exists (select from pg_stat_activity
                    where datname = current_database() and pid <> pg_backend_pid()
                      and pid <> all (p_kept)
                      -- What a test asked of it and didn't wait for would be the next one's.
                      and (application_name <> 'postgrest' or state <> 'idle'))
        or exists (select from pg_class where relnamespace = 'public'::regnamespace
                      and relkind = 'r' and reltuples <> -1)  -- vacuumed or analyzed
    then
        return false;
    end if;
    for one in select relname as name, pg_relation_size(oid) as bytes,
                      to_regclass('testing.' || quote_ident('was_' || relname)) as first_rows
                 from pg_class
                where relnamespace = 'public'::regnamespace and relkind = 'r' loop
        bytes := bytes + one.bytes;
        if one.bytes > 0 then
            execute format('delete from public.%I', one.name);
        end if;
        if one.first_rows is not null then
            execute format('insert into public.%I table %s', one.name, one.first_rows);
        end if;
    end loop;
    perform setval(seqrelid, seqstart, false) from pg_sequence
     where pg_sequence_last_value(seqrelid) is not null;
    return bytes < 256 * 1024;  -- what was deleted still takes room
end $$;

create event trigger note_change on ddl_command_end execute function testing.note_change();
"""

# In memory a copy of the template takes 15 ms instead of 100 to 300.
MEMORY_FOLDER = Path("/dev/shm")
ENOUGH_MEMORY_BYTES = 2 * 1024**3


@dataclass
class DatabaseServer:
    """The session's server with its template."""

    server: EmbeddedPostgres
    _folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _connection: psycopg.Connection | None = None
    _over: list[str] = field(default_factory=list)
    _inside: dict[str, psycopg.Connection] = field(default_factory=dict)
    """To databases that are used again."""

    def dsn(self, database: str) -> str:
        """The superuser's address of `database`."""
        return self.server.dsn(database)

    def authenticator_dsn(self, database: str) -> str:
        """The address that PostgREST would use."""
        return conninfo.make_conninfo(
            self.dsn(database), user="authenticator", password=AUTHENTICATOR_PASSWORD
        )

    def restart(self) -> None:
        """Cut every connection, as an upgrade of the server does. The address stays."""
        self.server.stop()
        self.server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server's processes are halted: connections stay open and nothing answers.

        Needs Linux's /proc.
        """
        processes = processes_in((self._folder / "postgres").resolve())
        assert processes
        try:
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    @contextmanager
    def database(self, template: str = TEMPLATE, *, new: bool = False) -> Iterator[str]:
        """The name of a database that is as the template. When it is done with, the next caller
        gets it emptied (5 ms instead of 25), unless something other than rows was changed, or the
        caller wants a new one: where rows were deleted, PostgreSQL makes other plans."""
        name = self._emptied() if template == TEMPLATE and not new else None
        if name is None:
            name = f"test_{os.getpid()}_{next(self._numbers)}"
            self._execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
            if template == TEMPLATE:
                KEPT.keep_for(self.dsn(name))
        try:
            yield name
        finally:
            self._over.append(name)

    def _emptied(self) -> str | None:
        """One that is done with; those that can't be used again are dropped. Only now: by now the
        connections that the test closed are gone, else PostgreSQL would wait 100 ms for them."""
        while self._over:
            name = self._over.pop()
            if self._empty(name):
                return name
            self._drop(name)
        return None

    def _empty(self, name: str) -> bool:
        with suppress(psycopg.OperationalError, psycopg.errors.InvalidSchemaName):
            if name not in self._inside:
                self._inside[name] = psycopg.connect(self.dsn(name), autocommit=True)
            kept = KEPT.renew(self.dsn(name))
            row = self._inside[name].execute("select testing.empty(%s)", [kept]).fetchone()
            return row == (True,)
        return False

    def _drop(self, name: str) -> None:
        KEPT.drop(self.dsn(name))
        if name in self._inside:
            self._inside.pop(name).close()
        drop = sql.SQL("drop database {} with (force)")
        self._execute(drop.format(sql.Identifier(name)))

    @contextmanager
    def turkish_database(self) -> Iterator[str]:
        """A new database without our schema, whose lower('I') is no i; skips where none can be."""
        name = f"turkish_{os.getpid()}_{next(self._numbers)}"
        for locale in TURKISH:
            with suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.WrongObjectType):
                self._execute(
                    sql.SQL("create database {} template template0 {}").format(
                        sql.Identifier(name), sql.SQL(locale)
                    )
                )
                break
        else:
            pytest.skip("this PostgreSQL has neither ICU nor the locale tr_TR")
        try:
            yield name
        finally:
            self._execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """A new database without our schema, but with Supabase's roles and default privileges."""
        with self.database("template_supabase") as name:
            yield name

    def prepare(self) -> None:
        """Make the roles and both templates."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            self._make_passwords_cheap(connection)
            connection.execute(ROLES_SQL.encode())
            connection.execute("create database template_supabase")
        with psycopg.connect(self.dsn("template_supabase")) as connection:
            connection.execute(PRIVILEGES_SQL)
        self._execute(
            sql.SQL("create database {} template template_supabase").format(
                sql.Identifier(TEMPLATE)
            )
        )
        asyncio.run(migrate(self.dsn(TEMPLATE)))
        with psycopg.connect(self.dsn(TEMPLATE)) as connection:
            connection.execute(REUSE_SQL)
        # Once without a change: the copies take over what this connection finds out of the catalog.
        psycopg.connect(self.dsn(TEMPLATE)).close()

    def _make_passwords_cheap(self, connection: psycopg.Connection) -> None:
        """One round of SCRAM instead of 4,096, which take 5 ms a connection; the tests make
        thousands. PostgreSQL before 16 can't."""
        if connection.info.server_version >= 160_000:
            connection.execute("alter system set scram_iterations = 1")
            connection.execute("select pg_reload_conf()")
            connection.execute("set scram_iterations = 1")
            password = sql.Literal(connection.info.password)
            connection.execute(sql.SQL("alter role postgres password {}").format(password))

    def _execute(self, statement: sql.Composed) -> None:
        """By one connection, made anew when the server was restarted meanwhile."""
        if self._connection is not None:
            try:
                self._connection.execute(statement)
            except psycopg.OperationalError:
                if not self._connection.broken:
                    raise
            else:
                return
        self._connection = psycopg.connect(self.dsn("postgres"), autocommit=True)
        self._connection.execute(statement)

    def close(self) -> None:
        for connection in (self._connection, *self._inside.values()):
            if connection is not None:
                connection.close()


@contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """A server in a folder of its own, ready with its templates, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="amazonsender-test-", dir=_fast_folder()))
    folder.chmod(0o711)  # as root the server runs as another account, which must get in
    own_bin = os.environ.get("TEST_POSTGRES_BIN")
    try:
        with EmbeddedPostgres(
            folder / "data", bin_dir=Path(own_bin) if own_bin else None, settings=FAST_SETTINGS
        ) as server:
            databases = DatabaseServer(server, folder / "data")
            databases.prepare()
            try:
                yield databases
            finally:
                databases.close()
    finally:
        shutil.rmtree(folder)


def _fast_folder() -> Path | None:
    """Where to put the data; None for the usual temporary folder."""
    if MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > ENOUGH_MEMORY_BYTES:
        return MEMORY_FOLDER
    return None
