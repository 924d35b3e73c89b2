"""A test send: to TEST_EMAILS only, as real as can be, and nothing changes. What was looked at is
kept, so that sending something else is noticed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.domain.reports.findings import Finding
from app.sandbox.server import SandboxServer
from app.services.starting.send_warnings import (
    CHANGED_SINCE_TEST,
    NEVER_TESTED,
    NO_CONFIGURATION_SET,
    NO_TOPICS,
)
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account
from tests.support.service import (
    BEARER,
    Service,
    command,
    environment,
    in_process,
    settings_for,
)
from tests.support.waiting import eventually


async def mails(sandbox: SandboxServer, count: int) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        return sandbox.mails()

    return await eventually(look, until=lambda found: len(found) == count)


async def test_its_bodies_show_the_subject_without_the_mark(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """As the readers will see it."""
    await arrange.subscriber("ann@example.com", name="Ann & co")
    await service.send(
        await arrange.mailout(
            "draft", subject="News for {{ name }}", body_html="<h1>{{ mailout.subject }}</h1>"
        ),
        test=True,
    )
    mail = (await mails(sandbox, 2))[0]
    assert mail["subject"] == "[Test] News for Ann & co"
    html = sandbox.mail(mail["message_id"])["html"]
    assert "<h1>News for Ann &amp; co</h1>" in html


async def test_it_goes_to_the_test_addresses_and_leaves_the_mailout_alone(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """With a sample subscriber's data, and as often as one likes."""
    await arrange.subscriber("ann@example.com", name="Ann", fields={"city": "Rome"})
    mailout = await arrange.mailout(
        "draft", subject="Hello {{ name }}", body_html="<p>{{ fields.city }} {{ email }}</p>"
    )
    before = await arrange.one("select to_jsonb(m) from mailouts m where id = %s", mailout)
    for _ in range(2):
        answer = await service.send(mailout, test=True)
        assert answer.status_code == 202
        assert answer.json()["recipients"] == 2
        assert answer.json()["status"] == "draft"
    sent = await mails(sandbox, 4)
    assert {m["to"][0] for m in sent} == {"me@example.com", "you@example.com"}
    assert {m["subject"] for m in sent} == {"[Test] Hello Ann"}
    mine = next(m for m in sent if m["to"] == ["me@example.com"])
    assert "Rome me@example.com" in sandbox.mail(mine["message_id"])["html"]
    assert await arrange.one("select to_jsonb(m) from mailouts m where id = %s", mailout) == before
    assert sum((await service.show(mailout))["counts"].values()) == 0


async def test_its_unsubscribe_link_works_and_changes_nobody(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscriber("me@example.com", name="Ann")  # the tester is on the list, too
    mailout = await arrange.mailout()
    await service.send(mailout, test=True)
    sent = await mails(sandbox, 2)
    headers = {
        h["name"].lower(): h["value"] for h in sandbox.mail(sent[0]["message_id"])["headers"]
    }
    assert headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    path = headers["list-unsubscribe"].strip("<>").removeprefix("http://localhost:8000")
    shown = await service.http.get(path)
    assert shown.status_code == 200
    assert "test" in shown.text.lower()
    clicked = await service.http.post(path, data={"List-Unsubscribe": "One-Click"})
    assert clicked.status_code == 200
    assert await arrange.one("select status from subscribers") == "active"


async def test_it_works_for_a_mailout_that_is_over(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("sent")
    assert (await service.send(mailout, test=True)).status_code == 202
    await mails(sandbox, 2)
    assert (await service.show(mailout))["status"] == "sent"


async def test_without_test_addresses_it_is_refused(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url, TEST_EMAILS=None)) as service:
        answer = await service.send(mailout, test=True)
    assert (answer.status_code, answer.json()["code"]) == (503, "ses_not_configured")
    assert answer.json()["missing"] == ["TEST_EMAILS"]


@pytest.mark.parametrize("claimed", [False, True], ids=["before it is claimed", "after"])
async def test_the_test_mails_of_a_draft_that_is_deleted_end(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    claimed: bool,
) -> None:
    """At once, without a mail, and without being claimed over and over."""
    tested_content = Store.tested_content

    async def deleted(self: Store, mailout_id: UUID) -> Any:
        await arrange.sql.execute("delete from mailouts")
        return await tested_content(self, mailout_id)

    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings, with_sender=False) as service:
        await service.send(await arrange.mailout("draft"), test=True)
    if claimed:
        monkeypatch.setattr(Store, "tested_content", deleted)
    else:
        await arrange.sql.execute("delete from mailouts")
    async with in_process(settings):

        async def states() -> set[str]:
            done = await arrange.sql.execute("select status from send_logs")
            return {row["status"] async for row in done}

        ended = await eventually(states, until=lambda now: not now & {"queued", "sending"})
    assert ended == {"failed" if claimed else "cancelled"}
    assert sandbox.accepted() == []
    assert await arrange.one("select count(*) from send_batches") == int(claimed)


