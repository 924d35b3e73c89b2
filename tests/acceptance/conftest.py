from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.support.ports import free_port
from tests.support.service import BEARER, TOPIC, Process, environment, process
from tests.support.waiting import eventually


@dataclass
class World:
    """The running program: `amazonsender serve` and the sandbox, over real HTTP."""

    service: Process
    sandbox: SandboxServer
    http: httpx.AsyncClient
    variables: dict[str, str]
    folder: Path

    async def show(self, mailout: object) -> dict[str, Any]:
        found: dict[str, Any] = (
            (await self.http.get(f"/mailouts/{mailout}", headers=BEARER)).raise_for_status().json()
        )
        return found

    async def healthy(self) -> None:
        async def answers() -> bool:
            try:
                return (await self.http.get("/health")).status_code == 200
            except httpx.TransportError:
                assert self.service.child.poll() is None, self.service.log
                return False

        await eventually(answers, until=bool)


@pytest.fixture
async def world(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    config = SandboxConfig(
        max_send_rate=100_000,
        max_24h_send=-1,
        event_endpoint=f"{base}/ses-events",
        topic_arn=TOPIC,
        event_delay=(0.0, 0.05),
        signature_version="2",
    )
    with SandboxServer(config) as sandbox:
        variables = environment(
            dsn, sandbox.url, PORT=str(port), APP_BASE_URL=base, LEASE_SECONDS="3"
        )
        async with httpx.AsyncClient(base_url=base, timeout=10, trust_env=False) as http:
            with process(tmp_path, variables, "serve") as service:
                world = World(service, sandbox, http, variables, tmp_path)
                await world.healthy()
                yield world
