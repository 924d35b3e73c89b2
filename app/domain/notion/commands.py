"""Commands in comments: which comments are some, and what they ask for. Pure.

Shapes: Notion's API, "Comment object" and "Rich text".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.addresses import InvalidAddress, canonical_address
from app.domain.untrusted import plain

COMMANDS = ("status", "why", "pause", "resume", "help")
MAX_AGE = timedelta(days=1)
"""An older comment isn't answered: nobody waits for it, and Notion's last try to tell us of it is
over. So nothing is done twice when our memory of it is gone."""
ACTING = frozenset({"pause", "resume"})
ACTS_WITHIN = timedelta(hours=1)
"""What was asked for longer ago isn't done, only answered: things may have changed since."""
MAX_NAME_CHARS = 60

_COMMAND = re.compile(r"/([a-z]{1,20})(?![\w/-])[.!?,:]*\s*(.*)", re.IGNORECASE | re.DOTALL)
# What shows nothing but comes with copied text; then what people put around an address.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_AROUND = "\"'`<>()[]{},;:.!?\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a"


@dataclass(frozen=True)
class Command:
    """name: one of COMMANDS, or what was written. address: what follows /why, if it is one; it goes
    into no log. by: who asks, for the audit log."""

    comment: UUID
    thread: UUID
    name: str
    address: str | None
    by: str
    written_at: datetime

    def is_too_late_to_act(self, now: datetime) -> bool:
        return self.name in ACTING and now - self.written_at > ACTS_WITHIN


def commands(comments: Iterable[Mapping[str, Any]], me: UUID, now: datetime) -> list[Command]:
    """Those among comments, as Notion lists them, that people wrote of late. me: our own user."""
    found = (_command(comment) for comment in comments if _is_by_a_person(comment, me))
    return [each for each in found if each is not None and now - each.written_at <= MAX_AGE]


def _command(comment: Mapping[str, Any]) -> Command | None:
    text = command_text(comment.get("rich_text") or [])
    said = _COMMAND.match(text)
    try:
        ids = UUID(comment["id"]), UUID(comment["discussion_id"])
        written_at = datetime.fromisoformat(comment["created_time"])
    except (KeyError, TypeError, ValueError):
        return None
    if said is None or written_at.tzinfo is None:
        return None
    name = said[1].lower()
    address = _address(said[2]) if name == "why" else None
    return Command(*ids, name, address, _by(comment), written_at)


def _is_by_a_person(comment: Mapping[str, Any], me: UUID) -> bool:
    """A `display_name` that isn't the user's own is an integration's."""
    author = comment.get("created_by") or {}
    shown = comment.get("display_name") or {}
    return (
        str(author.get("id", "")).replace("-", "") != me.hex
        and author.get("type", "person") == "person"
        and shown.get("type", "user") == "user"
    )


def command_text(rich_text: Sequence[Mapping[str, Any]]) -> str:
    """What a comment says, with addresses that became links as themselves, and without a mention
    that it begins with (`@AmazonSender /status`)."""
    pieces = [_piece(item) for item in rich_text]
    for item in rich_text:
        if item.get("type") != "mention" and str(item.get("plain_text") or "").strip():
            break
        pieces.pop(0)
    return " ".join("".join(pieces).translate(_UNSEEN).split())


def _piece(item: Mapping[str, Any]) -> str:
    text, link = str(item.get("plain_text") or ""), str(item.get("href") or "")
    mentioned = (item.get("mention") or {}).get("user") or {}  # of somebody who works with them
    if email := (mentioned.get("person") or {}).get("email"):
        return f" {email} "
    if link.lower().startswith("mailto:") and "@" not in text:
        return f" {link[len('mailto:') :].partition('?')[0]} "
    return text


def _address(text: str) -> str | None:
    """The first address in a text, in its canonical form."""
    for word in text.split():
        bare = word.strip(_AROUND)
        bare = bare[len("mailto:") :] if bare.lower().startswith("mailto:") else bare
        if "@" not in bare:
            continue
        try:
            return canonical_address(bare)
        except InvalidAddress:
            continue
    return None


def _by(comment: Mapping[str, Any]) -> str:
    """`notion Ann`; `notion` where Notion doesn't say the name."""
    named = (comment.get("display_name") or {}).get("resolved_name")
    name = named or (comment.get("created_by") or {}).get("name")
    return f"notion {plain(name, MAX_NAME_CHARS)}".strip()


def answer_hash(text: str) -> str:
    """The same for an answer and for what stands of it in Notion."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def stands(comments: Iterable[Mapping[str, Any]], command: Command, me: UUID, answer: str) -> bool:
    """Whether an answer of ours, by its hash, is in the command's thread."""
    return any(
        str((comment.get("created_by") or {}).get("id", "")).replace("-", "") == me.hex
        and str(comment.get("discussion_id", "")).replace("-", "") == command.thread.hex
        and answer_hash(_whole(comment)) == answer
        for comment in comments
    )


def _whole(comment: Mapping[str, Any]) -> str:
    return "".join(str(item.get("plain_text") or "") for item in comment.get("rich_text") or [])
