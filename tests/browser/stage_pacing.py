"""A region that is warmed up, with a day that didn't count, and two providers that defer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg.types.json import Jsonb

from app.domain.pacing.mailboxes import described
from app.domain.pacing.plan import STANDARD_PROVIDERS, standard_plan
from tests.support.factories import REGION, Arrange

HELD = "6 of 90 bounced (6.7%), and the limit is 5.0%"


async def stage_pacing(arrange: Arrange, sending: UUID) -> None:
    now = datetime.now(UTC)
    plan = standard_plan(50_000)
    started = now - timedelta(days=4, hours=2)
    await arrange.sql.execute(
        "insert into warmups (region, plan, mailboxes, zone, step, held, started_at, started_by) "
        "values (%s, %s, %s, 'UTC', 3, null, %s, 'dashboard')",
        [
            "eu-west-1",
            Jsonb([day.to_row() for day in plan]),
            Jsonb(described(STANDARD_PROVIDERS)),
            started,
        ],
    )
    for ago, step, used, verdict in (
        (4, 0, 50, None),
        (3, 1, 100, HELD),
        (2, 1, 100, None),
        (1, 2, 200, None),
        (0, 3, 263, None),
    ):
        day = plan[step]
        await arrange.sql.execute(
            "insert into warmup_days (region, day, step, cap, caps, used, used_by, opened_at, "
            "ends_at, verdict) values ('eu-west-1', %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (now - timedelta(days=ago)).date(), step, day.total, Jsonb(dict(day.providers)),
                used, Jsonb({"Gmail": used // 2, "Outlook.com": used // 4, "Yahoo and AOL": 9}),
                now - timedelta(days=ago, hours=1), now - timedelta(days=ago) + timedelta(hours=9),
                verdict,
            ],
        )  # fmt: skip
    await arrange.sql.execute(
        "insert into warmups (region, plan, zone, step, state, started_at, ended_at) values "
        "('us-west-2', '[{\"total\": 50}, {\"total\": 100}]', 'UTC', 2, 'done', %s, %s)",
        [now - timedelta(days=90), now - timedelta(days=60)],
    )
    for key, region, rate, deferred, answered in (
        ("Yahoo and AOL", REGION, 2.5, 34, 120),
        ("a-very-long-company-name.example.org", "eu-west-1", 1 / 60, 11, 14),
    ):
        [box] = described([key])
        await arrange.sql.execute(
            "insert into provider_paces (region, key, domains, pattern, rate, ceiling, since, "
            "slowed_at, raised_at, deferred, answered, until) "
            "values (%s, %s, %s, %s, %s, 9, %s, %s, %s, %s, %s, %s)",
            [
                region, key, box["domains"], box["pattern"], rate, now - timedelta(minutes=17), now,
                now, deferred, answered, now + timedelta(days=1),
            ],
        )  # fmt: skip
    for key, count in (("Yahoo and AOL", 40), ("Gmail", 12)):
        await arrange.sql.execute(
            "update send_logs set aside = %s where id in (select id from send_logs "
            "where mailout_id = %s and status = 'queued' and aside is null limit %s)",
            [key, sending, count],
        )
