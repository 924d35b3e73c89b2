"""The running program: SES falls silent in the midst of a mailout, and SendGrid goes on with those
who are queued, until SES answers again. Nobody gets it twice, nobody is lost."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support.factories import Arrange
from tests.support.service import BEARER, process
from tests.support.waiting import eventually
from tests.support.world import World, run_world

pytestmark = pytest.mark.short

READERS = 300


@asynccontextmanager
async def fallback_world(dsn: str, folder: Path, **variables: Any) -> AsyncIterator[World]:
    given: dict[str, Any] = {
        "FALLBACK_AFTER_SECONDS": "2",
        "FALLBACK_RATE_PER_SEC": "1000",
        "BATCH_SIZE": "5",
        "RATE_LIMIT_PER_SEC": "100",
    }
    async with run_world(dsn, folder, providers=True, **(given | variables)) as world:
        yield world


async def start(world: World, mailout: UUID) -> None:
    body = {"mailout_id": str(mailout)}
    sent = await world.http.post("/send-mailout", json=body, headers=BEARER)
    assert sent.status_code == 202, sent.text


async def state(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (await world.http.get("/fallback", headers=BEARER)).json()
    return found


def taken(world: World) -> dict[str, Counter[str]]:
    """How often each address was accepted, by route: their own word, not ours."""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    for one in world.sandbox.accepted():
        by[one["route"]][one["to"]] += 1
    return by


def fault(world: World, provider: str, **given: Any) -> None:
    answer = world.sandbox.control.put(f"/sandbox/{provider}/faults", json=given)
    assert answer.status_code == 200, answer.text


async def rows(arrange: Arrange, mailout: UUID) -> dict[str, str]:
    done = await arrange.sql.execute(
        "select email, status from send_logs where mailout_id = %s", [mailout]
    )
    return {row["email"]: row["status"] async for row in done}


async def all_told(world: World, arrange: Arrange, mailout: UUID) -> None:
    """Nobody was accepted twice; whoever was accepted is delivered in the end, by an event where
    the answer was lost; and whoever nobody accepted is said to be unknown."""

    async def untold() -> dict[str, str]:
        accepted = sum(taken(world).values(), Counter[str]())
        assert set(accepted.values()) == {1}
        found = await rows(arrange, mailout)
        return {
            email: status
            for email, status in found.items()
            if status != ("delivered" if email in accepted else "unknown")
        }

    await eventually(untold, until=lambda left: not left)


async def test_an_outage_in_the_midst_of_a_mailout(
    dsn: str, arrange: Arrange, tmp_path: Path
) -> None:
    """Beside it works a process that has no providers. The first call that SendGrid gets is
    accepted, and its answer lost: the webhook settles it."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with fallback_world(dsn, tmp_path) as world:
        alone = {
            name: value for name, value in world.variables.items() if name != "FALLBACK_PROVIDERS"
        }
        world.sandbox.faults(next=["ok", "ok", "accept_then_drop"], drop_before_accept=1)
        fault(world, "sendgrid", status=0, ending="drop", accept=True, times=1)
        with process(tmp_path, alone, "worker"):
            await start(world, mailout)

            async def ended() -> dict[str, Any]:
                return await world.show(mailout)

            done = await eventually(ended, until=lambda seen: seen["status"] == "sent")
            by = taken(world)
            assert len(by["us-east-1"]) >= 15 and len(by["sendgrid"]) >= 20

            await all_told(world, arrange, mailout)
            assert done["recipients"] == READERS

            world.sandbox.faults()

            async def closed() -> dict[str, Any]:
                return await state(world)

            seen = await eventually(closed, until=lambda seen: not seen["open"])
            assert seen["reason"] == "SES can send again."
            told = [(one["provider"], one["by"]) for one in seen["changes"]]
            assert told[:2] == [(None, None), ("sendgrid", None)]
            page = (await world.http.get("/metrics", headers=BEARER)).text
            counted = re.search(r'provider_recipients_total\{provider="sendgrid"\} (.+)', page)
            assert counted and 0 < float(counted[1]) < len(by["sendgrid"]), "one call had no answer"
            assert 'amazonsender_fallback_open{provider="sendgrid"} 0.0' in page
            assert 'amazonsender_rate_recipients_per_second{region="sendgrid"} 1000.0' in page
            assert 'amazonsender_ses_region_waits{region="sendgrid"}' not in page
            listed = await world.http.get(
                f"/mailouts/{mailout}/recipients", params={"limit": 200}, headers=BEARER
            )
            routes = {row["email"]: row["route"] for row in listed.json()["items"]}
            assert routes and all(
                (routes[email] == "sendgrid") is (email in by["sendgrid"]) for email in routes
            )


async def test_an_account_that_is_paused_a_key_that_is_refused_and_a_kill(
    dsn: str, arrange: Arrange, tmp_path: Path
) -> None:
    """The mailout goes on although it was paused for the account; SendGrid refuses the key, so it
    is Mailgun's turn; the process is killed while a call hangs that Mailgun has accepted."""
    await arrange.subscribers(60)
    mailout = await arrange.mailout()
    given = {"SENDGRID_API_KEY": "SG.revoked", "LEASE_SECONDS": "3", "FALLBACK_AFTER_SECONDS": "1"}
    async with fallback_world(dsn, tmp_path, **given) as world:
        world.sandbox.account(sending_enabled=False)
        fault(world, "mailgun", status=0, ending="hang", accept=True, times=1)
        await start(world, mailout)

        async def accepted() -> int:
            return taken(world)["mailgun"].total()

        await eventually(accepted, until=bool)
        world.service.kill()
        with process(tmp_path, world.variables, "serve"):
            await all_told(world, arrange, mailout)
            assert taken(world).keys() == {"mailgun"}
            changes = (await state(world))["changes"][::-1]
            assert [one["provider"] for one in changes[:2]] == ["sendgrid", "mailgun"]
            assert changes[0]["reason"] == (
                "SES can't send: it lets the account send nothing in us-east-1."
            )
            assert "SendGrid refuses" in changes[1]["reason"]
            assert "SG.revoked" not in str(changes)
