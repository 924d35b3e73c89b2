"""A mailout as Mailgun's `POST /v3/DOMAIN/messages` takes it. Pure.

Sources: Mailgun's user manual, "Batch Sending" (recipient variables, `%recipient.key%`), "Template
Variables" (`%recipient%`, `%unsubscribe_url%` …) and "Attaching Metadata to Messages" (`v:`). With
recipient variables everybody gets a mail of their own; without them all would see all addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import orjson

from app.domain.content.render import Compiled
from app.domain.providers.content import Texts, groups
from app.domain.ses.mail import BulkEntry, Envelope, Mail

MAX_CALL_BYTES = 20_000_000
"""Mailgun takes messages of 25 MB."""
TAGS = ("mailout_id", "send_log_id", "attempt")
_UNSUBSCRIBE = "list_unsubscribe"
_PERCENT = "percent"
_UNTRACKED = " disable-tracking=true"

# Mailgun's tags are `%word%`, and what may be a word isn't said. A percent sign of the author's,
# with which one may begin, here or together with what is pasted behind it, is itself pasted.
_MAY_BEGIN_A_TAG = re.compile(r"%(?=[A-Za-z_%]|\Z)")


class MailgunWriting:
    """One mailout. head: the fields that every call of it has, as JSON."""

    def __init__(self, compiled: Compiled, envelope: Envelope) -> None:
        watched = envelope.tracking
        texts = Texts.of(compiled, _UNTRACKED if watched else "")
        self._holes = texts.holes
        subject, html, plain = (
            text.written(_literal, _tag) for text in (texts.subject, texts.html, texts.plain)
        )
        fields = [
            ("from", _literal(envelope.from_mailbox)),
            ("subject", subject),
            ("text", plain),
            ("html", html),
            ("h:List-Id", envelope.list_id),
            ("h:List-Unsubscribe", _tag(_UNSUBSCRIBE)),
            ("h:List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            *((f"v:{name}", _tag(name)) for name in TAGS),
            ("o:tracking", "yes" if watched else "no"),
            ("o:tracking-clicks", "htmlonly" if watched else "no"),
            ("o:tracking-opens", "yes" if watched else "no"),
        ]
        if envelope.reply_to:
            fields.append(("h:Reply-To", ", ".join(envelope.reply_to)))
        self.head = orjson.dumps(fields)

    def entry(self, mail: Mail) -> BulkEntry:
        """The mail as one recipient with their variables."""
        variables = {
            **{hole: mail.values[hole] for hole in self._holes},
            **dict(mail.tags),
            _UNSUBSCRIBE: dict(mail.list_unsubscribe)["List-Unsubscribe"],
            _PERCENT: "%",
        }
        return BulkEntry(mail.send_log_id, orjson.dumps([mail.to, variables]), mail.to)

    def split(self, entries: Iterable[BulkEntry]) -> Iterator[list[BulkEntry]]:
        return groups(entries, MAX_CALL_BYTES - len(self.head))


def form(head: bytes, entries: Sequence[BulkEntry]) -> list[tuple[str, str]]:
    """The fields of a whole request."""
    people = [orjson.loads(entry.json) for entry in entries]
    return [
        *((name, value) for name, value in orjson.loads(head)),
        *(("to", address) for address, _ in people),
        ("recipient-variables", orjson.dumps(dict(people)).decode()),
    ]


def _tag(name: str) -> str:
    return f"%recipient.{name}%"


def _literal(text: str) -> str:
    return _MAY_BEGIN_A_TAG.sub(_tag(_PERCENT), text)
