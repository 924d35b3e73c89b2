"""What SendGrid and Mailgun report about a mail, in the vocabulary of SES's events. Pure.

An event finds its row by the three ids that we put on each mail, never by its address. Those
without them are of somebody else's mail in the same account, and none of our business.

Sources: Twilio's "Event Webhook Reference"; Mailgun's user manual, "Events", "Tracking Failures"
and "Webhooks".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.domain.engagement.agents import agent_of
from app.domain.engagement.links import tidy_link
from app.domain.engagement.networks import network_of
from app.domain.given.strict_json import DoubledKey, read_posted
from app.domain.providers import Provider
from app.domain.providers.fields import (
    detail,
    enhanced_status,
    row_id_of,
    text,
    time_of,
    uuid_of,
)
from app.domain.ses.events import Engagement, SesEvent, to_row
from app.errors import AppError

EVENT_ID_MAX_CHARS = 200
LISTED = "OnAccountSuppressionList"
LEFT = "UnsubscribedRecipient"
"""Bounce subtypes for mails that the provider didn't try, as SES has them: they don't count for the
bounce rate."""


class MalformedWebhook(AppError):
    """Signed, or without a signature to look for: not to be sent again."""

    status, code, title = 406, "malformed_webhook", "The body is not what the provider posts"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What an event says: our type, and what belongs to it."""

    type: str
    bounce: tuple[str, str] | None = None
    complaint: tuple[str, str | None] | None = None
    leaves: bool = False


_GAVE_UP = _Kind("bounce", bounce=("Transient", "General"))
_HARD = _Kind("bounce", bounce=("Permanent", "General"))
_ON_LIST = _Kind("bounce", bounce=("Permanent", LISTED))
_HAD_LEFT = _Kind("bounce", bounce=("Permanent", LEFT))
_SPAM = _Kind("complaint", complaint=("abuse", None))
_SPAM_BEFORE = _Kind("complaint", complaint=("abuse", LISTED))
_LEAVES = _Kind("subscription", leaves=True)
_REFUSED = _Kind("reject")
_UNKNOWN = _Kind("unknown")


# -- SendGrid

_SENDGRID = {
    "processed": _Kind("send"),
    "delivered": _Kind("delivery"),
    "deferred": _Kind("delivery_delay"),
    "spamreport": _SPAM,
    "unsubscribe": _LEAVES,
    "group_unsubscribe": _LEAVES,
    "open": _Kind("open"),
    "click": _Kind("click"),
}
# Why SendGrid doesn't try a mail that it has accepted. For any other reason it is refused, and a
# person may send it again.
_DROPPED = {
    "bounced address": _ON_LIST,
    "unsubscribed address": _HAD_LEFT,
    "spam reporting address": _SPAM_BEFORE,
    "invalid": _HARD,
}


def sendgrid_rows(body: bytes, *, now: float) -> tuple[list[dict[str, Any]], int]:
    """The events of one request as `apply_ses_events` takes them, and how many of it aren't about
    mails of ours. Raises MalformedWebhook."""
    events = _read(body)
    if not isinstance(events, list):
        raise MalformedWebhook("The body is JSON, but no list: SendGrid posts a list of events.")
    rows = [_sendgrid_row(event, now) for event in events]
    return [row for row in rows if row is not None], rows.count(None)


def _sendgrid_row(event: Any, now: float) -> dict[str, Any] | None:
    if not isinstance(event, dict):
        return None
    name = text(event, "event")
    return _row(
        "sendgrid",
        kind=_sendgrid_kind(name, event),
        name=name,
        ids=event,
        event_id=text(event, "sg_event_id"),
        at=text(event, "timestamp"),
        now=now,
        recipient=text(event, "email"),
        said=detail(text(event, "reason"), text(event, "response")),
        reader=(text(event, "url"), text(event, "ip"), text(event, "useragent")),
        payload=event,
    )


def _sendgrid_kind(name: str, event: Mapping[str, Any]) -> _Kind:
    """`blocked` is a bounce that SendGrid doesn't hold against the address."""
    if name == "bounce":
        return _GAVE_UP if text(event, "type").lower() == "blocked" else _HARD
    if name == "dropped":
        return _DROPPED.get(text(event, "reason").lower().strip(), _REFUSED)
    return _SENDGRID.get(name, _UNKNOWN)


# -- Mailgun

_MAILGUN = {
    "accepted": _Kind("send"),
    "delivered": _Kind("delivery"),
    "rejected": _REFUSED,
    "complained": _SPAM,
    "unsubscribed": _LEAVES,
    "opened": _Kind("open"),
    "clicked": _Kind("click"),
}
_NOT_TRIED = {
    "suppress-bounce": _ON_LIST,
    "suppress-unsubscribe": _HAD_LEFT,
    "suppress-complaint": _SPAM_BEFORE,
}
_HARD_REASONS = frozenset({"bounce", "delayed-bounce", "hardfail"})


@dataclass(frozen=True, slots=True)
class MailgunPost:
    """One request of Mailgun's. timestamp, token, signature: as they came."""

    timestamp: str
    token: str
    signature: str
    event: Mapping[str, Any]


def read_mailgun(body: bytes) -> MailgunPost:
    """Raises MalformedWebhook."""
    said = _read(body)
    event = said.get("event-data") if isinstance(said, dict) else None
    if not isinstance(event, dict):
        raise MalformedWebhook("`event-data` is missing: choose webhooks, not legacy ones.")
    timestamp, token, signature = (
        text(said, "signature", name) for name in ("timestamp", "token", "signature")
    )
    if not (timestamp and token and signature):
        raise MalformedWebhook("`signature` is missing.")
    return MailgunPost(timestamp, token, signature, event)


