"""No call reads more rows because more is kept of others, as test_reads_at_size.py says it of all
else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.support.databases import DatabaseServer
from tests.support.engagement import SENT_AT, mailed, row, told, tracked_mailout
from tests.support.factories import Arrange
from tests.support.reads import reader

OTHERS = 4_000
SOME = 20
FIRST = str(UUID(int=0))
LIMITS = {
    "apply_ses_events": 60 * SOME,
    "claim_engagement": 30 * SOME,
    "settle_engagement": 30 * SOME,
    "mark_engagement": 10 * SOME,
    "audience_slice": 10 * SOME,
    "export_person": 200,
    "erase_subscriber": 1_200,  # the links of their mailouts, a thousand at most, may name them
}


@pytest.fixture
def database_name(postgres_server: DatabaseServer) -> Iterator[str]:
    with postgres_server.database(new=True) as name:
        yield name


async def others(arrange: Arrange, mailout: UUID) -> None:
    """Of this mailout and of an older one: long judged."""
    await arrange.sql.execute(
        "insert into subscribers (email, created_at) select 'other' || n || '@example.com', %s "
        "from generate_series(1, %s) n",
        [SENT_AT, OTHERS],
    )
    for whose in (mailout, UUID(int=5)):
        await arrange.sql.execute(
            "insert into send_logs (mailout_id, subscriber_id, email, status) "
            "select %s, id, email, 'delivered' from subscribers where email like 'other%%'",
            [whose],
        )
    await arrange.sql.execute(
        "insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, open_class, "
        "last_opened_at, rules) select id, mailout_id, subscriber_id, 'human', now(), 1 "
        "from send_logs where email like 'other%%'"
    )
    await arrange.sql.execute(
        "insert into engagement_signals (send_log_id, mailout_id, kind, slot, first_at, last_at) "
        "select id, mailout_id, 'open', now(), now(), now() from send_logs "
        "where email like 'other%%'"
    )
    await arrange.sql.execute(
        "insert into mailout_links (mailout_id, url) select %s, 'https://example.com/' || n "
        "from generate_series(1, 900) n",
        [UUID(int=5)],
    )


@pytest.mark.parametrize(
    "known", ["nothing", pytest.param("empty tables", marks=pytest.mark.short)]
)
async def test_no_call_reads_what_is_kept_of_others(dsn: str, arrange: Arrange, known: str) -> None:
    for table in ("engagement_recipients", "engagement_signals", "mailout_links", "send_logs"):
        await arrange.sql.execute(f"alter table {table} set (autovacuum_enabled = off)".encode())
    if known == "empty tables":
        await arrange.sql.execute("analyze")
    mailout = await tracked_mailout(arrange)
    asking = await arrange.mailout(
        "sending", audience={"field": "opened", "op": "is", "value": "any", "days": 9}
    )
    mails = [await mailed(arrange, mailout) for _ in range(SOME)]
    await others(arrange, mailout)
    read: dict[str, int] = {}
    async with reader(dsn) as own:

        async def call(function: str, **arguments: Any) -> Any:
            answer, rows = await own.call(function, **arguments)
            read[function] = max(rows, read.get(function, 0))
            return answer

        for n in range(2):
            events = [row(told(mail, "Click", 700 * n)) for mail in mails]
            events += [row(told(mail, "Delivery", 2 - n)) for mail in mails]
            await call("apply_ses_events", p_events=events)
            claimed = await call("claim_engagement", p_limit=SOME, p_lease=60)
            assert len(claimed) == SOME
            found = [
                {
                    "id": one["id"],
                    "due": one["due"],
                    "open_class": "human",
                    "last_opened_at": SENT_AT.isoformat(),
                    "signals": [[signal["id"], "human", "click"] for signal in one["signals"]],
                }
                for one in claimed
            ]
            assert await call("settle_engagement", p_rules=1, p_recipients=found) == SOME
        await call("mark_engagement", p_after=0, p_rules=1, p_limit=SOME, p_by="cli")
        await call("audience_slice", p_mailout=str(asking), p_after=FIRST, p_limit=SOME)
        await call("export_person", p_email=mails[0].email)
        await call("erase_subscriber", p_email=mails[0].email, p_by="cli")
    assert {name: rows for name, rows in read.items() if rows > LIMITS[name]} == {}
