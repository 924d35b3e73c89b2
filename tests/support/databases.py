"""A real PostgreSQL for the tests, and a database of its own for each test.

The server is the embedded one (TEST_POSTGRES_BIN names another PostgreSQL's programs). The
schema is migrated once into a template with Supabase's roles, and each test gets a copy.
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
    def database(self, template: str = TEMPLATE) -> Iterator[str]:
        """A new database's name. It is dropped when the next one is made: by then the connections
        that the test closed are gone, else PostgreSQL would wait 100 ms for them."""
        while self._over:
            drop = sql.SQL("drop database {} with (force)")
            self._execute(drop.format(sql.Identifier(self._over.pop())))
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield name
        finally:
            self._over.append(name)

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
        if self._connection is not None:
            self._connection.close()


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
