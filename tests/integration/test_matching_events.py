"""The row that an event is stored with is the one that match_send_log finds, whichever of the two
ways found it."""

from __future__ import annotations

from itertools import product
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from app.store import Store
from tests.support.factories import Arrange, claim, living_sender, start


async def test_both_ways_find_the_same_row(store: Store, arrange: Arrange) -> None:
    for name in ("a", "b"):
        await arrange.subscriber(f"{name}@example.com")
    mailout = await arrange.mailout()
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    known, unrecorded = batch.recipients
    await _recorded(arrange, known.send_log_id, "known")
    events: list[dict[str, Any]] = [
        {"sns_message_id": str(uuid4()), "type": "delivery", "occurred_at": "2026-11-24T12:00:00Z",
         "payload": {}, "message_id": message, "send_log_id": row, "mailout_id": of,
         "attempt": attempt, "odd": odd}
        for message, row, of, attempt, odd in product(
            ("known", "another", None),
            (str(known.send_log_id), str(unrecorded.send_log_id), "999999", None),
            (str(mailout), str(uuid4()), None),
            (str(batch.attempt_id), str(uuid4()), None),
            (None, True),
        )
    ]  # fmt: skip
    found = {}
    for event in events:
        found[event["sns_message_id"]] = await arrange.one(
            "select match_send_log(%s)", Jsonb(event)
        )
    await _in_one_group(arrange.sql, events)
    stored = await arrange.sql.execute("select sns_message_id, send_log_id from ses_events")
    assert {row["sns_message_id"]: row["send_log_id"] async for row in stored} == found
    assert {known.send_log_id, unrecorded.send_log_id, None} == set(found.values())


async def _in_one_group(sql: psycopg.AsyncConnection[Any], events: list[dict[str, Any]]) -> None:
    await sql.execute("select apply_ses_events(%s)", [Jsonb(events)])


async def test_a_usual_event_costs_no_call_of_its_own(store: Store, arrange: Arrange) -> None:
    """match_send_log is asked of what is unusual alone."""
    await arrange.subscriber("a@example.com")
    mailout = await arrange.mailout()
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    row = batch.recipients[0].send_log_id
    await _recorded(arrange, row, "m")
    usual = {
        "sns_message_id": "1", "type": "delivery", "occurred_at": "2026-11-24T12:00:00Z",
        "payload": {}, "message_id": "m", "send_log_id": str(row), "mailout_id": str(mailout),
        "attempt": str(batch.attempt_id),
    }  # fmt: skip
    for event, calls in ((usual, 0), (usual | {"sns_message_id": "2", "odd": True}, 1)):
        async with arrange.sql.transaction():
            await arrange.sql.execute("set local track_functions = 'all'")
            asked = "pg_stat_get_xact_function_calls('match_send_log(jsonb)'::regprocedure)"
            # The connection may have calls of another test that it hasn't told the server yet.
            before = await arrange.one(f"select coalesce({asked}, 0)")
            await _in_one_group(arrange.sql, [event])
            assert await arrange.one(f"select coalesce({asked}, 0)") - before == calls


async def _recorded(arrange: Arrange, row: int, message_id: str) -> None:
    await arrange.sql.execute(
        "update send_logs set status = 'sent', message_id = %s where id = %s", [message_id, row]
    )
