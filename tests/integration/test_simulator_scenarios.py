"""The scenes of `pytest -m live`, on our own sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.ports import free_port
from tests.support.scenes import (
    SCENES,
    SIMULATOR,
    Stage,
    each_simulated_mailbox_meets_its_fate,
)
from tests.support.service import BEARER, TOPIC, environment, process
from tests.support.waiting import eventually

RATE = 50.0


async def nothing_to_fetch() -> None:
    """The sandbox posts its events itself."""


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    """SES_SEND_MODE; a test may set another."""
    return str(getattr(request, "param", "auto"))


@pytest.fixture
async def stage(dsn: str, tmp_path: Path, arrange: Arrange, mode: str) -> AsyncIterator[Stage]:
    """`amazonsender serve` before the sandbox."""
    base = f"http://127.0.0.1:{free_port()}"
    config = SandboxConfig(
        max_send_rate=RATE,
        event_endpoint=f"{base}/ses-events",
        topic_arn=TOPIC,
        event_delay=(0.0, 0.05),
        signature_version="2",
    )
    with SandboxServer(config) as sandbox:
        variables = environment(
            dsn,
            sandbox.url,
            PORT=base.rpartition(":")[2],
            APP_BASE_URL=base,
            SES_SEND_MODE=mode,
            RATE_LIMIT_PER_SEC=None,
            TEST_EMAILS=f"success+test@{SIMULATOR}",
        )
        async with httpx.AsyncClient(base_url=base, timeout=10, trust_env=False) as http:
            with process(tmp_path, variables, "serve") as service:

                async def healthy() -> bool:
                    assert service.child.poll() is None, service.log
                    try:
                        return (await http.get("/health")).status_code == 200
                    except httpx.TransportError:
                        return False

                await eventually(healthy, until=bool)
                yield Stage(http, arrange, nothing_to_fetch, has_events=True, seconds=30)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_scene(stage: Stage, scene: Callable[[Stage], Awaitable[None]]) -> None:
    await scene(stage)


@pytest.mark.parametrize("mode", ["single"], indirect=True)
async def test_mail_by_mail(stage: Stage) -> None:
    """By SendEmail, events find their rows just the same."""
    await each_simulated_mailbox_meets_its_fate(stage)


async def test_the_way_of_the_events_is_found_in_order(stage: Stage, arrange: Arrange) -> None:
    """The subscription was confirmed by the service itself; the preflight sees it at SNS."""
    mailout = await arrange.mailout()

    async def report() -> dict[str, Any]:
        answer = await stage.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    endpoint = f"{stage.http.base_url}".rstrip("/") + "/ses-events"
    await eventually(
        report,
        until=lambda r: (
            {
                "level": "ok",
                "what": f"SNS sends the events to {endpoint}.",
                "remedy": "",
            }
            in r["findings"]
        ),
    )
