"""A service that sends from two regions, each with an SES and a topic of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import Remote, SandboxServer
from app.settings import Settings
from tests.support.dashboard import Visitor, signed_in
from tests.support.service import TOPIC, Service, in_process, settings_for

HOME, AWAY = "us-east-1", "eu-west-1"
TOPIC_AWAY = TOPIC.replace(HOME, AWAY)


@pytest.fixture(scope="session")
def _both() -> Iterator[SandboxServer]:
    config = SandboxConfig(max_send_rate=100_000, max_24h_send=-1, regions=(AWAY,))
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def home(_both: SandboxServer) -> SandboxServer:
    """The sandbox of the first region; it knows who was accepted in either."""
    _both.reset()
    for region in (_both, *_both.regions.values()):
        region.faults()
        region.account(max_send_rate=100_000, max_24h_send=-1, sending_enabled=True)
    return _both


@pytest.fixture
def away(home: SandboxServer) -> Remote:
    return home.regions[AWAY]


@pytest.fixture
def of_two(dsn: str, home: SandboxServer, away: Remote) -> Settings:
    return two_regions(dsn, home)


def two_regions(dsn: str, home: SandboxServer, **changes: str | None) -> Settings:
    base: dict[str, str | None] = {
        "SES_REGIONS": f"{HOME},{AWAY}",
        "AWS_ENDPOINT_URL_SESV2_EU_WEST_1": home.regions[AWAY].url,
        "SNS_ALLOWED_TOPIC_ARNS": f"{TOPIC},{TOPIC_AWAY}",
    }
    return settings_for(dsn, home.url, **base | changes)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.sending.dispatch.POLL_SECONDS", 0.1)


@pytest.fixture
async def service(of_two: Settings) -> AsyncIterator[Service]:
    """With its sender."""
    async with in_process(of_two) as running:
        yield running


@pytest.fixture
async def visitor(service: Service) -> AsyncIterator[Visitor]:
    async with signed_in(service) as person:
        yield person
