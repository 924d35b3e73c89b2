"""Twilio SendGrid: `POST /v3/mail/send`, and its signed Event Webhook.

Sources, beside those of `checks`: "Domain Authentication"; "Substitution Tags"; "Event Webhook
Reference"; "Getting Started with the Event Webhook Security Features".
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.sandbox.providers.model import Answer, Post, ReceivedMail, StandIn
from app.sandbox.sendgrid.checks import MAX_BODY_BYTES, problems

ROUNDS = 4
"""A value that holds a tag is substituted, too, so deep: whoever relies on values not being read
again is found out here."""
MOST_EVENTS = 1_000
DOMAINS = "/v3/whitelabel/domains"
PATHS = ("/v3/mail/send", "/v3/scopes", DOMAINS)

# What happens to a mail, by the local part of its address without a label.
_FATES: dict[str, list[dict[str, Any]]] = {
    "bounce": [{"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 no user"}],
    "blocked": [{"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "550 policy"}],
    "complaint": [{"event": "delivered", "response": "250 OK"}, {"event": "spamreport"}],
    "unsubscribe": [{"event": "delivered", "response": "250 OK"}, {"event": "unsubscribe"}],
    "suppressionlist": [{"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"}],
    "spamlist": [{"event": "dropped", "reason": "Spam Reporting Address"}],
    "leftlist": [{"event": "dropped", "reason": "Unsubscribed Address"}],
    "overquota": [{"event": "dropped", "reason": "Recipient List over Package Quota"}],
    "deferred": [{"event": "deferred", "response": "400 try again later", "attempt": "5"}],
}
_DELIVERED = [{"event": "delivered", "response": "250 OK"}]


@dataclass(frozen=True, kw_only=True)
class SendGridConfig:
    """api_key: SENDGRID_API_KEY. verified: addresses and domains that may send; empty: all. scopes:
    what the key may do. domains: that are authenticated; plain: without automated security."""

    api_key: str = "SG.sandbox.sandbox"
    scopes: frozenset[str] = frozenset({"mail.send", "sender_verification_eligible"})
    verified: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()
    plain: bool = False


class SendGridStandIn(StandIn):
    def __init__(self, config: SendGridConfig | None = None) -> None:
        self.config = config or SendGridConfig()
        # A number that anybody can work out: it signs for this stand-in alone.
        seed = hashlib.sha256(b"the sandbox's Event Webhook").digest()
        self._key = ec.derive_private_key(int.from_bytes(seed), ec.SECP256R1())
        super().__init__()

    @property
    def public_key(self) -> str:
        """SENDGRID_WEBHOOK_PUBLIC_KEY."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def _answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if path not in PATHS:
            return _errors(404, [("not found", None)])
        if headers.get("authorization") != f"Bearer {self.config.api_key}":
            wrong = "The provided authorization grant is invalid, expired, or revoked"
            return _errors(401, [(wrong, None)])
        if path == "/v3/scopes":
            return Answer.json({"scopes": sorted(self.config.scopes)})
        if path == DOMAINS:
            if "whitelabel.read" not in self.config.scopes:
                return _errors(403, [("access forbidden", None)])
            return Answer.json([self._domain(name) for name in self.config.domains])
        if not headers.get("content-type", "").startswith("application/json"):
            return _errors(415, [("Content-Type should be application/json.", None)])
        if len(body) > MAX_BODY_BYTES:
            return _errors(413, [("content too large", None)])
        try:
            call = orjson.loads(body)
        except ValueError:
            return _errors(400, [("Bad Request", None)])
        if not isinstance(call, dict):
            return _errors(400, [("Bad Request", None)])
        if found := list(problems(call)):
            return _errors(400, found)
        if not self._may_send(call["from"]["email"].lower()):
            return _errors(
                403,
                [
                    (
                        "The from address does not match a verified Sender Identity. Mail cannot "
                        "be sent until this error is resolved.",
                        "from",
                    )
                ],
            )
        return Answer(202, headers={"X-Message-Id": self._accept(call)})

    def _domain(self, name: str) -> dict[str, Any]:
        records: dict[str, tuple[str, str, str]] = {
            "mail_cname": ("cname", f"em7.{name}", "u7.wl.sendgrid.net"),
            "dkim1": ("cname", f"s1._domainkey.{name}", "s1.domainkey.u7.wl.sendgrid.net"),
            "dkim2": ("cname", f"s2._domainkey.{name}", "s2.domainkey.u7.wl.sendgrid.net"),
        }
        if self.config.plain:
            records = {
                "mail_server": ("mx", f"em7.{name}", "mx.sendgrid.net."),
                "subdomain_spf": ("txt", f"em7.{name}", "v=spf1 include:sendgrid.net ~all"),
                "domain_spf": ("txt", name, f"v=spf1 include:em7.{name} -all"),
                "dkim": ("txt", f"m1._domainkey.{name}", "k=rsa; t=s; p=MIGfsandbox"),
            }
        return {
            "id": 7,
            "domain": name,
            "subdomain": "em7",
            "automatic_security": not self.config.plain,
            "valid": False,
            "dns": {
                key: {"valid": False, "type": kind, "host": host, "data": data}
                for key, (kind, host, data) in records.items()
            },
        }

    def _may_send(self, sender: str) -> bool:
        verified = self.config.verified
        return not verified or sender in verified or sender.partition("@")[2] in verified

    def _accept(self, call: dict[str, Any]) -> str:
        self.number += 1
        message_id = f"sandbox{self.number:08d}"
        if (call.get("mail_settings") or {}).get("sandbox_mode", {}).get("enable"):
            return message_id
        for index, person in enumerate(call["personalizations"]):
            mail = _made(call, person, message_id, index)
            self.keep(mail)
            self.happens(mail, {"event": "processed"})
            local = mail.to.partition("@")[0].partition("+")[0]
            for fate in _FATES.get(local, _DELIVERED):
                self.happens(mail, fate)
        return message_id

    def happens(self, mail: ReceivedMail, what: Mapping[str, Any]) -> None:
        """Something to a mail, which the webhook tells."""
        self.number += 1
        self.events.append(
            {
                "email": mail.to,
                "timestamp": int(time.time()),
                "smtp-id": f"<{mail.message_id}@geopod-ismtpd-1>",
                "sg_event_id": base64.urlsafe_b64encode(f"event {self.number}".encode()).decode(),
                "sg_message_id": f"{mail.message_id}.recvd-1-{mail.number}.0",
                **mail.variables,
                **what,
            }
        )

    # -- the Event Webhook

    def _posts(self, events: list[dict[str, Any]]) -> list[Post]:
        return [Post(events[i : i + MOST_EVENTS]) for i in range(0, len(events), MOST_EVENTS)]

    def signed(self, post: Post) -> tuple[dict[str, str], bytes]:
        post.attempts += 1
        return self.sign(orjson.dumps(post.events))

    def sign(self, body: bytes, timestamp: int | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body. timestamp: seconds since 1970; None: now."""
        at = str(int(time.time()) if timestamp is None else timestamp)
        signature = self._key.sign(at.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": at,
        }, body

    def repeats(self, status: int) -> bool:
        return not 200 <= status < 300


def _made(
    call: dict[str, Any], person: dict[str, Any], message_id: str, number: int
) -> ReceivedMail:
    tags = person.get("substitutions", {})
    parts = {part["type"]: _substituted(part["value"], tags) for part in call["content"]}
    return ReceivedMail(
        to=person["to"][0]["email"],
        sender=call["from"]["email"],
        subject=_substituted(person.get("subject") or call["subject"], tags),
        html=parts.get("text/html", ""),
        text=parts.get("text/plain", ""),
        headers={**call.get("headers", {}), **person.get("headers", {})},
        variables={**call.get("custom_args", {}), **person.get("custom_args", {})},
        message_id=message_id,
        number=number,
    )


def _substituted(text: str, tags: Mapping[str, str]) -> str:
    for _ in range(ROUNDS):
        before = text
        for tag, value in tags.items():
            text = text.replace(tag, value)
        if text == before:
            break
    return text


def _errors(status: int, found: list[tuple[str, str | None]]) -> Answer:
    listed = [{"message": message, "field": field, "help": None} for message, field in found]
    return Answer.json({"errors": listed}, status)
