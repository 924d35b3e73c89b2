"""Fields that a mail asks for and a list has under another name. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

_ALIKE = 0.8
"""How much of two names must agree, 1 being all, to take one for a slip of the other."""


def under_other_names(used: Iterable[str], there: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each field of `used` that isn't `there`, with the one that was probably meant: the same but
    for capitals, blanks and marks, or else very alike. Those with none like them are left out."""
    known = set(there)
    folded = {_fold(name): name for name in sorted(known)}
    for name in sorted(set(used) - known):
        if close := difflib.get_close_matches(_fold(name), folded, n=1, cutoff=_ALIKE):
            yield name, folded[close[0]]


def variable(name: str) -> str:
    """As a template shows it."""
    return f"fields.{name}" if name.isidentifier() else f'fields["{name}"]'


def _fold(name: str) -> str:
    return "".join(each for each in name.casefold() if each.isalnum()) or name
