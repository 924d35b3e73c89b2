"""`POST /sendgrid-events`, `POST /mailgun-events`: who is believed, and what an event changes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import psycopg
import pytest
from psycopg.rows import dict_row

from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.domain.providers.signatures import MAX_AGE_SECONDS
from app.domain.sending.batches import Outcome, Result
from app.errors import DatabaseUnavailable
from app.sandbox.mailgun.standin import MailgunConfig, MailgunStandIn
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.sendgrid.standin import SendGridStandIn
from app.store import Store
from tests.providers.ledger import Ledger, Row
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for

BOTH = pytest.mark.parametrize("provider", ["sendgrid", "mailgun"])


@pytest.fixture(scope="module")
async def _service(
    postgres_server: DatabaseServer, providers_server: ProvidersServer
) -> AsyncIterator[tuple[Service, str]]:
    with postgres_server.database() as name:
        dsn = postgres_server.dsn(name)
        settings = settings_for(
            dsn,
            None,
            SENDGRID_WEBHOOK_PUBLIC_KEY=providers_server.sendgrid.public_key,
            MAILGUN_WEBHOOK_SIGNING_KEY=providers_server.mailgun.config.signing_key,
        )
        async with in_process(settings, with_sender=False) as service:
            yield service, dsn


@pytest.fixture
async def ledger(
    _service: tuple[Service, str],
    sendgrid: SendGridStandIn,
    mailgun: MailgunStandIn,
    by_sendgrid: SendGridSender,
    by_mailgun: MailgunSender,
) -> AsyncIterator[Ledger]:
    service, dsn = _service
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row
    ) as sql:
        await sql.execute(
            "truncate mailouts, send_logs, send_batches, subscribers, subscriber_aliases, "
            "subscriber_changes, ses_events, event_counts, guard_figures, webhook_tokens cascade"
        )
        yield Ledger(service, Arrange(sql), sendgrid, mailgun, by_sendgrid, by_mailgun)


# By the address: what the stand-in makes of a mail, the row's status, the subscriber's.
FATES = [
    ("ann", "delivered", "active"),
    ("bounce", "bounced", "bounced"),
    ("blocked", "bounced", "active"),
    ("complaint", "complained", "complained"),
    ("unsubscribe", "delivered", "unsubscribed"),
    ("suppressionlist", "bounced", "bounced"),
    ("spamlist", "complained", "complained"),
    ("leftlist", "bounced", "unsubscribed"),
    ("overquota", "failed", "active"),
    ("deferred", "sent", "active"),
]


async def everybody(ledger: Ledger) -> list[tuple[Row, str, str]]:
    return [(await ledger.row(f"{name}@example.com"), row, person) for name, row, person in FATES]


async def found(ledger: Ledger, people: list[tuple[Row, str, str]]) -> list[tuple[str, str, str]]:
    return [
        (row.email.partition("@")[0], await ledger.status(row), await ledger.subscriber(row))
        for row, _, _ in people
    ]


@pytest.mark.few_variants(2)
@BOTH
@pytest.mark.parametrize("shuffle", [None, 1], ids=["in order", "out of order"])
async def test_events_settle_rows_and_suppress_people(
    ledger: Ledger, provider: str, shuffle: int | None
) -> None:
    """In whatever order they come, and however often."""
    people = await everybody(ledger)
    assert set(ledger.send(provider, [row for row, _, _ in people])) == {"sent"}
    posts = await ledger.deliver_all(provider, shuffle=shuffle)
    assert await found(ledger, people) == FATES
    stored = await ledger.events()
    for post in posts:
        assert await ledger.deliver(provider, post) == 200
    assert await found(ledger, people) == FATES
    assert await ledger.events() == stored


@BOTH
async def test_an_unknown_row_is_settled_by_its_event(ledger: Ledger, provider: str) -> None:
    """They accepted it and then gave no answer: the ids on the mail tell."""
    row = await ledger.row("ann@example.com", "unknown")
    ledger.standin(provider).fail(status=0, ending="drop", accept=True)
    assert ledger.send(provider, [row]) == ["unknown"]
    assert await ledger.status(row) == "unknown"
    await ledger.deliver_all(provider)
    assert await ledger.status(row) == "delivered"


@pytest.mark.few_variants(2)
@BOTH
@pytest.mark.parametrize("outcome", ["sent", "unknown", "requeue"])
async def test_events_may_come_before_the_answer_does(
    ledger: Ledger, provider: str, outcome: Outcome
) -> None:
    """And hold, whatever the answer then is or isn't: nobody is queued again."""
    row = await ledger.row("ann@example.com")
    ledger.send(provider, [row])
    await ledger.deliver_all(provider)
    late = Result(row.number, outcome, message_id="x" if outcome == "sent" else None)
    await ledger.service.services.store.record_results(row.attempt, [late])
    assert await ledger.status(row) == "delivered"


