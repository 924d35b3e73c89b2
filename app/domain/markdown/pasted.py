"""Markdown as Notion, Google Docs and people write it, as CommonMark means it.

What these rules change would otherwise stand there as marks, or fall apart into several lists; what
is written by the rules of CommonMark stays as it is. Lines keep their places, so far as nothing is
added to them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.domain.content.masking import Masks

_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})")
_ITEM = re.compile(r"(?P<indent>[ \t]*)(?P<marker>[-+*]|\d{1,9}[.)])(?P<gap>[ \t]+)(?=\S)")
_RULE = re.compile(r"[ \t]*(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
_HEADING_ID = re.compile(r"(#{1,6}[ \t].*?)[ \t]*\{#[\w-]+\}[ \t]*$")  # Google Docs
_ASIDE = re.compile(r"[ \t]*<(?P<close>/?)aside\b[^<>]*>[ \t]*$", re.IGNORECASE)  # Notion
_CODE_OR_PAIR = re.compile(
    r"(?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))|(?P<escape>\\.)"
    r"|(?P<mark>(?<!\*)\*\*(?!\*)|(?<!~)~~(?!~))",
    re.DOTALL,
)
_TAB = 4  # columns


def as_meant(source: str, masks: Masks) -> str:
    """The source, where it isn't CommonMark, as CommonMark. source: masked."""
    lines: list[str] = []
    lists = _Lists()
    fence = ""
    paragraph: list[int] = []  # the places in `lines` of the paragraph so far
    for line in source.splitlines(keepends=True):
        text = line.rstrip("\r\n")
        mark = _FENCE.match(text)
        if fence:
            closes = mark and mark["fence"].startswith(fence) and text.strip() == mark["fence"]
            fence = "" if closes else fence
            lines.append(lists.moved(line))
            continue
        if mark:
            fence = mark["fence"]
            lists.enter(text)
            lines.append(lists.moved(line))
            paragraph = []
            continue
        if aside := _ASIDE.match(text):
            lines.append("\n</div>\n\n" if aside["close"] else '\n<div class="callout">\n\n')
            lists, paragraph = _Lists(), []
            continue
        if masks.is_silent(text):
            lists = _Lists()
            lines.append(line)
            paragraph = []
            continue
        line = lists.placed(text) + line[len(text) :]
        line = _HEADING_ID.sub(r"\1", line)
        lines.append(line)
        if not text.strip():
            _tighten(lines, paragraph)
            paragraph = []
        else:
            paragraph.append(len(lines) - 1)
    _tighten(lines, paragraph)
    return "".join(lines)


# Lists


@dataclass
class _Item:
    """An item of a list: the columns of its marker in the source and as moved, and of its text."""

    written: int
    marker: int
    content: int


class _Lists:
    """Moves lines so that what is deeper than an item is inside of it: two blanks below `1.`, or a
    tab and more below `-`."""

    def __init__(self) -> None:
        self._items: list[_Item] = []
        self._after_blank = False
        self._shift = 0

    def placed(self, text: str) -> str:
        if not text.strip():
            self._after_blank = True
            return text
        item = None if _RULE.match(text) else _ITEM.match(text)
        text = self._item(text, item) if item else self._other(text)
        self._after_blank = False
        return text

    def enter(self, text: str) -> None:
        """A block of code begins with this line."""
        self._shift = len(_expanded(self.placed(text))) - len(_expanded(text))

    def moved(self, line: str) -> str:
        """A line of code."""
        return line if not self._shift or not line.strip() else f"{' ' * self._shift}{line}"

    def _item(self, text: str, item: re.Match[str]) -> str:
        written = _columns(item["indent"])
        while self._items and written <= self._items[-1].written:
            self._items.pop()
        if not self._items:
            if written > 3:
                return text  # code
            marker = written
        else:
            around = self._items[-1]
            marker = written + around.marker - around.written
            if not around.content <= marker < around.content + _TAB:
                marker = around.content
        gap = _columns(item["gap"])
        gap = gap if gap <= _TAB else 1  # more is code in the item
        self._items.append(_Item(written, marker, marker + len(item["marker"]) + gap))
        if marker == written:
            return text
        return " " * marker + text[item.start("marker") :]

    def _other(self, text: str) -> str:
        indent = re.match(r"[ \t]*", text)
        written = _columns(indent[0]) if indent else 0
        if self._after_blank and not written:
            self._items = []
        within = [each for each in self._items if each.written < written]
        if not within or not indent or not self._after_blank:
            return text  # a line of the text before it may stand anywhere
        inside = [each for each in within if written + each.marker - each.written >= each.content]
        self._items = inside or within[:1]
        around = self._items[-1]
        column = max(around.content, written + around.marker - around.written)
        return text if column == written else " " * column + text[indent.end() :]


def _expanded(text: str) -> str:
    return text.expandtabs(_TAB)


def _columns(blanks: str) -> int:
    return len(blanks.expandtabs(_TAB))


# Emphasis


def _tighten(lines: list[str], places: list[int]) -> None:
    """`**bold **text` as `**bold** text`: blanks at the inside of a pair of marks go outside."""
    if not places:
        return
    text = "".join(lines[place] for place in places)
    if "**" not in text and "~~" not in text:
        return
    if re.match(r" {0,3}<[a-zA-Z!/?]", text) or (text.startswith(("    ", "\t")) and len(places)):
        return  # HTML, or code
    tight = _tightened(text)
    if tight != text:
        lines[places[0] : places[-1] + 1] = [tight, *[""] * (len(places) - 1)]


def _tightened(text: str) -> str:
    opened: dict[str, re.Match[str]] = {}
    moves: list[tuple[int, int, str]] = []
    for match in _CODE_OR_PAIR.finditer(text):
        mark = match["mark"]
        if not mark:
            continue
        if mark not in opened:
            opened[mark] = match
            continue
        start = opened.pop(mark)
        inside = text[start.end() : match.start()]
        left = inside[: len(inside) - len(inside.lstrip(" \t"))]
        right = inside[len(inside.rstrip(" \t")) :]
        if bool(left) == bool(right) or "|" in inside:
            continue  # as it should be, or marks that mean something else: 2 ** 3 ** 4
        moves += [
            (start.start(), start.end() + len(left), left + mark),
            (match.start() - len(right), match.end(), mark + right),
        ]
    for begin, end, new in sorted(moves, reverse=True):
        text = text[:begin] + new + text[end:]
    return text
