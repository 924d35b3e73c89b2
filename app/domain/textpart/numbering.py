"""The numbers of list items, as the `type` of their list asks (HTML, "The ol element")."""

from __future__ import annotations

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l")),
    *((40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)


def marker(number: int, kind: str) -> str:
    """`3.`, `c.`, `C.`, `iii.` or `III.`. kind: `1`, `a`, `A`, `i` or `I`."""
    if number < 1 or kind not in ("a", "A", "i", "I"):
        return f"{number}."
    shown = _roman(number) if kind in "iI" else _letters(number)
    return f"{shown.upper() if kind.isupper() else shown}."


def _letters(number: int) -> str:
    shown = ""
    while number:
        number, rest = divmod(number - 1, 26)
        shown = chr(ord("a") + rest) + shown
    return shown


def _roman(number: int) -> str:
    shown = ""
    for value, letters in _ROMAN:
        shown += letters * (number // value)
        number %= value
    return shown
