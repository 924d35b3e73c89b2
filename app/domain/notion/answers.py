"""What commands in comments are answered, in plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.mailouts import Transition
from app.domain.notion.commands import Command
from app.domain.notion.figures import NUMBERS, Values
from app.domain.readership.why import AWAY
from app.domain.reports.so_far import at_words
from app.domain.retention.dropped import in_words as dropped_words

HELP = """\
/status: how far this mailout is, its figures, and its problem if it has one
/why ann@example.com: whether that person gets it, what became of their mail, or why they don't
/pause: stop sending; who wasn't mailed yet waits
/resume: go on sending
/help: this list"""
NO_MAILOUT = (
    "Nothing was sent from this page yet. Set Status to Send test for a test mail, or to Send."
)
NO_ADDRESS = "Whose? Write the address behind it: /why ann@example.com"

_AWAY = {
    "unsubscribed": "has unsubscribed",
    "bounced": "is no longer mailed, because their mail bounced",
    "complained": "is no longer mailed, because they reported a mail as spam",
    "pending": "has not confirmed the sign-up yet",
}
_MAILS = {
    "queued": "is in this mailout, and not mailed yet.",
    "sending": "is being mailed right now.",
    "sent": "was mailed.",
    "delivered": "was mailed, and the mail was delivered.",
    "bounced": "was mailed, and the mail came back.",
    "complained": "was mailed, and reported the mail as spam.",
    "failed": "is in this mailout, and could not be mailed.",
    "unknown": "is in this mailout; whether their mail left is not known.",
    "skipped": "was in this mailout, and got no mail.",
    "cancelled": "was in this mailout, and got no mail.",
}


def help_words(name: str) -> str:
    """name: of the command that was written."""
    return HELP if name == "help" else f"There is no /{name} here. There is:\n{HELP}"


def status_words(values: Values) -> str:
    """values: what the program's properties of the row say."""
    figures = ", ".join(
        f"{name.lower()} {values[name]:,}" for name in NUMBERS if values[name] is not None
    )
    lines = [
        _sentence(values["Delivery"], values["Progress"]),
        figures[:1].upper() + figures[1:],
        f"Problem: {values['Problem']}" if values["Problem"] else None,
        values["Mailout"],
    ]
    return "\n".join(line for line in lines if line) or NO_MAILOUT


def _sentence(delivery: str | None, progress: str | None) -> str | None:
    if not progress:
        return f"{delivery}." if delivery else None
    if not delivery or progress.lower().startswith(delivery.lower()):
        return progress
    return f"{delivery}: {progress}"


def moved_words(command: Command, moved: Transition) -> str:
    """moved: what came of a pause or resume."""
    if moved.changed:
        if command.name == "resume":
            return "It goes on: sending again."
        return "Paused: nobody more is mailed until somebody resumes it, here with /resume."
    match command.name, moved.status:
        case "pause", "paused":
            reason = f" {moved.status_reason}" if moved.status_reason else ""
            return f"It is paused already.{reason}"
        case "resume", "sending":
            return "It is being sent: there is nothing to resume."
        case "pause", _:
            return f"It can't be paused now: it is {moved.status}, and only what is being sent can."
        case _:
            return f"It can't be resumed: it is {moved.status}, not paused."


def too_late_words(command: Command, delivery: str) -> str:
    """delivery: the state of the mailout."""
    return (
        f"This reached me more than an hour after it was written, so I did nothing. The mailout is "
        f"{delivery}. Write /{command.name} again if it still holds."
    )


def why_words(
    address: str, why: Mapping[str, Any], reason: str | None, zone: ZoneInfo, now: datetime
) -> str:
    """Whether a person was in a mailout, and what became of them, or why they weren't.

    why: as Store.notion_why gives it. reason: of their row in the ledger, a sentence.
    """
    person, mail = why["subscriber"], why["mail"]
    if person is None:
        if why["erased"]:
            return f"{address} was erased from the list at their own wish, and nothing is kept."
        return f"Nobody on the list has the address {address}: look for another spelling."
    who = person["email"]
    if mail is not None:
        return " ".join(_mail(who, mail, reason, zone, now))
    if at := why.get("details_dropped_at"):
        return dropped_words(at)
    if absent := _absence(person, why, zone, now):
        return f"{who} {absent}"
    match why["status"]:
        case "draft" | "ready" | "scheduled":
            return f"{who} is on the list and fits the audience: they get it when it is sent."
        case "cancelled":
            return f"{who} fits the audience. The mailout was cancelled before their turn."
        case _ if not why["queued"]:
            return f"{who} fits the audience, and is not in the queue yet: it is being filled."
        case _:
            return (
                f"{who} fits the audience as they are now, and did not when it started: their tags "
                "or fields were changed since, or they were not active."
            )


def _mail(
    who: str, mail: Mapping[str, Any], reason: str | None, zone: ZoneInfo, now: datetime
) -> list[str]:
    parts = [f"{who} {_MAILS[mail['status']]}"]
    if mail["sent_at"]:
        parts.append(f"It left on {_at(mail['sent_at'], zone, now)}.")
    if mail["event_at"] and mail["status"] in {"delivered", "bounced", "complained"}:
        parts.append(f"That was reported on {_at(mail['event_at'], zone, now)}.")
    if mail["status"] == "queued" and mail["due_at"] and _is_later(mail["due_at"], now):
        parts.append(f"Their turn comes on {_at(mail['due_at'], zone, now)}.")
    elif reason:
        parts.append(reason)
    if mail["unsubscribed_at"]:
        at = _at(mail["unsubscribed_at"], zone, now)
        parts.append(f"They unsubscribed with this mail's link on {at}.")
    return parts


def _absence(
    person: Mapping[str, Any], why: Mapping[str, Any], zone: ZoneInfo, now: datetime
) -> str | None:
    """Why they have no row; None: nothing here says it."""
    started = why["started_at"]
    gets = "did not get it" if started and why["queued"] else "will not get it"
    if started and _is_later(person["added_at"], datetime.fromisoformat(started)):
        at = _at(person["added_at"], zone, now)
        return f"{gets}: they were added on {at}, after it had started."
    left_later = started and _is_later(person["since"], datetime.fromisoformat(started))
    if person["status"] != "active" and not left_later:
        since = _at(person["since"], zone, now)
        return f"{gets}: this person {_AWAY.get(person['status'], 'is not active')}, since {since}."
    if (then := why.get("then")) is not None:
        if then["status"] != "active":
            away = AWAY.get(then["status"], "was not active")
            return f"{gets}: when it started, this person {away}."
        if then["fits"] is False:
            return f"{gets}: when it started, they didn't fit the audience."
    if person["problem"]:
        return f"{gets}: the address can't be mailed: {person['problem']}."
    if not why["fits"]:
        return f"{gets}: they don't fit the audience, with the tags and fields that they have now."
    return None


def _at(iso: str, zone: ZoneInfo, now: datetime) -> str:
    return at_words(datetime.fromisoformat(iso), zone, now)


def _is_later(iso: str, than: datetime) -> bool:
    return datetime.fromisoformat(iso) > than