async def test_faulty_content_is_refused_and_counts_as_untested(
    service: Service, arrange: Arrange
) -> None:
    mailout = await arrange.mailout(subject="{{ nope }}")
    assert (await service.send(mailout, test=True)).json()["code"] == "template_invalid"
    assert (await service.show(mailout))["tested"] is None


async def test_test_mails_show_what_was_written_when_they_were_asked_for(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """So that what counts as tested is what somebody could look at."""
    mailout = await arrange.mailout(subject="First")
    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings, with_sender=False) as service:
        await service.send(mailout, test=True)
        await edit(arrange, mailout, "Second")
    async with in_process(settings) as service:
        assert {m["subject"] for m in await mails(sandbox, 2)} == {"[Test] First"}
        assert (await service.show(mailout))["warnings"] == [CHANGED_SINCE_TEST.sentences]


async def edit(arrange: Arrange, mailout: UUID, subject: str) -> None:
    await arrange.sql.execute("update mailouts set subject = %s where id = %s", [subject, mailout])


async def test_sending_what_was_not_tested_shows_a_warning(
    service: Service, arrange: Arrange
) -> None:
    """In the answer, and on the mailout until it is over; it is no reason to refuse."""
    await arrange.subscriber()
    never, changed, tested = [await arrange.mailout() for _ in range(3)]
    for mailout in (changed, tested):
        assert (await service.send(mailout, test=True)).status_code == 202
    await edit(arrange, changed, "Another subject")
    for mailout, expected in (
        (never, [NEVER_TESTED.sentences]),
        (changed, [CHANGED_SINCE_TEST.sentences]),
        (tested, []),
    ):
        assert (await service.show(mailout))["warnings"] == expected
        answer = await service.send(mailout)
        assert answer.status_code == 202
        assert answer.json()["warnings"] == expected
    over = await eventually(lambda: service.show(never), until=lambda m: m["status"] == "sent")
    assert over["warnings"] == []


async def test_testing_again_settles_it(service: Service, arrange: Arrange) -> None:
    mailout = await arrange.mailout()
    await service.send(mailout, test=True)
    await edit(arrange, mailout, "Another subject")
    await service.send(mailout, test=True)
    shown = await service.show(mailout)
    assert shown["tested"]["current"] is True
    assert shown["warnings"] == []


async def test_what_is_edited_after_the_start_is_not_sent_and_no_warning(
    service: Service, arrange: Arrange
) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await service.send(mailout, test=True)
    await service.send(mailout)
    await edit(arrange, mailout, "Another subject")
    assert (await service.show(mailout))["tested"]["current"] is True


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SES_CONFIGURATION_SET": None}, NO_CONFIGURATION_SET),
        ({"SNS_ALLOWED_TOPIC_ARNS": None}, NO_TOPICS),
    ],
)
async def test_a_send_without_events_is_warned_about(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    changes: dict[str, str | None],
    expected: Finding,
) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url, **changes)) as service:
        answer = await service.send(mailout)
    assert answer.status_code == 202
    assert expected.sentences in answer.json()["warnings"]


async def test_the_answer_tells_audience_quota_and_duration(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    """And a repeat is told the same."""
    await arrange.subscribers(300)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
        account = an_account(max_send_rate=10, max_24h_send=1_000, sent_last_24h=900)
        await direct_store.record_account(REGION, account)
        headers = {**BEARER, "Idempotency-Key": "k"}
        body = {"mailout_id": str(mailout)}
        first, again = [
            (await service.http.post("/send-mailout", json=body, headers=headers)).json()
            for _ in range(2)
        ]
    assert first == again
    assert (first["recipients"], first["quota_left"], first["days"]) == (300, 100, 2)
    assert first["seconds"] == 86_400 + 20


async def test_the_command_says_it_too(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store, tmp_path: Path
) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    account = an_account(max_send_rate=1, max_24h_send=200, sent_last_24h=100)
    await direct_store.record_account(REGION, account)
    variables = environment(dsn, sandbox.url)
    done = await asyncio.to_thread(command, tmp_path, variables, "send", str(mailout))
    assert done.returncode == 0, done.stderr
    assert "3 recipients" in done.stdout
    assert "about 3 seconds" in done.stdout
    assert "100 of 200 are left" in done.stdout
    assert NEVER_TESTED.sentences in done.stderr
