"""A sandbox on a real socket, driven by boto3 as the product drives SES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.sandbox.support import Receiver, ses_client

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

FAST: dict[str, Any] = {"max_send_rate": 100_000.0, "max_24h_send": -1.0, "event_delay": (0.0, 0.0)}


@pytest.fixture(scope="session")
def shared_server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(**FAST)) as server:
        yield server


@pytest.fixture
def sandbox(shared_server: SandboxServer) -> SandboxServer:
    """An empty sandbox without limits of rate and quota, and without events."""
    shared_server.reset()
    return shared_server


@pytest.fixture
def ses(sandbox: SandboxServer) -> SESV2Client:
    return ses_client(sandbox.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint for SNS messages that answers 200 and confirms nothing by itself."""
    with Receiver() as running:
        yield running


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[..., SandboxServer]:
    """Start a sandbox of one's own with some settings."""

    def started(**settings: Any) -> SandboxServer:
        server = SandboxServer(SandboxConfig(**{**FAST, **settings}))
        server.__enter__()
        request.addfinalizer(lambda: server.__exit__(None, None, None))
        return server

    return started


@pytest.fixture
def with_events(
    start: Callable[..., SandboxServer], receiver: Receiver
) -> Callable[..., SandboxServer]:
    """Start a sandbox that posts to `receiver`, with the subscription confirmed."""

    def started(**settings: Any) -> SandboxServer:
        server = start(event_endpoint=receiver.url, **settings)
        receiver.confirm(server.url)
        return server

    return started
