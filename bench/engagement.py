"""Deliveries, opens and clicks of a mailout of a million against `/ses-events`, and how long it
takes to judge what they tell."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from app.adapters.database.postgres import PostgresDatabase
from app.services.engagement.judge_recipients import JudgeRecipients
from app.store import Store
from bench.events import ATTEMPT, CONNECTIONS, MAILOUT, certificate_host, measure, our_service
from bench.parts import cpu_of_postgres, dropped_indexes, indexed, truncate
from tests.support.service import TOPIC, settings_for
from tests.support.sns import SnsSigner, body_of, headers_of

Row = tuple[str, str, str, str]

RECIPIENTS = 1_000_000
EVENTS = 16_000
BURST = 200_000
"""Recipients who are due to be judged at once."""
PAYLOADS = {
    kind: Path(f"tests/payloads/ses/{kind}.json").read_text()
    for kind in ("delivery", "open", "click")
}
BODY = "".join(f'<p><a href="https://example.com/{n}">{n}</a></p>' for n in range(9)) + (
    '<p><a href="https://example.com/yours?id={{ email }}">Yours</a></p>'
)


def tracked(dsn: str) -> Iterator[Row]:
    built = ledger(dsn)
    with certificate_host() as (signer, sns_url):
        told = list(mixed(signer, sns_url))
        with our_service(dsn, sns_url) as (child, port):
            run = measure(dsn, child, port, [request for _, request in told])
    kinds = Counter(kind for kind, _ in told)
    lost = missing(dsn, kinds)
    yield (
        f"/ses-events, {kinds['delivery']:,} deliveries, {kinds['open']:,} opens and "
        f"{kinds['click']:,} clicks of {RECIPIENTS:,} recipients, {CONNECTIONS} connections",
        f"{run.rate:,.0f}/s, median {run.p50 * 1000:.0f} ms, 99th percentile "
        f"{run.p99 * 1000:.0f} ms, {lost} lost, {run.refused} refused",
        "2,000/s, none lost",
        f"{run.cpu}; the ledger was built in {built:.0f} s",
    )
    judged, took, cpu = judge(dsn)
    yield (
        "judging what they tell, one process without its rests",
        f"{judged:,} recipients in {took:.1f} s: {judged / took:,.0f}/s", "stated",
        f"PostgreSQL's CPU {cpu:.1f} s",
    )  # fmt: skip
    with psycopg.connect(dsn, autocommit=True) as sql:
        burst(sql)
    judged, took, cpu = judge(dsn)
    yield (
        f"judging a burst of {BURST:,} recipients, an open and two clicks each",
        f"{judged:,} recipients in {took:.1f} s: {judged / took:,.0f}/s", "stated",
        f"PostgreSQL's CPU {cpu:.1f} s",
    )  # fmt: skip


def ledger(dsn: str) -> float:
    """A mailout that was sent to everybody; gives the seconds it took."""
    began = time.monotonic()
    with psycopg.connect(dsn, autocommit=True) as sql:
        truncate(sql)
        indexes = dropped_indexes(sql, "send_logs")
        sql.execute(
            "insert into mailouts (id, subject, body_html, status, tracking, started_at) "
            "values (%s, 'x', %s, 'sent', true, now())",
            [MAILOUT, BODY],
        )
        sql.execute(
            "insert into mailout_snapshots (mailout_id, content, content_hash) "
            "select id, mailout_content(m), mailout_content_hash(m) from mailouts m"
        )
        sql.execute(
            "insert into send_logs (id, mailout_id, subscriber_id, email, status, attempt_id, "
            "attempts, sent_at) overriding system value "
            "select n, %s, md5(n::text)::uuid, 'reader' || n || '@example.com', 'sent', %s, 1, "
            "'2026-01-31T09:00:00Z' from generate_series(1, %s) n",
            [MAILOUT, ATTEMPT, RECIPIENTS],
        )
        indexed(sql, indexes, "send_logs")
        sql.execute("vacuum analyze send_logs")
    return time.monotonic() - began


def mixed(signer: SnsSigner, sns_url: str) -> Iterator[tuple[str, bytes]]:
    """Two in five are deliveries; of the others each third is a click, many of them of few, so that
    opens and clicks come again and again."""
    chance = random.Random(7)
    for n in range(EVENTS):
        kind = chance.choices(("delivery", "open", "click"), (6, 6, 3))[0]
        row = n + 1 if kind == "delivery" else 1 + int(RECIPIENTS * chance.random() ** 3)
        yield kind, signed(signer, sns_url, kind, row, chance)


def signed(signer: SnsSigner, sns_url: str, kind: str, row: int, chance: random.Random) -> bytes:
    event: dict[str, Any] = json.loads(PAYLOADS[kind])
    event["mail"]["messageId"] = event["mail"]["commonHeaders"]["messageId"] = f"m-{row}"
    event["mail"]["destination"] = [f"reader{row}@example.com"]
    event["mail"]["tags"] |= {
        "mailout_id": [str(MAILOUT)], "send_log_id": [str(row)], "attempt": [str(ATTEMPT)],
    }  # fmt: skip
    if kind == "click":
        link = chance.choice([*map(str, range(9)), f"yours?id=reader{row}%40example.com"])
        event["click"]["link"] = f"https://example.com/{link}"
    message = signer.notification(
        json.dumps(event, separators=(",", ":")),
        TopicArn=TOPIC,
        SigningCertURL=f"{sns_url}/SimpleNotificationService-bench.pem",
    )
    body = body_of(message)
    headers = {**headers_of(message), "Host": "127.0.0.1", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /ses-events HTTP/1.1\r\n{head}\r\n".encode() + body


def missing(dsn: str, kinds: Counter[str]) -> int:
    """What isn't in the tables afterwards: of deliveries their rows, of the others their number."""
    with psycopg.connect(dsn) as sql:
        found = sql.execute(
            "select (select count(*) from ses_events where type = 'delivery' "
            "and send_log_id is not null), "
            "coalesce((select sum(events) from engagement_signals), 0)"
        ).fetchone()
    assert found is not None
    delivered, signals = map(int, found)
    return kinds["delivery"] - delivered + kinds["open"] + kinds["click"] - signals


