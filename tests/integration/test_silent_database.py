"""The database falls silent between two requests: nobody is kept waiting, whatever they asked.

The connections of the pool have answered just before, so nothing warns the program.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.rows import DictRow

from app.adapters.database import liveness
from app.adapters.database.postgres import PostgresDatabase
from app.adapters.database.supabase import SupabaseDatabase
from app.domain.tokens import UnsubscribeTokens
from app.errors import DatabaseUnavailable
from app.ports import Database
from tests.support.dashboard import Visitor
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.postgrest import make_key
from tests.support.service import (
    BEARER,
    TOPIC,
    UNSUBSCRIBE_SECRET,
    Service,
)
from tests.support.sns import SnsSigner
from tests.support.waiting import eventually, within

WITHIN_SECONDS = 5.0
"""The contract's bound for an answer of ours."""


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed in a fifth of its time, so that a busy machine is no reason to be late."""
    monkeypatch.setattr(liveness, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(liveness, "ASK_SECONDS", 0.5)


def test_silence_is_noticed_in_time() -> None:
    """A second is left for all else; and so much must pass before anybody is called silent."""
    assert 3 <= liveness.QUIET_SECONDS + liveness.ASK_SECONDS <= WITHIN_SECONDS - 1
    connecting = SupabaseDatabase("http://unused", make_key("service_role"))._http.timeout
    waits = (PostgresDatabase("postgresql://unused")._timeout, connecting.connect, connecting.pool)
    assert all(1 <= (seconds or 0) <= WITHIN_SECONDS - 1 for seconds in waits)


class Asked(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None = None
    content_type: str = "application/problem+json"
    status: int = 503


@pytest.mark.usefixtures("_impatient")
async def test_every_endpoint_answers_in_time(
    front: Service, arrange: Arrange, postgres_server: DatabaseServer
) -> None:
    """503 is right for those that write, too: the same request again finds what the first one did
    and does nothing twice."""
    reader = await arrange.subscriber()
    mailout = await arrange.mailout()
    one = f"/mailouts/{mailout}"
    token = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(reader, mailout)
    unsubscribe, page = f"/unsubscribe?token={token}", "text/html; charset=utf-8"
    event = SnsSigner().notification(
        {"eventType": "Send", "mail": {"messageId": "m"}, "send": {}}, TopicArn=TOPIC
    )
    asked = [
        Asked("POST", "/send-mailout", {"mailout_id": str(mailout)}),
        Asked("POST", "/send-mailout", {"mailout_id": str(mailout), "test": True}),
        Asked("POST", "/send-mailout", {"mailout_id": str(mailout), "dry_run": True}),
        Asked("POST", "/ses-events", event),
        Asked("GET", unsubscribe, content_type=page),
        Asked("POST", unsubscribe, content_type=page),
        Asked("GET", "/mailouts"),
        Asked("GET", one),
        Asked("GET", f"{one}/dry-run"),
        Asked("POST", f"{one}/preflight"),
        Asked("POST", f"{one}/pause"),
        Asked("POST", f"{one}/resume"),
        Asked("POST", f"{one}/cancel"),
        Asked("POST", f"{one}/resend", {"statuses": ["failed", "unknown"]}),
        Asked("GET", "/subscribers"),
        Asked("GET", "/subscribers/x@example.com"),
        Asked("GET", "/health", content_type="application/json"),
        Asked("GET", "/metrics", None, "text/plain; version=0.0.4; charset=utf-8", 200),
        Asked("GET", "/health/live", content_type="application/json", status=200),
        Asked("GET", "/dashboard", content_type=page),
        Asked("GET", f"/dashboard{one}", content_type=page),
        Asked("GET", "/dashboard/account", content_type=page),
    ]  # fmt: skip
    person = Visitor(front)
    await person.sign_in()

    async def ask(what: Asked) -> tuple[httpx.Response, float]:
        started = time.monotonic()
        http = person.http if what.path.startswith("/dashboard") else front.http
        headers = {} if what.path.startswith("/dashboard") else BEARER
        answer = await http.request(what.method, what.path, json=what.body, headers=headers)
        return answer, time.monotonic() - started

    store = front.services.store
    await asyncio.gather(*(store.find_subscriber(reader) for _ in range(10)))
    with postgres_server.frozen():
        answers = await asyncio.gather(*map(ask, asked))
    late = {
        what.path: s
        for what, (_, s) in zip(asked, answers, strict=True)
        if s > within(WITHIN_SECONDS)
    }
    assert late == {}
    told = [(a.status_code, a.headers["content-type"]) for a, _ in answers]
    assert told == [(what.status, what.content_type) for what in asked]
    assert "amazonsender_database_up 0" in answers[17][0].text
    await person.http.aclose()
    shown = await front.show(mailout)
    assert shown["status"] in {"ready", "cancelled"}  # the cancelling may have come through
    assert shown["recipients"] in {None, 0}


async def test_an_event_behind_one_that_waits_is_not_kept_twice_as_long(
    front: Service, postgres_server: DatabaseServer
) -> None:
    signer = SnsSigner()

    async def post(pause: float) -> tuple[int, float]:
        await asyncio.sleep(pause)
        started = time.monotonic()
        body = signer.notification(
            {"eventType": "Send", "mail": {"messageId": str(uuid4())}, "send": {}}, TopicArn=TOPIC
        )
        answer = await front.http.post("/ses-events", json=body)
        return answer.status_code, time.monotonic() - started

    with postgres_server.frozen():
        answers = await asyncio.gather(post(0), post(1), post(2))
    assert [status for status, _ in answers] == [503] * 3
    # Four seconds by design; it was seven when the third waited for the second's turn.
    assert max(seconds for _, seconds in answers) < 6.5
    assert (await post(0))[0] == 200


@pytest.fixture
async def slow(sql: psycopg.AsyncConnection[DictRow]) -> None:
    await sql.execute(
        "create function dawdle(p_seconds double precision) returns jsonb language sql volatile as"
        " $$ select to_jsonb(pg_sleep(p_seconds)::text) $$"
    )
    await sql.execute("grant execute on function dawdle to service_role")
    await sql.execute("notify pgrst, 'reload schema'")


@pytest.mark.usefixtures("slow")
async def test_a_call_that_is_only_slow_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "QUIET_SECONDS", 0.05)
    assert await database.call("dawdle", p_seconds=1) == ""


@pytest.mark.usefixtures("slow", "_impatient")
async def test_a_call_that_falls_silent_is_given_up(
    database: Database,
    postgres_server: DatabaseServer,
    sql: psycopg.AsyncConnection[DictRow],
) -> None:
    """On both ways, and the next one is served when it is back."""
    await database.call("schema_status")
    waiting = asyncio.create_task(database.call("dawdle", p_seconds=5))

    async def at_work() -> int:
        done = await sql.execute(
            "select from pg_stat_activity where query like '%dawdle%' and state = 'active' "
            "and pid <> pg_backend_pid()"
        )
        return done.rowcount

    await eventually(at_work, until=bool)
    with postgres_server.frozen():
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await waiting
        assert time.monotonic() - started < within(WITHIN_SECONDS)
    assert await database.call("schema_status")


async def test_a_mailout_is_claimed_or_it_is_not(
    front: Service,
    arrange: Arrange,
    postgres_server: DatabaseServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """503 says that nothing was claimed: so the answer of a claim under way is waited for."""
    monkeypatch.setattr(liveness, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(liveness, "ASK_SECONDS", 0.1)
    mailout = await arrange.mailout()
    await arrange.subscribers(3)
    store = front.services.store
    found = await store.find_mailout(mailout)
    assert found is not None
    with postgres_server.frozen():
        claiming = asyncio.create_task(
            store.claim_mailout(mailout, found.content_hash, request_key=None, request_hash=None)
        )
        done, _ = await asyncio.wait({claiming}, timeout=1)
        assert not done
    assert (await claiming).outcome == "claimed"
