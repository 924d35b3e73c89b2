"""The database that `amazonsender notion init` makes: its properties and views. Pure.

Shapes: Notion's API, "Create a database", "Create a view", version 2026-03-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from app.domain.notion.properties import PROPERTIES, Property
from app.domain.notion.schema import Schema

TITLE = "Newsletters"
DESCRIPTION = (
    "Each row is a newsletter: write it on its page, set Status, and see in Delivery what became "
    "of it. Made by AmazonSender."
)

_COLOURS = {
    "Draft": "gray",
    "Send test": "yellow",
    "Send": "green",
    "Pause": "orange",
    "Cancel": "red",
    "Test sent": "yellow",
    "Scheduled": "purple",
    "Sending": "blue",
    "Paused": "orange",
    "Sent": "green",
    "Failed": "red",
    "Cancelled": "gray",
    "Problem": "red",
}


def database(parent: UUID, names: Mapping[str, str], time_zone: str) -> dict[str, Any]:
    """The request that makes it on a page. names: by our own (Settings.notion_names). time_zone: of
    the settings, which becomes an option beside the recipients' own."""
    return {
        "parent": {"type": "page_id", "page_id": str(parent)},
        "title": [_text(TITLE)],
        "description": [_text(DESCRIPTION)],
        "icon": {"type": "emoji", "emoji": "📮"},
        "is_inline": False,
        "initial_data_source": {
            "properties": {names[each.name]: _property(each, time_zone) for each in PROPERTIES}
        },
    }


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": {"content": content}}


def _property(each: Property, time_zone: str) -> dict[str, Any]:
    options = each.options
    if each.name == "Time zone":
        options = tuple(dict.fromkeys((*options, time_zone, "UTC")))
    match each.kind:
        case "select" | "multi_select":
            listed = [{"name": name, "color": _COLOURS.get(name, "default")} for name in options]
            return {each.kind: {"options": listed}}
        case "number":
            return {"number": {"format": "number_with_commas"}}
        case _:
            return {each.kind: {}}


def views(database_id: UUID, data_source_id: UUID, schema: Schema) -> Iterator[dict[str, Any]]:
    """The requests that make the views: one to write and send, one by status, a calendar, and one
    with the figures."""
    common = {"database_id": str(database_id), "data_source_id": str(data_source_id)}

    def shown(*names: str) -> list[dict[str, Any]]:
        """These in this order; the others hidden."""
        ids = {each.name: column.id for each in PROPERTIES if (column := schema.column(each.name))}
        others = [name for name in ids if name not in names]
        return [
            *({"property_id": ids[name], "visible": True} for name in names if name in ids),
            *({"property_id": ids[name], "visible": False} for name in others),
        ]

    def id_of(name: str) -> str:
        column = schema.column(name)
        return column.id if column else ""

    yield {
        **common,
        "name": "Write and send",
        "type": "table",
        "position": {"type": "start"},
        "configuration": {
            "type": "table",
            "properties": shown(
                "Name", "Status", "Send at", "Audience", "Delivery", "Progress", "Problem"
            ),
            "wrap_cells": True,
        },
    }
    yield {
        **common,
        "name": "By status",
        "type": "board",
        "configuration": {
            "type": "board",
            "group_by": {
                "type": "select",
                "property_id": id_of("Status"),
                "sort": {"type": "manual"},
            },
            "properties": shown("Name", "Send at", "Delivery", "Progress"),
        },
    }
    yield {
        **common,
        "name": "Calendar",
        "type": "calendar",
        "configuration": {
            "type": "calendar",
            "date_property_id": id_of("Send at"),
            "properties": shown("Name", "Status", "Delivery"),
        },
    }
    yield {
        **common,
        "name": "Figures",
        "type": "table",
        "configuration": {
            "type": "table",
            "properties": shown(
                "Name",
                "Delivery",
                "Recipients",
                "Accepted",
                "Delivered",
                "Bounced",
                "Complained",
                "Unsubscribed",
                "Failed",
                "Unknown",
                "Statement",
                "Mailout",
            ),
        },
    }
