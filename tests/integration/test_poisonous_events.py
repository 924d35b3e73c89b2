"""An event of any form is stored or refused at once: SNS must not bring it for ever in vain. And a
bounce has its effect, whatever else is odd about it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from app.store import Store
from tests.support.factories import Arrange, claim, living_sender, start
from tests.support.service import TOPIC, Service
from tests.support.sns import SnsSigner

SIGNER = SnsSigner()
DEEP: Any = "x"
for _ in range(240):
    DEEP = [DEEP]

ODD = {
    "half of a pair": "cut \ud83d",
    "NUL": "a\0b",
    "control characters": "\x1b[31m\x7f\u2028\u202e",
    "long": "x" * 100_000,
    "deep": DEEP,
    "a large number": 10**400,
    "a tiny number": -1e-308,
    "a list": [None, {"\0": "\ud83d"}],
    "a truth": True,
}


async def post(front: Service, message: str, **fields: str) -> int:
    body = SIGNER.notification(message, TopicArn=TOPIC, **fields)
    return (await front.http.post("/ses-events", json=body)).status_code


@pytest.fixture
async def tags(direct_store: Store, arrange: Arrange) -> dict[str, list[str]]:
    """Those of a mail that was sent to one reader."""
    await arrange.subscribers(1)
    mailout: UUID = await arrange.mailout()
    await start(direct_store, mailout)
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    return {
        "mailout_id": [str(mailout)],
        "send_log_id": [str(batch.recipients[0].send_log_id)],
        "attempt": [str(batch.attempt_id)],
    }


def bounce(tags: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "eventType": "Bounce",
        "mail": {"messageId": "m-1", "tags": tags, "headers": [], "commonHeaders": {}},
        "bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": "a@example.com", "diagnosticCode": "550"}],
            "timestamp": "2026-11-24T12:00:00.000Z",
        },
    }


async def has_its_effect(front: Service, arrange: Arrange, event: dict[str, Any]) -> None:
    await arrange.sql.execute("update send_logs set status = 'sent', message_id = null")
    await arrange.bring_back_everybody()
    assert await post(front, json.dumps(event)) == 200
    assert await arrange.one("select status from send_logs") == "bounced"
    assert await arrange.one("select status from subscribers") == "bounced"


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "place",
    [
        ("mail", "commonHeaders", "subject"),
        ("mail", "tags", "campaign"),
        ("bounce", "remoteMtaIp"),
        ("something", "new"),
    ],
    ids="/".join,
)
async def test_a_bounce_with_something_odd_beside(
    front: Service, arrange: Arrange, tags: dict[str, list[str]], place: tuple[str, ...]
) -> None:
    for odd in ODD.values():
        event = bounce(tags)
        parent = event
        for name in place[:-1]:
            parent = parent.setdefault(name, {})
        parent[place[-1]] = odd
        await has_its_effect(front, arrange, event)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "place",
    [
        ("bounce", "bounceSubType"),
        ("bounce", "bouncedRecipients", 0, "diagnosticCode"),
        ("bounce", "bouncedRecipients", 0, "emailAddress"),
        ("bounce", "timestamp"),
        ("mail", "messageId"),
        ("mail", "timestamp"),
    ],
    ids=lambda place: str(place[-1]),
)
async def test_a_bounce_whose_own_texts_are_odd(
    front: Service, arrange: Arrange, tags: dict[str, list[str]], place: tuple[Any, ...]
) -> None:
    for odd in ODD.values():
        if not isinstance(odd, str):
            continue
        event = bounce(tags)
        parent: Any = event
        for name in place[:-1]:
            parent = parent[name]
        parent[place[-1]] = odd
        await has_its_effect(front, arrange, event)


async def test_any_time_will_do(
    front: Service, arrange: Arrange, tags: dict[str, list[str]]
) -> None:
    for time in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00+14:00", "x"):
        event = bounce(tags)
        event["bounce"]["timestamp"] = time
        await has_its_effect(front, arrange, event)


@pytest.mark.parametrize(
    "message",
    [
        "\0",
        '{"eventType": "Bounce\0"}',
        "[" * 100_000,
        '{"eventType": "Send", "mail": 1e999}',
        "NaN",
    ],
    ids=lambda message: repr(message)[:20],
)
async def test_what_is_no_event_is_refused_for_good(front: Service, message: str) -> None:
    """SNS tries again after 5xx only."""
    assert 400 <= await post(front, message) < 500


async def test_what_the_database_cannot_keep_is_kept_without_its_payload(
    front: Service, arrange: Arrange, tags: dict[str, list[str]]
) -> None:
    """For a reason that nobody has thought of yet."""
    await arrange.sql.execute("alter table ses_events add check (payload #>> '{mail,odd}' is null)")
    event = bounce(tags)
    event["mail"]["odd"] = "yes"
    assert await post(front, json.dumps(event)) == 200
    assert await arrange.one("select status from subscribers") == "bounced"
    assert await arrange.one("select payload ? 'dropped' from ses_events")


@pytest.mark.parametrize("feedback", ["auth-failure", "virus", "fraud", "other", "not-spam"])
async def test_a_report_that_is_not_the_readers_word_counts_for_nothing(
    front: Service, arrange: Arrange, tags: dict[str, list[str]], feedback: str
) -> None:
    """Neither for the subscriber nor for the guards and figures; it proves that SES had it."""
    event = bounce(tags)
    event["eventType"] = "Complaint"
    event["complaint"] = {"complaintFeedbackType": feedback, "complainedRecipients": []}
    assert await post(front, json.dumps(event)) == 200
    assert await arrange.one("select status from subscribers") == "active"
    assert await arrange.one("select status from send_logs") == "sent"
    assert await arrange.one("select coalesce(sum(complaints), 0) from guard_figures") == 0
    assert await arrange.one("select count(*) from event_counts") == 0


@pytest.mark.parametrize("said", [{"bounceType": None}, {"bounceType": ""}, {"": None}])
async def test_a_bounce_that_says_no_kind_is_stored(
    front: Service, arrange: Arrange, tags: dict[str, list[str]], said: dict[str, Any]
) -> None:
    """SES names one always. Nobody is suppressed for what isn't said to be permanent."""
    assert await post(front, json.dumps(bounce(tags) | {"bounce": said})) == 200
    assert await arrange.one("select status from send_logs") == "bounced"
    assert await arrange.one("select status from subscribers") == "active"
    figures = "select (outcomes, bounces)::text from guard_figures"
    assert await arrange.one(figures) == "(1,0)"
