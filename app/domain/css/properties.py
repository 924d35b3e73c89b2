"""Which CSS properties set the same thing: `background` sets `background-color` too.

Decided by the words of their names, in which CSS is regular; checked against Chromium's own table
in tests/browser/test_inlining.py. Two properties that are wrongly taken to overlap cost an inlined
declaration; an overlap that is missed would let a declaration win that must not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_SIDES = {"top", "right", "bottom", "left"}
# Which sides these are depends on the writing direction, so they count as all sides.
_LOGICAL = {"block", "inline", "start", "end", "before", "after", "x", "y"}
# The shorthands that are one word. They set all properties whose names begin with it.
_SHORTHANDS = {
    *("animation", "background", "border", "columns", "container", "flex", "font", "gap", "grid"),
    *("inset", "margin", "marker", "mask", "offset", "outline", "overflow", "padding", "radius"),
    *("rule", "transition"),
}
# Irregular names, and the regular ones in their place, which begin with their shorthand.
_REGULAR = [
    (re.compile(pattern), name)
    for pattern, name in {
        r"^-(webkit|moz|ms|o|epub)-": "",
        r"^(top|right|bottom|left)$": r"inset-\1",
        r"^border-(horizontal-|vertical-)?(collapse|spacing)$": r"\2",
        r"^border(-.*)?-radius$": r"radius\1",
        r"^(page|column)-break-": "break-",
        r"^(grid-)?(row|column)-gap$": r"gap-\2",
        r"^grid-gap$": "gap",
        r"^grid-(row|column)": r"grid-area-\1",
        r"^flex-(direction|wrap)$": r"flex-flow-\1",
        r"^column-(width|count|height|wrap)$": r"columns-\1",
        r"^(column|row)-rule": "rule",
        r"^corner-.*": "corner",
        r"^contain-intrinsic-.*": "contain-intrinsic",
        r"^(align|justify)-(content|items|self)$": r"place-\2-\1",
        r"^line-height$": "font-line-height",
        r"^text-wrap": "white-space-wrap",
        r"^(overflow|word)-wrap$": "wrap",
        r"^(m..-)?(inline-size|logical-width)$": r"\1width",
        r"^(m..-)?(block-size|logical-height)$": r"\1height",
    }.items()
]


class _Name(NamedTuple):
    family: str
    sides: frozenset[str]  # empty: all sides
    aspect: tuple[str, ...]  # empty: every aspect


@lru_cache(2048)
def _parsed(name: str) -> _Name:
    for pattern, regular in _REGULAR:
        name = pattern.sub(regular, name)
    family, *words = name.split("-")
    sides = frozenset(word for word in words if word in _SIDES)
    return _Name(
        family, sides, tuple(word for word in words if word not in _SIDES and word not in _LOGICAL)
    )


@lru_cache(8192)
def overlap(one: str, other: str) -> bool:
    """Whether a declaration of the one may change what the other sets. Names in lower case."""
    if one == other or "all" in (one, other):
        return True
    if one.startswith("--") or other.startswith("--"):
        return False
    a, b = _parsed(one), _parsed(other)
    if a.family != b.family or (a.sides and b.sides and not a.sides & b.sides):
        return False
    shorter, longer = sorted((a.aspect, b.aspect), key=len)
    if not shorter and longer and a.family not in _SHORTHANDS:
        return False
    return longer[: len(shorter)] == shorter
