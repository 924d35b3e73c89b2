"""The HTML that one masked document may become, as far as its Liquid's branches decide it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.domain.content.markup import MARKUP, VOID
from app.domain.content.masking import Masks

MOST = 100
"""Documents that are looked at; further branches are too many to be meant well, and are refused."""


class TooMany(ValueError):
    """More branches open or close elements than can be looked at."""


@dataclass
class _Block:
    """branches: each texts and blocks in turns. optional: whether none of them may be taken."""

    branches: list[list[str | _Block]] = field(default_factory=lambda: [[]])
    optional: bool = True


def variants(document: str, masks: Masks, *, output: str = "x") -> Iterator[str]:
    """The document with all of its branches' texts, one of each block's; then, for each branch that
    opens or closes more than the other way round, the document with and without it.

    output: stands for what is shown. Raises TooMany.
    """
    root = _read(document, masks, output)
    blocks = list(_blocks(root))
    yield _written(root, {})
    if not any(_changes(block) for block in blocks):
        return
    choices: list[dict[int, int | None]] = [{id(each): None for each in blocks if each.optional}]
    most = max(len(block.branches) for block in blocks)
    choices += [
        {id(each): min(number, len(each.branches) - 1) for each in blocks}
        for number in range(1, most)
    ]
    none: dict[int, int | None] = {id(each): None if each.optional else 0 for each in blocks}
    for block in filter(_changes, blocks):
        around = {id(each): number for each, number in _around(root, block)}
        choices += [
            none | around | {id(block): number}
            for number in (*range(len(block.branches)), *([None] if block.optional else []))
        ]
        if len(choices) > MOST:
            raise TooMany
    for choice in choices:
        yield _written(root, choice)


def _read(document: str, masks: Masks, output: str) -> list[str | _Block]:
    root: list[str | _Block] = []
    stack: list[tuple[list[str | _Block], _Block]] = []
    current, end = root, 0
    for match in masks.token.finditer(document):
        mask = masks[match[0]]
        current.append(document[end : match.start()])
        end = match.end()
        if mask.opens:
            block = _Block(optional=mask.tag != "capture")
            current.append(block)
            stack.append((current, block))
            current = block.branches[0]
        elif mask.divides and stack:
            block = stack[-1][1]
            if mask.tag == "when" and not any(
                isinstance(each, _Block) or each.strip() for each in block.branches[0]
            ):
                block.branches.clear()  # between `case` and its first `when` nothing is shown
            block.branches.append([])
            block.optional = block.optional and mask.tag != "else"
            current = block.branches[-1]
        elif (mask.tag or "").startswith("end") and stack:
            current, _ = stack.pop()
        elif mask.liquid.startswith("{{ unsubscribe_url }}"):
            current.append(match[0])
        elif mask.may_print:
            current.append(output)
    current.append(document[end:])
    return root


def _blocks(parts: list[str | _Block]) -> Iterator[_Block]:
    for part in parts:
        if isinstance(part, _Block):
            yield part
            for branch in part.branches:
                yield from _blocks(branch)


def _around(parts: list[str | _Block], sought: _Block) -> list[tuple[_Block, int]]:
    """The branches in which a block stands."""
    for part in parts:
        if isinstance(part, _Block):
            for number, branch in enumerate(part.branches):
                if any(each is sought for each in _blocks(branch)):
                    return [(part, number), *_around(branch, sought)]
    return []


def _changes(block: _Block) -> bool:
    """Whether one of its branches has not as many ends as beginnings."""
    return any(
        _is_lopsided("".join(each for each in branch if isinstance(each, str)))
        for branch in block.branches
    )


def _is_lopsided(text: str) -> bool:
    opened: list[str] = []
    for match in MARKUP.finditer(text):
        name = (match["tag"] or "").lower()
        if match["comment_end"] == "" or match["raw_end"] == "":
            return True
        if not name or name in VOID:
            continue
        if not match["close"]:
            opened.append(name)
        elif not opened or opened.pop() != name:
            return True
    return bool(opened) or "<" in MARKUP.sub("", text)


def _written(parts: list[str | _Block], choice: dict[int, int | None]) -> str:
    """choice: which branch of a block, by its id; the first where nothing is said."""
    written: list[str] = []
    for part in parts:
        if isinstance(part, str):
            written.append(part)
        elif (number := choice.get(id(part), 0)) is not None:
            written.append(_written(part.branches[number], choice))
    return "".join(written)
