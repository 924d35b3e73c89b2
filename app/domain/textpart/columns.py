"""Tables of data in the text part: their cells stand below each other."""

from __future__ import annotations

import re
import unicodedata
from itertools import zip_longest

from app.domain.content.masking import Masks
from app.domain.textpart.spacing import without_edges

CELL = "\ufdd2"  # ends a cell; a code point that Unicode keeps for programs' own use
RIGHT = "\ufdd3"  # begins one whose text stands at its right
_GAP = "  "
_WIDEST = 78  # columns: wider tables are not aligned, as lines of a mail would break


def aligned(table: str, masks: Masks) -> str:
    """The lines of a table, their cells padded to columns where that fits. table: masked."""
    lines = table.split("\n")
    rows = {place: line.split(CELL)[:-1] for place, line in enumerate(lines) if CELL in line}
    for place, line in enumerate(lines):
        if CELL in line:  # what follows the last cell is Liquid of the row
            rows[place][-1] += line.rsplit(CELL, 1)[1]
    columns = zip_longest(*([_width(c, masks) for c in row] for row in rows.values()), fillvalue=0)
    widths = [max(column) for column in columns]
    fits = len(rows) > 1 and sum(widths) + len(_GAP) * len(widths) <= _WIDEST
    for place, row in rows.items():
        cells = [_padded(cell, w, masks) for cell, w in zip(row, widths, strict=False)]
        lines[place] = _GAP.join(cells if fits else [c.replace(RIGHT, "") for c in row if c])
    return "\n".join(line.rstrip(" ") for line in lines)


def _padded(cell: str, width: int, masks: Masks) -> str:
    blanks = " " * (width - _width(cell, masks))
    text = cell.replace(RIGHT, "")
    return blanks + text if RIGHT in cell else text + blanks


def _width(cell: str, masks: Masks) -> int:
    """In columns of a terminal. What Liquid shows isn't known, so it counts as a short word."""
    text = masks.token.sub(lambda match: "x" * (6 * masks[match[0]].prints), without_edges(cell))
    text = re.sub(rf"[{RIGHT}\u200b-\u200d]", "", text)
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char)
        for char in text
    )
