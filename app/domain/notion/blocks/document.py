"""A page of Notion as the body of a mail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.domain.assets.kept import Assets
from app.domain.notion.blocks import colors, equations
from app.domain.notion.blocks.media import LAYOUT, Media
from app.domain.notion.blocks.places import Notes, Places, name
from app.domain.notion.blocks.richtext import Parted, RichText, escaped, is_silent, parted
from app.domain.notion.blocks.tables import Cell, table
from app.domain.notion.blocks.tree import (
    VANISHED,
    Block,
    Tree,
    children,
    kind,
    rich_text,
    shown,
    value,
)
from app.domain.reports.findings import Finding

WIDTH = 600
"""Pixels of the frame's text (`.mail` in content/markup.py)."""
_INSET = 24
_LISTS = {"bulleted_list_item": "ul", "numbered_list_item": "ol", "to_do": "ul"}
_TYPES = {"letters": "a", "roman": "i"}
_BOXES = {True: "☑\xa0", False: "☐\xa0"}


@dataclass(frozen=True)
class Document:
    """markdown: HTML, one block in each paragraph of it, for a mailout's `body_markdown`. findings:
    what isn't shown as in Notion, with its place; one of level `fail` stops the send."""

    markdown: str
    findings: tuple[Finding, ...]

    @property
    def is_sendable(self) -> bool:
        return all(finding.level != "fail" for finding in self.findings)


def document(tree: Tree, pictures: Assets | None = None) -> Document:
    """A page's blocks, as `read_page` gives them, as HTML that Markdown lets through.

    pictures: what KeepPictures made of those that `pictures_of`, `files_of` and `video_pictures_of`
    name, by their addresses. One that wasn't kept stops the send; one that isn't named is used as
    it is, if it doesn't lie with Notion; a video without its picture is a card.
    """
    places = Places()
    writer = _Writer(pictures or {}, places)
    blocks = writer.blocks(shown(tree), WIDTH)
    style = colors.style(writer.colors, writer.features)
    markdown = "\n\n".join(part for part in (style, *blocks) if part)
    if not blocks and not writer.notes.findings:
        empty = Finding("fail", "The page is empty.", "Write the newsletter on it.")
        return Document("", (empty,))
    return Document(markdown, writer.notes.findings)


