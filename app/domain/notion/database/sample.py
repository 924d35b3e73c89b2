"""The newsletter that `amazonsender notion init` lays into the new database: it explains itself,
and shows in a test mail how each block looks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.domain.notion.properties import PROPERTIES, write

Block = dict[str, Any]

NAME = "Sample: how to write and send a newsletter"
PREHEADER = "This line stands beside the subject in the reader's inbox."
COMMENT = (
    "Talk to AmazonSender here: a comment with /status says how far a newsletter is, /pause and "
    "/resume stop it and let it go on, /why ann@example.com says what became of one reader."
)


def row(data_source_id: UUID, names: Mapping[str, str]) -> dict[str, Any]:
    """The request that makes it. names: by our own (Settings.notion_names)."""
    values = {"Name": NAME, "Preheader": PREHEADER, "Status": "Draft"}
    return {
        "parent": {"type": "data_source_id", "data_source_id": str(data_source_id)},
        "icon": {"type": "emoji", "emoji": "✉️"},
        "properties": {
            names[each.name]: write(each.kind, values[each.name])
            for each in PROPERTIES
            if each.name in values
        },
        "children": blocks(),
    }


def blocks() -> list[Block]:
    return [
        _callout(
            "💡",
            "This page is a newsletter. Set Status to “Send test”, and it comes to your test "
            "addresses as readers would get it. Then write your own: a new row in the database.",
        ),
        _block("paragraph", 'Hello {{ name | default: "there" }},'),
        _block(
            "paragraph",
            "the line above greets each reader by name, and “there” where the name is unknown. "
            "Other fields of your subscribers work the same way.",
        ),
        _block("heading_2", "Write"),
        _block("bulleted_list_item", "The title is the subject; Preheader is the line beside it."),
        _block(
            "bulleted_list_item",
            "Audience: tags of subscribers, one or more. Empty: everybody who is active.",
        ),
        _block(
            "bulleted_list_item",
            "Pictures: put them on the page as usual. They are copied when the newsletter is sent, "
            "so that they don't die with Notion's links. The caption is read to those who can't "
            "see them.",
        ),
        _block("heading_2", "Send"),
        _table(
            ("Status", "What happens"),
            ("Draft", "Nothing. Write as long as you like."),
            ("Send test", "A mail to each of your test addresses; Problem says what to mend."),
            ("Send", "It goes out, or at the time in Send at. What you change later isn't sent."),
            ("Pause", "It stops at once. “Send” lets it go on."),
            ("Cancel", "It stops for good; who had no mail yet gets none."),
        ),
        _block(
            "paragraph",
            "Delivery, Progress, Problem and the figures are written by AmazonSender. To press the "
            "same again, set Status to Draft and wait until Problem is empty.",
        ),
        _block("heading_2", "What mails can show"),
        _block("numbered_list_item", "Lists, with their numbers"),
        _block("numbered_list_item", "and nested", [_block("bulleted_list_item", "like this")]),
        {"type": "to_do", "to_do": {"rich_text": [_text("a task that is done")], "checked": True}},
        _block("quote", "A quotation stands apart."),
        _block("toggle", "A toggle is shown open", [_block("paragraph", "with what is in it.")]),
        _columns("Columns stand side by side,", "and below each other on a phone."),
        {"type": "divider", "divider": {}},
        _block("paragraph", "Address and unsubscribe link are added below by themselves."),
    ]


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": {"content": content}}


def _block(kind: str, content: str, children: list[Block] | None = None) -> Block:
    inner: dict[str, Any] = {"rich_text": [_text(content)]}
    if children:
        inner["children"] = children
    return {"type": kind, kind: inner}


def _callout(emoji: str, content: str) -> Block:
    inner = {
        "rich_text": [_text(content)],
        "icon": {"type": "emoji", "emoji": emoji},
        "color": "yellow_background",
    }
    return {"type": "callout", "callout": inner}


def _table(*lines: tuple[str, ...]) -> Block:
    rows = [
        {"type": "table_row", "table_row": {"cells": [[_text(cell)] for cell in line]}}
        for line in lines
    ]
    inner = {
        "table_width": len(lines[0]),
        "has_column_header": True,
        "has_row_header": False,
        "children": rows,
    }
    return {"type": "table", "table": inner}


def _columns(*contents: str) -> Block:
    columns = [
        {"type": "column", "column": {"children": [_block("paragraph", content)]}}
        for content in contents
    ]
    return {"type": "column_list", "column_list": {"children": columns}}
