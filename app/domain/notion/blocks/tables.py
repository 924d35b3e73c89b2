"""Tables of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """html: what it shows. is_silent: it is empty, or has tags of Liquid alone."""

    html: str
    is_silent: bool


def table(
    rows: Sequence[Sequence[Cell]], *, header_row: bool = False, header_column: bool = False
) -> list[str]:
    """The lines of a table. A row of tags of Liquid alone is no row: `{% for … %}` stands between
    the rows that it repeats."""
    parts: list[str] = []
    is_first = True
    for row in rows:
        tags = "".join(cell.html for cell in row)
        if tags and all(cell.is_silent for cell in row):
            parts.append(tags)
            continue
        names = [
            "th" if (header_row and is_first) or (header_column and not place) else "td"
            for place in range(len(row))
        ]
        cells = "".join(
            f"<{name}>{cell.html}</{name}>" for name, cell in zip(names, row, strict=True)
        )
        parts.append(f"<tr>{cells}</tr>")
        is_first = False
    return ["\n".join(["<table>", *parts, "</table>"])] if parts else []
