"""Subscribers as a small list has them, and one with a long story."""

from __future__ import annotations

from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.factories import Arrange

NAMES = (
    "Anna Berger", "Bogdan Petrov", "Chiara De Luca", "Dániel Kovács", None, "Elif Yılmaz",
    "Frédérique Saint-Exupéry-Montmorency de la Tour", "Grace O’Neill", None, "Hiroshi Tanaka",
)  # fmt: skip
STATUSES = ("active",) * 6 + ("unsubscribed", "bounced", "pending", "complained")
TAGS: tuple[list[str], ...] = (
    ["newsletter"],
    ["newsletter", "vienna"],
    [],
    ["event-2026", "newsletter", "press"],
)


async def stage_people(arrange: Arrange, mailout: UUID) -> UUID:
    """mailout: one that the person in question got. Gives this person's id."""
    for n in range(60):
        name = NAMES[n % len(NAMES)]
        box = (name or "Reader").split()[0].encode("ascii", "ignore").decode().lower()
        await arrange.subscriber(
            f"{box}{n:02}@example.com",
            name=name,
            status=STATUSES[n % len(STATUSES)],
            tags=TAGS[n % len(TAGS)],
        )
    person = await arrange.subscriber(
        "a.rather.long.address.of.somebody+letters@students.university.example.org",
        name="Amélie Dubois",
        tags=["newsletter", "vienna", "event-2026", "press", "a tag with several words"],
        fields={"city": "Vienna", "shoe size": 38, "likes": ["cats", "maps"], "note": "x" * 80},
        timezone="Europe/Vienna",
        consent=Jsonb({"source": "sign-up", "at": "2026-03-01T10:00:00+00:00", "text": "News."}),
    )
    sql = arrange.sql
    log = await arrange.one(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "select %s, id, email, 'delivered', now() - interval '3 days' from subscribers "
        "where id = %s returning id",
        mailout,
        person,
    )
    for kind in ("send", "delivery", "open", "complaint"):
        await sql.execute(
            "insert into ses_events (sns_message_id, type, mailout_id, send_log_id, payload, "
            "occurred_at) values (%s, %s, %s, %s, '{}', now() - interval '2 days')",
            [f"person-{kind}", kind, mailout, log],
        )
    for by, reason, change in (
        ("key shop", None, "tags = tags || '{bought}'::text[]"),
        ("ses", "complaint", "status = 'complained'"),
        ("dashboard", "She wrote that it was a mistake.", "fields = fields || '{\"vip\": true}'"),
    ):
        async with sql.transaction():
            await sql.execute("select acting(%s, %s)", [by, reason])
            await sql.execute(f"update subscribers set {change} where id = %s".encode(), [person])
    return person
