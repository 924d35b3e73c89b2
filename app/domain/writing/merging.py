"""Two versions of one text, put together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

MAX_LINES = 4_000
"""Comparing takes time by the square of it."""


@dataclass(frozen=True)
class Piece:
    """Lines that both have, or in which they differ. mine, theirs: equal in the former."""

    mine: tuple[str, ...]
    theirs: tuple[str, ...]

    @property
    def same(self) -> bool:
        return self.mine == self.theirs


def pieces(mine: str, theirs: str) -> list[Piece]:
    """Both texts from the first to the last line."""
    one, other = mine.split("\n"), theirs.split("\n")
    if len(one) + len(other) > MAX_LINES:
        return [Piece(tuple(one), tuple(other))]
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return [Piece(tuple(one[a:b]), tuple(other[c:d])) for _, a, b, c, d in matcher.get_opcodes()]


def both(compared: list[Piece]) -> str:
    """Every line of both once: theirs before mine where they differ."""
    lines: list[str] = []
    for piece in compared:
        lines += piece.theirs
        if not piece.same:
            lines += piece.mine
    return "\n".join(lines)
