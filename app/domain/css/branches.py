"""One pass over masked HTML: its start tags, and the branches of Liquid that they stand on.

One template makes many mails, each with other branches of its `if` and other rounds of its `for`.
Where an element begins and ends that one branch opens and another one closes isn't known.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from itertools import takewhile

from app.domain.content.markup import ATTRIBUTE, MARKUP, VOID, is_start_tag
from app.domain.content.masking import Mask, Masks

Path = tuple[int, ...]
"""The branches of Liquid around a place, outermost first, each with a number of its own."""

# Browsers make these, and close them at the end, whatever the source says.
ROOTS = ("html", "head", "body")
# The attribute with a tag's number, and what numbers of tags that Liquid writes begin with.
NUMBER, OTHER = "data-number", "other"
# Words in place of Liquid's output: of text that may be empty, and of what may be elements.
OUTPUT, ELEMENTS = "output", "elements"
# Which start tags end an open element (_ENDED_BY), and inside of which elements they end only what
# is open there (_BARRIERS). Source: the HTML standard, "tree construction".
_CELL, _ROW, _GROUP = {"td", "th"}, {"tr"}, {"tbody", "thead", "tfoot", "caption", "colgroup"}
_TABLE_PARTS = _CELL | _ROW | _GROUP
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_ENDS_P = {
    *_HEADINGS,
    *("address", "article", "aside", "blockquote", "center", "dd", "details", "dialog", "dir"),
    *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr"),
    *("li", "listing", "main", "menu", "nav", "ol", "p", "plaintext", "pre", "search"),
    *("section", "summary", "table", "ul", "xmp"),
}
_ENDED_BY = {
    "p": _ENDS_P,
    "li": {"li"},
    **{name: {"dd", "dt"} for name in ("dd", "dt")},
    **{name: {name} for name in ("a", "button", "nobr")},
    **dict.fromkeys(_HEADINGS, _HEADINGS),
    **dict.fromkeys(_CELL, _TABLE_PARTS),
    **dict.fromkeys(_ROW, _ROW | _GROUP),
    **dict.fromkeys(_GROUP, _GROUP),
}
_AROUND_TEXT = {*_CELL, "caption", "button"}
_BARRIERS = {
    **dict.fromkeys(_TABLE_PARTS, frozenset[str]()),
    **{name: {"ul", "ol", "menu", "dl", *_AROUND_TEXT} for name in ("li", "dd", "dt")},
}
UNKNOWN = "x-unknown"  # the name of <h{{ level }}>
# The beginning of a tag that MARKUP doesn't match, though browsers may take it for one.
_BROKEN_TAG = re.compile(r"</?[a-z]", re.IGNORECASE)


@dataclass(eq=False)
class Tag:
    """A start tag. The fields mean what they do in `skeleton.Element`."""

    name: str
    attributes: dict[str, str]
    unsure: frozenset[str] | None
    path: Path
    captures: int
    raw: bool = False  # <textarea> and the like: its content isn't looked at
    unsure_nesting: bool = False
    may_end_early: bool = False


@dataclass(eq=False)
class _Open:
    """An element that is open at a place of the source.

    piece: the index of its start tag in `Scan.pieces`. number: of its start tag. branches: how many
    there had been when it was opened. ends: the elements that its start tag ends. maybe_open: it is
    open here in some mails only, by a branch before.
    """

    name: str
    piece: int
    number: int
    branches: int
    ends: list[_Open] = field(default_factory=list)
    maybe_open: bool = False


@dataclass
class _Block:
    """A Liquid block. before: the elements open at its start. ends: those open at the end of each
    branch."""

    tag: str
    before: list[_Open]
    ends: list[list[_Open]] = field(default_factory=list)


class Scan:
    """One pass over the source.

    pieces: HTML for the browser's parser, with numbered tags. In place of a text stands the index
    of its path in `paths`, in place of Liquid's output a word. The tags of elements that some
    branches of Liquid open and others close are left out. unsure_root: `Element.unsure_nesting` of
    html, head and body.
    """

    def __init__(self, masks: Masks, source: str) -> None:
        self.tags: list[Tag] = []
        self.others: list[Tag] = []  # those that Liquid writes, as far as they are known
        self.pieces: list[str] = []
        self.paths: list[Path] = [()]
        self._masks = masks
        self._stack: list[_Open] = []
        self._blocks: list[_Block] = []
        self._path: list[int] = []
        self._branches = 0
        self._captures = 0
        self._html_variables = _html_variables(masks)
        self._broken = False
        self.unsure_root = False
        end = 0
        for match in MARKUP.finditer(source):
            self._text(source[end : match.start()])
            self._markup(match)
            end = match.end()
        self._text(source[end:])
        self._close(0, None)

    # Text

    def _text(self, text: str) -> None:
        end = 0
        for token in self._masks.token.finditer(text):
            self._literal(text[end : token.start()])
            self._liquid(self._masks[token[0]], shown=True)
            end = token.end()
        self._literal(text[end:])

    def _literal(self, text: str) -> None:
        if _BROKEN_TAG.search(text):
            self._break()
        if text.strip():
            self.pieces.append(f" {len(self.paths) - 1} ")
        elif text:
            self.pieces.append(" ")

    def _break(self) -> None:
        """From here on it isn't known which element is inside of which."""
        self._broken = self.unsure_root = True
        for opened in self._stack:
            self.tags[opened.number].unsure_nesting = True

    # Liquid

    def _liquid(self, mask: Mask, *, shown: bool = False) -> None:
        """shown: it stands in the text, where what it prints counts."""
        tag = mask.tag or ""
        if tag not in ("comment", "doc", "#"):
            self._written(mask.liquid)
        if mask.opens:
            self._blocks.append(_Block(tag, list(self._stack)))
            self._path.append(0)
            self._captures += tag == "capture"
            self._branch()
            if tag == "tablerow" and shown:
                for name in ("tr", "td"):
                    self.pieces.append(f"<{name} {NUMBER}={OTHER}{len(self.others)}>")
                    self.others.append(Tag(name, {}, None, tuple(self._path), self._captures))
        elif tag.startswith("end") and self._blocks:
            self._end(self._blocks.pop())
            if tag == "endtablerow" and shown:
                self.pieces.append("</td></tr>")
        elif mask.divides and self._blocks:
            self._blocks[-1].ends.append(self._stack)
            self._stack = list(self._blocks[-1].before)
            self._branch()
        elif tag in ("break", "continue"):
            self._leave_loop()
        elif mask.may_print and shown:
            self.pieces.append(
                f" {ELEMENTS if _may_make_elements(mask, self._html_variables) else OUTPUT} "
            )

    def _written(self, liquid: str) -> None:
        """Note the tags in Liquid's own strings; where they will be shown isn't known."""
        if "newline_to_br" in liquid:
            self.others.append(Tag("br", {}, frozenset(), (), 0))
        for match in MARKUP.finditer(liquid) if "<" in liquid else ():
            if is_start_tag(match):
                self.others.append(Tag(*_attributes(match, self._masks), (), 0))

    def _branch(self) -> None:
        self._branches += 1
        self._path[-1] = self._branches
        self.paths.append(tuple(self._path))

    def _end(self, block: _Block) -> None:
        self._captures -= block.tag == "capture"
        self._path.pop()
        self._branches += 1
        self.paths.append(tuple(self._path))
        # Any block may have no part in a mail, so `before` is one of the ways it can end.
        ends = [*block.ends, self._stack, block.before]
        if all(end == block.before for end in ends):
            self._stack = block.before
            return
        same = sum(1 for _ in takewhile(lambda each: len(set(each)) == 1, zip(*ends, strict=False)))
        self._stack = block.before[:same]
        for end in ends:
            for each in end[same:]:
                self._leave_out(each)
        longest = max(ends, key=len)[same:]
        self._stack += [
            replace(each, branches=0, maybe_open=True) for each in longest if not each.maybe_open
        ]

    def _leave_loop(self) -> None:
        """After a `break` or `continue`, what follows in the loop is in some rounds only."""
        for depth, block in reversed(list(enumerate(self._blocks))):
            if block.tag in ("for", "tablerow"):
                self._branches += 1
                self._path[depth] = self._branches
                self.paths.append(tuple(self._path))
                return

    # Markup

    def _markup(self, match: re.Match[str]) -> None:
        path = tuple(self._path)
        raw = match["raw"]
        if is_start_tag(match):
            name, attributes, unsure = _attributes(match, self._masks)
            number = len(self.tags)
            self.tags.append(
                Tag(name, attributes, unsure, path, self._captures, bool(raw), self._broken)
            )
            self.pieces.append(f"<{name} {NUMBER}={number}>")
            here = len(self.pieces) - 1
            ends = self._ends(name)
            if raw:
                self.pieces.append(f"</{name}>")
            elif name not in VOID and name not in ROOTS:
                self._stack.append(_Open(name, here, number, self._branches, ends))
        elif match["tag"]:
            self._end_tag(_name(match["tag"], self._masks))
        elif match[0].lower().startswith("<!doctype"):
            self.pieces.append(match[0])
        for token in self._masks.token.findall(match[0]):
            self._liquid(self._masks[token])

    def _ends(self, name: str) -> list[_Open]:
        """The elements that such a start tag ends, and those inside of them. Those opened outside
        of the branch stay open in mails without it."""
        ended: list[_Open] = []
        base = len(self._blocks[-1].before) if self._blocks else 0
        for depth in reversed(range(len(self._stack))):
            each = self._stack[depth]
            if name in _ENDED_BY.get(each.name, ()):
                ended = self._stack[depth:]
                if depth < base:
                    for inner in ended[1:]:
                        self.tags[inner.number].may_end_early = True
                    for inner in ended:
                        self._doubt_nesting(inner)
                    self._doubt_nesting_around(depth)
            elif each.name == "table" or each.name in _BARRIERS.get(name, _AROUND_TEXT):
                break
        return ended

    def _end_tag(self, name: str) -> None:
        if name in ROOTS:
            return
        depth = len(self._stack) - 1
        while depth >= 0 and self._stack[depth].name != name:
            depth -= 1
        if depth < 0:
            self.pieces.append(f"</{name}>")
            if self._blocks:  # </p> alone makes a paragraph
                self._doubt_nesting_around(len(self._stack))
            return
        opened = self._stack[depth]
        outside = bool(self._blocks) and depth < len(self._blocks[-1].before)
        self._close(depth + 1, opened)
        self._stack.pop()
        if outside or opened.maybe_open:
            self._leave_out(opened)
        else:
            self.pieces.append(f"</{name}>")

    def _close(self, depth: int, by: _Open | None) -> None:
        """Close what is open above `depth`, as browsers do at the end of the element around it.

        Where Liquid follows a `<p>` that is never closed, its branches decide what closes the
        `<p>`, so what comes next may be inside of it.
        """
        for each in self._stack[depth:]:
            if each.branches != self._branches:
                self._doubt_nesting(each)
                self._doubt_nesting(by)
        del self._stack[depth:]

    def _leave_out(self, opened: _Open) -> None:
        """Leave an element out of the tree, because where it begins or ends isn't known."""
        self.pieces[opened.piece] = ""
        for each in opened.ends:
            self.tags[each.number].may_end_early = True
        self._doubt_nesting_around(len(self._stack), opened)

    def _doubt_nesting_around(self, depth: int, inner: _Open | None = None) -> None:
        """The element around `depth` may have others between it and its children."""
        around = (each for each in reversed(self._stack[:depth]) if not each.maybe_open)
        self._doubt_nesting(next((each for each in around if each is not inner), None))

    def _doubt_nesting(self, around: _Open | None) -> None:
        if around:
            self.tags[around.number].unsure_nesting = True
        else:
            self.unsure_root = True


