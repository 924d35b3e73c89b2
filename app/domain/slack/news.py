"""What of a mailout Slack is to be told next, and when it is looked at again. Pure.

A bot keeps one message of each mailout up to date, by its place. What needs a person is also said
in a reply to it, since nobody is notified of a change. An incoming webhook can't change what it
has said: it tells the start, the end, and what the owner gets a mail about in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.reports.so_far import Mailout, has_begun
from app.domain.slack.message import Message, write_call, write_message

LIVE_SECONDS = 10.0
"""Between two changes of a message while its mailout is sent, and right after."""
FOLLOWED_SECONDS = 86_400.0
"""So long late figures are followed after the end, ever less often."""
GROWTH, LONGEST_SECONDS = 0.5, 7_200.0
"""The next look is after this share of the time since the end, at most after so many seconds."""
KEYS_KEPT = 20
SlackResult = Literal["told", "refused", "away"]
"""What came of a request."""
_CALLS = ("guard", "account", "held")
"""What pauses a mailout so that a person should know at once."""


@dataclass(frozen=True)
class Place:
    """Where a bot's message stands: Slack's id of the channel, and of the message there. asked_for:
    SLACK_CHANNEL when it was posted."""

    channel: str
    ts: str
    asked_for: str


@dataclass(frozen=True)
class Told:
    """digest: of the bot's message as it stands. keys: news that were told, by what names each."""

    digest: str | None = None
    keys: tuple[str, ...] = ()

    def and_key(self, key: str) -> Told:
        return replace(self, keys=(*self.keys, key)[-KEYS_KEPT:])


@dataclass(frozen=True)
class Due:
    """A mailout that is due, held by a lease.

    claim: names its present holder, and turn its turn to ask Slack. failures: of this one, in a
    row; slack_failures: of any. error_age: seconds since it fails.
    """

    mailout_id: UUID
    claim: int
    turn: str
    place: Place | None = None
    told: Told = field(default_factory=Told)
    failures: int = 0
    slack_failures: int = 0
    error: str | None = None
    error_age: float = 0.0


@dataclass(frozen=True)
class Step:
    """What is asked of Slack next. told: what is told once it went well. more: there is more to
    tell."""

    act: Literal["post", "update", "reply"]
    message: Message
    told: Told
    more: bool = False


@dataclass(frozen=True)
class Words:
    """base_url: APP_BASE_URL. zone: TIMEZONE."""

    base_url: str
    zone: ZoneInfo

    def message(self, mailout: Mailout, now: datetime) -> Message:
        return write_message(mailout, self.base_url, self.zone, now)

    def call(self, mailout: Mailout) -> Message:
        return write_call(mailout, self.base_url)


def bots_step(due: Due, mailout: Mailout, words: Words, now: datetime) -> Step | None:
    """None: its message says all."""
    if due.place is None and not _is_told_of(due, mailout):
        return None
    message = words.message(mailout, now)
    call = _call(mailout)
    if due.place is None:
        # It is new, so people are notified of it: no reply is needed.
        told = replace(due.told, digest=message.digest)
        return Step("post", message, told.and_key(call) if call else told)
    if call and call not in due.told.keys:
        # Before the message is changed, which figures that move would ask for again and again.
        return Step("reply", words.call(mailout), due.told.and_key(call), more=True)
    if due.told.digest != message.digest:
        return Step("update", message, replace(due.told, digest=message.digest))
    return None


def webhooks_step(due: Due, mailout: Mailout, words: Words, now: datetime) -> Step | None:
    """None: nothing new."""
    key = _news(due, mailout)
    if key is None or key in due.told.keys:
        return None
    return Step("post", words.message(mailout, now), due.told.and_key(key))


def next_look(mailout: Mailout, now: datetime) -> float | None:
    """Seconds until a bot's message may say something else; None: when the state changes."""
    if mailout["status"] == "sending":
        return LIVE_SECONDS
    since = datetime.fromisoformat(mailout["ended_at"] or mailout["updated_at"])
    age = (now - since).total_seconds()
    if age >= FOLLOWED_SECONDS:
        return None
    ahead = min(LONGEST_SECONDS, max(LIVE_SECONDS, GROWTH * age))
    return min(ahead, FOLLOWED_SECONDS - age + 1)


def _is_told_of(due: Due, mailout: Mailout) -> bool:
    match mailout["status"]:
        case "sending" | "sent" | "paused" | "failed":
            return True
        case "cancelled":
            return has_begun(mailout) and due.told != Told()
        case _:
            return False


def _news(due: Due, mailout: Mailout) -> str | None:
    """Names what a webhook would tell; None: nothing."""
    match mailout["status"]:
        case "sending":
            return f"start:{mailout['started_at']}"
        case "sent" | "paused" | "failed":
            return _notice(mailout)
        case "cancelled" if due.told.keys:
            return f"cancelled:{mailout['ended_at']}"
        case _:
            return None


def _call(mailout: Mailout) -> str | None:
    """Names what needs a person; None: nothing."""
    status = mailout["status"]
    if status == "failed" or (status == "paused" and mailout["pause_code"] in _CALLS):
        return _notice(mailout)
    return None


def _notice(mailout: Mapping[str, Any]) -> str | None:
    """The notice that the owner gets by mail: none where one like it was given lately."""
    notice = mailout["notice"]
    if notice is None or notice["status"] != mailout["status"]:
        return None
    return f"notice:{notice['id']}"
