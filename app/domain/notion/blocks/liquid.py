"""Liquid as Notion's editor leaves it, as Liquid: typographic quotes and signs made plain."""

from __future__ import annotations

import re

from app.domain.content.masking import Mask, pieces

_STRING = re.compile(
    r"[“”„‟\"](?P<double>[^“”„‟\"]*)[“”„‟\"]"
    r"|[‘’‚‛'](?P<single>(?:[^‘’‚‛']|(?<=\w)[’'](?=\w))*)[‘’‚‛']"
)
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("‘’‚‛", "'"),
        **dict.fromkeys("‐‑‒–—−", "-"),
        "≥": ">=",
        "≤": "<=",
        "≠": "!=",
        "…": "..",
        "\xa0": " ",
    }
)


def plain(liquid: str) -> str:
    """A tag or output with the quotes, dashes and blanks that Liquid knows.

    What is in a string stays as it is: `{{ name | default: “it’s you” }}` shows its apostrophe.
    """
    parts: list[str] = []
    end = 0
    for match in _STRING.finditer(liquid):
        quote = '"' if match["double"] is not None else "'"
        inner = match["double"] if quote == '"' else match["single"]
        if quote == "'":
            inner = inner.replace("'", "’")
        parts += liquid[end : match.start()].translate(_PLAIN), quote, inner, quote
        end = match.end()
    parts.append(liquid[end:].translate(_PLAIN))
    return "".join(parts).replace("\xa0", " ")


def plain_within(text: str) -> str:
    """A text with its Liquid made plain; the words between keep their typographic quotes."""
    return "".join(
        piece.text if piece.kind in ("static", "raw") else plain(piece.text)
        for piece in pieces(text)
    )


def is_whole(tags: list[str]) -> bool:
    """Whether the blocks of Liquid begin and end among these tags, all branches included.

    tags: their names, in order.
    """
    depth = 0
    for tag in tags:
        mask = Mask("", tag)
        if mask.opens:
            depth += 1
        elif tag.startswith("end"):
            depth -= 1
        elif mask.divides and not depth:
            return False
        if depth < 0:
            return False
    return depth == 0
