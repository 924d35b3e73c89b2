from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.adapters.aws.sns import SnsVerifier
from app.domain.ses.sns_message import SnsMessage
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.support.dashboard import Visitor, signed_in
from tests.support.service import Service, in_process, settings_for


@pytest.fixture(scope="session")
def _session_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


@pytest.fixture
def sandbox(_session_sandbox: SandboxServer) -> Iterator[SandboxServer]:
    """The local SES, empty and without faults."""
    _session_sandbox.reset()
    _session_sandbox.faults()
    yield _session_sandbox
    _session_sandbox.faults()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't told of by any news is looked for ten times a second, not once."""
    monkeypatch.setattr("app.services.sending.dispatch.POLL_SECONDS", 0.1)


@pytest.fixture
async def service(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """The service with its sender, on a database of its own and the sandbox."""
    async with in_process(settings_for(dsn, sandbox.url)) as running:
        yield running


@pytest.fixture
async def quiet(dsn: str) -> AsyncIterator[Service]:
    """The service without a sender and without SES."""
    settings = settings_for(dsn, None, AWS_REGION=None)
    async with in_process(settings, with_sender=False) as running:
        yield running


@pytest.fixture
async def visitor(quiet: Service) -> AsyncIterator[Visitor]:
    """Somebody who signed in to its dashboard."""
    async with signed_in(quiet) as person:
        yield person


@pytest.fixture
async def front(
    dsn: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The service without a sender, which takes any signature."""

    async def genuine(self: SnsVerifier, message: SnsMessage) -> None:
        pass

    monkeypatch.setattr(SnsVerifier, "verify", genuine)
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
        yield service
