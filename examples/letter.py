"""The demo's newsletter, as a person writes it on a page of Notion."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from PIL import Image, ImageDraw

SITE = "https://example.com"

Block = dict[str, Any] | str


def properties() -> dict[str, Any]:
    return {
        "Name": 'The autumn letter, {{ name | default: "dear reader" }}',
        "Preheader": "Two dates and a thank you",
        "Status": "Draft",
    }


def text(content: str, **marks: Any) -> dict[str, Any]:
    return {"text": {"content": content}, "annotations": marks}


def link(content: str, url: str) -> dict[str, Any]:
    return {"text": {"content": content, "link": {"url": url}}}


def blocks(picture: dict[str, Any]) -> list[Block]:
    """picture: a file that Notion keeps. Says when it was written: the very same letter again would
    be taken for a copy of the first, and not sent."""
    return [
        block("heading_1", "Hello {{ name | default: “dear reader” }}!"),
        block(
            "paragraph",
            [
                text("This is the "),
                text("autumn letter", bold=True),
                text(". It was written once, in Notion, and reaches every subscriber by name, "),
                text("with a plain text part", italic=True),
                text(" and an unsubscribe link that works with one click."),
            ],
        ),
        {"image": {**picture, "caption": "The harbour in October"}},
        block(
            "paragraph",
            "{% if fields.City %}See you in {{ fields.City }} soon?{% else %}See you soon?"
            "{% endif %}",
        ),
        block("callout", "The studio is closed on Friday.", icon="💡", color="yellow_background"),
        {
            "table": {
                "table_width": 2,
                "has_column_header": True,
                "children": [
                    {"table_row": {"cells": cells}}
                    for cells in (
                        ["What", "When"],
                        ["Open studio", "Saturday, 10 am"],
                        ["Reading", "Sunday, 4 pm"],
                    )
                ],
            }
        },
        block("heading_2", "To bring along"),
        block("numbered_list_item", "Warm shoes", children=[block("bulleted_list_item", "two")]),
        block("numbered_list_item", "A friend"),
        block("to_do", "Tell us how many you are", checked=False),
        block("quote", "“The best evening of the year.”"),
        {"divider": {}},
        block("paragraph", f"Ærøskøbing, {datetime.now(UTC):%d %B %Y, %H:%M:%S}"),
        block("paragraph", [link("Take a place", f"{SITE}/places?utm_source=mail")]),
        block(
            "paragraph",
            [
                link("How to find us", f"{SITE}/map"),
                text(" · "),
                link("The letters of this year", f"{SITE}/letters"),
                text(" · "),
                link("Read it in the browser", f"{SITE}/letters/autumn"),
            ],
        ),
    ]


def block(kind: str, rich_text: str | list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {kind: {"rich_text": rich_text, **more}}


def picture() -> bytes:
    """Larger than a mail is wide, so that it is scaled on its way."""
    image = Image.new("RGB", (1600, 700), "#dbeafe")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 450, 1600, 700), fill="#1e3a5f")
    draw.polygon(((300, 440), (700, 440), (640, 540), (360, 540)), fill="#7c2d12")
    draw.polygon(((490, 120), (490, 420), (690, 420)), fill="#f8fafc")
    draw.ellipse((1200, 90, 1360, 250), fill="#f59e0b")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
