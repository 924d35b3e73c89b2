"""What was changed between two readings of a page, in sentences for its author."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import count, islice
from typing import Any

from app.domain.notion.blocks.canonical import Canonical
from app.domain.notion.blocks.places import name, quote

MAX_SENTENCES = 12
_ALIKE = 0.5  # of 1: two texts of which one was made of the other
_NEAR = 20  # blocks that one is compared with, so that a page that was written anew takes no minute
_LONGEST_COMPARED = 500  # characters
_BEFORE_CHANGE = 12  # characters that are quoted before the first that differs


@dataclass(frozen=True)
class _Line:
    """A block by itself. key: how deep it stands, and all that it says but for its children.
    within: the block around it."""

    number: int
    type: str
    text: str
    key: str
    within: str

    @property
    def label(self) -> str:
        """`paragraph “We meet on…”`, `picture in the toggle “More”`."""
        of = name({"type": self.type})
        if self.text:
            of = f"{of} {quote(self.text)}"
        return f"{of} in the {self.within}" if self.within else of


def differences(before: Canonical | None, after: Canonical | None) -> list[str]:
    """Sentences on the blocks that were changed, added, removed or moved; at most MAX_SENTENCES.

    before, after: as `canonical` gives them.
    """
    old, new = list(_lines(before or [])), list(_lines(after or []))
    found = list(_sentences(old, new))
    if not found and before != after:
        return ["What stands in which block was changed."]
    if len(found) > MAX_SENTENCES:
        more = len(found) - MAX_SENTENCES + 1
        found = [*found[: MAX_SENTENCES - 1], f"And {more} more blocks were changed."]
    return found


def _lines(
    page: Canonical, within: str = "", depth: int = 0, numbers: Iterator[int] | None = None
) -> Iterator[_Line]:
    numbers = count(1) if numbers is None else numbers
    for block in page:
        words = _text(block)
        own = {each: block[each] for each in sorted(block) if each != "children"}
        yield _Line(next(numbers), block["type"], words, f"{depth}\n{own}", within)
        inside = f"{name(block)} {quote(words)}" if words else within
        yield from _lines(block.get("children") or [], inside, depth + 1, numbers)


def _sentences(old: list[_Line], new: list[_Line]) -> Iterator[str]:
    matcher = SequenceMatcher(None, [line.key for line in old], [line.key for line in new])
    parts = [(old[a:b], new[c:d]) for what, a, b, c, d in matcher.get_opcodes() if what != "equal"]
    moved = Counter(_own(line) for gone, _ in parts for line in gone)
    moved &= Counter(_own(line) for _, come in parts for line in come)
    left_behind, said = moved.copy(), list[tuple[int, str]]()  # with its number, for the order
    for gone, come in parts:
        here = [line for line in come if _take(moved, _own(line))]
        said += [(line.number, f"The {line.label} was moved.") for line in here]
        pairs, removed, added = _paired(
            [line for line in gone if not _take(left_behind, _own(line))],
            [line for line in come if line not in here],
        )
        said += [(after.number, _changed(before, after)) for before, after in pairs]
        said += [(line.number, f"The {line.label} was added.") for line in added]
        said += [(line.number, f"The {line.label} was removed.") for line in removed]
    yield from (sentence for _, sentence in sorted(said, key=lambda each: each[0]))


def _take(counted: Counter[str], key: str) -> bool:
    counted[key] -= 1
    return counted[key] >= 0


def _own(line: _Line) -> str:
    """What a block says, wherever it stands."""
    return line.key.partition("\n")[2]


def _paired(
    old: list[_Line], new: list[_Line]
) -> tuple[list[tuple[_Line, _Line]], list[_Line], list[_Line]]:
    """Blocks that became others, those that went, those that came."""
    pairs: list[tuple[_Line, _Line]] = []
    removed: list[_Line] = []
    rest = dict.fromkeys(new)
    for place, before in enumerate(old):
        near = islice(rest, _NEAR)
        after = next((each for each in near if _is_made_of(each, before)), None)
        if after is None and len(old) == len(new):
            beside = new[place]
            after = beside if beside in rest and beside.type == before.type else None
        if after is None:
            removed.append(before)
        else:
            del rest[after]
            pairs.append((before, after))
    return pairs, removed, list(rest)


def _is_made_of(after: _Line, before: _Line) -> bool:
    if after.text == before.text:
        return bool(after.text) or after.type == before.type
    if after.type != before.type:
        return False
    texts = (before.text[:_LONGEST_COMPARED], after.text[:_LONGEST_COMPARED])
    matcher = SequenceMatcher(None, *texts, autojunk=False)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _changed(before: _Line, after: _Line) -> str:
    if before.type != after.type:
        return f"The {before.label} is a {name({'type': after.type})} now."
    if before.text == after.text:
        what = "replaced or changed" if "'file':" in after.key else "changed in its form or links"
        return f"The {after.label} was {what}."
    at = _first_difference(before.text, after.text)
    if not before.text or not after.text:
        return f"The {before.label if before.text else after.label} was changed."
    now = _around(after.text, at)
    return f"The {before.label} was changed: {_around(before.text, at)} is {now} now."


def _first_difference(before: str, after: str) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(before), len(after)))


def _around(text: str, at: int) -> str:
    """The words at the first difference."""
    start = text.rfind(" ", 0, max(0, at - _BEFORE_CHANGE) + 1) + 1 if at > _BEFORE_CHANGE else 0
    return quote("…" * bool(start) + text[start:])


def _text(block: dict[str, Any]) -> str:
    """A block's own words."""
    parts: list[Any] = [block.get("rich_text"), block.get("caption"), *(block.get("cells") or ())]
    texts = ["".join(str(piece["text"]) for piece in part or ()) for part in parts]
    of = " ".join(each for each in texts if each)
    rest = block.get("title") or block.get("name") or block.get("expression") or block.get("url")
    return " ".join((of or (rest if isinstance(rest, str) else "")).split())