@BOTH
async def test_an_event_of_an_earlier_attempt_says_that_it_was_accepted(
    ledger: Ledger, provider: str
) -> None:
    """A person had sent it again, to whom nobody knew it had come: that isn't done once more."""
    row = await ledger.row("ann@example.com", "unknown")
    ledger.standin(provider).fail(status=0, ending="drop", accept=True)
    assert ledger.send(provider, [row]) == ["unknown"]
    await ledger.arrange.sql.execute(
        "update send_logs set status = 'queued' where id = %s", [row.number]
    )
    await ledger.deliver_all(provider)
    assert await ledger.status(row) == "delivered"


@BOTH
async def test_what_they_did_not_try_counts_for_no_rate(ledger: Ledger, provider: str) -> None:
    row = await ledger.row("suppressionlist@example.com")
    ledger.send(provider, [row])
    await ledger.deliver_all(provider)
    kinds = await ledger.arrange.one("select array_agg(kind order by kind) from event_counts")
    assert kinds == ["suppressed"]
    assert await ledger.columns(row, "bounce_type", "bounce_subtype") == (
        "Permanent",
        "OnAccountSuppressionList",
    )


@BOTH
async def test_the_history_says_whose_word_it_was(ledger: Ledger, provider: str) -> None:
    row = await ledger.row("complaint@example.com")
    ledger.send(provider, [row])
    await ledger.deliver_all(provider)
    answer = await ledger.service.http.get(
        "/subscribers/complaint@example.com/history", headers=BEARER
    )
    items = answer.json()["items"]
    assert {one["by"] for one in items if one["kind"] in ("event", "changed")} >= {provider}
    assert "ses" not in {one["by"] for one in items}


@BOTH
async def test_opens_and_clicks_are_kept_without_the_reader(ledger: Ledger, provider: str) -> None:
    """Tracking is off in every call; where an account forces it, they are labelled as SES's are."""
    row = await ledger.row("ann@example.com", tracking=True)
    ledger.send(provider, [row])
    mail = ledger.standin(provider).only("ann@example.com")
    names = ("open", "click") if provider == "sendgrid" else ("opened", "clicked")
    reader = {
        "ip": "203.0.113.9",
        "useragent": "Mozilla/5.0 secret",
        "client-info": {"user-agent": "Mozilla/5.0 secret"},
        "geolocation": {"city": "Secretville"},
    }
    standin: Any = ledger.standin(provider)
    standin.happens(mail, {"event": names[0], **reader})
    standin.happens(mail, {"event": names[1], "url": "https://example.com/p?token=ecret", **reader})
    await ledger.deliver_all(provider)
    assert await ledger.status(row) == "delivered"
    kept = await ledger.arrange.one("select string_agg(payload::text, ' ') from ses_events")
    assert "203.0.113.9" not in kept
    assert "ecret" not in kept
    links = await ledger.arrange.one(
        "select payload #>> '{click,link}' from ses_events where type = 'click'"
    )
    assert links.startswith("https://example.com/p")


@BOTH
async def test_events_of_others_mail_are_none_of_ours(ledger: Ledger, provider: str) -> None:
    """Another program of the account sent it, to a subscriber of ours: an address never decides."""
    row = await ledger.row("bounce@example.com")
    ledger.send(provider, [row])
    [*posts] = ledger.standin(provider).pending()
    ours = ("mailout_id", "send_log_id", "attempt")
    for post in posts:
        for event in post.events:
            target = event if provider == "sendgrid" else event["user-variables"]
            for name in ours:
                target.pop(name)
        post.signed = None
        headers, body = ledger.standin(provider).signed(post)
        answer = await ledger.post(provider, headers, body)
        assert answer.json() == {"recorded": 0, "ignored": len(post.events)}
    assert await ledger.events() == 0
    assert await ledger.subscriber(row) == "active"


