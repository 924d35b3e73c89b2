"""What SES reports about a mail, in our own small vocabulary. Pure.

SES publishes events in two formats: event publishing through a configuration set (`eventType`,
with our tags) and the older feedback notifications of an identity (`notificationType`, without
tags). Both are read here; the raw payload is kept beside the parsed fields.

Sources: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
and https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from app.domain.engagement.agents import agent_of
from app.domain.engagement.links import MAX_CHARS, tidy_link
from app.domain.engagement.networks import network_of
from app.domain.given.strict_json import DoubledKey, read_posted
from app.domain.untrusted import plain
from app.errors import AppError

DETAIL_MAX_CHARS = 500  # enough for a diagnostic code; the payload keeps the whole text

# SES's name of the event → our type, and the member of the payload that describes it.
_KINDS: Mapping[str, tuple[str, str]] = {
    "Send": ("send", "send"),
    "Delivery": ("delivery", "delivery"),
    "Bounce": ("bounce", "bounce"),
    "Complaint": ("complaint", "complaint"),
    "Reject": ("reject", "reject"),
    "Rendering Failure": ("rendering_failure", "failure"),
    "DeliveryDelay": ("delivery_delay", "deliveryDelay"),
    "Open": ("open", "open"),
    "Click": ("click", "click"),
    "Subscription": ("subscription", "subscription"),
}
EVENT_TYPES = (*(ours for ours, _ in _KINDS.values()), "unknown")

NOTICE_TAG = "amazonsender_notice"
"""The only tag of ours on mails to the owner, whose events fit no recipient by intent."""

# SES posts this text, not JSON, when the topic is attached to a configuration set.
_VALIDATION_NOTICE = "Successfully validated SNS topic"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_ROW_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_BIGINT_MAX = 2**63 - 1

# `\u0000` in JSON text, not preceded by an escaping backslash of its own. PostgreSQL's jsonb and
# text can't hold NUL, and an event must not be lost because a mail server's answer held one.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

MESSAGE_ID_MAX_CHARS = 255  # several times what SES writes; an index holds no text of any length

# Feedback types (RFC 5965, 6430, 6591) that aren't the reader's own word against the mail: reports
# of filters and servers, and the reverse of a complaint. What remains is `abuse`, and complaints
# without a type, as some providers send them.
_NO_WORD_OF_THE_READER = frozenset({"auth-failure", "fraud", "not-spam", "other", "virus"})

Suppression = Literal["bounced", "complained", "unsubscribed"]


@dataclass(frozen=True)
class Engagement:
    """An open or a click, as far as it is kept: nothing in it is about the person."""

    kind: Literal["open", "click"]
    link: str | None
    """Of a click: in one spelling, tokens of ours masked."""
    network: str
    agent: str
    """Our names of whose network and what kind of program it came from (domain/engagement)."""


class MalformedEvent(AppError):
    """The message is signed and ours, but isn't an SES event. Sending it again won't help."""

    status, code, title = 400, "malformed_event", "The message is not an SES event"


@dataclass(frozen=True)
class SesEvent:
    """One event about one mail."""

    type: str
    """One of `EVENT_TYPES`."""
    ses_type: str
    """The type exactly as SES wrote it."""
    message_id: str | None
    """SES's message id, as `SendBulkEmail` answered it."""
    occurred_at: datetime
    """Aware, UTC. Of the event itself, else of the mail, else of the SNS message."""
    mailout_id: str | None
    send_log_id: str | None
    attempt: str | None
    """The tags that we put on the mail; None when absent or not of our form."""
    tags_are_odd: bool
    """One of our tags is there, but not all of them with one value each of our form. Such an event
    says nothing certain of any recipient."""
    is_notice: bool
    """Of a mail to the owner, which is in no ledger."""
    recipients: tuple[str, ...]
    """Whom the event is about, as SES wrote the addresses."""
    bounce_type: str | None
    bounce_subtype: str | None
    complaint_type: str | None
    complaint_subtype: str | None
    unsubscribes_from_all: bool
    """A subscription event of SES's own contact lists, by which the reader left every topic."""
    detail: str | None
    """What the other side said, in at most `DETAIL_MAX_CHARS` characters."""
    engagement: Engagement | None
    """Of opens and clicks."""
    payload: Mapping[str, Any]
    """As SES wrote it; of an open or click only type, time and link, without IP address, user agent
    and headers."""

    @property
    def suppresses(self) -> Suppression | None:
        """The status that the subscriber gets, or None when they may be mailed again.

        A transient bounce suppresses nobody, and neither does a complaint that isn't the reader's
        own word.
        """
        if self.type == "bounce" and self.bounce_type == "Permanent":
            unsubscribed = self.bounce_subtype == "UnsubscribedRecipient"
            return "unsubscribed" if unsubscribed else "bounced"
        if self.type == "complaint":
            said = (self.complaint_type or "").lower() not in _NO_WORD_OF_THE_READER
            return "complained" if said else None
        if self.unsubscribes_from_all:
            return "unsubscribed"
        return None


