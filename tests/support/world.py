"""`amazonsender serve` as a process of its own, before a sandbox that posts its events to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.sandbox.config import SandboxConfig
from app.sandbox.sendgrid.standin import SendGridStandIn
from app.sandbox.server import SandboxServer
from tests.support.ports import free_port
from tests.support.service import BEARER, TOPIC, Process, client, command, environment, process
from tests.support.waiting import eventually


@dataclass
class World:
    """The running program and the sandbox, over real HTTP. folder: where the program runs."""

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
            assert self.service.child.poll() is None, self.service.log
            try:
                return (await self.http.get("/health")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, until=bool)


@asynccontextmanager
async def run_world(
    dsn: str,
    folder: Path,
    *,
    sandbox: Mapping[str, Any] | None = None,
    providers: bool = False,
    migrate: bool = False,
    **variables: str | None,
) -> AsyncIterator[World]:
    """Both, once the program is healthy.

    sandbox: settings of the sandbox; without them it has neither rate nor quota. providers: it
    plays SendGrid and Mailgun, too, and the program may send by both. migrate: run
    `amazonsender migrate` first. variables: changes to the program's configuration.
    """
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    settings: dict[str, Any] = {"max_send_rate": 100_000, "max_24h_send": -1}
    settings |= {"event_endpoint": f"{base}/ses-events", "topic_arn": TOPIC}
    settings |= {"event_delay": (0.0, 0.05), **(sandbox or {})}
    if providers:
        settings |= {"sendgrid": True, "mailgun": True, "provider_events": base}
    with SandboxServer(SandboxConfig(**settings)) as server:
        if providers:
            variables = provider_variables(server.url) | variables
        values = environment(dsn, server.url, PORT=str(port), APP_BASE_URL=base, **variables)
        if migrate:
            made = command(folder, values, "migrate")
            assert made.returncode == 0, made.stderr
        async with client(base, timeout=10) as http:
            with process(folder, values, "serve") as service:
                world = World(service, server, http, values, folder)
                await world.healthy()
                yield world


def provider_variables(url: str) -> dict[str, str | None]:
    """What the program needs to send by the stand-ins at this address."""
    return {
        "FALLBACK_PROVIDERS": "sendgrid,mailgun",
        "SENDGRID_API_URL": url,
        "SENDGRID_API_KEY": "SG.sandbox.sandbox",
        "SENDGRID_WEBHOOK_PUBLIC_KEY": SendGridStandIn().public_key,
        "MAILGUN_API_URL": url,
        "MAILGUN_API_KEY": "key-sandbox",
        "MAILGUN_DOMAIN": "mg.example.com",
        "MAILGUN_WEBHOOK_SIGNING_KEY": "sandbox-signing-key",
    }