class _Writer:
    """Writes blocks as HTML; each is one or more lines, none of them empty."""

    def __init__(self, pictures: Assets, places: Places) -> None:
        self.places = places
        self.notes = Notes(places)
        self.colors: set[str] = set()
        self.features: set[str] = set()
        self.rich = RichText(pictures, self.notes, self.colors, self.features)
        self.media = Media(pictures, self.notes, self.rich, self.features)
        self._blocks: dict[str, Callable[[Block, int], list[str]]] = {
            "paragraph": self._paragraph,
            "heading_1": self._heading,
            "heading_2": self._heading,
            "heading_3": self._heading,
            "heading_4": self._heading,
            "quote": self._quote,
            "callout": self._callout,
            "toggle": self._toggle,
            "code": self._code,
            "equation": self._equation,
            "divider": lambda *_: ["<hr>"],
            "table": self._table,
            "table_row": self._nothing,
            "column_list": self._columns,
            "column": self._children,
            "synced_block": self._synced,
            "tab": self._tabs,
            "image": self.media.picture,
            "video": self.media.video,
            "audio": self.media.file,
            "file": self.media.file,
            "pdf": self.media.file,
            "bookmark": self.media.link,
            "embed": self.media.link,
            "link_preview": self.media.link,
            "child_page": self._page,
            "child_database": self._page,
            "link_to_page": self._page,
            "table_of_contents": self._left_out,
            "breadcrumb": self._left_out,
            "template": self._left_out,
            "meeting_notes": self._left_out,
            "transcription": self._left_out,
        }

    def blocks(self, tree: Sequence[Block], width: int, depth: int = 0) -> list[str]:
        """width: pixels. depth: of lists around them, which number their items in turn."""
        parts: list[str] = []
        for tag, group in groupby(tree, key=lambda block: _LISTS.get(kind(block), "")):
            if not tag:
                for block in group:
                    parts += self._block(block, width)
                continue
            for _, items in groupby(group, key=kind):
                parts += self._list(list(items), width, depth)
        return parts

    def _block(self, block: Block, width: int) -> list[str]:
        self.places.enter(block)
        write = self._blocks.get(kind(block), self._unknown)
        parts = write(block, width)
        if block.get(VANISHED):
            self.notes.fail(
                f"what is in this {name(block)} was gone when it was to be read.",
                "Set the status again when nobody is moving blocks.",
            )
        self.places.leave()
        return parts

    # Text

    def _paragraph(self, block: Block, width: int) -> list[str]:
        icon = self.media.icon(block)
        return [*self._text("p", block, f"{icon}\xa0" * bool(icon)), *self._inset(block, width)]

    def _heading(self, block: Block, width: int) -> list[str]:
        if kind(block) == "heading_4":
            self.features.add("heading_4")
        parts = self._text(f"h{kind(block)[-1]}", block)
        return [*parts, *self.blocks(children(block), width)]

    def _toggle(self, block: Block, width: int) -> list[str]:
        return [*self._text("p", block, "▾\xa0"), *self._inset(block, width)]

    def _quote(self, block: Block, width: int) -> list[str]:
        whole = parted(self.rich.runs(rich_text(block)))
        words = self.rich.inline(whole.runs)
        within = self.blocks(children(block), width - _INSET)
        if words:
            within = [f"<p>{words}</p>" if within else words, *within]
        return self._around(whole, f"<blockquote{self._class(block)}>", within, "</blockquote>")

    def _text(self, tag: str, block: Block, before: str = "") -> list[str]:
        """The block's own words in an element. before: HTML."""
        whole = parted(self.rich.runs(rich_text(block)))
        words = before * bool(whole.runs) + self.rich.inline(whole.runs)
        shown = f"<{tag}{self._class(block)}>{words}</{tag}>" if words else ""
        return [part for part in (whole.before, shown, whole.after) if part]

    def _inset(self, block: Block, width: int) -> list[str]:
        within = self.blocks(children(block), width - _INSET)
        if not within:
            return []
        self.features.add("inset")
        return ['<div class="n-inset">\n' + "\n".join(within) + "\n</div>"]

    def _children(self, block: Block, width: int) -> list[str]:
        return self.blocks(children(block), width)

    def _around(self, whole: Parted, start: str, within: list[str], end: str) -> list[str]:
        """A box, with the Liquid of its own text around it where that begins and ends there."""
        if not whole.wraps:
            within = [part for part in (whole.before, *within, whole.after) if part]
        box = "\n".join([start, *within, end]) if within else ""
        if not whole.wraps:
            return [box] if box else []
        return [part for part in (whole.before, box, whole.after) if part]

    def _class(self, block: Block, *names: str) -> str:
        """The class attribute of a block with a colour. names: of a cell of a box, which always has
        a background."""
        color = str(value(block).get("color") or "default")
        classes = list(names)
        if names and not colors.is_background(color):
            self.colors.add("gray_background")
            classes.append(colors.class_of("gray_background"))
        if of_color := colors.class_of(color):
            self.colors.add(color)
            classes.append(of_color)
            if colors.is_background(color) and not names:
                self.features.add("tint")
                classes.append("n-tint")
        return f' class="{" ".join(classes)}"' if classes else ""

    def _code(self, block: Block, width: int) -> list[str]:
        runs = self.rich.runs(rich_text(block))
        words = self.rich.inline(runs).replace("<br>", "&#10;")
        shown = f"<pre><code>{words}</code></pre>" if words else ""
        caption = self.rich.html(value(block).get("caption"))
        if not caption:
            return [shown] if shown else []
        self.features.add("code")
        return [f'<figure class="n-code">{shown}<figcaption>{caption}</figcaption></figure>']

    def _equation(self, block: Block, width: int) -> list[str]:
        expression = str(value(block).get("expression") or "")
        self.features.add("math")
        words = escaped(equations.readable(expression))
        return [f'<p class="n-math">{words}</p>'] if words else []

    def _tabs(self, block: Block, width: int) -> list[str]:
        """Below each other, as a mail has no other page to turn to: their names, in bold."""
        parts: list[str] = []
        for tab in children(block):
            if kind(tab) != "paragraph":
                parts += self.blocks([tab], width)
                continue
            self.places.enter(tab)
            icon, words = self.media.icon(tab), self.rich.html(rich_text(tab))
            name_of = f"{icon}\xa0{words}" if icon and words else icon or words
            parts += [f"<p><strong>{name_of}</strong></p>"] if name_of else []
            parts += self.blocks(children(tab), width)
            self.places.leave()
        return parts

    # Lists

    def _list(self, items: list[Block], width: int, depth: int) -> list[str]:
        tag = _LISTS[kind(items[0])]
        parts = [f"<{tag}{self._numbering(items[0], depth)}>"]
        for item in items:
            parts += self._item(item, width - _INSET, depth)
        return ["\n".join([*parts, f"</{tag}>"])]

    def _numbering(self, first: Block, depth: int) -> str:
        if kind(first) == "to_do":
            self.features.add("todo")
            return ' class="contains-task-list n-todo"'
        if kind(first) != "numbered_list_item":
            return ""
        content = value(first)
        formats = ("numbers", "letters", "roman")
        written = str(content.get("list_format") or formats[depth % 3])
        start = content.get("list_start_index")
        kind_of = f' type="{_TYPES[written]}"' if written in _TYPES else ""
        return kind_of + (f' start="{int(start)}"' if start and start != 1 else "")

    def _item(self, block: Block, width: int, depth: int) -> list[str]:
        self.places.enter(block)
        whole = parted(self.rich.runs(rich_text(block)))
        box = _BOXES[bool(value(block).get("checked"))] if kind(block) == "to_do" else ""
        words = self.rich.inline(whole.runs)
        numbered = kind(block) == "numbered_list_item"
        within = self.blocks(children(block), width, depth + 1 if numbered else 0)
        self.places.leave()
        if not words and not within and whole.before:
            return [whole.before]
        start = f"<li{self._class(block)}>{box}{words}"
        if within:
            return self._around(whole, start, within, "</li>")
        return [part for part in (whole.before, f"{start}</li>", whole.after) if part]

    # Boxes

    def _callout(self, block: Block, width: int) -> list[str]:
        self.features.add("box")
        whole = parted(self.rich.runs(rich_text(block)))
        words = self.rich.inline(whole.runs)
        icon = self.media.icon(block)
        within = [f"<p>{words}</p>"] if words else []
        within += self.blocks(children(block), width - 3 * _INSET)
        if not (within or icon or whole.before):
            return []
        cell = f"<td{self._class(block, 'n-icon')}>{icon}</td>" if icon else ""
        body = f"<td{self._class(block, 'n-body')}>"
        start = f'<table class="n-box" {LAYOUT}><tr>{cell}{body}'
        return self._around(whole, start, within or ["<br>"], "</td></tr></table>")

    def _columns(self, block: Block, width: int) -> list[str]:
        """Side by side in a table, which every mail program knows; below each other on a phone."""
        found = [each for each in children(block) if kind(each) == "column"]
        ratios = [_ratio(each, len(found)) for each in found]
        cells: list[str] = []
        gap = _INSET
        for place, (column, ratio) in enumerate(zip(found, ratios, strict=True)):
            share = ratio / sum(ratios)
            within = self._block(column, round(share * (width - gap * (len(found) - 1))))
            left = round(gap * place / len(found))
            right = round(gap * (len(found) - 1 - place) / len(found))
            cells.append(
                f'<td class="n-column" width="{round(100 * share)}%" '
                f'style="padding:0 {right}px 0 {left}px">\n' + "\n".join(within) + "\n</td>"
            )
        if not cells:
            return []
        self.features.add("columns")
        return [f'<table class="n-columns" {LAYOUT}><tr>\n' + "\n".join(cells) + "\n</tr></table>"]

    def _table(self, block: Block, width: int) -> list[str]:
        content = value(block)
        return table(
            [self._cells(row) for row in children(block)],
            header_row=bool(content.get("has_column_header")),
            header_column=bool(content.get("has_row_header")),
        )

    def _cells(self, row: Block) -> list[Cell]:
        self.places.enter(row)
        cells = []
        for cell in value(row).get("cells") or ():
            runs = self.rich.runs(cell)
            cells.append(Cell(self.rich.inline(runs), all(is_silent(run) for run in runs)))
        self.places.leave()
        return cells

    def _synced(self, block: Block, width: int) -> list[str]:
        within = self.blocks(children(block), width)
        source = value(block).get("synced_from")
        if source and not within:
            self.notes.fail(
                "the original of this synced block can't be read.",
                "Share its page with the connection, or unsync it (⋯, Unsync).",
            )
        return within

    # What isn't shown

    def _page(self, block: Block, width: int) -> list[str]:
        content = value(block)
        title = str(content.get("title") or "")
        public = str(content.get("public_url") or "")
        if public:
            return self.media.card(public, escaped(title))
        self.notes.warn(
            f"the {name(block)} is a page in Notion, which readers can't open; the mail has its "
            f"{'title' if title else 'place'} only.",
            "Publish the page and link to its public address, or take it away.",
        )
        return [f"<p>{escaped(title)}</p>"] if title else []

    def _left_out(self, block: Block, width: int) -> list[str]:
        self.notes.warn(
            f"a {name(block)} means nothing in a mail; it is left out."
            if kind(block) != "meeting_notes"
            else "meeting notes are left out of the mail."
        )
        return []

    def _unknown(self, block: Block, width: int) -> list[str]:
        of = kind(block)
        if of == "unsupported":
            of = str(value(block).get("block_type") or "")
        what = f"a block of the type “{of}” is" if of else "a block here is"
        self.notes.fail(
            f"{what} shown in Notion alone, so the mail would lack it.",
            "Replace it by text, a picture or a link, or take it away.",
        )
        return []

    def _nothing(self, block: Block, width: int) -> list[str]:
        return []


def _ratio(column: Block, count: int) -> float:
    ratio = value(column).get("width_ratio")
    return float(ratio) if isinstance(ratio, (int, float)) and ratio > 0 else 1 / count
