"""The owner is told, once, in plain words, when a mailout is sent, paused or failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from app.sandbox.server import SandboxServer
from app.services.watching.owner_mail import write_notice
from app.store import Store
from tests.support.factories import REGION, Arrange
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually

OWNER = "owner@example.org"


@pytest.fixture
async def service(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """The service with an owner to tell."""
    async with in_process(settings_for(dsn, sandbox.url, OWNER_EMAIL=OWNER)) as running:
        yield running


async def told(arrange: Arrange, count: int = 1) -> list[dict[str, Any]]:
    """The notices, once `count` of them are settled."""

    async def look() -> list[dict[str, Any]]:
        done = await arrange.sql.execute("select * from owner_notices order by id")
        return [dict(row) async for row in done if row["outcome"]]

    return await eventually(look, until=lambda rows: len(rows) >= count)


def mail_to_owner(sandbox: SandboxServer) -> dict[str, Any]:
    [mail] = sandbox.mails(OWNER)
    return sandbox.mail(mail["message_id"])


async def test_a_sent_mailout_is_told_with_its_closing_figures(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    await arrange.unusable_subscriber("two@example.com, three@example.com")
    mailout = await arrange.mailout(subject="News for {{ name }}")
    await service.send(mailout)
    await told(arrange)
    mail = mail_to_owner(sandbox)
    assert mail["subject"] == "Sent: News for {{ name }}"
    for part in ("html", "text"):
        assert "is sent" in mail[part]
        assert "Accepted for sending" in mail[part]
        assert f"/dashboard/mailouts/{mailout}" in mail[part]
        assert "@example.com" not in mail[part]
    assert "Recipients: 4\nAccepted for sending: 3" in mail["text"]
    assert "Refused: 1" in mail["text"]
    assert mail["tags"] == {"amazonsender_notice": str(mailout)}
    assert not any(h["name"].lower() == "list-unsubscribe" for h in mail["headers"])


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("mode", "operation"),
    [("auto", "SendEmail"), ("single", "SendEmail"), ("bulk", "SendBulkEmail")],
)
async def test_each_mode_tells_in_its_own_way(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, mode: str, operation: str
) -> None:
    """In mode bulk a sink that knows SendBulkEmail alone is enough."""
    await arrange.subscriber()
    mailout = await arrange.mailout(subject="A <b> & {{ name }}")
    settings = settings_for(dsn, sandbox.url, OWNER_EMAIL=OWNER, SES_SEND_MODE=mode)
    async with in_process(settings) as service:
        await service.send(mailout)
        await told(arrange)
    mail = mail_to_owner(sandbox)
    assert mail["operation"] == operation
    assert mail["subject"] == "Sent: A <b> & {{ name }}"
    assert "“A &lt;b&gt; &amp; {{ name }}”" in mail["html"]
    assert "“A <b> & {{ name }}”" in mail["text"]
    assert "Recipients: 1" in mail["text"]


@pytest.mark.short
async def test_several_senders_and_restarts_tell_once(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    settings = settings_for(dsn, sandbox.url, OWNER_EMAIL=OWNER)
    await arrange.subscriber()
    mailout = await arrange.mailout()
    async with in_process(settings) as service, in_process(settings), in_process(settings):
        await service.send(mailout)
        await told(arrange)
    async with in_process(settings):
        await arrange.mailout(status="draft")
        assert len(await told(arrange)) == 1
    assert len(sandbox.mails(OWNER)) == 1


async def test_each_pause_by_a_person_or_guard_is_told(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.being_sent()
    store = service.services.store
    await store.pause_mailout(mailout, "guard", "Too much of x@example.com's mail bounced.")
    await told(arrange)
    mail = mail_to_owner(sandbox)
    assert mail["subject"] == "Paused: Hello"
    assert "nothing more is sent until a person resumes it" in mail["text"]
    assert "x@example.com" not in mail["raw"]
    await store.resume_mailout(mailout)
    await store.pause_mailout(mailout, "person", "Paused by a person.")
    await told(arrange, 2)
    assert len(sandbox.mails(OWNER)) == 2


async def test_a_failed_mailout_is_told_with_what_to_do(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.unusable_subscriber("not an address")
    mailout = await arrange.mailout()
    await service.send(mailout)
    await told(arrange)
    mail = mail_to_owner(sandbox)
    assert mail["subject"] == "Failed: Hello"
    assert "1 of 1 recipients were refused" in mail["text"]
    assert "resend to those who failed" in mail["text"]


async def test_only_the_latest_word_is_told(direct_store: Store, arrange: Arrange) -> None:
    """What was overtaken before anybody could tell it is not told."""
    mailout = await arrange.mailout(status="sending")
    await direct_store.pause_mailout(mailout, "person", "one")
    await direct_store.resume_mailout(mailout)
    assert await direct_store.claim_owner_notice(REGION) is None
    await direct_store.pause_mailout(mailout, "person", "two")
    await direct_store.resume_mailout(mailout)
    await direct_store.pause_mailout(mailout, "guard", "three")
    notice = await direct_store.claim_owner_notice(REGION)
    assert notice is not None
    assert (notice["pause_code"], notice["reason"]) == ("guard", "three")
    assert await direct_store.claim_owner_notice(REGION) is None


async def test_a_quota_that_frees_slowly_is_told_once(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await arrange.mailout(status="sending")
    for _ in range(3):
        await direct_store.pause_mailout(mailout, "quota", "The quota is used up.")
        await direct_store.resume_waiting_mailouts()
    assert await arrange.one("select count(*) from owner_notices") == 1


async def test_a_mailout_that_is_over_for_long_is_no_news(
    direct_store: Store, arrange: Arrange
) -> None:
    """An owner named later isn't told of the past."""
    mailout = await arrange.mailout(status="sending")
    await direct_store.pause_mailout(mailout, "person", "Paused by a person.")
    await arrange.sql.execute("update owner_notices set created_at = now() - interval '25 hours'")
    assert await direct_store.claim_owner_notice(REGION) is None


