"""What SendGrid refuses, in its words.

Sources: Twilio's OpenAPI description of the Mail API (tsg_mail_v3), "Mail Send: Errors" and
"Limitations".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_PEOPLE = 1_000
MAX_BYTES_OF_A_PERSON = 10_000
MAX_BODY_BYTES = 30_000_000
RESERVED_HEADERS = frozenset(
    {
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    }
)
_ADDRESS = re.compile(r"[^@\s<>]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)

Problem = tuple[str, str | None]
"""Message and field."""


def problems(call: Mapping[str, Any]) -> Iterator[Problem]:
    """All that is wrong with a call; nothing of it is sent then."""
    people = call.get("personalizations")
    if not isinstance(people, list) or not people:
        yield "You must have at least one personalization.", "personalizations"
        return
    if len(people) > MAX_PEOPLE:
        yield (
            "The personalization block is limited to 1000 personalizations per API request. You "
            f"have provided {len(people)} personalizations. Please consider splitting this into "
            "multiple requests and resending your request.",
            "personalizations",
        )
    known: set[str] = set()
    for index, person in enumerate(people):
        yield from _person(person, f"personalizations.{index}", known)
    yield from _mailbox(call.get("from"), "from")
    for index, one in enumerate(call.get("reply_to_list") or []):
        yield from _mailbox(one, f"reply_to_list.{index}")
    if not _text(call.get("subject")):
        yield (
            "The subject is required. You can get around this requirement if you use a template "
            "with a subject defined or if every personalization has a subject defined.",
            "subject",
        )
    yield from _content(call.get("content"))
    for group in ("tracking_settings", "mail_settings"):
        for name, setting in (call.get(group) or {}).items():
            if not isinstance(setting, dict) or not isinstance(setting.get("enable"), bool):
                yield "The enable parameter must be a boolean.", f"{group}.{name}.enable"


def _person(person: Any, field: str, known: set[str]) -> Iterator[Problem]:
    if not isinstance(person, dict) or not person.get("to"):
        yield "The to parameter is required for all personalization objects.", f"{field}.to"
        return
    for index, one in enumerate(person["to"]):
        yield from _mailbox(one, f"{field}.to.{index}")
        address = str(one.get("email", "")).lower() if isinstance(one, dict) else ""
        if address in known:
            yield (
                "Each unique email address in the personalizations array should only be included "
                f"once. You have included [{address}] more than once.",
                field,
            )
        known.add(address)
    for name in ("substitutions", "custom_args"):
        values = person.get(name, {})
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            yield f"{name} must be an object of strings.", f"{field}.{name}"
            continue
        size = sum(len(key.encode()) + len(value.encode()) for key, value in values.items())
        if size > MAX_BYTES_OF_A_PERSON:
            yield f"{name} may not exceed 10000 bytes.", f"{field}.{name}"
    yield from _headers(person.get("headers", {}), f"{field}.headers")


def _headers(headers: Any, field: str) -> Iterator[Problem]:
    if not isinstance(headers, dict):
        yield "The headers parameter must be an object.", field
        return
    for name, value in headers.items():
        if not isinstance(value, str) or not (name + value).isascii() or not value.isprintable():
            yield "Header names and values must be ASCII strings.", f"{field}.{name}"
        if name.lower() in RESERVED_HEADERS:
            yield f"The following headers are reserved: {name}.", f"{field}.{name}"


def _mailbox(value: Any, field: str) -> Iterator[Problem]:
    address = value.get("email") if isinstance(value, dict) else None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        yield (
            "Does not contain a valid address.",
            f"{field}.email",
        )


def _content(parts: Any) -> Iterator[Problem]:
    if not isinstance(parts, list) or not parts:
        yield (
            "Unless a valid template_id is provided, the content parameter is required.",
            "content",
        )
        return
    for index, part in enumerate(parts):
        if not isinstance(part, dict) or not _text(part.get("value")):
            yield (
                "The content value must be a string at least one character in length.",
                f"content.{index}.value",
            )
    types = [str(part.get("type")) for part in parts if isinstance(part, dict)]
    if types != sorted(types, key=lambda one: {"text/plain": 0, "text/html": 1}.get(one, 2)):
        yield (
            "If present, text/plain and text/html may only be provided once, and must be first "
            "and in this order.",
            "content",
        )


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
