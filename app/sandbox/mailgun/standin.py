"""Mailgun: `POST /v3/DOMAIN/messages`, and its signed webhooks.

Sources: Mailgun's API reference, "Sending"; user manual, "Batch Sending", "Template Variables",
"Tracking Failures", "Webhooks" and "Securing Webhooks".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qsl

import orjson

from app.sandbox.providers.model import Answer, Post, ReceivedMail, StandIn

MAX_PEOPLE = 1_000
MAX_MESSAGE_BYTES = 25_000_000

_PATH = re.compile(r"/v3/([^/]+)/messages")
_DOMAIN = re.compile(r"/v3/domains/([^/]+)")
_ADDRESS = re.compile(r"[^@\s<>]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
_OWN = re.compile(r"%recipient\.([^%\s]+)%")
_PREDEFINED = re.compile(
    r"%(recipient|recipient_email|recipient_name|recipient_fname|recipient_lname|unsubscribe_url|"
    r"tag_unsubscribe_url|mailing_list_unsubscribe_url|unsubscribe_email)%"
)
_EITHER = re.compile(f"{_OWN.pattern}|{_PREDEFINED.pattern}")

_BOUNCED = {
    "event": "failed",
    "severity": "permanent",
    "reason": "bounce",
    "delivery-status": {
        "code": 550,
        "message": "5.1.1 no such user",
        "description": "",
        "bounce-type": "hard",
    },
}
_DELIVERED = {"event": "delivered", "delivery-status": {"code": 250, "message": "OK"}}


def _failed(severity: str, reason: str, code: int, message: str) -> dict[str, Any]:
    status = {"code": code, "message": message, "description": ""}
    return {
        "event": "failed",
        "severity": severity,
        "reason": reason,
        "delivery-status": status,
    }


# What happens to a mail, by the local part of its address without a label.
_FATES: dict[str, list[dict[str, Any]]] = {
    "bounce": [_BOUNCED],
    "blocked": [_failed("permanent", "bounce", 550, "5.7.1 refused by policy")],
    "complaint": [_DELIVERED, {"event": "complained"}],
    "unsubscribe": [_DELIVERED, {"event": "unsubscribed"}],
    "suppressionlist": [
        _failed("permanent", "suppress-bounce", 605, "Not delivering to previously bounced address")
    ],
    "spamlist": [_failed("permanent", "suppress-complaint", 607, "Not delivering to a complainer")],
    "leftlist": [_failed("permanent", "suppress-unsubscribe", 606, "Not delivering: unsubscribed")],
    "overquota": [{"event": "rejected", "reject": {"reason": "over quota", "description": ""}}],
    "deferred": [_failed("temporary", "generic", 451, "4.7.1 try again later")],
    "expired": [_failed("temporary", "old", 498, "Too old")],
}


@dataclass(frozen=True, kw_only=True)
class MailgunConfig:
    """api_key: MAILGUN_API_KEY. domain: MAILGUN_DOMAIN. signing_key: MAILGUN_WEBHOOK_SIGNING_KEY.
    signs_anew: whether a repeated webhook gets a new token and signature: that isn't documented.
    sending_key: whether the key may do nothing else. state: of the domain. dkim: its public key,
    as a TXT record."""

    api_key: str = "key-sandbox"
    domain: str = "mg.example.com"
    signing_key: str = "sandbox-signing-key"
    signs_anew: bool = False
    sending_key: bool = False
    state: str = "active"
    dkim: str = "k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDsandbox"


class MailgunStandIn(StandIn):
    def __init__(self, config: MailgunConfig | None = None) -> None:
        self.config = config or MailgunConfig()
        super().__init__()

    def _answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        known = base64.b64encode(f"api:{self.config.api_key}".encode()).decode()
        if headers.get("authorization") != f"Basic {known}":
            return Answer(401, b"Forbidden", {"Content-Type": "text/plain"})
        if asked := _DOMAIN.fullmatch(path):
            return self._domain(asked[1])
        match = _PATH.fullmatch(path)
        if match is None:
            return Answer(200, b"Mailgun Magnificent API", {"Content-Type": "text/html"})
        if match[1] != self.config.domain:
            return _refused(404, f"Domain not found: {match[1]}")
        if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _refused(400, "this stand-in reads application/x-www-form-urlencoded only")
        if len(body) > MAX_MESSAGE_BYTES:
            return _refused(413, "Message is too large")
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10_000)
        one = dict(fields)
        people = [value for name, value in fields if name == "to"]
        if problem := self._problem(one, people):
            return _refused(400, problem)
        return Answer.json(
            {"id": f"<{self._accept(one, people)}>", "message": "Queued. Thank you."}
        )

    def _domain(self, name: str) -> Answer:
        if name != self.config.domain:
            return _refused(404, "Domain not found")
        if self.config.sending_key:  # a key of a domain that may do nothing but send
            return Answer(401, b"Forbidden", {"Content-Type": "text/plain"})
        return Answer.json(
            {
                "domain": {"name": name, "state": self.config.state},
                "receiving_dns_records": [
                    {"record_type": "MX", "valid": "unknown", "priority": "10", "value": host}
                    for host in ("mxa.mailgun.org", "mxb.mailgun.org")
                ],
                "sending_dns_records": [
                    {"record_type": kind, "valid": "unknown", "name": at, "value": value}
                    for kind, at, value in (
                        ("TXT", name, "v=spf1 include:mailgun.org ~all"),
                        ("TXT", f"k1._domainkey.{name}", self.config.dkim),
                        ("CNAME", f"email.{name}", "mailgun.org"),
                    )
                ],
            }
        )

    def _problem(self, one: dict[str, str], people: list[str]) -> str | None:
        if not _ADDRESS.fullmatch(parseaddr(one.get("from", ""))[1]):
            return "'from' parameter is not a valid address. please check documentation"
        if not people:
            return "to parameter is missing"
        if len(people) > MAX_PEOPLE:
            return "to parameter: too many recipients, at most 1000 are allowed"
        if not all(_ADDRESS.fullmatch(person) for person in people):
            return "'to' parameter is not a valid address. please check documentation"
        if not one.get("text") and not one.get("html"):
            return "Need at least one of 'text' or 'html' parameters specified"
        if "recipient-variables" in one and _variables(one["recipient-variables"]) is None:
            return "'recipient-variables' is not a valid JSON dictionary"
        return None

    def _accept(self, one: dict[str, str], people: list[str]) -> str:
        self.number += 1
        message_id = f"{time.strftime('%Y%m%d')}.{self.number}@{self.config.domain}"
        variables = _variables(one.get("recipient-variables", "")) or {}
        # Without variables for anybody it is one mail, and all see each other.
        shown = people if variables else [", ".join(people)]
        for person in shown:
            self.number += 1
            mail = _made(one, person, variables.get(person), message_id, self.number)
            self.keep(mail)
            self.happens(mail, {"event": "accepted", "method": "HTTP"})
            local = person.partition("@")[0].partition("+")[0]
            for fate in _FATES.get(local, [_DELIVERED]):
                self.happens(mail, fate)
        return message_id

    def happens(self, mail: ReceivedMail, what: Mapping[str, Any]) -> None:
        """Something to a mail, which a webhook tells."""
        self.number += 1
        self.events.append(
            {
                "id": f"sandbox-{self.number}",
                "timestamp": time.time(),
                "recipient": mail.to,
                "recipient-domain": mail.to.partition("@")[2],
                "user-variables": dict(mail.variables),
                "tags": [],
                "message": {
                    "headers": {
                        "to": mail.to,
                        "message-id": mail.message_id,
                        "from": mail.sender,
                        "subject": mail.subject,
                    },
                    "attachments": [],
                    "size": len(mail.html) + len(mail.text),
                },
                **what,
            }
        )

    # -- webhooks

    def _posts(self, events: list[dict[str, Any]]) -> list[Post]:
        return [Post([event]) for event in events]

    def signed(self, post: Post) -> tuple[dict[str, str], bytes]:
        post.attempts += 1
        if post.signed is None or self.config.signs_anew:
            post.signed = self.sign(post.events[0])
        return post.signed

    def sign(
        self,
        event: Mapping[str, Any],
        *,
        token: str | None = None,
        timestamp: int | None = None,
        key: str | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body. token: None: a new one. timestamp: seconds since 1970; None: now."""
        token = token or secrets.token_hex(25)
        at = str(int(time.time()) if timestamp is None else timestamp)
        signing = (key or self.config.signing_key).encode()
        signature = hmac.new(signing, f"{at}{token}".encode(), hashlib.sha256).hexdigest()
        said = {
            "signature": {"timestamp": at, "token": token, "signature": signature},
            "event-data": event,
        }
        return {"Content-Type": "application/json"}, orjson.dumps(said)

    def repeats(self, status: int) -> bool:
        return status not in {200, 406}