def parse_ses_event(message: str, *, published_at: datetime) -> SesEvent | None:
    """Read the `Message` of an SNS notification.

    published_at: the SNS message's own time (aware), for events that carry none.
    None: SES's notice that it validated the topic, which is no event.
    Types that SES may add later are kept as `unknown`, and so are unknown fields. Absent and
    null fields are tolerated; a field of the wrong type raises MalformedEvent, as does anything
    that isn't JSON.
    """
    if message.startswith(_VALIDATION_NOTICE):
        return None
    payload = _load(message)
    ses_type = _text(payload, "eventType") or _text(payload, "notificationType")
    if ses_type is None:
        raise MalformedEvent("Neither eventType nor notificationType is there.")
    kind, member = _KINDS.get(ses_type, ("unknown", ""))
    mail, about = _object(payload, "mail"), _object(payload, member)
    if kind != "unknown" and not mail:
        raise MalformedEvent(f"The {ses_type} event has no `mail` object.")
    if kind in ("bounce", "complaint") and not about:
        raise MalformedEvent(f"The {ses_type} event has no `{member}` object.")
    tags = _object(mail, "tags")
    ours = {name: read(tags, name) for name, read in _OUR_TAGS.items()}
    bounce = about if kind == "bounce" else {}
    engagement = _engagement(kind, about)
    complaint = about if kind == "complaint" else {}
    return SesEvent(
        type=kind,
        ses_type=ses_type,
        message_id=_message_id(mail),
        occurred_at=_time(about) or _time(mail) or published_at.astimezone(UTC),
        **ours,
        tags_are_odd=_are_odd(tags, ours),
        is_notice=NOTICE_TAG in tags,
        recipients=_recipients(kind, about, mail),
        bounce_type=_text(bounce, "bounceType"),
        bounce_subtype=_text(bounce, "bounceSubType"),
        complaint_type=_text(complaint, "complaintFeedbackType"),
        complaint_subtype=_text(complaint, "complaintSubType"),
        unsubscribes_from_all=kind == "subscription" and _unsubscribes_from_all(about),
        detail=_detail(kind, about),
        engagement=engagement,
        payload=payload if engagement is None else _impersonal(payload, about, engagement),
    )


def to_row(event: SesEvent, sns_message_id: str) -> dict[str, Any]:
    """The event as the database function `apply_ses_events` takes it: JSON-able, times in ISO."""
    return {
        "sns_message_id": sns_message_id,
        "type": event.type,
        "ses_type": event.ses_type,
        "message_id": event.message_id,
        "occurred_at": event.occurred_at.isoformat(),
        "mailout_id": event.mailout_id,
        "send_log_id": event.send_log_id,
        "attempt": event.attempt,
        "odd": event.tags_are_odd or None,
        "notice": event.is_notice or None,
        "recipients": list(event.recipients),
        "bounce_type": event.bounce_type,
        "bounce_subtype": event.bounce_subtype,
        "complaint_subtype": event.complaint_subtype,
        "suppresses": event.suppresses,
        "detail": event.detail,
        "engagement": asdict(event.engagement) if event.engagement else None,
        "payload": dict(event.payload),
    }


def without_payload(row: Mapping[str, Any]) -> dict[str, Any]:
    """Only those members of an event (`to_row`) that change its recipient and subscriber. They are
    stored when the whole event can't be."""
    decides = ("sns_message_id", "type", "message_id", "occurred_at", "mailout_id", "send_log_id",
               "attempt", "odd", "notice", "suppresses")  # fmt: skip
    return {name: row.get(name) for name in decides} | {
        "bounce_type": plain(row.get("bounce_type")) or None,
        "bounce_subtype": plain(row.get("bounce_subtype")) or None,
        "complaint_subtype": plain(row.get("complaint_subtype")) or None,
        "recipients": [],
        "detail": plain(row.get("detail")) or None,
        "engagement": _plain_engagement(row.get("engagement")),
        "payload": {"dropped": "It could not be stored; the event's effect is."},
    }


