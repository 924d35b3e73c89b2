"""Style sheets, read as far as inlining needs: what they declare, for what, and on what condition.

Read by tinycss2, a parser that follows the CSS Syntax specification; every declaration knows where
it ends in the source, which stays as it is but for the `!important` that may be put there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import tinycss2
from cssselect2 import SelectorError, parser

from app.domain.content.masking import Masks
from app.domain.css.selectors import Selector

# At-rules that hold no rules for elements. Of any other, the rules inside hold on a condition.
_NO_RULES = {
    *("charset", "color-profile", "counter-style", "font-face", "font-feature-values", "function"),
    *("font-palette-values", "import", "namespace", "page", "position-try", "property"),
    *("starting-style", "view-transition", "viewport", "-ms-viewport", "-o-viewport"),
}
# At-rules that rank rules before specificity does. Their rules are neither inlined nor changed.
_RANKED = {"layer", "scope"}

_BLANK = ("whitespace", "comment")

_KEPT_LENGTH = 16_384
"""What was read of a longer sheet isn't kept."""


@dataclass(eq=False)
class Declaration:
    """`color: red` in a style sheet.

    name: in lower case, but for custom properties. value: fit for a style attribute. place, end:
    where it begins in the source, and where its value ends. always: it holds without a condition,
    and its value is known. known: its value is known, and no Liquid decides whether it holds.
    opaque: what it sets, or what it outranks, isn't known.
    """

    name: str
    value: str
    important: bool
    place: int
    end: int
    always: bool = False
    known: bool = False
    opaque: bool = False


@dataclass(eq=False)
class Rule:
    """selectors: None among them stands for one that isn't known. conditions: the at-rules around
    it, as `@media print`, and what makes the sheet itself conditional."""

    selectors: list[Selector | None]
    declarations: list[Declaration]
    conditions: tuple[str, ...] = ()


def read_sheet(
    source: str,
    masks: Masks,
    *,
    always: bool,
    offset: int = 0,
    conditions: tuple[str, ...] = (),
) -> list[Rule]:
    """The rules of a style sheet that hold for elements.

    source: masked, without Liquid blocks that begin or end outside of it. always: whether the sheet
    itself holds without a condition. offset: what to add to places. conditions: the sheet's.
    """
    if len(source) > _KEPT_LENGTH or masks.token.search(source):
        return _read(source, masks, always, offset, conditions)
    return [
        Rule(
            [selector and selector.fresh() for selector in rule.selectors],
            [replace(d, place=d.place + offset, end=d.end + offset) for d in rule.declarations],
            rule.conditions,
        )
        for rule in _plain(source, always, conditions)
    ]


@lru_cache(maxsize=32)
def _plain(source: str, always: bool, conditions: tuple[str, ...]) -> list[Rule]:
    """Of a sheet without Liquid: ours is in every mail, and each mail's are read several times."""
    return _read(source, Masks(source), always, 0, conditions)


def _read(
    source: str, masks: Masks, always: bool, offset: int, conditions: tuple[str, ...]
) -> list[Rule]:
    reader = _Reader(source, masks, offset)
    reader.read(_Around(None, always=always, conditions=conditions))
    return reader.rules


def read_attribute(source: str, masks: Masks) -> list[Declaration]:
    """The declarations of a style attribute, masked, its entities resolved.

    One that sets `all` and is opaque stands for what Liquid may put there.
    """
    return _Reader(source, masks, 0).read(_Around(""))


@dataclass(frozen=True)
class _Around:
    """What is around a place in a sheet.

    selectors: of the rule around it; None at the top. unknown: whether Liquid makes the selectors.
    always, opaque: as in Declaration. conditions: as in Rule.
    """

    selectors: str | None
    always: bool = True
    opaque: bool = False
    unknown: bool = False
    conditions: tuple[str, ...] = ()