async def test_of_several_who_look_one_gets_the_notice(store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout(status="sending")
    await store.pause_mailout(mailout, "person", "Paused by a person.")
    found = await asyncio.gather(*(store.claim_owner_notice(REGION) for _ in range(5)))
    assert len([notice for notice in found if notice]) == 1


async def test_an_unknown_outcome_is_not_repeated(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.being_sent()
    sandbox.faults(next=["accept_then_drop"])
    await service.services.store.pause_mailout(mailout, "person", "Paused by a person.")
    [notice] = await told(arrange)
    assert notice["outcome"] == "unknown"
    assert await service.services.store.claim_owner_notice(REGION) is None
    assert len(sandbox.mails(OWNER)) == 1


async def test_a_refusal_that_passes_is_tried_again(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.being_sent()
    sandbox.faults(next=["throttle"])
    await service.services.store.pause_mailout(mailout, "person", "Paused by a person.")

    async def postponed() -> bool:
        return bool(
            await arrange.one(
                "select claimed_at is null and due_at > now() + interval '30 seconds' "
                "from owner_notices"
            )
        )

    await eventually(postponed, until=bool)
    await arrange.sql.execute("update owner_notices set due_at = now()")
    [notice] = await told(arrange)
    assert notice["outcome"] == "sent"


async def test_events_of_the_notice_fit_nobody_and_warn_of_nothing(
    service: Service, arrange: Arrange
) -> None:
    from datetime import UTC, datetime

    from app.domain.ses.events import parse_ses_event, to_row

    event = parse_ses_event(
        '{"eventType": "Delivery", "mail": {"messageId": "m", "tags": '
        '{"amazonsender_notice": ["x"]}}, "delivery": {}}',
        published_at=datetime.now(UTC),
    )
    assert event is not None
    await service.services.record_events(to_row(event, "sns-1"))
    assert await arrange.one("select parked is null and send_log_id is null from ses_events")


def test_every_kind_of_notice_reads_well() -> None:
    facts: dict[str, Any] = {
        "mailout_id": str(UUID(int=1)),
        "subject": "Hello",
        "recipients": 1_200,
        "reason": None,
        "pause_code": None,
        "counts": Counter(sent=1_150, failed=50),
    }
    for status, code in [
        ("sent", None),
        ("failed", None),
        *(("paused", code) for code in ("person", "account", "quota", "guard", "held")),
    ]:
        notice = write_notice(facts | {"status": status, "pause_code": code}, "https://x.example")
        assert notice.subject == f"{status.capitalize()}: Hello"
        assert "Recipients: 1,200" in notice.text
        assert len(notice.text.split("\n\n")) == 4  # headline, remedy, figures, link
