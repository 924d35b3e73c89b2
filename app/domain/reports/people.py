"""A person's history in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.engagement import reasons

BY = {
    "owner": "through the API",
    "dashboard": "in the dashboard",
    "cli": "on the command line",
    "import": "by an import",
    "sign-up": "by themselves, signing up",
    "link": "by themselves, with the link in a mail",
    "mail client": "by themselves, with the button of their mail program",
    "ses": "reported by Amazon SES",
    "sendgrid": "reported by SendGrid",
    "mailgun": "reported by Mailgun",
    "database": "in the database",
    "amazonsender": "",
}
"""Who did it, after what was done."""

EVENTS = {
    "send": "Accepted for sending",
    "delivery": "Delivered",
    "delivery_delay": "Delivery is delayed",
    "bounce": "Bounced",
    "complaint": "Reported as spam",
    "reject": "Refused after it was accepted",
    "rendering_failure": "The mail could not be made",
    "open": "Opened",
    "click": "Clicked a link",
}

COLUMNS = {
    "email": "Address",
    "name": "Name",
    "status": "Status",
    "tags": "Tags",
    "fields": "Fields",
    "timezone": "Time zone",
    "consent": "Consent",
    "bounce_type": "Bounce",
    "bounce_subtype": "Kind of bounce",
}


@dataclass(frozen=True)
class Line:
    """One entry of a history. tone: good, poor, bad or none. mailout, imported: ids."""

    at: str
    title: str
    by: str
    details: tuple[str, ...] = ()
    tone: str = "none"
    mailout: str | None = None
    imported: str | None = None


def line(item: Mapping[str, Any]) -> Line:
    detail = item["detail"]
    by = who(item["by"])
    match item["kind"]:
        case "mail":
            tone = {"delivered": "good", "bounced": "bad", "complained": "bad", "failed": "bad"}
            status = detail["status"]
            said = [detail[key] for key in ("error_code", "error_message") if key in detail]
            return Line(
                item["at"],
                f"Mail “{detail.get('subject', '')}”: {status}",
                "",
                tuple(said) if status in {"bounced", "failed", "unknown", "skipped"} else (),
                tone.get(status, "none"),
                detail["mailout_id"],
            )
        case "event" if detail["type"] in {"open", "click"}:
            return _seen(item["at"], detail)
        case "event":
            kind = detail["type"]
            more = [
                detail[key]
                for key in ("bounce_type", "bounce_subtype", "feedback_type")
                if key in detail
            ]
            title = EVENTS.get(kind, str(kind).replace("_", " ").capitalize())
            return Line(item["at"], title, "", (" · ".join(more),) if more else ())
        case "dropped":
            many = detail["mailouts"]
            return Line(
                item["at"],
                f"Details of {many:,} mailout{'s' if many > 1 else ''} were dropped",
                "",
                ("Whether they were mailed with them is not known any more.",),
            )
        case "changed":
            return _changed(item, by)
        case kind:
            title = {"added": "Added", "removed": "Removed"}.get(kind, str(kind))
            return Line(item["at"], title, by, _reason(detail), imported=detail.get("import_id"))


BY_WHOM = {
    "human": "a person",
    "unknown": "a person or a machine",
    "machine": "a machine",
}
"""Who opened or clicked, by the class of the verdict."""


def _seen(at: str, detail: Mapping[str, Any]) -> Line:
    """Opens or clicks of one mail, folded. Without a class: they were never judged."""
    title = EVENTS[detail["type"]]
    if detail.get("times", 1) > 1:
        title += f", {detail['times']:,} times"
    judged = detail.get("class")
    details = [f"Because {reasons.words(detail['reason'])}"] if "reason" in detail else []
    tone = {"human": "good", "unknown": "poor"}.get(judged, "none") if judged else "none"
    return Line(
        at,
        f"{title}: {BY_WHOM[judged]}" if judged else title,
        "",
        (*details, *detail.get("links", ())),
        tone,
    )


def _changed(item: Mapping[str, Any], by: str) -> Line:
    detail = item["detail"]
    before, after = detail.get("before") or {}, detail.get("after") or {}
    changes = [words for key in after if (words := _change(key, before.get(key), after[key]))]
    if "status" in after:
        title = f"Status: {before.get('status')} → {after['status']}"
        changes = [words for words in changes if not words.startswith("Status")]
        tone = "good" if after["status"] == "active" else "poor"
        return Line(
            item["at"],
            title,
            by,
            (*changes, *_reason(detail)),
            tone,
            imported=detail.get("import_id"),
        )
    return Line(
        item["at"],
        "Changed",
        by,
        (*changes, *_reason(detail)),
        imported=detail.get("import_id"),
    )


def _change(key: str, before: Any, after: Any) -> str:
    name = COLUMNS.get(key, key)
    if key == "tags":
        gained = [f"+ {tag}" for tag in after or () if tag not in (before or ())]
        lost = [f"− {tag}" for tag in before or () if tag not in (after or ())]
        return f"{name}: {', '.join(gained + lost) or 'another order'}"
    if key == "fields":
        names = {*(before or {}), *(after or {})}
        parts = [
            f"{one}: {_value((before or {}).get(one))} → {_value((after or {}).get(one))}"
            for one in sorted(names)
            if (before or {}).get(one) != (after or {}).get(one)
        ]
        return "; ".join(parts)
    if key == "consent":
        return f"{name}: {'recorded' if after else 'taken away'}"
    return f"{name}: {_value(before)} → {_value(after)}"


CONSENT = {
    "sign-up": "By our sign-up form",
    "import": "It came with an import",
    "dashboard": "Added in the dashboard",
    "cli": "Added on the command line",
    "api": "Added through the API",
}


@dataclass(frozen=True)
class Consent:
    """Why somebody is on the list. at: when they said so. imported: an import's id. details: what
    else is kept, by name."""

    title: str
    at: str | None
    text: str | None
    imported: str | None
    details: tuple[tuple[str, str], ...]


def consent(kept: Mapping[str, Any] | None) -> Consent | None:
    if not kept:
        return None
    rest = {**kept}
    source, at, text = (rest.pop(name, None) for name in ("source", "at", "text"))
    imported = rest.pop("import_id", None)
    rest.pop("asked_at", None)  # a moment before they confirmed
    return Consent(
        CONSENT.get(as_text(source), as_text(source)) or "Where it came from isn’t known",
        at if _is_time(at) else None,
        as_text(text) or None,
        as_text(imported) or None,
        tuple((name.replace("_", " ").capitalize(), as_text(v)) for name, v in rest.items() if v),
    )


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def as_text(value: Any) -> str:
    """A field's value: text as it is, nothing for null, everything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(value: Any) -> str:
    return as_text(value)[:200] or "nothing"


def _reason(detail: Mapping[str, Any]) -> tuple[str, ...]:
    return (f"Reason: {detail['reason']}",) if detail.get("reason") else ()


def who(by: str) -> str:
    """Such as `in the dashboard`."""
    if by.startswith("key "):
        return f"by the API key {by.removeprefix('key ')}"
    return BY.get(by, by)


def read_fields(text: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a form has them, `NAME = VALUE` in lines. A value whose text is as it was keeps its
    type; names that are gone are None. Raises ValueError naming the line."""
    given: dict[str, Any] = {}
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        name, sign, value = row.partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not name:
            raise ValueError(f"line {number}: write NAME = VALUE")
        same = name in known and as_text(known[name]).strip() == value
        given[name] = known[name] if same else value
    changed = {
        name: value
        for name, value in given.items()
        if name not in known or known[name] is not value
    }
    return changed | dict.fromkeys(known.keys() - given.keys())


def write_fields(fields: Mapping[str, Any]) -> str:
    """As `read_fields` reads them. A text in several lines doesn't fit and is in one."""
    return "\n".join(
        f"{name} = {' '.join(as_text(value).split())}" for name, value in fields.items()
    )
