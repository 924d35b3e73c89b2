"""Why somebody got a mailout, or why not, in words. Pure.

The facts are those of `migrations/functions/readership/why_mailed.sql`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.domain.audience.words import in_words
from app.domain.reports.people import as_text
from app.domain.retention.dropped import in_words as in_words_dropped

_GOT = {"sent", "delivered", "complained"}
_OPEN = {"queued", "sending", "unknown"}
_BEFORE = {"draft", "ready", "scheduled"}

AWAY = {
    "unsubscribed": "had unsubscribed",
    "bounced": "was no longer mailed, because a mail had bounced",
    "complained": "was no longer mailed, after reporting a mail as spam",
    "pending": "had not confirmed the sign-up",
}


@dataclass(frozen=True)
class Outcome:
    """got: None where nobody knows, or it isn't decided yet. code: stable, for programs. words: a
    sentence or two."""

    got: bool | None
    code: str
    words: str


def outcome(why: Mapping[str, Any], reason: str | None) -> Outcome:
    """Whether they got it. reason: of the row that counts, as the statement says it; None: they
    have no row."""
    if why["mails"]:
        came = _of_mail(why["mails"][0], why["found"], reason or "")
        if came.got and why["found"] != "erased":
            return replace(came, words=f"{_chosen(why)} {came.words}")
        return came
    mailout, audience = why["mailout"], why["audience"]
    if at := mailout.get("details_dropped_at"):
        return Outcome(None, "details_dropped", in_words_dropped(at))
    if why["found"] == "erased":
        return Outcome(False, "erased", "This person was erased, and nothing of them is kept.")
    person, fits = why["person"], audience["explained"]
    started = mailout["started_at"] is not None
    if started and _is_later(person["added_at"], mailout["started_at"]):
        return Outcome(False, "added_later", "They came to the list after it had started.")
    status = (audience["status_then"] if started else None) or person["status"]
    if status != "active":
        when = "when it started" if audience["status_then"] and started else "as far as is known"
        away = AWAY.get(status, "was not active")
        return Outcome(False, status, f"They were not mailed: this person {away}, {when}.")
    if person["problem"]:
        words = f"The address can't be mailed: {person['problem']}."
        return Outcome(False, "invalid_address", words)
    if fits is not None:
        then = fits["then"] if started else fits["now"]
        if then is False:
            words = "They were not in the audience: the rule didn't fit them."
            if started and fits["now"]:
                words += " It would today: something was changed since."
            return Outcome(False, "not_in_audience", words)
        if then is None and not fits["now"]:
            words = (
                "The rule doesn't fit them as they are now; how they were when it started, the "
                "history doesn't tell."
            )
            return Outcome(False, "not_in_audience", words)
    return _of_state(mailout)


def _chosen(why: Mapping[str, Any]) -> str:
    if why["audience"]["rule"] is None:
        return "It went to everybody who was active, and so were they."
    return "They were active, and the rule of its audience fitted them."


def _is_later(iso: str, than: str) -> bool:
    return datetime.fromisoformat(iso) > datetime.fromisoformat(than)


def _of_mail(mail: Mapping[str, Any], found: str, reason: str) -> Outcome:
    status = mail["status"]
    code = status
    if status == "skipped" and mail["error_code"]:
        code = f"skipped_{mail['error_code']}"
    if found == "erased":
        if status == "skipped" and mail["error_code"] == "erased":
            return Outcome(False, "erased", "They were erased before their turn.")
        words = f"This person was erased since. Of their mail is kept that it was {status}."
        return Outcome(status in _GOT, code, words)
    if status in _OPEN:
        return Outcome(None, code, reason)
    return Outcome(status in _GOT, code, reason)


def _of_state(mailout: Mapping[str, Any]) -> Outcome:
    """Of somebody who fits and has no row."""
    if mailout["status"] in _BEFORE:
        words = "It hasn't started yet. As they are now, they get it."
        return Outcome(None, "not_started", words)
    if not mailout["queued"] and mailout["status"] not in {"cancelled", "failed"}:
        return Outcome(None, "being_queued", "The recipients are being queued: their turn comes.")
    if mailout["status"] == "cancelled":
        return Outcome(False, "cancelled", "It was cancelled before their turn.")
    words = (
        "Why they have no place in it isn't known: they would fit as they are now, and what they "
        "were when it started, the history doesn't tell."
    )
    return Outcome(False, "not_known", words)


@dataclass(frozen=True)
class Condition:
    """One line of the rule. depth: how many parts it stands in. holds: None where it isn't known.
    had: what the person has in the field that is asked; None for a line that joins others."""

    depth: int
    words: str
    now: bool | None
    then: bool | None
    had: str | None = None
    had_then: str | None = None


_JOINTS = {"all": "all of these", "any": "any of these", "not": "not"}


def conditions(explained: Mapping[str, Any] | None, depth: int = 0) -> Iterator[Condition]:
    """The rule line by line; nothing for everybody."""
    if explained is None:
        return
    if "joint" in explained:
        words = _JOINTS[explained["joint"]]
        yield Condition(depth, words, explained["now"], explained["then"])
        for part in explained["parts"]:
            yield from conditions(part, depth + 1)
        return
    rule = explained["rule"]
    field = rule.get("field", "tags")
    then = explained["then"] is not None
    yield Condition(
        depth,
        in_words(rule),
        explained["now"],
        explained["then"],
        had(field, explained["had"]),
        had(field, explained["had_then"]) if then else None,
    )


def had(field: str, value: Any) -> str:
    """What a person has in a field, for people."""
    if field in {"received", "opened", "clicked"}:
        mails = [f"“{one['subject']}” ({one.get('class') or one['status']})" for one in value]
        return ", ".join(mails) or "none"
    if field == "tags":
        return ", ".join(f"“{tag}”" for tag in value or ()) or "no tags"
    text = as_text(value)
    if field == "created_at":
        return f"since {text[:10]}"
    return f"“{text}”" if isinstance(value, str) and text else text or "nothing"
