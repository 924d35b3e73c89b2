"""What becomes of the gaps between finished rows as a ledger grows by mailouts alone, by the room
that is kept in each page: `python -m bench.gaps [FILLFACTOR …]`. The statements are plain ones that
make the same versions of a row as queueing, claim, record and event do; ten minutes on two cores.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.migrations import migrate

Sql = psycopg.Connection[Any]
DATA = Path(os.environ.get("GAPS_DATA", "/var/tmp/amazonsender-gaps"))
CLAIM = 400
CLAIMED = "status = 'sending', attempts = 1, attempt_id = gen_random_uuid(), claimed_at = now()"
RECORDED = (
    "status = 'sent', sent_at = now(), message_id = '0100019b' || substr(md5(email), 1, 8) "
    "|| '-' || gen_random_uuid() || '-000000'"
)
DELIVERED = "status = 'delivered', event_at = now()"


class Life(NamedTuple):
    """vacuum: behind each so many mailouts. events: so many mails behind the claim. changed: one
    in so many rows is changed once more."""

    what: str
    recipients: int = 6_000
    mailouts: int = 15
    vacuum: int = 1
    events: int = 6_000
    changed: int = 0


LIVES = (
    Life("a vacuum behind each, events late"),
    Life("events soon", events=1_200),
    Life("2 % of the rows changed once more", changed=50),
    Life("a vacuum behind each third", recipients=20_000, mailouts=18, vacuum=3),
)


def live(sql: Sql, life: Life) -> Iterator[tuple[float, float, float]]:
    """Of each mailout: WAL of queueing and of the rest, bytes a mail; recipients on a page."""
    for number in range(1, life.mailouts + 1):
        sql.execute("checkpoint")
        begun = lsn(sql)
        for _ in range(2):
            sql.execute(
                "insert into send_logs (mailout_id, subscriber_id, email) select md5(%s)::uuid, "
                "gen_random_uuid(), 'reader' || n || '@example.com' from generate_series(1, %s) n",
                [str(number), life.recipients // 2],
            )
        queued = lsn(sql)
        [last, pages] = one(
            sql,
            "select max(id), count(distinct (ctid::text::point)[0]) from send_logs "
            f"where mailout_id = md5('{number}')::uuid",
        )
        first = last - life.recipients
        for at in range(0, life.recipients + life.events + CLAIM, CLAIM):
            for behind, change in ((0, CLAIMED), (800, RECORDED), (life.events, DELIVERED)):
                if 0 <= at - behind < life.recipients:
                    sql.execute(
                        f"update send_logs set {change} where id > %s and id <= %s".encode(),
                        [first + at - behind, first + at - behind + CLAIM],
                    )
        yield (
            (queued - begun) / life.recipients,
            (lsn(sql) - queued) / life.recipients,
            life.recipients / pages,
        )
        if life.changed:
            sql.execute(
                "update send_logs set unsubscribed_at = now() where id %% %s = 0 and id > %s",
                [life.changed, first - 3 * life.recipients],
            )
        if number % life.vacuum == 0:
            sql.execute("vacuum send_logs")


def lsn(sql: Sql) -> int:
    return int(one(sql, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")[0])


def one(sql: Sql, query: str) -> Any:
    row = sql.execute(query.encode()).fetchone()
    assert row is not None
    return row


def main(fillfactors: list[int]) -> None:
    settings = {
        "shared_buffers": "64MB", "autovacuum": "off", "max_wal_size": "4GB",
        "checkpoint_timeout": "60min", "fsync": "off",
    }  # fmt: skip
    with EmbeddedPostgres(DATA, settings=settings) as server:
        for life in LIVES:
            for fillfactor in fillfactors:
                with psycopg.connect(server.dsn(), autocommit=True) as sql:
                    sql.execute("drop database if exists gaps")
                    sql.execute("create database gaps")
                dsn = server.dsn("gaps")
                asyncio.run(migrate(dsn))
                with psycopg.connect(dsn, autocommit=True) as sql:
                    sql.execute("alter table send_logs disable trigger user")
                    sql.execute(f"alter table send_logs set (fillfactor = {fillfactor})".encode())
                    *_, (queue, rest, together) = live(sql, life)
                    [table] = one(sql, "select pg_relation_size('send_logs')")
                print(
                    f"{life.what}, fillfactor {fillfactor}: WAL {queue:.0f} + {rest:.0f} bytes a "
                    f"mail, {together:.1f} queued on a page, table "
                    f"{table / life.recipients / life.mailouts:.0f} bytes a row",
                    flush=True,
                )


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [100, 90, 70])
