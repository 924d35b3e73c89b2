"""A mailout as SendGrid's `POST /v3/mail/send` takes it. Pure.

Sources: Twilio's OpenAPI description of the Mail API (tsg_mail_v3), "Substitution Tags" and the
errors of Mail Send. A tag is any text: wherever it stands in subject or content, the person's value
takes its place, unescaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import orjson

from app.domain.content.render import Compiled
from app.domain.providers.content import Texts, groups, without_ses
from app.domain.ses.mail import BulkEntry, Envelope, Mail

MAX_SUBSTITUTION_BYTES = 10_000
"""Per person. The OpenAPI description says 10,000, another page 50,000: the smaller holds."""
MAX_CALL_BYTES = 20_000_000
"""SendGrid takes 30 MB; what it counts isn't said."""

_UNTRACKED = " clicktracking=off"
"""On a link, before its address. Source: Twilio, "Click Tracking & HTML Best Practices"."""


def _untouched(envelope: Envelope) -> dict[str, Any]:
    """Nothing that the account has set may change links, add a footer or another way to
    unsubscribe. Opens and clicks are watched where the mailout asks for it, and only there."""
    watched = envelope.tracking
    return {
        "tracking_settings": {
            "click_tracking": {"enable": watched, "enable_text": False},
            "open_tracking": {"enable": watched},
            "subscription_tracking": {"enable": False},
            "ganalytics": {"enable": False},
        },
        "mail_settings": {"footer": {"enable": False}, "sandbox_mode": {"enable": False}},
    }


class SendGridWriting:
    """One mailout. head: what every call of it begins with, up to the people."""

    def __init__(self, compiled: Compiled, envelope: Envelope) -> None:
        texts = Texts.of(compiled, _untracked(envelope))
        self._mark = _unused_mark(texts.static)
        self._holes = texts.holes
        subject, html, plain = (
            text.written(lambda literal: literal, self._tag)
            for text in (texts.subject, texts.html, texts.plain)
        )
        self._list_id = envelope.list_id
        self.head = orjson.dumps(_message(envelope, subject, html, plain))[:-1] + _PEOPLE

    def _tag(self, hole: str) -> str:
        return f"-{self._mark}.{hole}-"

    def entry(self, mail: Mail) -> BulkEntry | None:
        """The mail as one personalization. None for a person whose mail has to go by itself: their
        data are too long, or hold what this mailout's tags begin with."""
        values = {hole: mail.values[hole] for hole in self._holes}
        if any(self._mark in value for value in values.values()):
            return None
        substitutions = {self._tag(hole): value for hole, value in values.items()}
        if len(orjson.dumps(substitutions)) > MAX_SUBSTITUTION_BYTES:
            return None
        person = _person(mail, self._list_id) | (
            {"substitutions": substitutions} if substitutions else {}
        )
        return BulkEntry(mail.send_log_id, orjson.dumps(person), mail.to)

    def split(self, entries: Iterable[BulkEntry]) -> Iterator[list[BulkEntry]]:
        return groups(entries, MAX_CALL_BYTES - len(self.head))


def bulk_body(head: bytes, entries: Iterable[BulkEntry]) -> bytes:
    """A whole request."""
    return head + b",".join([entry.json for entry in entries]) + b"]}"


def single_body(compiled: Compiled, envelope: Envelope, mail: Mail) -> bytes:
    """A request for one person with the finished text, in which nothing is pasted."""
    shown = compiled.paste(mail.values)
    html = without_ses(shown.html, _untracked(envelope))
    head = orjson.dumps(_message(envelope, shown.subject, html, shown.text))[:-1] + _PEOPLE
    return head + orjson.dumps(_person(mail, envelope.list_id)) + b"]}"


_PEOPLE = b',"personalizations":['


def _untracked(envelope: Envelope) -> str:
    return _UNTRACKED if envelope.tracking else ""


def _message(envelope: Envelope, subject: str, html: str, plain: str) -> dict[str, Any]:
    sender = {"email": envelope.from_address}
    if envelope.from_name:
        sender["name"] = envelope.from_name
    replies = [{"email": address} for address in envelope.reply_to]
    return {
        "from": sender,
        **({"reply_to_list": replies} if replies else {}),
        "subject": subject,
        "content": [
            {"type": "text/plain", "value": plain},
            {"type": "text/html", "value": html},
        ],
        **_untouched(envelope),
    }


def _person(mail: Mail, list_id: str) -> dict[str, Any]:
    """All headers stand here, whether or not SendGrid merges them with those of the call."""
    return {
        "to": [{"email": mail.to}],
        "headers": {"List-Id": list_id, **dict(mail.list_unsubscribe)},
        "custom_args": dict(mail.tags),
    }


def _unused_mark(static: tuple[str, ...]) -> str:
    """What this mailout's tags have in common, and no text of the author's holds: the same for
    every process, and not to be guessed by a subscriber."""
    text = "\0".join(static)
    for number in count():
        mark = "as" + hashlib.sha256(f"{number}\0{text}".encode()).hexdigest()[:12]
        if mark not in text:
            return mark
    raise AssertionError("count() never ends")
