"""The mail to OWNER_EMAIL when a mailout is sent, paused or failed, and when there is other news.

The database writes a notice in the transaction that changes the mailout's status
(owner_notices.sql), so none is missed; a process claims it before it sends, so none is sent twice.
A mail that fails is only logged.
"""

from __future__ import annotations

from html import escape
from typing import Any

import structlog

from app.domain.addresses import ascii_address, format_mailbox
from app.domain.reports.notices import figures, headline, one_line
from app.domain.reports.progress import Progress
from app.domain.reports.remedies import mailout_remedy, without_addresses
from app.domain.ses.answers import Answer
from app.domain.ses.mail import Notice
from app.running.stopping import Stopping
from app.services.sending.notices import FindWay, Notices, settled
from app.settings import Settings
from app.store import Store
from app.store.telling.news import OwnerNews

log = structlog.get_logger(__name__)

RETRY_SECONDS = 60.0
"""How long a notice waits after a refusal that will pass, such as a used-up quota. The database
gives it up after a day."""
SENDER_NAME = "AmazonSender"


class OwnerMail:
    """Tells the owner what is due. Needs OWNER_EMAIL."""

    def __init__(
        self, store: Store, find_way: FindWay, settings: Settings, stopping: Stopping
    ) -> None:
        assert settings.owner_email is not None
        assert settings.ses_from_email is not None
        self._store = store
        self._to = ascii_address(settings.owner_email)
        self._from = format_mailbox(SENDER_NAME, ascii_address(settings.ses_from_email))
        self._find_way = find_way
        self._base_url = settings.app_base_url
        self._stopping = stopping
        self._notices = Notices(settings, stopping, "ses-owner")

    async def send_due(self) -> None:
        """Send every notice that is due, until a stop is asked for. Raises Unavailable."""
        while not self._stopping.asked and await self._send_next():
            pass
        while not self._stopping.asked and await self._send_news():
            pass

    def close(self) -> None:
        self._notices.close()

    async def _send_next(self) -> bool:
        """Take the next notice and send it; False: none is due."""
        way = self._find_way()
        facts = await self._store.claim_owner_notice(way.region)
        if facts is None:
            return False
        answer = await self._notices.send(
            write_notice(facts, self._base_url),
            way,
            from_mailbox=self._from,
            to=self._to,
            about=facts["mailout_id"],
        )
        await self._settle(facts, answer)
        return True

    async def _send_news(self) -> bool:
        """The same for what is of no single mailout (owner_news.sql)."""
        way = self._find_way()
        due = await self._store.claim_owner_news("mail", way.region)
        if due is None:
            return False
        answer = await self._notices.send(
            write_news(due, self._base_url),
            way,
            from_mailbox=self._from,
            to=self._to,
            about=f"news-{due.id}",
        )
        outcome, detail = settled(answer), answer.message or answer.code
        await self._store.settle_owner_news(
            due.id, outcome, detail=detail, retry_seconds=RETRY_SECONDS
        )
        if outcome == "sent":
            log.info("owner_told", about=due.about)
        else:
            log.warning(
                "owner_not_told",
                about=due.about,
                outcome=outcome or "later",
                error=without_addresses(detail or ""),
            )
        return True

    async def _settle(self, facts: dict[str, Any], answer: Answer) -> None:
        outcome = settled(answer)
        detail = answer.message or answer.code
        await self._store.settle_owner_notice(
            facts["id"], outcome, detail=detail, retry_seconds=RETRY_SECONDS
        )
        about = {"mailout_id": facts["mailout_id"], "status": facts["status"]}
        if outcome == "sent":
            log.info("owner_told", **about)
        else:
            log.warning(
                "owner_not_told",
                **about,
                outcome=outcome or "later",
                error=without_addresses(detail or ""),
                remedy="check OWNER_EMAIL and what SES said",
            )


def write_notice(facts: dict[str, Any], base_url: str) -> Notice:
    """What is told, in plain words; no recipient is named.

    facts: what `claim_owner_notice` gives. base_url: APP_BASE_URL.
    """
    status, subject = facts["status"], one_line(facts["subject"])
    paragraphs = [headline(subject, status)]
    if facts["reason"]:
        paragraphs.append(without_addresses(facts["reason"]))
    if remedy := mailout_remedy(status, facts["pause_code"]):
        paragraphs.append(remedy)
    told = figures(Progress(facts["counts"], expected=facts["recipients"] or 0))
    link = f"{base_url}/dashboard/mailouts/{facts['mailout_id']}"
    return Notice(
        subject=f"{status.capitalize()}: {subject}"[:200],
        text="\n\n".join(
            [*paragraphs, "\n".join(f"{name}: {count:,}" for name, count in told), link]
        ),
        html=_html(paragraphs, told, link),
    )


def write_news(due: OwnerNews, base_url: str) -> Notice:
    """base_url: APP_BASE_URL."""
    paragraphs, link = [f"{due.headline}.", *due.lines], f"{base_url}/dashboard/{due.page}"
    return Notice(
        subject=due.headline[:200],
        text="\n\n".join([*paragraphs, link]),
        html=_html(paragraphs, [], link),
    )


def _html(paragraphs: list[str], told: list[tuple[str, int]], link: str) -> str:
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0">{escape(name)}</td>'
        f'<td style="text-align:right">{count:,}</td></tr>'
        for name, count in told
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>AmazonSender</title>'
        '</head><body style="font:16px/1.5 system-ui,sans-serif;max-width:36em">'
        + "".join(f"<p>{escape(text)}</p>" for text in paragraphs)
        + f'<table role="presentation">{rows}</table>'
        + f'<p><a href="{escape(link)}">Open it in the dashboard</a></p></body></html>'
    )
