"""The properties of a row in the Notion database, and how their values are read and written. Pure.

Shapes: Notion's API, "Page properties" and "Property values", version 2026-03-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["title", "rich_text", "select", "multi_select", "date", "number", "url", "files"]

MAX_TEXT_CHARS = 2000
"""Of one piece of rich text that is written (Notion's API, "Request limits")."""


@dataclass(frozen=True)
class Property:
    """name: as `notion init` names it, and as NOTION_PROPERTY_… may rename it. by_people: the
    program only reads it. options: of a select, in their order."""

    name: str
    kind: Kind
    by_people: bool = False
    options: tuple[str, ...] = ()

    @property
    def setting(self) -> str:
        """The field of Settings that has its name in the owner's database."""
        return f"notion_property_{self.name.lower().replace(' ', '_')}"


STATUSES = ("Draft", "Send test", "Send", "Pause", "Cancel")
DELIVERIES = (
    "Test sent",
    "Scheduled",
    "Sending",
    "Paused",
    "Sent",
    "Failed",
    "Cancelled",
    "Problem",
)
RECIPIENTS_ZONE = "Recipient's"

PROPERTIES = (
    Property("Name", "title", by_people=True),
    Property("Preheader", "rich_text", by_people=True),
    Property("Status", "select", by_people=True, options=STATUSES),
    Property("Audience", "multi_select", by_people=True),
    Property("Send at", "date", by_people=True),
    Property("Time zone", "select", by_people=True, options=(RECIPIENTS_ZONE,)),
    Property("Delivery", "select", options=DELIVERIES),
    Property("Progress", "rich_text"),
    Property("Problem", "rich_text"),
    Property("Recipients", "number"),
    Property("Accepted", "number"),
    Property("Delivered", "number"),
    Property("Bounced", "number"),
    Property("Complained", "number"),
    Property("Unsubscribed", "number"),
    Property("Failed", "number"),
    Property("Unknown", "number"),
    Property("Mailout", "url"),
    Property("Statement", "files"),
)


def plain_text(rich_text: Any) -> str:
    """The text of a list of rich text items, without their form."""
    items = rich_text if isinstance(rich_text, Sequence) else ()
    return "".join(str(item.get("plain_text") or "") for item in items if isinstance(item, Mapping))


def read(value: Mapping[str, Any] | None) -> Any:
    """What a property value of a page says, by its own type: text, a number, the name of an option,
    a list of names, {"start", "end"}; None: it is empty, absent, or of a type that isn't used here.
    """
    if not value:
        return None
    kind = value.get("type")
    content = value.get(str(kind))
    match kind:
        case "title" | "rich_text":
            return plain_text(content) or None
        case "select" | "status":
            return content["name"] if content else None
        case "multi_select":
            return [option["name"] for option in content or []]
        case "date" | "number" | "url" | "checkbox" | "files":
            return content
        case _:
            return None


def write(kind: Kind, value: Any) -> dict[str, Any]:
    """A property value to be sent to Notion; None empties it."""
    match kind:
        case "title" | "rich_text":
            return {kind: as_rich_text(value or "")}
        case "select":
            return {kind: {"name": value} if value else None}
        case "multi_select":
            return {kind: [{"name": name} for name in value or []]}
        case "files":
            return {kind: value or []}
        case _:
            return {kind: value}


def as_rich_text(text: str) -> list[dict[str, Any]]:
    """A text without form, to be sent to Notion: in pieces of MAX_TEXT_CHARS, as Notion counts
    (UTF-16 code units, of which most emoji are two)."""
    return [{"type": "text", "text": {"content": piece}} for piece in _pieces(text)]


def _pieces(text: str) -> Iterator[str]:
    units = text.encode("utf-16-le", "surrogatepass")
    start, size = 0, 2 * MAX_TEXT_CHARS
    while start < len(units):
        end = start + size
        if end < len(units) and 0xDC <= units[end + 1] <= 0xDF:  # the second half of a character
            end -= 2
        yield units[start:end].decode("utf-16-le", "surrogatepass")
        start = end
