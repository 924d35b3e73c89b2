"""Notion's rich text as HTML: forms, links, mentions, and Liquid across pieces of different form.

Text is literal: escaped for HTML, and Markdown's marks mean nothing. Liquid stays Liquid.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Any, Literal, NamedTuple

from app.domain.assets.kept import Assets, Kept
from app.domain.assets.notion_hosts import is_notion_file
from app.domain.content.masking import Mask, pieces
from app.domain.notion.blocks import dates, equations, links
from app.domain.notion.blocks.colors import class_of
from app.domain.notion.blocks.liquid import is_whole, plain
from app.domain.notion.blocks.places import Notes, quote
from app.domain.notion.blocks.tree import address, sendable

Item = Mapping[str, Any]

_TAG = re.compile(r"\{%-?\s*(?P<name>\w*).*?%\}", re.DOTALL)
_MARKS = (
    ("bold", "strong"),
    ("italic", "em"),
    ("strikethrough", "s"),
    ("underline", "u"),
    ("code", "code"),
)


class Form(NamedTuple):
    """marks: names of elements. color: of Notion. link: an address, empty: none."""

    marks: tuple[str, ...] = ()
    color: str = "default"
    link: str = ""


PLAIN = Form()


@dataclass(frozen=True)
class Run:
    """A piece of one form. kind: text (not escaped), ready HTML, an output of Liquid, or a tag,
    which shows nothing."""

    kind: Literal["text", "html", "output", "tag"]
    text: str
    form: Form = PLAIN

    @property
    def tag(self) -> str:
        found = _TAG.match(self.text) if self.kind == "tag" else None
        return found["name"] if found else ""


@dataclass(frozen=True)
class Parted:
    """A text with the tags of Liquid around it, which stand outside of its element."""

    before: str
    runs: list[Run]
    after: str

    @property
    def wraps(self) -> bool:
        """Whether what the tags before open, the tags after close."""
        names = [found["name"] for found in _TAG.finditer(self.before + self.after)]
        return is_whole(names)


class RichText:
    """pictures: by their address in the tree. notes: get what can't be shown. colors, features: get
    what the style sheet must know."""

    def __init__(
        self,
        pictures: Assets,
        notes: Notes,
        colors: set[str],
        features: set[str],
    ) -> None:
        self._pictures = pictures
        self._notes = notes
        self._colors = colors
        self._features = features

    def runs(self, items: Sequence[Item] | None) -> list[Run]:
        """Rich text as pieces; a tag or an output of Liquid is one, however it is formatted."""
        runs: list[Run] = []
        for is_text, group in groupby(items or (), key=_is_text):
            if is_text:
                runs += self._of_texts([(_text(item), self._form(item)) for item in group])
            else:
                runs += [self._other(item) for item in group]
        return _merged(runs)

    def html(self, items: Sequence[Item] | None, *, links: bool = True) -> str:
        """links: whether they are; else the text has none, as it becomes one."""
        runs = self.runs(items)
        if not links:
            runs = [replace(run, form=run.form._replace(link="")) for run in runs]
        return self.inline(runs)

    def alternative(self, items: Sequence[Item] | None) -> str:
        """Rich text as the value of an attribute: without its forms, in one line."""
        parts = (escaped(run.text) if run.kind == "text" else run.text for run in self.runs(items))
        return " ".join(re.sub(r"<(?:br|/?em|img)[^<>]*>", " ", "".join(parts)).split())

    def inline(self, runs: Sequence[Run]) -> str:
        shown = ""
        for link, group in groupby(runs, key=lambda run: run.form.link):
            within = "".join(self._marked(run) for run in group)
            shown += f'<a href="{links.attribute(link)}">{within}</a>' if link else within
        return shown

    def _marked(self, run: Run) -> str:
        shown = escaped(run.text) if run.kind == "text" else run.text
        if run.kind == "tag":
            return shown
        if color := class_of(run.form.color):
            self._colors.add(run.form.color)
            shown = f'<span class="{color}">{shown}</span>'
        for mark in reversed(run.form.marks):
            shown = f"<{mark}>{shown}</{mark}>"
        return shown

    def _of_texts(self, parts: list[tuple[str, Form]]) -> Iterator[Run]:
        """Texts side by side, cut where Liquid and forms begin and end."""
        whole = "".join(text for text, _ in parts)
        ends = list(accumulate(len(text) for text, _ in parts))
        for piece in pieces(whole):
            form = parts[min(bisect_right(ends, piece.start), len(parts) - 1)][1]
            if piece.kind == "output" or (piece.kind == "tag" and Mask("", piece.tag).prints):
                yield Run("output", plain(piece.text), form)
            elif piece.kind == "tag":
                yield Run("tag", plain(piece.text))
            elif piece.kind == "raw":
                assert piece.match is not None
                yield Run("html", escaped(piece.match["raw"]), form)
            else:
                start = piece.start
                for place in range(bisect_right(ends, start), len(parts)):
                    end = min(ends[place], piece.end)
                    yield from self._static(whole[start:end], parts[place][1])
                    start = end
                    if end == piece.end:
                        break

    def _static(self, text: str, form: Form) -> Iterator[Run]:
        """Text, and what begins a comment or `raw` that ends in another block."""
        end = 0
        for tag in _TAG.finditer(text):
            yield Run("text", text[end : tag.start()], form)
            yield Run("tag", plain(tag[0]))
            end = tag.end()
        text = text[end:]
        if unclosed := re.search(r"\{\{|\{%", text):
            self._notes.fail(
                f"{quote(text[unclosed.start() :])} is never closed.",
                "Write }} or %} behind it, in the same block.",
            )
        yield Run("text", text, form)

    def _form(self, item: Item) -> Form:
        style = item.get("annotations") or {}
        marks = tuple(element for name, element in _MARKS if style.get(name))
        given = item.get("text") or {}
        link = str(item.get("href") or (given.get("link") or {}).get("url") or "").strip()
        color = str(style.get("color") or "default")
        return Form(marks, color, self.link(link, _text(item)))

    def link(self, url: str, shown: str) -> str:
        """The address if readers can open it, else none, and a note."""
        if is_notion_file(url):
            self._notes.fail(
                f"{quote(shown)} links to a file at Notion, whose address ends within the hour.",
                "Put the file where everybody can open it, and link to it there.",
            )
            return ""
        if not url or (links.is_open_to_all(url) and not links.is_in_notion(url)):
            return url
        if links.is_in_notion(url):
            self._notes.warn(
                f"{quote(shown)} links to a page in Notion, which readers may not be able to "
                "open; the link is left out.",
                "Publish the page and use its public address, or leave it so.",
            )
        else:
            self._notes.warn(
                f"{quote(shown)} has a link that mail programs don't open ({quote(url)}); it is "
                "left out.",
                "Use an address that begins with https://, mailto: or tel:.",
            )
        return ""

    def _other(self, item: Item) -> Run:
        """A mention or an equation."""
        form = self._form({**item, "href": None, "text": None})
        said = _text(item)
        if item.get("type") == "equation":
            expression = str((item.get("equation") or {}).get("expression") or said)
            return Run("html", f"<em>{escaped(equations.readable(expression))}</em>", form)
        mention = item.get("mention") or {}
        of = mention.get(str(mention.get("type"))) or {}
        match mention.get("type"):
            case "date":
                said = dates.shown(of) or said
            case "custom_emoji":
                return Run("html", self.emoji(mention, said or f":{of.get('name') or ''}:"), form)
            case "link_preview" | "link_mention":
                url = str(of.get("url") or of.get("href") or item.get("href") or "")
                said = str(of.get("title") or "") or said or links.readable(url)
                form = form._replace(link=self.link(url, said))
            case "page" | "database" | "data_source":
                self.link(str(item.get("href") or "/"), said)
            case "template_mention":
                self._notes.warn(f"{quote(said)} is filled in by Notion's templates only.")
        return Run("html", escaped(said), form)

    def emoji(self, media: Mapping[str, Any], name: str) -> str:
        """An emoji of the workspace."""
        kept = self._pictures.get(address(media))
        if not isinstance(kept, Kept):
            self._notes.warn(
                f"the emoji {quote(name)} has no picture; its name stands there."
                if name
                else "the icon's picture can't be had; it is left out."
            )
            return escaped(name)
        self._features.add("emoji")
        return (
            f'<img class="n-emoji" src="{links.attribute(kept.url)}" alt="{escaped(name)}" '
            'width="20" height="20">'
        )


def parted(runs: list[Run]) -> Parted:
    """The runs, with the tags they begin and end with taken out, so far as the rest stays whole.

    An element with nothing but a tag of Liquid in it would be an empty line in the mail, and a
    block of Liquid that begins in one element and ends in another would tear them.
    """
    first, last = 0, len(runs)
    while first < last and is_silent(runs[first]):
        first += 1
    while last > first and is_silent(runs[last - 1]):
        last -= 1
    if first == last:
        return Parted(_tags(runs), [], "")
    starts = [place for place in range(first, -1, -1) if place == 0 or runs[place - 1].tag]
    ends = [place for place in range(last, len(runs) + 1) if place == len(runs) or runs[place].tag]
    for start in starts:
        for end in ends:
            if is_whole([run.tag for run in runs[start:end] if run.tag]):
                return Parted(_tags(runs[:start]), runs[start:end], _tags(runs[end:]))
    return Parted("", runs, "")


def escaped(text: str) -> str:
    """Text in HTML, its line breaks too; no Liquid, whatever is in it."""
    text = html.escape(sendable(text)).replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\n", "<br>")
    return re.sub(r"\{(?=[{%]|\Z)", "&#123;", text)


def is_silent(run: Run) -> bool:
    """Whether nothing of it is seen."""
    return run.kind == "tag" or (run.kind == "text" and not run.text.strip())


def _tags(runs: list[Run]) -> str:
    return "".join(run.text for run in runs if run.kind == "tag")


def _is_text(item: Item) -> bool:
    return item.get("type", "text") == "text" or item.get("type") not in ("mention", "equation")


def _text(item: Item) -> str:
    given = item.get("text") or {}
    return str(item.get("plain_text") or given.get("content") or "")


def _merged(runs: list[Run]) -> list[Run]:
    """The runs, those of one form side by side as one, without empty ones."""
    merged: list[Run] = []
    for run in runs:
        if not run.text:
            continue
        last = merged[-1] if merged else None
        if last and last.kind == run.kind == "text" and last.form == run.form:
            merged[-1] = replace(last, text=last.text + run.text)
        else:
            merged.append(run)
    return merged