class _Reader:
    def __init__(self, source: str, masks: Masks, offset: int) -> None:
        self.rules: list[Rule] = []
        self._masks = masks
        self._offset = offset
        # Tags become blanks, so that the parser sees the CSS alone; output stays a word.
        text, end, depth = "", 0, 0
        self._branches: list[int] = []  # where a branch of Liquid begins or ends
        self._depths = [0]  # how many blocks are open before the first of them, the second, …
        for token in masks.token.finditer(source):
            mask = masks[token[0]]
            text += source[end : token.start()]
            text += token[0] if mask.may_print else " " * len(token[0])
            end = token.end()
            closes = (mask.tag or "").startswith("end")
            if mask.opens or mask.divides or closes:
                depth += mask.opens - closes
                self._branches.append(token.start())
                self._depths.append(depth)
        self._text = text + source[end:]
        lines = re.findall(r"[^\r\n\f]*(?:\r\n|[\r\n\f]|\Z)", self._text)
        self._line_starts = [0, *accumulate(len(line) for line in lines)]

    def read(self, around: _Around) -> list[Declaration]:
        tokens = tinycss2.parse_component_value_list(self._text)
        return self._contents(tokens, len(self._text), around)

    # Places

    def _place(self, token: Any) -> int:
        line, column = int(token.source_line), int(token.source_column)
        return self._line_starts[line - 1] + column - 1

    def _ends(self, tokens: Sequence[Any], end: int) -> list[int]:
        """Where each of the tokens ends, the last of them at `end`."""
        return [*(self._place(token) for token in tokens[1:]), end]

    def _depth(self, place: int) -> int:
        """How many Liquid blocks are open there."""
        return self._depths[bisect_left(self._branches, place)]

    def _branches_between(self, start: int, end: int) -> bool:
        return bisect_left(self._branches, start) != bisect_left(self._branches, end)

    def _has_liquid(self, start: int, end: int) -> bool:
        output = self._masks.token.search(self._text, start, end)
        return bool(output) or self._branches_between(start, end)

    # Rules

    def _contents(self, tokens: list[Any], end: int, around: _Around) -> list[Declaration]:
        """Note the rules among the tokens; give the declarations of the rule around them."""
        declarations: list[Declaration] = []
        ends = self._ends(tokens, end)
        start = 0
        while start < len(tokens):
            token = tokens[start]
            if token.type in _BLANK or token in ("<!--", "-->", ";"):
                start += 1
                continue
            stop = _next(tokens, start, ";")
            block = _next(tokens, start, "{} block")
            inner_end = end
            if block < len(tokens):
                inner_end = ends[block] - (self._text[ends[block] - 1] == "}")
            if token.type == "at-keyword":
                if block < stop:
                    prelude = "".join(each.serialize() for each in tokens[start + 1 : block])
                    condition = f"@{token.lower_value} {prelude.strip()}"
                    inside = replace(around, conditions=(*around.conditions, condition))
                    declarations += self._at_rule(token, tokens[block], inner_end, inside)
                start = min(stop, block) + 1
            elif around.selectors is not None and (stop <= block or _is_custom(token)):
                declarations += self._declaration(tokens[start:stop], ends[start:stop], around)
                start = stop + 1
            else:
                self._rule(tokens[start : block + 1], inner_end, around)
                start = block + 1
        return declarations

    def _at_rule(self, name: Any, block: Any, end: int, around: _Around) -> list[Declaration]:
        if name.lower_value in _NO_RULES or name.lower_value.endswith("keyframes"):
            return []
        opaque = around.opaque or name.lower_value in _RANKED
        self._note_if_split(self._place(name), end)
        return self._contents(block.content, end, replace(around, always=False, opaque=opaque))

    def _rule(self, tokens: list[Any], end: int, around: _Around) -> None:
        """tokens: selectors and a block. end: where its contents end."""
        start = self._place(tokens[0])
        complete = tokens[-1].type == "{} block"
        prelude = tokens[:-1] if complete else tokens
        stop = self._place(tokens[-1]) if complete else end
        written = "".join(each.serialize() for each in prelude if each.type != "comment")
        liquid = self._has_liquid(start, stop) or around.unknown
        # Output may be rules of its own.
        if self._masks.token.match(written) or (liquid and not complete):
            self._note_unknown(start)
        if not complete:
            return
        self._note_if_split(start, end)
        nested = _nested(written, around.selectors)
        selectors, understood = _selectors(nested)
        if liquid:
            selectors, understood = [None], False
        if not selectors:  # the rules inside of it don't count either
            return
        always = around.always and understood and not self._depth(start)
        inside = _Around(nested, always, around.opaque or liquid, liquid, around.conditions)
        if declarations := self._contents(tokens[-1].content, end, inside):
            self.rules.append(Rule(selectors, declarations, around.conditions))

    def _note_if_split(self, start: int, end: int) -> None:
        """Note that something unknown is declared where one branch begins what another ends."""
        if self._depth(start) != self._depth(end):
            self._note_unknown(start)

    def _note_unknown(self, place: int) -> None:
        self.rules.append(Rule([None], [self._unknown(place)]))

    def _unknown(self, place: int) -> Declaration:
        """Anything may be declared there."""
        return Declaration("all", "", False, place + self._offset, place, opaque=True)

    def _declaration(
        self, tokens: list[Any], ends: list[int], around: _Around
    ) -> list[Declaration]:
        start = self._place(tokens[0])
        *_, end = (ends[i] for i, each in enumerate(tokens) if each.type not in _BLANK)
        if self._branches_between(start, end):
            return list(self._branching(tokens))
        parsed = tinycss2.parse_one_declaration(tokens)
        liquid = self._has_liquid(start, end)
        if parsed.type == "error":
            return [self._unknown(start)] if liquid else []
        name = parsed.name if _is_custom(tokens[0]) else parsed.lower_name
        if self._masks.token.search(name):
            return [self._unknown(start)]
        value = self._value(tokens, ends, parsed.value)
        if not value:
            return []
        return [
            Declaration(
                name,
                value,
                parsed.important,
                start + self._offset,
                end + self._offset,
                always=around.always and not liquid and not self._depth(start),
                known=not liquid and not self._depth(start),
                opaque=around.opaque,
            )
        ]

    def _branching(self, tokens: list[Any]) -> Iterator[Declaration]:
        """What a declaration with branches of Liquid in it may declare: every name before a colon.

        As in `{% if a %}color: red{% else %}top: 0{% endif %}`.
        """
        significant = [each for each in tokens if each.type not in _BLANK]
        unknown = self._unknown(self._place(significant[0]))
        if significant[0].type != "ident" or significant[1:2] != [":"]:
            yield unknown
        for name, colon in pairwise(significant):
            if colon == ":":
                known = name.type == "ident" and not self._masks.token.search(name.value)
                yield replace(unknown, name=name.lower_value) if known else unknown

    def _value(self, tokens: list[Any], ends: list[int], value: list[Any]) -> str:
        """As the author wrote it, in one line; nothing where it can't be read."""
        end_of = {id(token): ends[i] for i, token in enumerate(tokens)}
        if any(token.type == "error" for token in value):
            return ""
        text = ""
        for token in value:
            if token.type not in _BLANK:
                text += self._text[self._place(token) : end_of[id(token)]]
            elif not text.endswith(" "):
                text += " "
        return text.strip()


