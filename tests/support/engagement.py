"""Mails that are tracked, and what their readers did, as SES tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from app.domain.ses.events import parse_ses_event, to_row
from app.services.engagement.judge_recipients import JudgeRecipients
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import settings_for

SENT_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SOMEWHERE = "203.0.113.9"
MICROSOFT = "40.92.1.2"
"""An address of the network that follows links to protect its readers."""
SPRING = "https://example.com/spring"
BODY = f'<p>Hi</p><p><a href="{SPRING}">Spring</a> <a href="https://example.com/sale">Sale</a></p>'


@dataclass(frozen=True)
class Mailed:
    """One recipient's mail. log: the ledger's row."""

    mailout: UUID
    log: int
    attempt: UUID
    email: str
    person: UUID | None


async def tracked_mailout(arrange: Arrange, status: str = "sent", **columns: Any) -> UUID:
    """One that was started with its content frozen; tracking=False: one that isn't tracked."""
    row = {"body_html": BODY, "tracking": True, "started_at": SENT_AT} | columns
    mailout = await arrange.mailout(status, **row)
    await arrange.sql.execute(
        "insert into mailout_snapshots (mailout_id, content, content_hash) "
        "select id, mailout_content(m), mailout_content_hash(m) from mailouts m where id = %s",
        [mailout],
    )
    return mailout


async def mailed(
    arrange: Arrange,
    mailout: UUID,
    email: str | None = None,
    *,
    person: UUID | None = None,
    status: str = "sent",
    is_test: bool = False,
) -> Mailed:
    """A mail that SES took. person: who got it; else a new subscriber, with a test mail nobody."""
    email = email or f"{uuid4().hex}@example.com"
    if person is None and not is_test:
        person = await arrange.subscriber(email, created_at=SENT_AT - timedelta(days=1))
    attempt = uuid4()
    log = await arrange.one(
        "insert into send_logs (mailout_id, subscriber_id, email, status, attempt_id, attempts, "
        "is_test, sent_at) values (%s, %s, %s, %s, %s, 1, %s, %s) returning id",
        mailout, person, email, status, attempt, is_test, SENT_AT,
    )  # fmt: skip
    return Mailed(mailout, log, attempt, email, person)


def told(
    mail: Mailed,
    kind: str = "Open",
    after: float = 3600.0,
    *,
    link: str | None = None,
    ip: str | None = SOMEWHERE,
    agent: str | None = BROWSER,
) -> dict[str, Any]:
    """An event as SES writes it: Open, Click (`link`) or Delivery. after: seconds since SENT_AT."""
    at = (SENT_AT + timedelta(seconds=after)).isoformat().replace("+00:00", "Z")
    about: dict[str, Any] = {"timestamp": at}
    if kind == "Delivery":
        about |= {"recipients": [mail.email], "smtpResponse": "250 ok"}
    else:
        about |= {"ipAddress": ip, "userAgent": agent}
    if kind == "Click":
        about |= {"link": link or SPRING, "linkTags": None}
    return {
        "eventType": kind,
        kind.lower(): about,
        "mail": {
            "timestamp": SENT_AT.isoformat(),
            "messageId": f"m-{mail.log}",
            "destination": [mail.email],
            "headers": [{"name": "To", "value": mail.email}],
            "tags": {
                "mailout_id": [str(mail.mailout)],
                "send_log_id": [str(mail.log)],
                "attempt": [str(mail.attempt)],
            },
        },
    }


def row(event: dict[str, Any], sns_message_id: str | None = None) -> dict[str, Any]:
    """As the web process stores it."""
    parsed = parse_ses_event(json.dumps(event), published_at=SENT_AT)
    assert parsed is not None
    return to_row(parsed, sns_message_id or str(uuid4()))


async def happened(store: Store, *events: dict[str, Any]) -> None:
    """These events came, together."""
    await store.apply_ses_events([row(event) for event in events])


async def judge_all(store: Store) -> None:
    """All that is due is judged, as the work process does it."""
    judging = JudgeRecipients(store, settings_for("postgresql://nobody@127.0.0.1/none", None))
    await judging.read_links()
    while await judging.judge_slice():
        pass