@BOTH
async def test_an_attempt_that_was_never_made_moves_nothing(ledger: Ledger, provider: str) -> None:
    row = await ledger.row("bounce@example.com")
    stranger = Row(row.mailout, row.subscriber, row.number, row.subscriber, row.email)
    ledger.send(provider, [stranger])
    await ledger.deliver_all(provider)
    assert await ledger.status(row) == "sending"
    assert await ledger.subscriber(row) == "active"


# -- who is believed


async def told(ledger: Ledger, provider: str) -> tuple[Row, dict[str, str], bytes]:
    """A row, and a signed request that says that its mail bounced."""
    row = await ledger.row("bounce@example.com")
    ledger.send(provider, [row])
    post = ledger.standin(provider).pending()[-1]
    headers, body = ledger.standin(provider).signed(post)
    return row, headers, body


@BOTH
async def test_a_forged_request_changes_nothing(ledger: Ledger, provider: str) -> None:
    row, headers, body = await told(ledger, provider)
    before = ledger.counted(provider, "webhook_signature_wrong")
    if provider == "sendgrid":
        forged = [
            (headers, body.replace(b"bounce@", b"b0unce@")),
            ({**headers, "X-Twilio-Email-Event-Webhook-Timestamp": "1"}, body),
            ({**headers, "X-Twilio-Email-Event-Webhook-Signature": "bm8="}, body),
            ({**headers, "X-Twilio-Email-Event-Webhook-Signature": "not base64"}, body),
            ({"Content-Type": "application/json"}, body),
        ]
    else:
        said = orjson.loads(body)
        forged = [
            (headers, orjson.dumps({**said, "signature": {**said["signature"], **change}}))
            for change in ({"signature": "0" * 64}, {"timestamp": "1"}, {"token": "t"})
        ]
        forged.append(ledger.mailgun.sign(said["event-data"], key="somebody else's"))
    for forged_headers, forged_body in forged:
        answer = await ledger.post(provider, forged_headers, forged_body)
        assert (answer.status_code, answer.json()["code"]) == (403, "webhook_signature_wrong")
    assert await ledger.status(row) == "sending"
    assert await ledger.events() == 0
    assert ledger.counted(provider, "webhook_signature_wrong") == before + len(forged)
    assert (await ledger.post(provider, headers, body)).status_code == 200
    assert await ledger.status(row) == "bounced"


@BOTH
async def test_an_old_request_is_refused_for_good(ledger: Ledger, provider: str) -> None:
    row, _, body = await told(ledger, provider)
    old = int(time.time() - MAX_AGE_SECONDS - 60)
    headers, stale = (
        ledger.sendgrid.sign(body, old)
        if provider == "sendgrid"
        else ledger.mailgun.sign(orjson.loads(body)["event-data"], timestamp=old)
    )
    answer = await ledger.post(provider, headers, stale)
    assert (answer.status_code, answer.json()["code"]) == (406, "webhook_stale")
    assert not ledger.standin("mailgun").repeats(answer.status_code)
    assert await ledger.status(row) == "sending"


async def test_a_token_of_mailguns_holds_for_one_event(ledger: Ledger) -> None:
    """Mailgun's signature doesn't cover the event: who has seen a request could say anything."""
    row, headers, body = await told(ledger, "mailgun")
    other = await ledger.row("ann@example.com")
    assert (await ledger.post("mailgun", headers, body)).status_code == 200
    said = orjson.loads(body)
    said["event-data"]["id"] = "another"
    said["event-data"]["event"] = "complained"
    said["event-data"]["user-variables"] = {
        "mailout_id": str(other.mailout),
        "send_log_id": str(other.number),
        "attempt": str(other.attempt),
    }
    answer = await ledger.post("mailgun", headers, orjson.dumps(said))
    assert (answer.status_code, answer.json()["code"]) == (406, "webhook_stale")
    assert await ledger.status(other) == "sending"
    assert await ledger.subscriber(other) == "active"
    assert (await ledger.post("mailgun", headers, body)).status_code == 200  # a copy, as repeated
    assert await ledger.status(row) == "bounced"


