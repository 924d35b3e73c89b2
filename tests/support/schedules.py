"""Schedules, and time that passes for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.mailouts import Claim
from app.domain.schedules.plan import plan, read_schedule
from app.services.starting.schedule_mailout import zone_rows
from app.store import Store
from tests.support.factories import Arrange

HOUR = timedelta(hours=1)


async def schedule(
    store: Store, mailout_id: UUID, given: Mapping[str, Any], *, now: datetime | None = None
) -> Claim:
    """Schedule it without the checks of its content."""
    found = await store.find_mailout(mailout_id)
    assert found is not None
    wanted = read_schedule(given, "UTC")
    zones = await store.audience_zones(mailout_id)
    planned = plan(wanted, zones, now or datetime.now(UTC))
    return await store.schedule_mailout(
        mailout_id,
        found.content_hash,
        schedule=wanted.as_json(),
        at=planned.starts_at,
        zones=zone_rows(planned, zones) if wanted.by_recipient else None,
        recipients=sum(zones.values()),
    )


async def passes(arrange: Arrange, time: timedelta) -> None:
    """So much time passes for all that is scheduled: every instant comes closer by it."""
    far = timedelta(days=36_500)  # there and back, since two waves must never meet on the way
    statements = []
    for change, step in (
        ("mailouts set scheduled_at = scheduled_at - %s, started_at = started_at - %s", time),
        ("mailout_zones set at = at - %s, next_at = next_at - %s", time),
        ("mailout_waves set at = at - %s, begun_at = begun_at - %s", time + far),
        ("mailout_waves set at = at - %s, begun_at = begun_at - %s", -far),
        (
            "send_logs set next_attempt_at = next_attempt_at - %s, claimed_at = claimed_at - %s",
            time,
        ),
    ):
        statements.append((f"update {change}".encode(), [step, step]))
    async with arrange.sql.transaction():  # senders see all of it or nothing
        for statement, steps in statements:
            await arrange.sql.execute(statement, steps)


def in_hours(hours: float) -> str:
    """A time of UTC so far ahead, as answers write it, too: these leave out seconds of 00."""
    at = datetime.now(UTC) + timedelta(hours=hours)
    return at.replace(second=at.second or 1).strftime("%Y-%m-%dT%H:%M:%S")