def _next(tokens: list[Any], start: int, kind: str) -> int:
    """The first index from `start` on of a token of that kind, else how many there are."""
    found = (i for i in range(start, len(tokens)) if kind in (tokens[i].type, tokens[i]))
    return next(found, len(tokens))


def _is_custom(token: Any) -> bool:
    return bool(token.type == "ident" and token.value.startswith("--"))


def _selectors(text: str) -> tuple[list[Selector | None], bool]:
    """The selectors of a list, and whether every program understands all of them.

    A list with one that none understands is no rule. Pseudo-elements are no elements: they don't
    count.
    """
    selectors: list[Selector | None] = []
    understood = True
    for part in _parts(text):
        try:
            parsed = list(parser.parse(part))
        except (SelectorError, AttributeError):  # cssselect2 raises AttributeError for `p|`
            if "::" not in part:
                return [], True
            understood = False  # a program's own, such as ::-webkit-scrollbar
            continue
        selectors += [Selector(each) for each in parsed if each.pseudo_element is None]
    return selectors, understood


def _parts(text: str) -> list[str]:
    """What stands between the commas."""
    parts = [""]
    for each in tinycss2.parse_component_value_list(text):
        if each == ",":
            parts.append("")
        else:
            parts[-1] += each.serialize()
    return parts


def _nested(text: str, around: str | None) -> str:
    """The selectors of a rule inside of another: `&` is the element of the outer one."""
    if not around:
        return text
    outer = f":is({around})"
    return ",".join(
        part.replace("&", outer) if "&" in part else f"{outer} {part.strip()}"
        for part in _parts(text)
    )
