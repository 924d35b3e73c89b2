"""SES, the database and what stands in between may answer anything: every recipient ends in a
recorded result or in `unknown`, and nobody is sent twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.adapters.aws.ses import SesSender
from app.adapters.database.supabase import SupabaseDatabase
from app.domain.sending.batches import Result
from app.errors import DatabaseError, SesRefused, Unavailable
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.service import Service, in_process, settings_for
from tests.support.strangers import InBetween, StrangeSes, accepted
from tests.support.waiting import eventually

READERS = 12
HTML = b"<!doctype html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"
ODD = "half \ud83d, NUL \0, \x1b[31mred\u2028" + "long " * 50_000

Send = Callable[[list[str]], Reply]


def odd_json(value: Any) -> bytes:
    """With what UTF-8 can't hold, as JSON can spell it."""
    return json.dumps(value).encode()


async def settled(service: Service, arrange: Arrange, mailout: UUID) -> dict[str, int]:
    """Rows per status once none is on its way and the mailout has stopped."""

    async def look() -> tuple[str, dict[str, int]]:
        return (await service.show(mailout))["status"], await arrange.counts(mailout)

    _, counts = await eventually(
        look, until=lambda seen: seen[0] != "sending" and "sending" not in seen[1]
    )
    return counts


async def send_to(
    dsn: str, arrange: Arrange, send: Send, mode: str = "bulk", readers: int = READERS
) -> tuple[StrangeSes, dict[str, int], dict[str, Any]]:
    """A mailout through an SES that answers like this: its calls, the rows, the mailout."""
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    with StrangeSes(send) as ses:
        async with in_process(settings_for(dsn, ses.url, SES_SEND_MODE=mode)) as service:
            await service.send(mailout)
            counts = await settled(service, arrange, mailout)
            return ses, counts, await service.show(mailout)


# SES


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"Status": "MESSAGE_REJECTED", "Error": ODD}, marks=pytest.mark.short),
        {"Status": "MESSAGE_REJECTED", "Error": {"not": ["a", "text"]}},
        pytest.param({"Status": "TRANSIENT_FAILURE", "Error": ODD}, marks=pytest.mark.short),
        {"Status": ODD, "Error": ODD},
        pytest.param({"Status": 7}, marks=pytest.mark.short),
        pytest.param({"Status": ["SUCCESS"]}, marks=pytest.mark.short),
        pytest.param({"Status": "SUCCESS", "MessageId": ODD}, marks=pytest.mark.short),
        pytest.param({"Status": "SUCCESS", "MessageId": 7}, marks=pytest.mark.short),
        pytest.param({"Status": "SUCCESS", "MessageId": {}}, marks=pytest.mark.short),
        {"Status": "SUCCESS"},
        pytest.param({}, marks=pytest.mark.short),
        None,
        pytest.param("SUCCESS", marks=pytest.mark.short),
    ],
    ids=lambda result: str(result)[:40],
)
async def test_an_entry_of_any_form_is_recorded(
    dsn: str, arrange: Arrange, result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The odd one stands among good ones; whatever it is, it is nobody else's."""
    monkeypatch.setattr("app.services.sending.deliver.backoff_seconds", lambda *_, **__: 0.0)

    def send(to: list[str]) -> Reply:
        good = {"Status": "SUCCESS", "MessageId": "m-1"}
        results = [result if a == "reader3@example.com" else good for a in to]
        return Reply(200, odd_json({"BulkEmailEntryResults": results}))

    _, counts, _ = await send_to(dsn, arrange, send)
    assert counts.pop("failed", 0) + counts.pop("unknown", 0) >= 1
    assert set(counts) <= {"sent"}
    assert sum(counts.values()) in {0, READERS - 1}


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200, HTML), "unknown"),
        pytest.param(Reply(200, b"[1, 2]"), "unknown", marks=pytest.mark.short),
        pytest.param(Reply(200, b"\xff\xfe"), "unknown", marks=pytest.mark.short),
        pytest.param(Reply(200, b""), "unknown", marks=pytest.mark.short),
        pytest.param(Reply(200, b'"SUCCESS"'), "unknown", marks=pytest.mark.short),
        (Reply(404, HTML), "queued"),
        pytest.param(
            Reply(405, "<html>Méthode".encode("latin-1")), "queued", marks=pytest.mark.short
        ),
        pytest.param(Reply(403, b"[1, 2]"), "queued", marks=pytest.mark.short),
        (Reply(302, b"", {"Location": "https://login.example"}), "queued"),
        pytest.param(Reply(413, HTML), "queued", marks=pytest.mark.short),
        pytest.param(Reply(407, b"\x00\x01"), "queued", marks=pytest.mark.short),
        (Reply(400, odd_json({"message": ODD, "__type": ODD})), "queued"),
        pytest.param(
            Reply(400, odd_json({"message": ODD}), {"x-amzn-errortype": "BadRequest"}),
            "queued",
            marks=pytest.mark.short,
        ),
        pytest.param(
            Reply(400, odd_json({"message": {}, "code": 400})), "queued", marks=pytest.mark.short
        ),
        (Reply(502, HTML), "unknown"),
        pytest.param(Reply(503, b"[]"), "unknown", marks=pytest.mark.short),
    ],
    ids=lambda value: f"{value.status} {value.body[:12]!r}" if isinstance(value, Reply) else value,
)
async def test_a_call_answered_in_any_form_is_recorded(
    dsn: str, arrange: Arrange, reply: Reply, outcome: str
) -> None:
    """What certainly wasn't accepted waits, with the mailout; the rest is unknown. By both kinds of
    call: one mailout after the other."""
    for mode in ("bulk", "single"):
        await arrange.sql.execute("truncate subscribers, mailouts, send_logs, send_batches cascade")
        await answered_so(dsn, arrange, reply, outcome, mode)