def _name(source: str, masks: Masks) -> str:
    """A tag's name; `td` of `<td{% if …`."""
    token = masks.token.search(source)
    if not token:
        return source.lower()
    written = masks[token[0]].may_print or not token.start()
    return UNKNOWN if written else source[: token.start()].lower()


def _attributes(
    match: re.Match[str], masks: Masks
) -> tuple[str, dict[str, str], frozenset[str] | None]:
    """Of a start tag: its name, its attributes, and which are unsure, as in `skeleton.Element`."""
    source = match["raw_attributes"] if match["raw"] else match["attributes"]
    attributes: dict[str, str] = {}
    unsure: set[str] = set()
    everything = bool(masks.token.search(match["raw"] or match["tag"]))
    for attribute in ATTRIBUTE.finditer(source):
        key, value = attribute["name"].lower(), attribute["value"] or ""
        everything |= bool(masks.token.search(key))
        if key in attributes:
            continue  # as browsers do
        if masks.token.search(value):
            unsure.add(key)
        attributes[key] = html.unescape(value[1:-1] if value[:1] in ("'", '"') else value)
    name = _name(match["raw"] or match["tag"], masks)
    return name, attributes, None if everything else frozenset(unsure)


def _html_variables(masks: Masks) -> set[str]:
    """The names of variables that may contain HTML, which `capture` and the like make."""
    names: set[str] = set()
    for _ in range(2):  # a variable may be made of another
        for mask in masks:
            for made in re.finditer(r"\b(assign|capture|for|tablerow)\s+([\w-]+)", mask.liquid):
                if made[1] == "capture" or _may_make_elements(mask, names):
                    names.add(made[2])
    return names


def _may_make_elements(mask: Mask, html_variables: set[str]) -> bool:
    """Whether its output may contain elements: values are escaped, the author's own text isn't."""
    words = set(re.findall(r"[\w-]+", mask.liquid))
    makers = {"newline_to_br", "url_decode", "base64_decode", "base64_url_safe_decode"}
    return "<" in mask.liquid or bool(words & (html_variables | makers))
