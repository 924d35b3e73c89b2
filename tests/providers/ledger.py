"""A service that gets webhooks, and rows of its ledger that a provider was given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.domain.ses.mail import Mail, mail_tags
from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.providers.model import Post, StandIn
from app.sandbox.sendgrid.standin import SendGridStandIn
from tests.providers.letters import OPEN, letter
from tests.support.factories import Arrange
from tests.support.service import Service


@dataclass(frozen=True)
class Row:
    mailout: UUID
    subscriber: UUID
    number: int
    attempt: UUID
    email: str


@dataclass
class Ledger:
    service: Service
    arrange: Arrange
    sendgrid: SendGridStandIn
    mailgun: MailgunStandIn
    by_sendgrid: SendGridSender
    by_mailgun: MailgunSender

    def standin(self, provider: str) -> StandIn:
        return self.sendgrid if provider == "sendgrid" else self.mailgun

    async def row(self, email: str, status: str = "sending", *, tracking: bool = False) -> Row:
        """Somebody whose row was claimed for a provider."""
        mailout, attempt = await self.arrange.mailout("sending", tracking=tracking), uuid4()
        subscriber = await self.arrange.subscriber(email)
        number = await self.arrange.one(
            "insert into send_logs (mailout_id, subscriber_id, email, status, attempts, attempt_id)"
            " values (%s, %s, %s, %s, 1, %s) returning id",
            mailout,
            subscriber,
            email,
            status,
            attempt,
        )
        await self.arrange.sql.execute(
            "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, "
            "token_at) values (%s, %s, gen_random_uuid(), 'sendgrid', %s, now())",
            [attempt, mailout, [number]],
        )
        return Row(mailout, subscriber, number, attempt, email)

    def send(self, provider: str, rows: Iterable[Row]) -> list[str]:
        """To the stand-in, in one call; what became of each."""
        sender = self.by_sendgrid if provider == "sendgrid" else self.by_mailgun
        one = letter()
        writing = sender.writing(one.compiled, one.envelope)
        entries = []
        for row in rows:
            mail = one.to(row.email, row.number)
            tags = mail_tags(row.mailout, row.number, row.attempt)
            entry = writing.entry(
                Mail(mail.send_log_id, mail.to, mail.values, mail.unsubscribe_url, tags)
            )
            assert entry is not None
            entries.append(entry)
        return [answer.outcome for answer in sender.send_bulk(writing.head, entries, OPEN)]

    async def post(self, provider: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        return await self.service.http.post(f"/{provider}-events", content=body, headers=headers)

    async def deliver(self, provider: str, post: Post) -> int:
        headers, body = self.standin(provider).signed(post)
        return (await self.post(provider, headers, body)).status_code

    async def deliver_all(self, provider: str, *, shuffle: int | None = None) -> list[Post]:
        """Everything that the stand-in has to tell, each once; all are taken."""
        posts = self.standin(provider).pending(shuffle=shuffle)
        assert [await self.deliver(provider, post) for post in posts] == [200] * len(posts)
        return posts

    async def status(self, row: Row) -> str:
        found: str = await self.arrange.one(
            "select status from send_logs where id = %s", row.number
        )
        return found

    async def columns(self, row: Row, *names: str) -> tuple[Any, ...]:
        done = await self.arrange.sql.execute(
            f"select {', '.join(names)} from send_logs where id = %s".encode(), [row.number]
        )
        found = await done.fetchone()
        assert found is not None
        return tuple(found[name] for name in names)

    async def subscriber(self, row: Row) -> str:
        found: str = await self.arrange.one(
            "select status from subscribers where id = %s", row.subscriber
        )
        return found

    async def events(self) -> int:
        found: int = await self.arrange.one("select count(*) from ses_events")
        return found

    def counted(self, provider: str, outcome: str) -> float:
        return self.service.services.metrics.totals()[
            "amazonsender_provider_webhooks_total", (provider, outcome)
        ]
