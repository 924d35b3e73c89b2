"""The list of tags that DKIM keys and DMARC records are written in: RFC 6376, section 3.2. Pure."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def read_tags(record: str) -> tuple[dict[str, str], list[str]]:
    """The tags in their order, the first of doubled ones; and what can't be read, in words."""
    tags: dict[str, str] = {}
    problems: list[str] = []
    for part in record.split(";"):
        part = part.strip()
        if not part:
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _NAME.fullmatch(name):
            problems.append(f"“{shown(part)}” is no tag")
        elif name in tags:
            problems.append(f"{name}= stands there twice")
        else:
            tags[name] = value
    return tags, problems


def shown(text: str, most: int = 60) -> str:
    """A piece of a record for a sentence: short, and printable."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
