"""Accepted mail: the newest kept whole, and a log with a line for every recipient."""

from __future__ import annotations

import os
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from app.sandbox.ses.render import Template
from app.sandbox.ses.sets import Tracked
from app.sandbox.ses.simulator import Fate

CHUNK_BYTES = 1 << 16


def iso(seconds: float) -> str:
    """Unix time as SES and SNS write it: `2026-01-31T09:00:00.000Z`."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Call:
    """What all mails of one call share."""

    operation: str
    source: str  # From, as given
    source_address: str
    reply_to: tuple[str, ...]
    configuration_set: str | None
    subject: Template
    html: Template | None
    text: Template | None
    data: dict[str, Any]  # default TemplateData
    headers: tuple[tuple[str, str], ...]
    tags: dict[str, str]  # default tags
    attachments: tuple[dict[str, Any], ...]
    source_ip: str
    names: frozenset[str]  # those that need a value, of all parts
    tracked: Tracked  # what SES does to the HTML of its mails


@dataclass(slots=True)
class PostedEvent:
    """One event and what became of it at the endpoint; `answer` is a status or a failure."""

    kind: str
    recipient: str | None
    sns_message_id: str
    time: str
    attempts: int = 0
    answer: str = "waiting"


@dataclass(slots=True)
class Mail:
    """One accepted message. `fates`: by recipient (To, then Cc, then Bcc)."""

    message_id: str
    time: float  # unix seconds
    call: Call
    to: tuple[str, ...]  # as given, with display names
    cc: tuple[str, ...]
    data: dict[str, Any]
    replacement_headers: tuple[tuple[str, str], ...]
    tags: dict[str, str]
    fates: dict[str, Fate]
    failure: str | None = None  # of the rendering
    events: list[PostedEvent] = field(default_factory=list)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The call's headers; a replacement takes the place of one of its name, else is added."""
        replaced = {name.lower() for name, _ in self.replacement_headers}
        kept = tuple(pair for pair in self.call.headers if pair[0].lower() not in replaced)
        return kept + self.replacement_headers

    def header(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def render(self, part: Template | None) -> str | None:
        """A part of the call's content with this mail's data; None when there is nothing."""
        if part is None or self.failure:
            return None
        return part.render({**self.call.data, **self.data})

    @property
    def subject(self) -> str:
        return self.render(self.call.subject) or ""


class AcceptLog:
    """A JSON line for every recipient that was accepted by any route, in the file before the call
    is answered; and who was accepted more than once.

    duplicates: recipients of a mailout after their first time, whichever way they went.
    """

    def __init__(self, path: Path | None) -> None:
        """path: appended to, never truncated; None: a file that goes with the process.

        Raises OSError when it can't be opened.
        """
        self._file: BinaryIO
        if path is None:
            self._file = tempfile.TemporaryFile("ab+")  # noqa: SIM115 - lives as long as we do
        else:
            self._file = path.open("ab+")
        self.reset()

    def write(
        self, route: str, accepted: Iterable[tuple[float, str, str, Mapping[str, str]]]
    ) -> None:
        """Append (unix seconds, message id, address, tags) of each. Raises OSError when that fails:
        accept nothing.

        route: an SES region, or another provider.
        """
        listed = list(accepted)
        lines = [
            orjson.dumps(
                {"time": iso(at), "route": route, "message_id": message_id, "to": to, "tags": tags},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for at, message_id, to, tags in listed
        ]
        self._file.write(b"".join(lines))
        self._file.flush()
        for _, _, to, tags in listed:
            self._note_duplicate(tags.get("mailout_id", ""), to)

    def _note_duplicate(self, mailout: str, address: str) -> None:
        """Mail without a mailout_id tag can't be judged."""
        if not mailout:
            return
        key = hash((mailout, address.lower()))
        if key not in self._seen:
            self._seen.add(key)
            return
        self.duplicates += 1
        if len(self.duplicate_examples) < 20:
            self.duplicate_examples.append({"mailout_id": mailout, "to": address})

    def read(self) -> Iterator[bytes]:
        """The lines since the start or the last reset, in chunks."""
        position, end = self._start, os.fstat(self._file.fileno()).st_size
        while position < end:
            chunk = os.pread(self._file.fileno(), min(CHUNK_BYTES, end - position), position)
            yield chunk
            position += len(chunk)

    def reset(self) -> None:
        """Begin anew behind what is written; a log that somebody judges by stays whole."""
        self._start = os.fstat(self._file.fileno()).st_size
        self._seen: set[int] = set()  # hashes of (mailout, address): compact for millions
        self.duplicates = 0
        self.duplicate_examples: list[dict[str, str]] = []

    def close(self) -> None:
        self._file.close()


class Store:
    """Mails of one region by message id, newest last, at most `keep`; figures for all that were
    accepted."""

    def __init__(self, *, keep: int, accept_log: AcceptLog, region: str) -> None:
        self._accept_log, self._region = accept_log, region
        self._keep = keep
        self.reset()

    def reset(self) -> None:
        self._mails: OrderedDict[str, Mail] = OrderedDict()
        self.accepted: Counter[str] = Counter()  # recipients by mailout_id tag
        self.fates: Counter[str] = Counter()

    def add(self, mails: list[Mail]) -> None:
        """Log first, then keep. Raises OSError, with nothing kept, when that log fails."""
        self._accept_log.write(
            self._region, ((m.time, m.message_id, to, m.tags) for m in mails for to in m.fates)
        )
        for mail in mails:
            self.accepted[mail.tags.get("mailout_id", "")] += len(mail.fates)
            self.fates.update(fate.value for fate in mail.fates.values())
            self._mails[mail.message_id] = mail
            if len(self._mails) > self._keep:
                self._mails.popitem(last=False)

    def get(self, message_id: str) -> Mail | None:
        return self._mails.get(message_id)

    def newest(self, *, to: str = "", after: str = "", limit: int = 50) -> list[Mail]:
        """Up to `limit` mails, newest first, whose address contains `to`.

        after: a message id; the list goes on behind it, with older mail.
        """
        found: list[Mail] = []
        started = after not in self._mails
        for mail in reversed(self._mails.values()):
            if started and any(to.lower() in address.lower() for address in mail.fates):
                found.append(mail)
                if len(found) == limit:
                    break
            started = started or mail.message_id == after
        return found

    def __len__(self) -> int:
        return len(self._mails)
