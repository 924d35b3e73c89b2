"""Mailouts that wait for their time, put straight into the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.factories import Arrange

ZONES = (
    ("Pacific/Auckland", -11, 310), ("Australia/Sydney", -9, 1_240), ("Asia/Tokyo", -8, 2_120),
    ("Asia/Kolkata", -4.5, 890), ("Europe/Berlin", 0, 6_450), ("Europe/Vienna", 0, 2_310),
    ("Europe/Paris", 0, 1_020), ("Europe/Madrid", 0, 480), ("Europe/London", 1, 3_300),
    ("America/Sao_Paulo", 4, 560), ("America/New_York", 6, 5_180),
    ("America/Los_Angeles", 9, 2_700), ("Pacific/Honolulu", 11, 70), ("", 0, 760),
)  # fmt: skip
"""Where people are, when their time is (hours after Berlin's), and how many they are."""


async def stage_schedules(arrange: Arrange) -> dict[str, UUID]:
    """One for everybody at once, one in waves, and one in the middle of its waves."""
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=3)
    wish = {"at": f"{soon:%Y-%m-%dT09:00}", "zone": "recipient", "fallback": "Europe/Berlin"}
    people = sum(count for _, _, count in ZONES)
    at_once = await arrange.mailout(
        "scheduled",
        subject="What is new in December",
        scheduled_at=soon,
        schedule=Jsonb({"at": wish["at"], "zone": "Europe/Berlin"}),
        recipients=12_480,
    )
    ids = {}
    for name, status, berlin in (
        ("scheduled-waves", "scheduled", soon),
        ("sending-waves", "sending", datetime.now(UTC) + timedelta(hours=1)),
    ):
        ids[name] = mailout = await arrange.mailout(
            status,
            subject="Good morning, wherever you are",
            scheduled_at=berlin - timedelta(hours=11),
            schedule=Jsonb(wish | {"passed": "next_day"}),
            waves=True,
            recipients=people,
            started_at=berlin - timedelta(hours=11.2) if status == "sending" else None,
        )
        for zone, hours, count in ZONES:
            at = berlin + timedelta(hours=hours)
            await arrange.sql.execute(
                "insert into mailout_zones (mailout_id, zone, at, next_at, recipients) "
                "values (%s, %s, %s, %s, %s)",
                [mailout, zone.lower(), at, at + timedelta(days=1), count],
            )
    await _half_sent(arrange, ids["sending-waves"])
    return {"scheduled": at_once, **ids}


async def _half_sent(arrange: Arrange, mailout: UUID) -> None:
    await arrange.sql.execute(
        "insert into mailout_waves (mailout_id, at, recipients, taken, begun_at) "
        "select mailout_id, at, sum(recipients), case when at < now() then sum(recipients) else 0 "
        "end, case when at < now() then at end from mailout_zones where mailout_id = %s "
        "group by mailout_id, at",
        [mailout],
    )
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, next_attempt_at) "
        "select mailout_id, gen_random_uuid(), 'reader' || n || '@example.com', "
        "case when taken > 0 then 'delivered' else 'queued' end, at "
        "from mailout_waves, generate_series(1, recipients) n where mailout_id = %s",
        [mailout],
    )
