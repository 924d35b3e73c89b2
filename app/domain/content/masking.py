"""Liquid hidden behind plain words, while tools that know nothing of it handle the text.

An HTML parser moves a `{% for %}` out of a table and escapes the `<` of `{% if a < 3 %}`; Markdown
takes the `|` of a filter for a table's cell. So every Liquid tag and output is replaced by a word
of letters and digits (a token), which all of them leave alone, and put back afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from liquid.lex import compile_liquid_rules
from liquid.token import TOKEN_CONTENT, TOKEN_OUTPUT

from app.domain.limits.open_ends import never_closed

# python-liquid's own rules, so that a token covers exactly what its lexer would take.
_LEXER = compile_liquid_rules()
_PRINTING_TAGS = ("echo", "cycle", "increment", "decrement")
_BLOCK_TAGS = ("if", "unless", "case", "for", "tablerow", "capture", "ifchanged")


@dataclass(frozen=True)
class Piece:
    """A part of a source: static text, a `raw` block, a whole comment, one output or one tag.

    start: its index in the source. tag: a tag's name. match: of python-liquid's lexer, for an
    output (`stmt` is its expression) and a raw block (`raw` is its text).
    """

    text: str
    start: int
    kind: Literal["static", "raw", "output", "tag"]
    tag: str | None = None
    match: re.Match[str] | None = None

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def pieces(source: str) -> Iterator[Piece]:
    """The pieces of a source, in order and without gaps; one static piece from where it doesn't
    parse."""
    comment_depth, comment_start = 0, 0
    open_end = never_closed(source)
    end = len(source) if open_end is None else open_end[1]
    for match in _LEXER.finditer(source, 0, end):
        kind, name = match.lastgroup, match["name"]
        if comment_depth:
            comment_depth += {"comment": 1, "endcomment": -1}.get(name, 0)
            if not comment_depth:
                comment = source[comment_start : match.end()]
                yield Piece(comment, comment_start, "tag", "comment")
        elif kind == TOKEN_CONTENT and match[0].startswith(("{{", "{%")):
            # Never closed: nothing behind it parses, and looking for its end again takes for ever.
            yield Piece(source[match.start() :], match.start(), "static")
            return
        elif kind == TOKEN_CONTENT:
            yield Piece(match[0], match.start(), "static")
        elif kind == "RAW":
            yield Piece(match[0], match.start(), "raw", match=match)
        elif name == "comment":
            comment_depth, comment_start = 1, match.start()
        elif kind == TOKEN_OUTPUT:
            yield Piece(match[0], match.start(), "output", match=match)
        else:
            yield Piece(match[0], match.start(), "tag", name or "doc")
    if comment_depth:
        yield Piece(source[comment_start:], comment_start, "static")
    elif end < len(source):
        yield Piece(source[end:], end, "static")


@dataclass(frozen=True)
class Mask:
    """What a token stands for: a whole comment, else one output or one tag.

    tag: the tag's name, None for an output.
    """

    liquid: str
    tag: str | None

    @property
    def prints(self) -> bool:
        """Whether it shows something by itself, unlike `if` or `assign`."""
        return self.tag is None or self.tag in _PRINTING_TAGS

    @property
    def may_print(self) -> bool:
        """Whether it can show something by itself; `liquid` can, by an `echo` in it."""
        return self.prints or self.tag == "liquid"

    @property
    def opens(self) -> bool:
        """Whether it begins a block, such as `if` or `for`."""
        return self.tag in _BLOCK_TAGS

    @property
    def divides(self) -> bool:
        """Whether it begins another branch of its block."""
        return self.tag in ("else", "elsif", "when")


class Masks:
    """Tokens for the Liquid of one mail; the text between them is literal, braces included."""

    def __init__(self, *texts: str) -> None:
        """texts: all that tokens will stand in; the tokens are words that occur in none of them."""
        everything = "\n".join(texts).lower()
        self._prefix = next(p for n in count() if (p := f"lq{n}x") not in everything)
        self._masks: list[Mask] = []
        self.token = re.compile(rf"{self._prefix}\d+z")

    def add(self, liquid: str, tag: str | None = None) -> str:
        """A token for an output, or for a tag of that name."""
        self._masks.append(Mask(liquid, tag))
        return f"{self._prefix}{len(self._masks) - 1}z"

    def __getitem__(self, token: str) -> Mask:
        return self._masks[int(token[len(self._prefix) : -1])]

    def __iter__(self) -> Iterator[Mask]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def mask(self, source: str) -> str:
        """Replace the Liquid in a source that parses. `raw` blocks become literal text."""
        return "".join(self._masked(piece) for piece in pieces(source))

    def _masked(self, piece: Piece) -> str:
        if piece.kind == "static":
            return piece.text
        if piece.kind == "raw":
            assert piece.match is not None
            return self._unwrap(piece.match)
        return self.add(piece.text, piece.tag)

    def _unwrap(self, raw: re.Match[str]) -> str:
        """A raw block's text, between comments that trim white space as the block would."""
        left = "-" if raw[0].startswith("{%-") else ""
        before = self.add(f"{{%{left} # %}}", "#")
        after = self.add(f"{{% # {raw['rsr']}%}}", "#")
        return before + raw["raw"] + after

    def unmask(self, text: str) -> str:
        """Liquid source that renders `text`: tokens are Liquid again, all else is literal."""
        source: list[str] = []
        end = 0
        for match in self.token.finditer(text):
            source += literal(text[end : match.start()]), self[match[0]].liquid
            end = match.end()
        return "".join(source) + literal(text[end:])

    def at(self, text: str, index: int) -> int | None:
        """The number of the mask that makes the source that `text` is unmasked to at `index`."""
        start = end = 0  # in the source, in the text
        for match in self.token.finditer(text):
            start += len(literal(text[end : match.start()]))
            if index < start:
                return None
            start += len(self[match[0]].liquid)
            if index < start:
                return int(match[0][len(self._prefix) : -1])
            end = match.end()
        return None

    def silent(self, text: str) -> str:
        """The tokens in `text` that show nothing: they are kept where the text is dropped."""
        return "".join(m[0] for m in self.token.finditer(text) if not self[m[0]].prints)

    def is_silent(self, text: str) -> bool:
        """Whether `text` has tokens that show nothing, and nothing else but blanks."""
        words = self.token.sub(lambda match: "x" if self[match[0]].prints else "", text)
        return bool(text.strip()) and not words.strip()

    def depth(self, text: str) -> int:
        """How many Liquid blocks are open at the end of `text`, which starts in none."""
        tags = [self[match[0]].tag or "" for match in self.token.finditer(text)]
        closed = sum(tag.startswith("end") for tag in tags)
        return sum(tag in _BLOCK_TAGS for tag in tags) - closed


def literal(text: str) -> str:
    """Liquid source that renders `text` as it is."""
    # A single { at the end may meet the brace of whatever follows.
    return re.sub(r"\{{2,}|\{(?=%|\Z)", r"{% raw %}\g<0>{% endraw %}", text)
