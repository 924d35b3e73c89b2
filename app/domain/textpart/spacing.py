"""Blanks in the text part between links, pictures and buttons, which a page shows apart without.

`<a>Shop</a><a>Blog</a>` are two buttons on the screen; in text their addresses would run together.
"""

from __future__ import annotations

import re

from app.domain.content.masking import Masks

EDGE = "\ufdd0"  # a code point that Unicode keeps for programs' own use
_AFTER_THESE = frozenset("([{<«‹„“”‚‘’\"'¿¡")
_BEFORE_THESE = frozenset(")]}>»›“”‘’\"'.,;:!?…%、。，")
# What follows such a tag in the source need not follow in the mail.
_ENDS_OF_BRANCHES = frozenset({"else", "elsif", "when", "endfor", "endtablerow"})


def edged(text: str) -> str:
    """The text of something that stands apart from its neighbours."""
    return f"{EDGE}{text}{EDGE}" if text.strip() else text


def without_edges(text: str) -> str:
    return text.replace(EDGE, "")


def apart(text: str, masks: Masks) -> str:
    """The text with a blank at each edge where words would run together, and without the edges.

    text: masked. Liquid that shows nothing by itself doesn't count as a neighbour.
    """
    out: list[str] = []
    last = " "  # the character shown before
    edge: int | None = None  # the place in `out` where a blank is due, should a word come next
    for piece in re.split(rf"({EDGE}+|{masks.token.pattern})", text):
        if not piece:
            continue
        if piece[0] == EDGE:
            if edge is None:
                edge = len(out)
                out.append("")
            continue
        token = masks.token.fullmatch(piece)
        shown = token is None or masks[piece].prints
        if edge is not None and (shown or masks[piece].tag in _ENDS_OF_BRANCHES):
            following = piece[0] if shown else "x"
            if _would_touch(last, following):
                out[edge] = last = " "
            edge = None
        out.append(piece)
        if shown:
            last = piece[-1]
    return "".join(out)


def _would_touch(last: str, following: str) -> bool:
    return not (
        last.isspace() or following.isspace() or last in _AFTER_THESE or following in _BEFORE_THESE
    )
