"""The closing statement: every recipient once, with a reason that a person understands."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.errors import MailoutNotFound
from app.services.lists.statement import PAGE, write_statement
from app.store import Store
from tests.support.factories import Arrange, all_sent, claim, living_sender, start

# One row for every status and what decided it: columns of the ledger → words of the reason.
REASONS: list[tuple[dict[str, Any], str]] = [
    ({"status": "queued"}, "waits for its turn"),
    (
        {"status": "queued", "error_code": "ACCOUNT_THROTTLED", "error_message": "Rate exceeded"},
        "next try. Rate exceeded",
    ),
    ({"status": "sending"}, "being sent"),
    ({"status": "sent"}, "no delivery or bounce was reported yet"),
    ({"status": "delivered"}, "mail server took it"),
    ({"status": "complained"}, "as spam"),
    ({"status": "cancelled"}, "cancelled"),
    ({"status": "skipped", "error_code": "hour_passed"}, "had passed where they live"),
    ({"status": "bounced", "bounce_type": "Permanent", "bounce_subtype": "General"}, "for good"),
    ({"status": "bounced", "bounce_type": "Permanent", "bounce_subtype": "NoEmail"}, "no such"),
    (
        {
            "status": "bounced",
            "bounce_type": "Transient",
            "bounce_subtype": "MailboxFull",
            "error_message": "smtp; 552 5.2.2\r\n over quota",
        },
        "full. smtp; 552 5.2.2 over quota",
    ),
    ({"status": "bounced", "bounce_type": "Undetermined"}, "does not say why"),
    ({"status": "bounced", "bounce_type": "Novel", "bounce_subtype": "Kind"}, "came back"),
    ({"status": "skipped", "error_code": "unsubscribed"}, "Unsubscribed before its turn"),
    ({"status": "skipped", "error_code": "deleted"}, "was deleted"),
    ({"status": "skipped"}, "No longer active"),
    ({"status": "failed", "error_code": "reject"}, "virus"),
    (
        {"status": "failed", "error_code": "MESSAGE_REJECTED", "error_message": "Not verified."},
        "refused it. Not verified.",
    ),
    (
        {"status": "failed", "error_code": "render_error", "error_message": "The template fails"},
        "The template fails",
    ),
    (
        {"status": "unknown", "error_code": "sender_lost", "error_message": "It stopped."},
        "not sent again by itself. It stopped.",
    ),
]


async def add_row(arrange: Arrange, mailout: UUID, **columns: Any) -> None:
    row = {
        "mailout_id": mailout,
        "subscriber_id": uuid4(),
        "email": f"{uuid4().hex}@example.com",
        **columns,
    }
    names = ", ".join(row)
    values = ", ".join(["%s"] * len(row))
    await arrange.sql.execute(
        f"insert into send_logs ({names}) values ({values})".encode(), list(row.values())
    )


async def statement(store: Store, mailout: UUID) -> tuple[dict[str, int], list[dict[str, str]]]:
    out = io.StringIO(newline="")
    counts = await write_statement(store, mailout, out)
    return dict(counts), list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))


async def test_every_recipient_is_there_once(store: Store, arrange: Arrange) -> None:
    """From all pages, those who left before their turn too."""
    await arrange.subscribers(PAGE + 5)
    mailout = await arrange.mailout()
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store), limit=3)
    await store.record_results(batch.attempt_id, all_sent(batch))
    gone = await arrange.one(
        "update subscribers set status = 'unsubscribed' where id = (select subscriber_id from "
        "send_logs where status = 'queued' limit 1) returning email"
    )
    counts, rows = await statement(store, mailout)
    assert counts == {"queued": PAGE + 1, "sent": 3, "skipped": 1}
    assert len({row["email"] for row in rows}) == len(rows) == PAGE + 5
    sent = next(row for row in rows if row["status"] == "sent")
    assert sent["message_id"].startswith("message-")
    assert sent["attempts"] == "1"
    assert sent["sent_at"].endswith("+00:00")
    assert sent["unsubscribed_at"] == ""
    skipped = next(row for row in rows if row["email"] == gone)
    assert skipped["reason"] == "Unsubscribed before its turn."


@pytest.mark.parametrize(("columns", "words"), REASONS)
async def test_the_reason_is_told_in_plain_words(
    direct_store: Store, arrange: Arrange, columns: dict[str, Any], words: str
) -> None:
    mailout = await arrange.mailout("sent")
    await add_row(arrange, mailout, **columns)
    _, (row,) = await statement(direct_store, mailout)
    assert row["status"] == columns["status"]
    assert words in row["reason"]


async def test_no_cell_begins_like_a_formula(direct_store: Store, arrange: Arrange) -> None:
    """What other servers say and how addresses begin is up to strangers."""
    mailout = await arrange.mailout("sent")
    await add_row(
        arrange,
        mailout,
        email="=cmd|calc!a@example.com",
        status="failed",
        error_code="render_error",
        error_message='=HYPERLINK("http://x.test")',
    )
    _, (row,) = await statement(direct_store, mailout)
    assert row["email"] == "'=cmd|calc!a@example.com"
    assert row["reason"].startswith("'=")


async def test_test_mails_are_left_out(direct_store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout()
    await direct_store.queue_test(mailout, ["me@example.com"])
    assert await statement(direct_store, mailout) == ({}, [])


async def test_an_unknown_mailout_is_refused(direct_store: Store) -> None:
    with pytest.raises(MailoutNotFound):
        await write_statement(direct_store, uuid4(), io.StringIO())