async def answered_so(dsn: str, arrange: Arrange, reply: Reply, outcome: str, mode: str) -> None:
    ses, counts, shown = await send_to(dsn, arrange, lambda to: reply, mode, readers=4)
    assert counts == {outcome: 4}
    assert shown["status"] == ("paused" if outcome == "queued" else "sent")
    sent = [address for call in ses.calls for address in call]
    assert outcome == "queued" or len(sent) == len(set(sent)) == 4


async def test_a_refusal_shows_the_words_of_the_page_and_the_remedy(
    dsn: str, arrange: Arrange
) -> None:
    _, _, shown = await send_to(dsn, arrange, lambda to: Reply(404, HTML))
    assert "HTTP 404. Sign in Please sign in" in shown["status_reason"]
    assert "AWS_ENDPOINT_URL_SESV2" in shown["status_reason"]


@pytest.mark.parametrize(
    ("reply", "silent"),
    [
        (Reply(200, HTML), True),
        (Reply(200, odd_json({"SendQuota": ODD})), True),
        (Reply(200, b'{"SendQuota":{"MaxSendRate":NaN,"Max24HourSend":1}}'), True),
        (Reply(200, b'{"SendQuota":{"MaxSendRate":1,"Max24HourSend":1e999}}'), True),
        (Reply(404, HTML), False),
        (Reply(403, "<html>Accès".encode("latin-1")), False),
        (Reply(502, HTML), True),
    ],
    ids=lambda value: f"{value.status} {value.body[:30]!r}" if isinstance(value, Reply) else value,
)
async def test_an_account_that_makes_no_sense_is_told_in_one_line(
    dsn: str, reply: Reply, silent: bool
) -> None:
    class Accountant(StrangeSes):
        def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
            return reply

    with Accountant(accepted) as ses:
        settings = settings_for(dsn, ses.url)
        sender = await asyncio.to_thread(SesSender, settings, settings.home, max_connections=1)
        with pytest.raises(Unavailable) as refused:
            await asyncio.to_thread(sender.get_account)
    assert isinstance(refused.value, SesRefused) != silent
    assert len(refused.value.detail) < 600
    assert "<" not in refused.value.detail
    assert orjson.dumps(refused.value.detail)


# The database


ANSWERS_OF_PROXIES = {
    "page": (Reply(200, HTML, {"Content-Type": "text/html"}), False),
    "nothing, but done": (Reply(200, b"", {"Content-Type": "text/plain"}), True),
    "list, but done": (Reply.json([]), True),
    "other JSON": (Reply.json({"message": "maintenance"}), False),
    "redirect, but done": (Reply(302, b"", {"Location": "https://login.example"}), True),
}
IN_EVERY_RUN = {
    ("record_batches", "page"),
    ("record_batches", "nothing, but done"),
    ("claim_recipients", "list, but done"),
}


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("function", "reply", "after"),
    [
        pytest.param(
            function,
            *answer,
            id=f"{function}-{name}",
            marks=[] if (function, name) in IN_EVERY_RUN else pytest.mark.short,
        )
        for function in ("record_batches", "claim_recipients")
        for name, answer in ANSWERS_OF_PROXIES.items()
    ],
)
async def test_a_proxy_that_answers_in_place_of_supabase_loses_nobody(
    supabase_url: str,
    supabase_key: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    function: str,
    reply: Reply,
    after: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.services.sending.recording.record.RECORD_CAP_SECONDS", 0.05)
    left = 7 if function == "record_batches" else 1  # the first: more than RECORD_TRIES

    def say(called: str) -> Reply | None:
        nonlocal left
        if called != function or not left:
            return None
        left -= 1
        return reply

    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    base, _, database = supabase_url.rpartition("/")
    with InBetween(base, say, after=after) as proxy:
        settings = settings_for(
            "",
            sandbox.url,
            DATABASE_URL=None,
            SUPABASE_URL=f"{proxy.url}/{database}",
            SUPABASE_SERVICE_ROLE_KEY=supabase_key,
            LEASE_SECONDS="3",
        )
        async with in_process(settings) as service:
            assert (await service.send(mailout)).status_code == 202
            await eventually(
                lambda: arrange.counts(mailout), until=lambda c: c == {"sent": READERS}, seconds=40
            )
    to = [line["to"] for line in sandbox.accepted()]
    assert len(to) == len(set(to)) == READERS


async def test_an_event_is_not_taken_for_stored_when_somebody_else_answered(
    supabase_url: str, supabase_key: str
) -> None:
    """200 to SNS means committed."""
    base, _, name = supabase_url.rpartition("/")
    for reply in (Reply(200, HTML), Reply.json({}), Reply.json([]), Reply.json("ok")):
        with InBetween(base, lambda _, reply=reply: reply) as proxy:  # type: ignore[misc]
            database = SupabaseDatabase(f"{proxy.url}/{name}", supabase_key)
            with pytest.raises(Unavailable):
                await Store(database).apply_ses_events([])
            await database.close()


async def test_arguments_that_cannot_be_written_are_refused_and_no_outage(
    store: Store, arrange: Arrange
) -> None:
    """An outage would be waited for without end."""
    for message in ("half \ud83d", "NUL \0"):
        with pytest.raises(DatabaseError):
            await store.record_results(UUID(int=1), [Result(1, "failed", message=message)])
