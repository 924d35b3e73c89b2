"""record_batches leaves what recording one attempt after the other left: model.sql is how that was
done before there were groups."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.factories import REGION, Arrange

MODEL = Path(__file__).with_name("model.sql").read_text(encoding="utf-8")
ROWS = 5
"""Of a batch."""
OUTCOMES = ("sent", "sent", "failed", "retry", "requeue", "unknown")
STATES = ("sending", "sending", "sending", "unknown", "queued", "sent", "delivered", "failed")


def result(chance: random.Random, row: int) -> dict[str, Any]:
    outcome = chance.choice(OUTCOMES)
    is_sent = outcome == "sent"
    return {
        "id": row,
        "outcome": outcome,
        "message_id": f"m{row}" if is_sent and chance.random() < 0.9 else None,
        "code": None if is_sent else chance.choice(["throttled", None]),
        "message": None if is_sent else chance.choice(["No.", None]),
        "delay": chance.choice([0.0, 60.0]),
    }


def in_columns(results: Sequence[dict[str, Any]], attempt: UUID) -> dict[str, Any]:
    """As the program passes them."""
    plain = [r for r in results if r["outcome"] == "sent" and r["message_id"]]
    return {
        "attempt": str(attempt),
        "ids": [r["id"] for r in plain],
        "message_ids": [r["message_id"] for r in plain],
        "rest": [r for r in results if r not in plain],
    }


async def twins(arrange: Arrange, chance: random.Random, base: int) -> dict[UUID, list[int]]:
    """Two mailouts with three batches; gives the rows of each attempt."""
    batches: dict[UUID, list[int]] = {}
    for number in range(2):
        mailout = await arrange.mailout(
            chance.choice(["sending", "sending", "paused", "cancelled", "sent"]),
            waves=chance.random() < 0.3,
        )
        await arrange.sql.execute(
            "insert into mailout_queues (mailout_id, done_at) values (%s, %s)",
            [mailout, chance.choice(["now", None])],
        )
        for nth in range(3):
            attempt = UUID(int=base + number * 10 + nth)
            rows = [base + number * 100 + nth * 10 + k for k in range(ROWS)]
            batches[attempt] = rows
            region = chance.choice([REGION, "sendgrid"])
            await arrange.sql.execute(
                "insert into send_batches (attempt_id, mailout_id, executor_id, region,"
                " send_log_ids, token_at) values (%s, %s, %s, %s, %s, now())",
                [attempt, mailout, UUID(int=1), region, rows],
            )
            for row in rows:
                state = chance.choice(STATES)
                known = state in {"sent", "delivered"} and chance.random() < 0.6
                await arrange.sql.execute(
                    "insert into send_logs (id, mailout_id, subscriber_id, email, status,"
                    " message_id, attempts, attempt_id, is_test, next_attempt_at)"
                    " overriding system value values (%s, %s, %s, %s, %s, %s, 2, %s, %s, now())",
                    [row, mailout, UUID(int=row % base), chance.choice(["erased", f"{row}@x.org"]),
                     state, "old" if known else None,
                     attempt if chance.random() < 0.9 else UUID(int=9), chance.random() < 0.1],
                )  # fmt: skip
    return batches


async def left(sql: psycopg.AsyncConnection[Any], base: int) -> list[Any]:
    """All that recording writes, of the twins with these ids."""
    queries = (
        "select id %% %(base)s, status, attempts, message_id is null, sent_at is null,"
        " coalesce(round(extract(epoch from next_attempt_at - now()) / 10), -1), error_code,"
        " error_message from send_logs where id >= %(base)s and id < 2 * %(base)s order by 1",
        "select row_number() over (order by attempt_id), accepted, recorded_at is null"
        " from send_batches where send_log_ids[1] >= %(base)s and send_log_ids[1] < 2 * %(base)s"
        " order by 1",
        "select min(b.send_log_ids[1]) %% %(base)s, c.region, max(c.accepted) from route_counts c"
        " join send_batches b using (mailout_id)"
        " where send_log_ids[1] >= %(base)s and send_log_ids[1] < 2 * %(base)s"
        " group by c.mailout_id, c.region order by 1, 2",
        "select min(b.send_log_ids[1]) %% %(base)s, m.status, m.status_reason, m.sent_at is null"
        " from mailouts m join send_batches b on b.mailout_id = m.id"
        " where send_log_ids[1] >= %(base)s and send_log_ids[1] < 2 * %(base)s"
        " group by m.id order by 1",
        # The model counts nothing for the chart, which then reads the batches themselves.
        "select min(b.send_log_ids[1]) %% %(base)s, (select sum((p ->> 'n')::integer)"
        " from jsonb_array_elements(mailout_series(mailout_id) -> 'points') p)"
        " from send_batches b"
        " where send_log_ids[1] >= %(base)s and send_log_ids[1] < 2 * %(base)s"
        " group by mailout_id order by 1",
    )
    return [
        await (await sql.execute(query.encode(), {"base": base})).fetchall() for query in queries
    ]


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.short)
                                               for n in range(3, 60))])  # fmt: skip
async def test_a_group_is_what_its_batches_are_one_by_one(arrange: Arrange, seed: int) -> None:
    sql = arrange.sql
    await sql.execute(MODEL.encode())
    one, other = 10_000, 20_000
    by_one = await twins(arrange, random.Random(seed), one)
    together = await twins(arrange, random.Random(seed), other)
    told = {
        attempt: [result(random.Random(f"{seed} {row % 1000}"), row) for row in rows]
        for attempt, rows in (by_one | together).items()
    }
    # The second time, as after a lost answer: what was recorded is not counted twice.
    for time in ("once", "again"):
        statuses = {}
        for attempt in by_one:
            recorded = await arrange.one(
                "select record_results_model(%s, %s)", attempt, Jsonb(told[attempt])
            )
            statuses[attempt.int % one // 10] = recorded["mailout_status"]
        group = await arrange.one(
            "select record_batches(%s)", Jsonb([in_columns(told[a], a) for a in together])
        )
        assert await left(sql, one) == await left(sql, other), time
        assert sorted(group["statuses"].values()) == sorted(statuses.values())