def mailgun_row(event: Mapping[str, Any], *, now: float) -> dict[str, Any] | None:
    """The event as `apply_ses_events` takes it. None: it isn't about a mail of ours."""
    name = text(event, "event")
    status = event.get("delivery-status")
    return _row(
        "mailgun",
        kind=_mailgun_kind(name, event),
        name=name,
        ids=event.get("user-variables"),
        event_id=text(event, "id"),
        at=text(event, "timestamp"),
        now=now,
        recipient=text(event, "recipient"),
        said=detail(
            text(status, "message"),
            text(status, "description"),
            text(event, "reject", "reason"),
            text(event, "reason"),
        ),
        reader=(
            text(event, "url"),
            text(event, "ip"),
            text(event, "client-info", "user-agent"),
        ),
        payload=event,
    )


def _mailgun_kind(name: str, event: Mapping[str, Any]) -> _Kind:
    """Of failures the reason and the receiving server's status decide, since `permanent` only means
    that Mailgun tries no more: for `old`, that the server put it off for too long."""
    if name != "failed":
        return _MAILGUN.get(name, _UNKNOWN)
    reason, status = text(event, "reason").lower(), event.get("delivery-status")
    if known := _NOT_TRIED.get(reason):
        return known
    if reason != "old" and text(event, "severity") != "permanent":
        return _Kind("delivery_delay")
    code = enhanced_status(
        text(status, "enhanced-code"), text(status, "message"), text(status, "description")
    )
    if code.startswith("5.1.") or code == "5.2.1":
        return _HARD
    if code:  # a full mailbox, a policy: says nothing about the address
        return _GAVE_UP
    hard = reason in _HARD_REASONS or text(status, "bounce-type") == "hard"
    return _HARD if hard else _GAVE_UP


# -- what both have in common


def _read(body: bytes) -> Any:
    try:
        return read_posted(body.replace(b"\\u0000", b"\\ufffd"))
    except DoubledKey as exc:
        raise MalformedWebhook(f"The body: {exc}.") from None
    except (ValueError, RecursionError):
        raise MalformedWebhook("The body is not JSON.") from None


def _row(
    provider: Provider,
    *,
    kind: _Kind,
    name: str,
    ids: Any,
    event_id: str,
    at: str,
    now: float,
    recipient: str,
    said: str | None,
    reader: tuple[str, str, str],
    payload: Mapping[str, Any],
) -> dict[str, Any] | None:
    """ids: what holds ours. reader: link, IP address and program, of an open or click."""
    mailout, row = uuid_of(text(ids, "mailout_id")), row_id_of(text(ids, "send_log_id"))
    attempt = uuid_of(text(ids, "attempt"))
    if mailout is None or row is None or attempt is None:
        return None
    engagement = _engagement(kind.type, reader)
    bounce_type, bounce_subtype = kind.bounce or (None, None)
    complaint_type, complaint_subtype = kind.complaint or (None, None)
    event = SesEvent(
        type=kind.type,
        ses_type=name,
        # The ids by which these providers know a mail have several forms; ours are enough.
        message_id=None,
        occurred_at=time_of(at, now),
        mailout_id=mailout,
        send_log_id=row,
        attempt=attempt,
        tags_are_odd=False,
        is_notice=False,
        recipients=(recipient,) if recipient and engagement is None else (),
        bounce_type=bounce_type,
        bounce_subtype=bounce_subtype,
        complaint_type=complaint_type,
        complaint_subtype=complaint_subtype,
        unsubscribes_from_all=kind.leaves,
        detail=said,
        engagement=engagement,
        payload=_told(provider, kind, engagement) | _kept(provider, payload, engagement),
    )
    stored = to_row(event, f"{provider}:{_identity(event_id, payload)}")
    return stored | {"provider": provider}


def _engagement(kind: str, reader: tuple[str, str, str]) -> Engagement | None:
    """Tracking is switched off in every call; an account may force it."""
    link, address, agent = reader
    if kind == "open":
        return Engagement("open", None, network_of(address or None), agent_of(agent or None))
    if kind == "click":
        tidy = tidy_link(link) if link else None
        return Engagement("click", tidy, network_of(address or None), agent_of(agent or None))
    return None


def _told(provider: Provider, kind: _Kind, engagement: Engagement | None) -> dict[str, Any]:
    """What reports read, in the members that SES's events have."""
    told: dict[str, Any] = {"provider": provider, "eventType": kind.type}
    if kind.bounce:
        told["bounce"] = {"bounceType": kind.bounce[0], "bounceSubType": kind.bounce[1]}
    if kind.complaint:
        told["complaint"] = {
            "complaintFeedbackType": kind.complaint[0],
            "complaintSubType": kind.complaint[1],
        }
    if engagement:
        told[engagement.kind] = {"link": engagement.link} if engagement.link else {}
    return told


def _kept(
    provider: Provider, payload: Mapping[str, Any], engagement: Engagement | None
) -> dict[str, Any]:
    """The event as it came, without what is about the reader; nothing of an open or a click."""
    if engagement is not None:
        return {}
    kept = {name: value for name, value in payload.items() if name not in _ABOUT_THE_READER}
    try:
        orjson.dumps(kept)  # it reads more levels than it writes: those can't be kept
    except TypeError:
        return {}
    return {provider: kept}


_ABOUT_THE_READER = frozenset({"ip", "useragent", "client-info", "geolocation"})


def _identity(event_id: str, payload: Mapping[str, Any]) -> str:
    """By which a copy is known. Mailgun's ids are unique within a day only, so the time is part of
    it. An event without an id is known by all that it says."""
    if event_id and len(event_id) <= EVENT_ID_MAX_CHARS:
        return f"{event_id}@{text(payload, 'timestamp')[:20]}"
    canonical = repr(sorted(payload.items(), key=lambda item: item[0]))
    return hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()
