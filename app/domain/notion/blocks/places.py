"""Where on a page a block stands, in words by which its author finds it; and what was found."""

from __future__ import annotations

from app.domain.notion.blocks.tree import Block, kind, sendable, text
from app.domain.reports.findings import Finding

_QUOTED_CHARS = 40
_NAMES = {
    "paragraph": "paragraph",
    "bulleted_list_item": "list item",
    "numbered_list_item": "list item",
    "to_do": "to-do",
    "image": "picture",
    "pdf": "PDF",
    "column_list": "row of columns",
    "synced_block": "synced block",
    "child_page": "page",
    "child_database": "database",
    "link_to_page": "link to a page",
    "table_of_contents": "table of contents",
    "link_preview": "link preview",
    "table_row": "table row",
    "meeting_notes": "meeting notes",
    "code": "code block",
}


def name(block: Block) -> str:
    """What people call a block of its type."""
    if kind(block).startswith("heading_"):
        return "heading"
    return _NAMES.get(kind(block)) or kind(block).replace("_", " ") or "block"


def quote(words: str) -> str:
    """The beginning of a text, in quotation marks."""
    words = " ".join(sendable(words).split())
    if len(words) > _QUOTED_CHARS:
        words = words[: _QUOTED_CHARS - 1].rstrip() + "…"
    return f"“{words}”"


class Places:
    """Follows a reader through a page: blocks are numbered as they are read, each before its
    children."""

    def __init__(self) -> None:
        self.number = 0
        self._around: list[Block] = []
        self._heading = ""
        self._before = ""

    def enter(self, block: Block) -> None:
        self.number += 1
        self._around.append(block)

    def leave(self) -> None:
        block = self._around.pop()
        if kind(block).startswith("heading_") and text(block):
            self._heading = text(block)
        self._before = text(block) or self._before

    def __str__(self) -> str:
        """`Block 12, in the toggle “More”`."""
        place = f"Block {self.number}"
        named = [each for each in self._around[:-1] if text(each) and kind(each) != "table_row"]
        if named:
            return f"{place}, in the {name(named[-1])} {quote(text(named[-1]))}"
        if self._around and text(self._around[-1]):
            return f"{place}, {quote(text(self._around[-1]))}"
        if self._heading:
            return f"{place}, below the heading {quote(self._heading)}"
        return f"{place}, after {quote(self._before)}" if self._before else place


class Notes:
    """What is found on the way, each with its place; the same at one place once."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._found: dict[Finding, None] = {}

    def fail(self, what: str, remedy: str) -> None:
        """It stops the send."""
        self._found[Finding("fail", f"{self._places}: {what}", remedy)] = None

    def warn(self, what: str, remedy: str = "") -> None:
        self._found[Finding("warn", f"{self._places}: {what}", remedy)] = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._found)
