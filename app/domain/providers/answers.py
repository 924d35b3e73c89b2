"""What SendGrid's and Mailgun's answers mean for each recipient of a call. Pure.

In the words that the sender has for SES (domain/ses/answers.py). Both take or refuse a call as a
whole, and neither knows idempotency: a refusal is certain, and what was neither taken nor refused
is unknown and never sent again by itself.

Sources: Twilio's "Mail Send: Responses" and "Errors"; Mailgun's API reference, "Errors" and
"Sending".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from app.domain.ses.answers import NOT_SES, Answer, Halt
from app.domain.untrusted import page_words, plain

MESSAGE_ID_MAX_CHARS = 255


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer over HTTP. text: of the body, as far as it came and is kept. message_id: of the
    header that has it. limit_resets: the header that says when more may be sent."""

    status: int
    text: str = ""
    message_id: str | None = None
    limit_resets: str | None = None


LOST = Answer(
    "unknown", "no_answer", "The connection ended before the provider answered.", halt="unreachable"
)
NOT_CONNECTED = Answer(
    "requeue", "not_connected", "The provider can't be reached.", halt="unreachable"
)
CERTIFICATE = Answer(
    "requeue", "certificate", "The provider's certificate was refused.", halt="unreachable"
)
TOO_SLOW = Answer("unknown", "no_answer", "The provider didn't answer in time.", halt="unreachable")


def not_prepared(error: Exception) -> Answer:
    """Nothing left this machine."""
    words = plain(f"{type(error).__name__}: {error}")
    return Answer("requeue", "not_prepared", words, halt="configuration")


# -- SendGrid

REFUSED_WITH_OTHERS = "refused_with_others"
"""Code of people who are at no fault in a call that was refused for others."""

_PERSON = re.compile(r"personalizations[.\[](\d{1,4})\b")
_ACCOUNT = re.compile(
    r"\b(account|user|sending)\b.{0,60}\b(suspend|disabl|deactivat|terminat|frozen|under review|"
    r"not activated|banned|blocked)|payment|billing|past due",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"credits? exceeded|(quota|limit)\b.{0,40}\bexceeded|exceeded.{0,40}\b(quota|limit)",
    re.IGNORECASE,
)


def sendgrid_answers(reply: Reply, people: int) -> list[Answer]:
    """One for each of the `people` of a call, in order."""
    if reply.status == 202:
        return [_sent(reply.message_id)] * people
    errors = _sendgrid_errors(reply.text)
    if errors is None or not 400 <= reply.status < 500:
        return [_no_word_of_theirs(reply, people)] * people
    words = "; ".join(message for message, _ in errors) or f"HTTP {reply.status}"
    if reply.status == 400 and (blamed := _blamed(errors, people)):
        innocent = Answer("requeue", REFUSED_WITH_OTHERS, f"Refused for another: {words}")
        return [
            Answer("failed", "http_400", blamed[index]) if index in blamed else innocent
            for index in range(people)
        ]
    return [_refusal(reply, words, people)] * people


def _sendgrid_errors(text: str) -> list[tuple[str, str]] | None:
    """Message and field of each; None for what isn't of SendGrid's form."""
    said = _json(text)
    listed = said.get("errors") if isinstance(said, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return None
    return [(plain(one.get("message")), plain(one.get("field"))) for one in listed]


def _blamed(errors: list[tuple[str, str]], people: int) -> dict[int, str]:
    """Who is at fault, with the words for it, when each error names one of several people by their
    place in the call. Empty: the call as a whole is, or nobody knows."""
    found: dict[int, str] = {}
    for message, field in errors:
        match = _PERSON.search(field)
        if match is None or int(match[1]) >= people:
            return {}
        found.setdefault(int(match[1]), message)
    return found


# -- Mailgun

_WRONG_PATH = "Mailgun Magnificent API"
"""With status 200, for an address that none of their operations has."""


def mailgun_answers(reply: Reply, people: int) -> list[Answer]:
    """One for each of the `people` of a call, in order."""
    said = _json(reply.text)
    if reply.status == 200:
        if isinstance(said, dict) and isinstance(said.get("id"), str):
            return [_sent(said["id"].strip("<>"))] * people
        if reply.text.strip() == _WRONG_PATH:
            wrong = "MAILGUN_API_URL or MAILGUN_DOMAIN leads nowhere at Mailgun."
            return [Answer("requeue", "wrong_path", wrong, halt="configuration")] * people
    message = said.get("message") if isinstance(said, dict) else None
    # 401 is the one answer that Mailgun writes as bare text.
    theirs = isinstance(message, str) or (reply.status == 401 and reply.text.strip() == "Forbidden")
    if not theirs or not 400 <= reply.status < 500:
        return [_no_word_of_theirs(reply, people)] * people
    return [_refusal(reply, plain(message) or plain(reply.text), people)] * people


# -- what both have in common


def _sent(message_id: str | None) -> Answer:
    """The id is the call's: its people share it, and their events are told apart by the ids that
    we put on each mail."""
    fits = (
        message_id is not None
        and 0 < len(message_id) <= MESSAGE_ID_MAX_CHARS
        and message_id.isascii()
        and message_id.isprintable()
    )
    if not fits:
        words = "The call seems to have been accepted, but without an id."
        return Answer("unknown", "no_message_id", words)
    return Answer("sent", message_id=message_id)


def _refusal(reply: Reply, words: str, people: int) -> Answer:
    """A 4xx in the provider's own form: certainly nobody was accepted."""
    code = f"http_{reply.status}"
    if reply.status == 429 and not _QUOTA.search(words):
        return Answer("requeue", code, _with_reset(words, reply), halt="throttled")
    if halt := _halt(reply.status, words):
        return Answer("requeue", code, words, halt=halt)
    return Answer("failed", code, words, halt="split" if people > 1 else None)


def _halt(status: int, words: str) -> Halt | None:
    """None: it may be about one of the people alone."""
    if _QUOTA.search(words):
        return "quota"
    if status == 402 or _ACCOUNT.search(words):
        return "account"
    return None if status in {400, 413, 422} else "configuration"


def _with_reset(words: str, reply: Reply) -> str:
    return (
        f"{words} (X-RateLimit-Reset: {plain(reply.limit_resets, 30)})"
        if reply.limit_resets
        else words
    )


def _no_word_of_theirs(reply: Reply, people: int) -> Answer:
    """A 5xx may follow an acceptance. A refusal in another form is one of something in between: the
    provider never saw the call."""
    words = f"HTTP {reply.status}. {page_words(reply.text)}".strip()
    if not 300 <= reply.status < 500:
        return Answer("unknown", f"http_{reply.status}", words, halt="unreachable")
    if reply.status == 413:
        return Answer("failed", NOT_SES, words, halt="split" if people > 1 else None)
    return Answer("requeue", NOT_SES, words, halt="throttled" if reply.status == 429 else "not_ses")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