def _plain_engagement(engagement: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if engagement is None:
        return None
    return {name: value and plain(value, MAX_CHARS) for name, value in engagement.items()}


def _engagement(kind: str, about: Mapping[str, Any]) -> Engagement | None:
    """The labels are derived here, since the address and the user agent go no further."""
    if kind not in ("open", "click"):
        return None
    link = _text(about, "link") if kind == "click" else None
    return Engagement(
        kind="open" if kind == "open" else "click",
        link=(tidy_link(link) or None) if link else None,
        # Whatever they are: an open counts, also where nothing is known of its program.
        network=network_of(about.get("ipAddress")),
        agent=agent_of(about.get("userAgent")),
    )


def _impersonal(
    payload: Mapping[str, Any], about: Mapping[str, Any], engagement: Engagement
) -> dict[str, Any]:
    said = {"timestamp": _text(about, "timestamp"), "link": engagement.link}
    kept = {name: value for name, value in said.items() if value}
    return {"eventType": payload.get("eventType"), engagement.kind: kept}


def _message_id(mail: Mapping[str, Any]) -> str | None:
    """None for an id that can't be SES's; the row is then found by the tags."""
    value = _text(mail, "messageId")
    return value if value is not None and len(value) <= MESSAGE_ID_MAX_CHARS else None


def _load(message: str) -> dict[str, Any]:
    if "\\u0000" in message:
        message = _ESCAPED_NUL.sub(r"\1\\ufffd", message)
    try:
        value = read_posted(message)
        # orjson reads 1,024 levels but writes 254: what can't be written can't be stored.
        orjson.dumps(value)
    except DoubledKey as exc:
        raise MalformedEvent(f"The message: {exc}.") from exc
    # orjson's errors are subclasses of the first two; the standard library's has no limit.
    except (ValueError, TypeError, RecursionError) as exc:
        raise MalformedEvent("The message is not JSON, or is nested too deeply.") from exc
    if not isinstance(value, dict):
        raise MalformedEvent("The message is JSON, but not an object.")
    return value


def _object(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedEvent(f"`{key}` is not an object.")
    return value


def _list(parent: Mapping[str, Any], key: str) -> list[Any] | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, list):
        raise MalformedEvent(f"`{key}` is not a list.")
    return value


def _text(parent: Mapping[str, Any], key: str) -> str | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, str):
        raise MalformedEvent(f"`{key}` is not a string.")
    return value or None


def _time(parent: Mapping[str, Any]) -> datetime | None:
    """`timestamp` in UTC; None when it is absent or not ISO 8601, so that the event isn't lost."""
    text = _text(parent, "timestamp")
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: an offset that leaves years 1 to 9999
        return None


def _tag(tags: Mapping[str, Any], name: str) -> str:
    """The value of a tag; SES gives each as a list. Anything but one value counts as none."""
    values = _list(tags, name) or []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def _uuid_tag(tags: Mapping[str, Any], name: str) -> str | None:
    value = _tag(tags, name)
    return value.lower() if _UUID.fullmatch(value) else None


def _row_id_tag(tags: Mapping[str, Any], name: str) -> str | None:
    value = _tag(tags, name)
    return value if _ROW_ID.fullmatch(value) and int(value) <= _BIGINT_MAX else None


_OUR_TAGS: Mapping[str, Callable[[Mapping[str, Any], str], str | None]] = {
    "mailout_id": _uuid_tag,
    "send_log_id": _row_id_tag,
    "attempt": _uuid_tag,
}


def _are_odd(tags: Mapping[str, Any], ours: Mapping[str, str | None]) -> bool:
    """Every mail of ours carries all three; the older notifications name none."""
    return None in ours.values() and any(name in tags for name in ours)


def _recipients(kind: str, about: Mapping[str, Any], mail: Mapping[str, Any]) -> tuple[str, ...]:
    """Those the event names; the mail's destination only where it names nobody."""
    reported: Iterable[Any] | None
    if kind in ("open", "click"):
        reported = []  # its row says whom
    elif kind == "delivery":
        reported = _list(about, "recipients")
    else:
        reported = _reported(about, _REPORTED_BY.get(kind, ""))
    addresses = _list(mail, "destination") if reported is None else reported
    recipients = tuple(address for address in addresses or () if address is not None)
    if not all(isinstance(address, str) for address in recipients):
        raise MalformedEvent("A recipient's address is not a string.")
    return recipients


_REPORTED_BY = {
    "bounce": "bouncedRecipients",
    "complaint": "complainedRecipients",
    "delivery_delay": "delayedRecipients",
}


def _reported(about: Mapping[str, Any], key: str) -> list[str | None] | None:
    entries = _list(about, key)
    return None if entries is None else [_text(_entry(e, key), "emailAddress") for e in entries]


def _entry(entry: Any, key: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise MalformedEvent(f"An entry of `{key}` is not an object.")
    return entry


def _detail(kind: str, about: Mapping[str, Any]) -> str | None:
    if kind == "bounce":
        entries = _list(about, "bouncedRecipients") or []
        codes = (_text(_entry(e, "bouncedRecipients"), "diagnosticCode") for e in entries)
        text = next((code for code in codes if code), None)
    elif kind == "complaint":
        text = _text(about, "complaintSubType") or _text(about, "complaintFeedbackType")
    else:
        text = _text(about, _DETAIL_OF[kind]) if kind in _DETAIL_OF else None
    return text[:DETAIL_MAX_CHARS] if text else None


_DETAIL_OF = {
    "delivery": "smtpResponse",
    "reject": "reason",
    "rendering_failure": "errorMessage",
    "delivery_delay": "delayType",
}


def _unsubscribes_from_all(subscription: Mapping[str, Any]) -> bool:
    return _object(subscription, "newTopicPreferences").get("unsubscribeAll") is True
