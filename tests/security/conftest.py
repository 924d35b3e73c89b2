"""Hostile input against the running service (docs/security.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from tests.security.fortress import Fortress, fortress_at
from tests.support.databases import DatabaseServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of a module: each starts a service of its own."""
    for item in items:
        if HERE in item.path.parents and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(HERE).as_posix()))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


@pytest.fixture(scope="session")
def providers() -> Iterator[ProvidersServer]:
    with ProvidersServer() as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, str]:
    """Settings in which a folder's service differs from all others."""
    return {}


@pytest.fixture(scope="module")
async def fortress(
    postgres_server: DatabaseServer,
    sandbox: SandboxServer,
    providers: ProvidersServer,
    elsewhere: dict[str, str],
) -> AsyncIterator[Fortress]:
    """The service with every road open, for all tests of a module: their refused requests leave
    nothing behind."""
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with fortress_at(dsn, sandbox.url, providers, **elsewhere) as running:
            yield running