def _variables(text: str) -> dict[str, dict[str, Any]] | None:
    """None: it isn't what it has to be."""
    try:
        said = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(said, dict) or not all(isinstance(one, dict) for one in said.values()):
        return None
    return said


def _made(
    one: dict[str, str], to: str, own: dict[str, Any] | None, message_id: str, number: int
) -> ReceivedMail:
    def filled(text: str) -> str:
        return _filled(text, own, to)

    def named(prefix: str) -> dict[str, str]:
        return {
            name.removeprefix(prefix): filled(value)
            for name, value in one.items()
            if name.startswith(prefix)
        }

    return ReceivedMail(
        to=to,
        sender=filled(one["from"]),
        subject=filled(one.get("subject", "")),
        html=filled(one.get("html", "")),
        text=filled(one.get("text", "")),
        headers=named("h:"),
        variables=named("v:"),
        message_id=message_id,
        number=number,
    )


def _filled(text: str, own: dict[str, Any] | None, to: str) -> str:
    """One pass. A variable that nobody gave stays as it stands."""

    def value(match: re.Match[str]) -> str:
        if match[1] is not None:
            return str(own[match[1]]) if own is not None and match[1] in own else match[0]
        return to if match[2].startswith("recipient") else f"https://mailgun.example/{match[2]}"

    return _EITHER.sub(value, text)


def _refused(status: int, message: str) -> Answer:
    return Answer.json({"message": message}, status)
