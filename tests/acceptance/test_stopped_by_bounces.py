"""A mailout stopped by its own bounces, seen from outside: real processes, signed events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.factories import Arrange
from tests.support.service import BEARER, process
from tests.support.waiting import eventually
from tests.support.world import World

OWNER = "owner@example.org"
READERS = 5_000
SAMPLE = 100
"""Recipients with an outcome from which on a mailout is judged."""


@pytest.mark.short
async def test_a_mailout_stops_by_its_own_bounces_and_goes_on_by_a_person(
    world: World, arrange: Arrange
) -> None:
    """A tenth of the list bounces: most of it is spared, the owner is told why, and after the
    resume the guard is armed again.

    At 50 a second the list takes 100 seconds, so that on any machine the guard comes early.
    """
    world.service.stop()
    variables = world.variables | {"RATE_LIMIT_PER_SEC": "50", "OWNER_EMAIL": OWNER}
    await arrange.sql.execute(
        "insert into subscribers (email, created_at) select case when n %% 10 = 0 "
        "then 'bounce+' || n || '@simulator.amazonses.com' else 'r' || n || '@example.com' end, "
        "now() - interval '1 day' from generate_series(1, %s) n",
        [READERS],
    )
    mailout = await arrange.mailout()
    with process(world.folder, variables, "serve") as service:
        world.service = service
        await world.healthy()
        await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
        first = await _paused(world, mailout)
        assert "bounced for good; allowed are 5 %" in first["status_reason"]
        assert first["counts"]["queued"] > READERS / 2
        await eventually(lambda: _told(world), until=lambda mails: len(mails) == 1)
        [mail] = world.sandbox.mails(OWNER)
        assert mail["subject"] == "Paused: Hello"

        await world.http.post(f"/mailouts/{mailout}/resume", headers=BEARER)
        second = await _paused(world, mailout)
        counts = second["counts"]
        assert 0 < counts["queued"] <= first["counts"]["queued"] - SAMPLE
        accepted = [row for row in world.sandbox.accepted() if row["to"] != OWNER]
        assert len(accepted) == READERS - counts["queued"] - counts["skipped"]
        assert world.sandbox.stats()["duplicates"] == 0


async def _paused(world: World, mailout: object) -> dict[str, Any]:
    """The mailout, once it is paused, everybody is queued, and every mail has had its event."""
    return await eventually(
        lambda: world.show(mailout),
        until=lambda s: (
            s["status"] == "paused"
            and sum(s["counts"].values()) == READERS
            and not s["counts"]["sending"] + s["counts"]["sent"]
        ),
        seconds=60,
    )


async def _told(world: World) -> list[dict[str, Any]]:
    return world.sandbox.mails(OWNER)
