"""Which page of Notion is meant, and what Notion posts where. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

_HOSTS = ("notion.so", "notion.com", "notion.site")
_ID = r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Alone, or behind the title: `June-letter-1f0d…`.
_AT_THE_END = re.compile(rf"(?:.*[^0-9a-f])?({_ID})", re.IGNORECASE | re.DOTALL)

_REMEDY = (
    "paste the page's link (in Notion: Share, Copy link) or its id, 32 digits from 0 to 9 and "
    "a to f"
)


class NotAPage(ValueError):
    """What was given names no page of Notion; the text says what to give."""


def page_id(text: str) -> UUID:
    """The id of a page, given as itself (with dashes or without), as `Title-ID`, or as a link of
    notion.so, app.notion.com or notion.site, with blanks around it or not.

    Of a link to a database, the page that is open beside it (`p=`). Raises NotAPage.
    """
    return _id(text, of_view=False)


def database_id(text: str) -> UUID:
    """The id of a database or data source, given as itself, as `Title-ID`, or as a link, also to
    one of its views. Raises NotAPage."""
    return _id(text, of_view=True)


def _id(text: str, *, of_view: bool) -> UUID:
    text = text.strip()
    if "://" in text or text.lower().startswith(("www.", *_HOSTS)):
        text = _id_in_link(text, of_view=of_view)
    elif "/" in text:
        raise NotAPage(f"is no page of Notion: {_REMEDY}")
    found = _AT_THE_END.fullmatch(text)
    if found is None:
        raise NotAPage(f"names no page of Notion: {_REMEDY}")
    return UUID(found[1])


def _id_in_link(link: str, *, of_view: bool) -> str:
    """The part of a link that ends in the id: of a link to a view, the page that is open in it, or
    (of_view) the database."""
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        host = (parts.hostname or "").rstrip(".")
        query = parse_qs(parts.query)
    except ValueError:
        raise NotAPage(f"is no link: {_REMEDY}") from None
    if not any(host == notion or host.endswith(f".{notion}") for notion in _HOSTS):
        raise NotAPage(f"is no link to Notion: {_REMEDY}")
    if "p" in query and not of_view:
        return query["p"][0]
    if "v" in query and not of_view:
        raise NotAPage("is the link of a database's view: open the page itself and copy its link")
    return unquote(parts.path).rstrip("/").rpartition("/")[2]


def is_integration_webhook(body: Mapping[str, Any]) -> bool:
    """Whether Notion posted this for an integration's webhook subscription: its one verification
    request, or an event. An automation's or button's "Send webhook" has `source` and `data`.

    Source: Notion's developer pages, "Webhooks".
    """
    if isinstance(body.get("verification_token"), str):
        return True
    return isinstance(body.get("entity"), dict) and "subscription_id" in body
