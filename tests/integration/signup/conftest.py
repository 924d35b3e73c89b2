from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.sandbox.server import SandboxServer
from tests.support.service import Service, in_process, settings_for
from tests.support.signup import TEXT


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.signup.subscribe.ANSWER_SECONDS", 0.0)


@pytest.fixture
async def service(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """With sign-ups, and its sender."""
    settings = settings_for(
        dsn, sandbox.url, SIGNUP="true", SIGNUP_TAGS="news, events", SIGNUP_TEXT=TEXT
    )
    async with in_process(settings) as running:
        yield running


@pytest.fixture
async def front(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """With sign-ups, and nobody who sends."""
    settings = settings_for(dsn, sandbox.url, SIGNUP="true", SIGNUP_TAGS="news, events")
    async with in_process(settings, with_sender=False) as running:
        yield running
