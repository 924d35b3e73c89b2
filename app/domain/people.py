"""Rules about people on a list, and the words for them. Pure."""

from __future__ import annotations

import math
import re
import zoneinfo
from typing import Any, Literal, TypedDict

from app.domain.states import SubscriberStatus

MAX_NAME_CHARS = 200
MAX_TAGS = 200
MAX_TAG_CHARS = 100
MAX_FIELDS = 200
MAX_FIELD_CHARS = 10_000
MAX_REASON_CHARS = 500

_INTEGERS = range(-(2**63), 2**63)

# A reason in which these words stand says that the person themselves wants mail again.
_ASKED = re.compile(
    r"\b(ask(s|ed|ing)?|request(s|ed|ing)?|want(s|ed)|wish(es|ed)|consent(s|ed)?|opted|confirmed"
    r"|signed up|resubscrib(es|ed|ing))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(not|never|no|nobody|without)\b|n['\u2019]t\b|\b(we|i)\s+(want|wish|ask|request)",
    re.IGNORECASE,
)


def fits_json(number: float) -> bool:
    """Whether the number comes back from the database's JSON as it was: whole ones of up to 64
    bits, and no infinite ones."""
    return number in _INTEGERS if isinstance(number, int) else math.isfinite(number)


class Filter(TypedDict, total=False):
    """Whom a list shows; what isn't there doesn't matter. tags: any of them. q: what addresses,
    domains or words of names begin with. fields: by name, as text. rule: of an audience, without
    segments."""

    status: SubscriberStatus
    tags: list[str]
    q: str
    fields: dict[str, str]
    rule: dict[str, Any]


class Change(TypedDict, total=False):
    """What becomes of people. fields: those given; None removes one."""

    email: str
    name: str | None
    timezone: str | None
    tags: list[str]
    add_tags: list[str]
    remove_tags: list[str]
    fields: dict[str, Any]
    status: SubscriberStatus


Refusal = Literal["asked", "force"]


def says_they_asked(reason: str | None) -> bool:
    """Whether a reason says that the person asked for mail: "She asked for it by phone." does, "We
    want them back." and "They never asked." don't."""
    return (
        reason is not None and _ASKED.search(reason) is not None and _DENIED.search(reason) is None
    )


def refusal_words(refusal: Refusal, status: str) -> str:
    """Why a status can't be lifted like this, and what would do."""
    if refusal == "force":
        what = "complained about a mail" if status == "complained" else "had a permanent bounce"
        return (
            f"This person {what}: set `force` to lift that all the same. Amazon SES may still "
            "refuse the address, from its own suppression list."
        )
    what = "never confirmed" if status == "pending" else "left the list"
    return (
        f"This person {what}: they get mail again only when they asked for it themselves. Say so "
        'in `reason` ("Asked for it by phone on 3 May."), or set `asked` to true.'
    )


def is_time_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
