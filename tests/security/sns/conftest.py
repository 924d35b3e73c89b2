"""The service with a stand-in for SNS, whose certificate it knows by now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from tests.security.fortress import Fortress, fortress_at
from tests.security.sns.amazon import Amazon, Sns
from tests.support.databases import DatabaseServer


@pytest.fixture(scope="module")
def amazon() -> Iterator[Amazon]:
    with Amazon() as server:
        yield server


@pytest.fixture(scope="module")
async def fortress(
    postgres_server: DatabaseServer,
    sandbox: SandboxServer,
    providers: ProvidersServer,
    amazon: Amazon,
) -> AsyncIterator[Fortress]:
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with fortress_at(
            dsn, sandbox.url, providers, AWS_ENDPOINT_URL_SNS=amazon.url
        ) as running:
            yield running


@pytest.fixture(scope="module")
async def sns(fortress: Fortress, amazon: Amazon) -> Sns:
    road = Sns(fortress, amazon)
    notice = "Successfully validated SNS topic for Amazon SES event publishing."
    genuine = await road.post(road.notification(notice))
    assert genuine.json() == {"recorded": False}
    return road
