"""What Notion posts for an integration's webhook subscription. Pure.

Source: Notion's developer pages, "Webhooks" and "Event types & delivery".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from app.domain.given.strict_json import DoubledKey, read_posted
from app.errors import AppError

Act = Literal["look", "talk", "schema"]

MAX_EVENT_BYTES = 100_000
"""They have about two thousand."""
MAX_ID_CHARS = 100
MAX_TYPE_CHARS = 100

_TOKEN = re.compile(r"[!-~]{8,300}")
_TALK = frozenset({"comment.created", "comment.updated"})
# Of databases and data sources. That rows come and go, the rows' own events say.
_SCHEMA = ("schema_updated", "moved", "deleted", "undeleted")


class MalformedNotionEvent(AppError):
    status, code, title = 400, "malformed_notion_event", "This is no event of Notion's"


@dataclass(frozen=True)
class Event:
    """act: what it asks for: a look at a page's row (look), at the comments of a block of it (talk)
    or at the database's properties (schema). block, comment: of a comment's event. places: ids of
    what the page or data source lies in, or is. bots: ids of the authors; None: people are among
    them."""

    id: str
    type: str
    act: Act
    page: UUID | None
    block: UUID | None
    comment: UUID | None
    places: frozenset[UUID]
    bots: tuple[UUID, ...] | None


def signature(token: str, body: bytes) -> str:
    """What `X-Notion-Signature` says of this body, as it came."""
    return f"sha256={hmac.new(token.encode(), body, hashlib.sha256).hexdigest()}"


def is_signed(token: str, body: bytes, presented: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(signature(token, body).encode(), presented.strip().lower().encode())


def read_body(body: bytes) -> dict[str, Any]:
    """Raises MalformedNotionEvent."""
    try:
        content = read_posted(body)
    except DoubledKey as exc:
        raise MalformedNotionEvent(f"The body: {exc}.") from None
    except (ValueError, RecursionError):
        raise MalformedNotionEvent("The body is no JSON.") from None
    if not isinstance(content, dict):
        raise MalformedNotionEvent("The body is no JSON object.")
    return content


def asked_to_verify(body: bytes) -> str | None:
    """The token of the one request by which a subscription is set up; it isn't signed with a token
    that we know. None: the body is none."""
    try:
        token = read_body(body).get("verification_token")
    except MalformedNotionEvent:
        return None
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None


def read_event(content: Mapping[str, Any]) -> Event | None:
    """None: nothing here depends on events of this type. Raises MalformedNotionEvent."""
    kind, event_id = content.get("type"), content.get("id")
    if not isinstance(kind, str) or not isinstance(event_id, str) or not event_id:
        raise MalformedNotionEvent("An event has a `type` and an `id`.")
    if len(event_id) > MAX_ID_CHARS or len(kind) > MAX_TYPE_CHARS or "\0" in event_id + kind:
        raise MalformedNotionEvent("`type` or `id` is longer than Notion's are.")
    act = _act(kind)
    if act is None:
        return None
    entity, data = _object(content, "entity"), _object(content, "data")
    about = _id(entity.get("id"))
    if about is None:
        raise MalformedNotionEvent("`entity.id` is no id of Notion's.")
    parent = _object(data, "parent")
    page, block, comment = None, None, None
    if act == "look":
        page = about
    elif act == "talk":
        comment, block = about, _id(parent.get("id"))
        page = _id(data.get("page_id")) or (block if parent.get("type") == "page" else None)
        block = block or page
        if page is None:
            return None
    places = {_id(parent.get(name)) for name in ("id", "database_id", "data_source_id")}
    if act == "schema":
        places.add(about)
    known = frozenset(place for place in places if place is not None)
    return Event(event_id, kind, act, page, block, comment, known, _bots(content.get("authors")))


def _act(kind: str) -> Act | None:
    subject, _, happened = kind.partition(".")
    if subject == "page":
        return "look"
    if kind in _TALK:
        return "talk"
    return "schema" if subject in {"database", "data_source"} and happened in _SCHEMA else None


def _bots(authors: object) -> tuple[UUID, ...] | None:
    """The ids of the authors, if all are bots. An `agent` does what a person asks of it."""
    if not isinstance(authors, list) or not authors:
        return None
    found = [
        _id(author.get("id"))
        for author in authors
        if isinstance(author, dict) and author.get("type") == "bot"
    ]
    bots = tuple(bot for bot in found if bot is not None)
    return bots if len(bots) == len(authors) else None


def _object(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _id(value: object) -> UUID | None:
    """With dashes or without."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