def judge(dsn: str) -> tuple[int, float, float]:
    """How many recipients, in how many seconds, at how much of PostgreSQL's CPU."""

    async def work() -> int:
        database = PostgresDatabase(dsn)
        judging = JudgeRecipients(Store(database), settings_for(dsn, None))
        await judging.read_links()
        count = 0
        while done := await judging.judge_slice():
            count += done
        await database.close()
        return count

    began, cpu = time.monotonic(), cpu_of_postgres(dsn)
    count = asyncio.run(work())
    return count, time.monotonic() - began, cpu_of_postgres(dsn) - cpu


def burst(sql: psycopg.Connection[Any]) -> None:
    sql.execute("truncate engagement_recipients, engagement_signals")
    sql.execute(
        "insert into engagement_recipients (send_log_id, mailout_id, delivered_at, due_at) "
        "select n, %s, '2026-01-31T09:00:02Z', now() from generate_series(1, %s) n",
        [MAILOUT, BURST],
    )
    sql.execute(
        "insert into engagement_signals (send_log_id, mailout_id, kind, link_id, slot, first_at, "
        "last_at) select n, %s, case k when 0 then 'open' else 'click' end, "
        "case k when 0 then 0 else (select min(id) from mailout_links) + k end, "
        "'2026-01-31T11:00:00Z', '2026-01-31T11:01:00Z', '2026-01-31T11:01:00Z' "
        "from generate_series(1, %s) n, generate_series(0, 2) k",
        [MAILOUT, BURST],
    )
    sql.execute("vacuum analyze engagement_recipients, engagement_signals")
