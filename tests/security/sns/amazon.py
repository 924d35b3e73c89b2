"""Stands where SNS would: signs, has certificates at addresses, and confirms subscriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.security.fortress import Fortress
from tests.support.engagement import Mailed, mailed, told
from tests.support.local_server import LocalServer, Reply
from tests.support.service import TOPIC
from tests.support.sns import SnsSigner, body_of, headers_of

SIGNER = SnsSigner()
STRANGER = SnsSigner()
PATH = "/SimpleNotificationService-0a1b2c3d4e5f.pem"
CONFIRMED = b"""<ConfirmSubscriptionResponse><ConfirmSubscriptionResult><SubscriptionArn>arn
</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"""


class Amazon(LocalServer):
    """asked: the paths. pages: what is at them; elsewhere is nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.confirmations: list[bytes] = []
        self.pages = {PATH: Reply(body=SIGNER.certificate_pem)}

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        if path == "/":
            self.confirmations.append(body)
            return Reply(body=CONFIRMED, headers={"Content-Type": "text/xml"})
        self.asked.append(path)
        return self.pages.get(path, Reply(404))


class Sns:
    """The road of SNS's messages into a service that knows the certificate by now."""

    def __init__(self, fortress: Fortress, amazon: Amazon) -> None:
        self.fortress, self.amazon = fortress, amazon

    def notification(
        self, message: str | Mapping[str, Any] = "{}", *, by: SnsSigner = SIGNER, **fields: Any
    ) -> dict[str, Any]:
        return by.notification(message, **self._fields(fields))

    def confirmation(self, *, by: SnsSigner = SIGNER, **fields: Any) -> dict[str, Any]:
        return by.confirmation(**self._fields(fields))

    def _fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {
            "TopicArn": TOPIC,
            "SigningCertURL": self.amazon.url + PATH,
            "Timestamp": ago(),
        } | fields

    async def post(
        self, envelope: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """headers: None: as SNS sends them, as far as the envelope has texts."""
        if isinstance(envelope, bytes):
            content, sent = envelope, dict(headers or {})
        else:
            content = body_of(envelope)
            named = "".join(str(envelope.get(name)) for name in ("Type", "MessageId", "TopicArn"))
            fit = named.isprintable() and named.isascii() and " " not in named
            sent = headers_of(envelope) if headers is None and fit else dict(headers or {})
        return await self.fortress.http.post("/ses-events", content=content, headers=sent)

    async def refused(self, envelope: Mapping[str, Any] | bytes, *status: int) -> httpx.Response:
        """Nothing changes, and nobody is asked."""
        async with self.fortress.untouched():
            answer = await self.post(envelope)
            assert answer.status_code in (status or (403,)), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        return answer

    async def mail(self, **columns: Any) -> Mailed:
        """One that SES took, of a mailout of its own."""
        arrange = self.fortress.arrange
        return await mailed(arrange, await arrange.mailout("sent"), **columns)

    async def states(self) -> list[Any]:
        """Of all recipients and subscribers."""
        done = await self.fortress.sql.execute(
            "select l.id, l.status, l.message_id, l.event_at, s.status as person from send_logs l "
            "left join subscribers s on s.id = l.subscriber_id order by 1"
        )
        return await done.fetchall()

    async def parked(self) -> int:
        return int(
            await self.fortress.arrange.one(
                "select count(*) from ses_events where parked is not null"
            )
        )


def ago(**time: float) -> str:
    """As SNS writes it. time: as of a timedelta."""
    at = datetime.now(UTC) - timedelta(**time)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bounce(mail: Mailed, **tags: Any) -> dict[str, Any]:
    """A permanent one, with these tags in place of its own; None: without."""
    event = told(mail, "Delivery")
    del event["delivery"]
    event["eventType"] = "Bounce"
    event["bounce"] = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": mail.email}],
    }
    changed = event["mail"]["tags"] | tags
    event["mail"]["tags"] = {name: tag for name, tag in changed.items() if tag is not None}
    return event


def with_doubled(body: Mapping[str, Any], name: str, value: Any) -> bytes:
    """A body in which this member comes a second time, at the end."""
    return json.dumps(body).encode()[:-1] + f", {json.dumps(name)}: {json.dumps(value)}}}".encode()
