"""What every test may use: an environment without surprises, and databases (support/databases)."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
import structlog
from psycopg.rows import DictRow, dict_row

from app.adapters.database import migration_files
from app.adapters.database.migration_files import Bundle
from app.adapters.database.postgres import PostgresDatabase
from app.adapters.database.supabase import SupabaseDatabase
from app.ports import Database
from app.store import Store
from tests.support.databases import DatabaseServer, database_server
from tests.support.dns_server import DnsServer
from tests.support.factories import Arrange
from tests.support.kept_connections import SqlConnection, connections_kept
from tests.support.postgrest import PostgrestStandIn, make_key
from tests.support.read_once import read_once
from tests.support.wide import examples, go_one_way, thin

# All that a test sees of the outer environment: nothing of it configures us, AWS or PostgreSQL.
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "TEST_POSTGRES_BIN")

# A shared machine may be slow for a moment: no example fails for its time alone. Half of the usual
# number of examples; they are others in every run.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=examples(50))
hypothesis.settings.load_profile("suite")

OUTER_ENVIRONMENT = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Scrub the environment before any module of ours is imported."""
    config.stash[OUTER_ENVIRONMENT] = dict(os.environ)
    for name in set(os.environ) - set(KEPT_VARIABLES):
        # pytest's own variables, and those of its plugins, tell workers apart.
        if not name.startswith(("PYTEST_", "COV_")):
            del os.environ[name]
    gc.disable()  # until pytest_collection_finish
    # No credentials of the machine either: neither from a role nor, see below, from files.
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is `short`
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    go_one_way(items)
    thin(items)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected, which lives to the end, out of each look for garbage:
    thousands of tests, and every module. Until here there was no look: a fifth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session", autouse=True)
def _read_once() -> Iterator[None]:
    """Each client reads from the disk what another one has read; so does each look at our SQL."""
    with pytest.MonkeyPatch.context() as patch:
        read_once(patch.setattr)
        ours = functools.cache(migration_files.read_bundle)

        def read_bundle(folder: Path | None = None) -> Bundle:
            return ours() if folder is None else migration_files.read_bundle(folder)

        patch.setattr("app.adapters.database.migrations.read_bundle", read_bundle)
        yield


@pytest.fixture(scope="session", autouse=True)
def _logging_as_it_is() -> Iterator[None]:
    """A command that runs in this process doesn't set up logging: structlog keeps what each logger
    was first used with, so all later tests would miss lines. Errors are written as Python writes
    them: a table of all local values costs 50 ms each."""
    console = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], console])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.logs.configure_logging", lambda settings: None)
        yield


@pytest.fixture(scope="session")
def outer_environment(pytestconfig: pytest.Config) -> dict[str, str]:
    """The variables as they were, for tests against live services (`-m live`, `-m supabase`)."""
    return pytestconfig.stash[OUTER_ENVIRONMENT]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """The session's PostgreSQL (each worker of pytest-xdist has its own)."""
    with (
        database_server() as server,
        pytest.MonkeyPatch.context() as patch,
        connections_kept(patch.setattr),
    ):
        yield server


@pytest.fixture(scope="session")
def postgrest(postgres_server: DatabaseServer) -> Iterator[PostgrestStandIn]:
    """The stand-in for Supabase's API, on a real socket, for every database of the session."""
    with PostgrestStandIn(postgres_server.authenticator_dsn) as stand_in:
        yield stand_in


@pytest.fixture
def database_name(postgres_server: DatabaseServer) -> Iterator[str]:
    """A migrated database of the test's own. All fixtures below are about this one."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture
def dsn(postgres_server: DatabaseServer, database_name: str) -> str:
    """What to give as DATABASE_URL."""
    return postgres_server.dsn(database_name)


@pytest.fixture
def empty_dsn(postgres_server: DatabaseServer) -> Iterator[str]:
    """A database without our schema, but with Supabase's roles and default privileges."""
    with postgres_server.empty_database() as name:
        yield postgres_server.dsn(name)


@pytest.fixture
def supabase_url(postgrest: PostgrestStandIn, database_name: str) -> str:
    """What to give as SUPABASE_URL."""
    return postgrest.url(database_name)


@pytest.fixture
def supabase_key() -> str:
    """What to give as SUPABASE_SERVICE_ROLE_KEY."""
    return make_key("service_role")


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
    """The superuser's connection, to arrange and to look; each statement commits."""
    async with await SqlConnection.connect(dsn, autocommit=True, row_factory=dict_row) as sql:
        yield sql


@pytest.fixture
async def postgres_database(dsn: str) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(dsn)
    yield database
    await database.close()


@pytest.fixture
async def supabase_database(
    supabase_url: str, supabase_key: str
) -> AsyncIterator[SupabaseDatabase]:
    database = SupabaseDatabase(supabase_url, supabase_key)
    yield database
    await database.close()


@pytest.fixture(params=["postgres", "supabase"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each way to the database in turn."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def store(database: Database) -> Store:
    """The store over each way to the database in turn."""
    return Store(database)


@pytest.fixture
def direct_store(postgres_database: PostgresDatabase) -> Store:
    """The store over a direct connection, for what doesn't depend on the way."""
    return Store(postgres_database)


@pytest.fixture
def arrange(sql: psycopg.AsyncConnection[DictRow]) -> Arrange:
    return Arrange(sql)


@pytest.fixture(scope="session")
def dns_server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def dns(dns_server: DnsServer) -> DnsServer:
    """Fresh: it knows no name."""
    dns_server.reset()
    return dns_server
