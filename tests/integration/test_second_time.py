"""The second time round: nothing of the first stays behind."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Result
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.integration.test_dry_run import rehearse
from tests.support.factories import Arrange, claim, living_sender, started_mailout
from tests.support.service import BEARER, Service
from tests.support.waiting import eventually


async def test_a_second_test_mail_shows_what_was_written_since(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """And a third one, after going back, the first words again."""
    mailout = await arrange.mailout("draft", subject="First", body_html="<p>One</p>")
    expected = []
    for subject, body in (("First", "One"), ("Second", "Two"), ("First", "One")):
        await arrange.sql.execute(
            "update mailouts set subject = %s, body_html = %s", [subject, f"<p>{body}</p>"]
        )
        assert (await service.send(mailout, test=True)).status_code == 202
        expected += [(f"[Test] {subject}", body)] * 2
        await eventually(lambda: waiting_tests(arrange), until=lambda n: n == 0)
    mails = [sandbox.mail(mail["message_id"]) for mail in sandbox.mails()]
    shown = [(m["subject"], "One" if "One" in m["html"] else "Two") for m in mails]
    assert sorted(shown) == sorted(expected)


async def waiting_tests(arrange: Arrange) -> int:
    found: int = await arrange.one(
        "select count(*) from send_logs where status in ('queued', 'sending')"
    )
    return found


@pytest.mark.short
async def test_a_second_dry_run_tells_of_the_list_as_it_is_now(
    service: Service, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout(body_html="<p>{{ fields.city }}</p>")
    first = await rehearse(service, mailout)
    assert (first["recipients"], first["problems_total"]) == (3, 3)
    await arrange.sql.execute('update subscribers set fields = \'{"city": "Rome"}\'')
    await arrange.subscriber("late@example.com", fields={"city": "Ulm"})

    answer = await service.send(mailout, dry_run=True)
    assert answer.json()["recipients"] == 4

    async def report() -> dict[str, Any]:
        path = f"/mailouts/{mailout}/dry-run"
        found: dict[str, Any] = (await service.http.get(path, headers=BEARER)).json()
        return found

    second = await eventually(
        report,
        until=lambda r: r["state"] == "done" and r["started_at"] > first["started_at"],
    )
    assert (second["recipients"], second["problems_total"]) == (4, 0)


async def test_an_older_dry_run_never_writes_over_a_newer_one(
    store: Store, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    older, newer = uuid4(), uuid4()
    await store.begin_dry_run(mailout, older, {"state": "running", "recipients": 1})
    assert await store.save_dry_run(mailout, older, {"state": "running", "recipients": 2})
    await store.begin_dry_run(mailout, newer, {"state": "running", "recipients": 3})
    assert not await store.save_dry_run(mailout, older, {"state": "done", "recipients": 4})
    shown = await store.show_dry_run(mailout)
    assert shown is not None
    assert (shown["state"], shown["recipients"]) == ("running", 3)
    assert await store.save_dry_run(mailout, newer, {"state": "done", "recipients": 5})


async def fail_everybody(store: Store, mailout: UUID, sender: UUID) -> str | None:
    batch = await claim(store, mailout, sender)
    assert {r.attempts for r in batch.recipients} == {1}, "all tries are to be had again"
    return await store.record_results(
        batch.attempt_id, [Result(r.send_log_id, "failed", code="X") for r in batch.recipients]
    )


async def test_who_fails_again_can_be_sent_to_again(store: Store, arrange: Arrange) -> None:
    """Each resend begins with nothing: no attempts, no reason, no time, no end."""
    mailout = await started_mailout(store, arrange, 2)
    sender = await living_sender(store)
    for _ in range(3):
        assert await fail_everybody(store, mailout, sender) == "failed"
        ended = await store.show_mailout(mailout)
        assert "2 of 2 recipients were refused" in ended["status_reason"]
        assert ended["sent_at"]
        await arrange.sql.execute(
            "update send_logs set attempts = 8, next_attempt_at = now() + '1d'"
        )
        done = await store.resend_mailout(mailout, ["failed", "unknown"], force=False)
        assert (done["requeued"], done["too_young"], done["status"]) == (2, 0, "sending")
        again = await store.show_mailout(mailout)
        assert (again["status_reason"], again["sent_at"]) == (None, None)
        left = await arrange.sql.execute(
            "select distinct attempts, error_code, error_message, next_attempt_at from send_logs"
        )
        assert [tuple(row.values()) async for row in left] == [(0, None, None, None)]


async def test_the_mail_of_a_resend_is_known_by_its_own_id(store: Store, arrange: Arrange) -> None:
    """The first was accepted and then rejected; what comes of the second counts."""
    mailout = await started_mailout(store, arrange, 1)
    sender = await living_sender(store)
    for message_id, event in (("first", "reject"), ("second", "delivery")):
        batch = await claim(store, mailout, sender)
        [recipient] = batch.recipients
        await store.record_results(
            batch.attempt_id, [Result(recipient.send_log_id, "sent", message_id=message_id)]
        )
        told = await store.apply_ses_events(
            [
                {
                    "sns_message_id": message_id, "type": event, "message_id": message_id,
                    "occurred_at": "2026-11-24T12:00:00+00:00", "mailout_id": str(mailout),
                    "send_log_id": recipient.send_log_id, "attempt": str(batch.attempt_id),
                    "payload": {},
                }
            ]
        )  # fmt: skip
        assert told["matched"] == 1
        await store.resend_mailout(mailout, ["failed"], force=False)
    assert await arrange.counts(mailout) == {"delivered": 1}
    assert await arrange.one("select message_id from send_logs") == "second"
