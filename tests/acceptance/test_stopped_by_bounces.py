"""A mailout stopped by its own bounces, seen from outside: real processes, signed events."""

from __future__ import annotations

from typing import Any

from tests.acceptance.conftest import World
from tests.support.factories import Arrange
from tests.support.service import BEARER, process
from tests.support.waiting import eventually

OWNER = "owner@example.org"


async def test_a_mailout_stops_by_its_own_bounces_and_goes_on_by_a_person(
    world: World, arrange: Arrange
) -> None:
    """A tenth of the list bounces: most of it is spared, the owner is told why, and after the
    resume the guard is armed again."""
    world.service.stop()
    variables = world.variables | {"RATE_LIMIT_PER_SEC": "200", "OWNER_EMAIL": OWNER}
    await arrange.sql.execute(
        "insert into subscribers (email, created_at) select case when n % 10 = 0 "
        "then 'bounce+' || n || '@simulator.amazonses.com' else 'r' || n || '@example.com' end, "
        "now() - interval '1 day' from generate_series(1, 3000) n"
    )
    mailout = await arrange.mailout()
    with process(world.folder, variables, "serve") as service:
        world.service = service
        await world.healthy()
        await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
        first = await _paused(world, mailout)
        assert "bounced for good; allowed are 5 %" in first["status_reason"]
        # 100 outcomes at 200 a second and events within 0.2 s; what follows is one batch.
        assert first["counts"]["queued"] > 1_500
        await eventually(lambda: _told(world), until=lambda mails: len(mails) == 1)
        [mail] = world.sandbox.mails(OWNER)
        assert mail["subject"] == "Paused: Hello"

        await world.http.post(f"/mailouts/{mailout}/resume", headers=BEARER)
        second = await _paused(world, mailout)
        counts = second["counts"]
        assert counts["queued"] < first["counts"]["queued"] - 100
        assert counts["queued"] > 0
        accepted = [row for row in world.sandbox.accepted() if row["to"] != OWNER]
        assert len(accepted) == 3_000 - counts["queued"] - counts["skipped"]
        assert world.sandbox.stats()["duplicates"] == 0


async def _paused(world: World, mailout: object) -> dict[str, Any]:
    """The mailout, once it is paused and nothing is under way."""
    return await eventually(
        lambda: world.show(mailout),
        until=lambda s: s["status"] == "paused" and not s["counts"]["sending"],
        seconds=30,
    )


async def _told(world: World) -> list[dict[str, Any]]:
    return world.sandbox.mails(OWNER)
