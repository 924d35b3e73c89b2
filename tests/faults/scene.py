"""A service with two SES regions, each behind a door, its readers, and the account at the end: who
was accepted how often, by any route."""

from __future__ import annotations

import asyncio
import csv
import io
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from structlog.testing import capture_logs

from app.main import create_app, running
from app.sandbox.config import SandboxConfig
from app.sandbox.main import listen, local_url
from app.sandbox.server import Remote, SandboxServer
from tests.soak.judge import Accepted, Shown, Verdict, judge
from tests.support.door import Door, door
from tests.support.factories import Arrange
from tests.support.service import BEARER, TOPIC, Service, settings_for
from tests.support.waiting import eventually
from tests.support.world import provider_variables

HOME, AWAY = "us-east-1", "eu-west-1"
REGIONS = (HOME, AWAY)
READERS = 300
RATE = 60
BATCH = 10
LATENCY = {"min": 0.05, "max": 0.2}
ENDED = frozenset({"sent", "failed", "cancelled"})


def other(region: str) -> str:
    return AWAY if region == HOME else HOME


@dataclass
class Scene:
    service: Service
    sandbox: SandboxServer
    doors: dict[str, Door]
    arrange: Arrange
    readers: int

    def ses(self, region: str) -> Remote:
        """The sandbox's side of a region."""
        return self.sandbox if region == HOME else self.sandbox.regions[region]

    async def mailout(self, **columns: Any) -> UUID:
        """A new one to all readers, on its way."""
        made = await self.arrange.mailout(**columns)
        answer = await self.service.send(made)
        assert answer.status_code == 202, answer.text
        return made

    async def accepted(self, mailout: UUID) -> list[dict[str, Any]]:
        """The lines of the accept log that are this mailout's."""
        lines = await asyncio.to_thread(self.sandbox.accepted)
        return [line for line in lines if line["tags"].get("mailout_id") == str(mailout)]

    async def routes(self, mailout: UUID) -> Counter[str]:
        """How many recipients each route accepted."""
        return Counter(line["route"] for line in await self.accepted(mailout))

    async def under_way(self, mailout: UUID, *routes: str) -> None:
        """Until each of the routes has accepted some of it."""

        async def look() -> Counter[str]:
            return await self.routes(mailout)

        await eventually(look, until=lambda by: all(by[r] >= 2 * BATCH for r in routes))

    async def ended(self, mailout: UUID) -> dict[str, Any]:
        return await eventually(
            lambda: self.service.show(mailout), until=lambda s: s["status"] in ENDED
        )

    def trouble(self, provider: str, **fault: Any) -> None:
        """How its calls fail from now on; without a fault, none does."""
        path = f"/sandbox/{provider}/faults"
        self.sandbox.control.put(path, json=fault).raise_for_status()

    async def judged(self, mailout: UUID) -> Verdict:
        """Once all events are in: nobody twice, nobody lost, and who wasn't accepted is unknown at
        most."""
        accepted = Accepted.read(await self.accepted(mailout), str(mailout))

        async def settled() -> dict[str, int]:
            shown = await self.service.show(mailout)
            counts: dict[str, int] = shown["counts"]
            return counts

        await eventually(settled, until=lambda c: c["delivered"] >= len(accepted))
        statement = (
            await self.service.http.get(f"/mailouts/{mailout}/statement.csv", headers=BEARER)
        ).raise_for_status()
        shown = Shown.read(
            list(csv.DictReader(io.StringIO(statement.text))), await self.service.show(mailout)
        )
        verdict = Verdict({"accepted": len(accepted), "counts": shown.counts})
        everybody = [f"reader{n}@example.com" for n in range(1, self.readers + 1)]
        judge(verdict, everybody, accepted, shown, final=True)
        assert verdict.wrong == [], verdict.table()
        assert shown.counts["delivered"] == len(accepted)
        return verdict


@asynccontextmanager
async def scene(
    dsn: str,
    arrange: Arrange,
    patch: pytest.MonkeyPatch,
    *,
    readers: int = READERS,
    providers: bool = False,
    **variables: str | None,
) -> AsyncIterator[Scene]:
    """The service in this process, over real HTTP. It asks for the account far more often than it
    does in earnest, so that what heals is seen to heal.

    providers: SendGrid and Mailgun send in SES's place when all its regions are down.
    """
    patch.setattr("app.services.sending.account.REFRESH_SECONDS", 1.0)
    patch.setattr("app.services.sending.account.RETRY_SECONDS", 0.3)
    seed = random.SystemRandom().randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    await arrange.subscribers(readers)
    async with AsyncExitStack() as stack:
        listener = listen("127.0.0.1", 0)
        stack.callback(listener.close)
        front = local_url(listener)
        config = SandboxConfig(
            max_send_rate=100_000,
            max_24h_send=-1,
            regions=(AWAY,),
            topic_arn=TOPIC,
            event_endpoint=f"{front}/ses-events",
            event_delay=(0.0, 0.2),
            seed=seed,
            sendgrid=providers,
            mailgun=providers,
            provider_events=front,
        )
        server = stack.enter_context(SandboxServer(config))
        urls = {HOME: server.url, AWAY: server.regions[AWAY].url}
        doors = {name: await stack.enter_async_context(door(url)) for name, url in urls.items()}
        settings = settings_for(
            dsn,
            None,
            APP_BASE_URL=front,
            AWS_REGION=None,
            SES_REGIONS=",".join(REGIONS),
            AWS_ENDPOINT_URL_SESV2_US_EAST_1=doors[HOME].url,
            AWS_ENDPOINT_URL_SESV2_EU_WEST_1=doors[AWAY].url,
            AWS_ENDPOINT_URL_SNS=server.url,
            SNS_ALLOWED_TOPIC_ARNS=f"{TOPIC},{TOPIC.replace(HOME, AWAY)}",
            RATE_LIMIT_PER_SEC=str(RATE),
            BATCH_SIZE=str(BATCH),
            **(provider_variables(server.url) if providers else {}),
            **variables,
        )
        services = await stack.enter_async_context(running(settings, with_sender=True))
        app = create_app(services)
        web = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        serving = asyncio.create_task(web.serve([listener]))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=front, trust_env=False, timeout=20)
        )
        made = Scene(Service(services, http), server, doors, arrange, readers)
        for region in REGIONS:
            made.ses(region).faults(latency=LATENCY)
        lines = stack.enter_context(capture_logs())  # a line for each event takes longer than it
        try:
            yield made
        finally:
            told = [line for line in lines if line["log_level"] != "info"]
            sys.stdout.write("\n".join(str(line)[:300] for line in told[:60]) + "\n")
            web.should_exit = True
            await serving