async def test_an_event_that_mailgun_repeats_and_signs_anew_is_a_copy(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.mailgun, "config", MailgunConfig(signs_anew=True))
    row = await ledger.row("bounce@example.com")
    ledger.send("mailgun", [row])
    for post in await ledger.deliver_all("mailgun"):
        assert await ledger.deliver("mailgun", post) == 200
    assert await ledger.events() == 2
    assert await ledger.status(row) == "bounced"


@pytest.mark.few_variants(3)
@BOTH
@pytest.mark.parametrize(
    "said",
    [b"", b"no JSON", b"null", b"{}", b'"x"', b"[" * 5_000, b'{"event-data": 3, "signature": []}'],
    ids=["empty", "text", "null", "object", "string", "deep", "wrong"],
)
async def test_what_is_no_event_is_refused_for_good(
    ledger: Ledger, provider: str, said: bytes
) -> None:
    headers, body = (
        ledger.sendgrid.sign(said)
        if provider == "sendgrid"
        else ({"Content-Type": "application/json"}, said)
    )
    answer = await ledger.post(provider, headers, body)
    assert (answer.status_code, answer.json()["code"]) == (406, "malformed_webhook")
    assert await ledger.events() == 0


async def test_one_odd_event_doesnt_hold_up_the_others(ledger: Ledger) -> None:
    row = await ledger.row("bounce@example.com")
    ledger.send("sendgrid", [row])
    [post] = ledger.sendgrid.pending()
    mine = post.events[-1]
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    odd: list[Any] = [
        None,
        7,
        {},
        {**mine, "event": 7, "sg_event_id": None},
        {**mine, "event": "of the future", "sg_event_id": "f1", "timestamp": "yesterday"},
        {**mine, "sg_event_id": "f2", "reason": "a\x00b \ud83d", "timestamp": 1e300},
        {**mine, "sg_event_id": "f3", "send_log_id": "99999999999999999999999"},
    ]
    raw = (
        b"["
        + b",".join([json.dumps(one).encode() for one in [*odd, {**mine, "deep": None}]])
        + b"]"
    )
    raw = raw.replace(b'"deep": null', b'"deep": ' + b"[" * 300 + b"]" * 300)
    headers, body = ledger.sendgrid.sign(raw)
    answer = await ledger.post("sendgrid", headers, body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"recorded": 4, "ignored": 4}
    assert await ledger.status(row) == "bounced"


@BOTH
async def test_a_body_that_is_too_large_isnt_read(ledger: Ledger, provider: str) -> None:
    answer = await ledger.post(provider, {}, b" " * 4_000_001)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_without_their_keys_they_are_told_to_come_again(dsn: str) -> None:
    """503, so that nothing is lost while the owner sets them; the answer names the setting."""
    async with in_process(settings_for(dsn, None), with_sender=False) as service:
        for provider, setting in (
            ("sendgrid", "SENDGRID_WEBHOOK_PUBLIC_KEY"),
            ("mailgun", "MAILGUN_WEBHOOK_SIGNING_KEY"),
        ):
            answer = await service.http.post(f"/{provider}-events", content=b"[]")
            assert (answer.status_code, answer.json()["missing"]) == (503, [setting])


async def test_while_the_database_is_away_they_are_told_to_come_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, headers, body = await told(ledger, "sendgrid")

    async def away(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.service.services.store, "apply_ses_events", away)
        assert (await ledger.post("sendgrid", headers, body)).status_code == 503
    assert (await ledger.post("sendgrid", headers, body)).status_code == 200
    assert await ledger.status(row) == "bounced"


async def test_a_token_is_taken_once_over_each_way_to_the_database(store: Store) -> None:
    assert await store.use_webhook_token("t", "event 1")
    assert await store.use_webhook_token("t", "event 1")
    assert not await store.use_webhook_token("t", "event 2")
    assert await store.use_webhook_token("u", "event 2")


async def test_tokens_are_forgotten_when_their_signature_holds_no_more(ledger: Ledger) -> None:
    await ledger.arrange.sql.execute(
        "insert into webhook_tokens (token, event, seen_at) "
        "select 'old' || n, 'e', now() - interval '3 days' from generate_series(1, 7) n"
    )
    row = await ledger.row("ann@example.com")
    ledger.send("mailgun", [row])
    await ledger.deliver_all("mailgun")
    left = await ledger.arrange.one("select count(*) from webhook_tokens where event = 'e'")
    assert left == 0
