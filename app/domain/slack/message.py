"""What a message in Slack says of a mailout, within the limits of its Block Kit. Pure.

Nobody is named, and nobody is pinged, whatever a subject or a reason holds: Slack's three control
characters are escaped, and nothing else is looked for in the text (`verbatim`).
Sources: docs.slack.dev, "Formatting message text", "Block Kit", "Text object".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from app.domain.engagement.report import span
from app.domain.engagement.words import people_range, share_range
from app.domain.reports.notices import figures, headline, one_line
from app.domain.reports.progress import Progress
from app.domain.reports.remedies import mailout_remedy, without_addresses
from app.domain.reports.so_far import Mailout, link, progress_of, progress_words

SECTION_CHARS, FIELD_CHARS, MOST_FIELDS = 3_000, 2_000, 10
TEXT_CHARS = 3_000
"""Of the text that stands for the blocks in a notification. Slack asks for less than 4,000."""
SUBJECT_CHARS, REASON_CHARS = 300, 1_500
BAR = 20

Block = Mapping[str, Any]


@dataclass(frozen=True)
class Message:
    """text: what a notification shows, and a program that knows no blocks."""

    text: str
    blocks: Sequence[Block]

    @property
    def digest(self) -> str:
        """Differs when the message does."""
        whole = json.dumps([self.text, list(self.blocks)], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:32]


def write_message(mailout: Mailout, base_url: str, zone: ZoneInfo, now: datetime) -> Message:
    """The whole state of a mailout that was started. base_url: APP_BASE_URL."""
    progress = progress_of(mailout)
    first = _headline(mailout)
    words = [progress_words(mailout, zone, now), *_why(mailout)]
    counts = figures(progress)
    return Message(
        text=_fallback([first, *words], mailout, base_url),
        blocks=[
            _section(f"*{_escaped(first, SECTION_CHARS - 2)}*"),
            _section("\n".join([_bar(progress), _escaped("\n".join(words), SECTION_CHARS - 100)])),
            {"type": "section", "fields": [_field(*one) for one in counts[:MOST_FIELDS]]},
            *([_section(seen)] if (seen := _engagement(mailout)) else ()),
            _open(mailout, base_url),
        ],
    )


def write_call(mailout: Mailout, base_url: str) -> Message:
    """What needs a person, without the figures: it hangs on the message that has them."""
    first, words = _headline(mailout), list(_why(mailout, with_pause=True))
    return Message(
        text=_fallback([first, *words], mailout, base_url),
        blocks=[
            _section(f"*{_escaped(first, SECTION_CHARS - 2)}*"),
            *([_section(_escaped("\n".join(words), SECTION_CHARS))] if words else ()),
            _open(mailout, base_url),
        ],
    )


def write_hello(base_url: str) -> Message:
    """For a person who tries whether it works."""
    words = "AmazonSender can write here: you are told when a mailout is sent, paused or failed."
    where = f"<{quote(base_url, safe=_SAFE)}/dashboard|Open the dashboard>"
    return Message(text=words, blocks=[_section(f"{words} {where}")])


def write_news(headline: str, lines: Sequence[str], where: str) -> Message:
    """What is no mailout's. where: the page that says more."""
    link = f"<{quote(where, safe=_SAFE)}|Open it in the dashboard>"
    words = _escaped("\n".join(lines), SECTION_CHARS - 1)
    return Message(
        text=_escaped(" ".join([f"{headline}.", *lines]), TEXT_CHARS),
        blocks=[
            _section(f"*{_escaped(headline, SECTION_CHARS - 2)}*"),
            *([_section(words)] if words else []),
            {"type": "context", "elements": [_text(link)]},
        ],
    )


def _headline(mailout: Mailout) -> str:
    subject = one_line(mailout["subject"])
    return headline(_cut(subject, SUBJECT_CHARS), mailout["status"])


def _why(mailout: Mailout, *, with_pause: bool = False) -> Iterator[str]:
    """The reason and what to do. with_pause: also where `progress_words` gives the reason."""
    status = mailout["status"]
    if mailout["status_reason"] and (with_pause or status not in ("sending", "paused")):
        yield _cut(without_addresses(mailout["status_reason"]), REASON_CHARS)
    if status != "sending" and (remedy := mailout_remedy(status, mailout["pause_code"])):
        yield remedy


def _engagement(mailout: Mailout) -> str | None:
    """From the people who are proven to those who may have been; None: nothing is known."""
    found = mailout.get("engagement")
    if not found or not found["tracked"]:
        return None
    lines = []
    for name, classes in (("Opened", found["opens"]), ("Clicked", found["clicks"])):
        span_of = span(classes, found["tracked"])
        share = share_range(span_of)
        words = f"{people_range(span_of)}{f' ({share})' if share else ''}"
        lines.append(f"*{name} by* {_escaped(words, FIELD_CHARS)}")
    return "\n".join(lines)


def _bar(progress: Progress) -> str:
    """How much is done, as text: `▰▰▰▰▱▱▱▱▱▱ 40%`. Full, and 100%, are everybody."""
    share = progress.share(progress.settled)
    full = int(share * BAR)
    return f"{'▰' * full}{'▱' * (BAR - full)} {int(share * 100)}%"


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": _text(mrkdwn)}


def _field(name: str, count: int) -> Block:
    return _text(f"*{name}*\n{count:,}")


def _open(mailout: Mailout, base_url: str) -> Block:
    where = _text(f"<{_link(mailout, base_url)}|Open it in the dashboard>")
    return {"type": "context", "elements": [where]}


def _text(mrkdwn: str) -> Block:
    return {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}


def _fallback(parts: Sequence[str], mailout: Mailout, base_url: str) -> str:
    where = f"<{_link(mailout, base_url)}>"
    return f"{_escaped(' '.join(parts), TEXT_CHARS - len(where) - 1)} {where}"


def _link(mailout: Mailout, base_url: str) -> str:
    """Without what would end it in Slack's markup."""
    return quote(link(mailout, base_url), safe=_SAFE)


_SAFE = ":/?#[]@!$'()*+,;=%~"


def _escaped(text: str, most: int) -> str:
    """At most so many characters of it as Slack gets it, cut between two of its own."""
    parts: list[str] = []
    left = most
    for char in text:
        part = _ENTITIES.get(char, char)
        if left - len(part) < 1:
            parts.append("…")
            break
        left -= len(part)
        parts.append(part)
    return "".join(parts)


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
