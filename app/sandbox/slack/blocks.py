"""What Slack takes as a message. Source: docs.slack.dev, "Block Kit", "Text object"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

CONTROL = re.compile(r"<([^<>]*)>")
_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


class Invalid(Exception):
    """Carries Slack's word for it."""


def check(asked: dict[str, Any]) -> None:
    """Raises Invalid."""
    text, blocks = asked.get("text"), asked.get("blocks", [])
    if not text and not blocks:
        raise Invalid("no_text")
    if text is not None and not isinstance(text, str):
        raise Invalid("invalid_arguments")
    if len(text or "") > 40_000:
        raise Invalid("msg_too_long")
    if not isinstance(blocks, list) or len(blocks) > 50:
        raise Invalid("invalid_blocks")
    if not all(_is_block(one) for one in blocks):
        raise Invalid("invalid_blocks")


def _is_block(block: dict[str, Any]) -> bool:
    match block.get("type"):
        case "section":
            fields = block.get("fields", [])
            has_text = "text" in block and _is_text(block["text"], 3_000)
            return (
                set(block) <= {"type", "text", "fields", "accessory", "block_id", "expand"}
                and (has_text or ("text" not in block and bool(fields)))
                and len(fields) <= 10
                and all(_is_text(one, 2_000) for one in fields)
            )
        case "header":
            return _is_text(block.get("text"), 150, kinds=("plain_text",))
        case "context":
            elements = block.get("elements", [])
            return 0 < len(elements) <= 10 and all(_is_text(one, 2_000) for one in elements)
        case "divider":
            return True
        case _:
            return False


def _is_text(one: Any, most: int, kinds: tuple[str, ...] = ("mrkdwn", "plain_text")) -> bool:
    if not isinstance(one, dict) or one.get("type") not in kinds:
        return False
    own = {"mrkdwn": "verbatim", "plain_text": "emoji"}[one["type"]]
    text = one.get("text")
    return set(one) <= {"type", "text", own} and isinstance(text, str) and 0 < len(text) <= most


def text_objects(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if isinstance(block.get("text"), dict):
            yield block["text"]
        yield from block.get("fields", [])
        yield from block.get("elements", [])


def unescaped(text: str) -> str:
    """As Slack shows it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def require_escaped(text: str) -> str:
    """Raises ValueError for an ampersand that isn't, which Slack asks for and doesn't check."""
    if _ENTITY.search(text):
        raise ValueError(text)
    return text


def labelled(text: str) -> str:
    """With the label of a link in its place."""
    return CONTROL.sub(lambda control: control[1].rpartition("|")[2], text)
