"""A stand-in for SES of one's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def _standing_server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig()) as server:
        yield server


@pytest.fixture
def ses_sandbox(_standing_server: SandboxServer) -> SandboxServer:
    _standing_server.reset()
    return _standing_server
