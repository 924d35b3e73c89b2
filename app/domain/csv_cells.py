"""What stands in the cells of our CSV files: text that no spreadsheet runs, tags, values. Pure."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

# A spreadsheet takes a cell that begins like this for a formula, some after trimming blanks and
# what can't be seen, and some in the forms of other scripts too (CWE-1236; OWASP ASVS 1.2.10). The
# second apostrophe of a text like `'=1` is ours, so that reading takes away exactly what writing
# put there.
_SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−"
_UNSEEN = (
    "\\s\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
_FORMULA = re.compile(f"'*[{_SIGNS}{_UNSEEN}]")
_PROTECTED = re.compile(f"'+[{_SIGNS}{_UNSEEN}]")
# A spreadsheet that takes another separator than ours (Excel does where commas stand in numbers, so
# in most of Europe) reads a quote within a cell as a character. So a cell of its own, or a row,
# begins within ours, and there it is the same; the mark stands right before the sign.
# Matched with or without one, so that each character is looked at once.
_WITHIN = re.compile(f"([;|\\t\\r\\n]['\"{_UNSEEN}]*+)([{_SIGNS}]?)")

CELL_START = "\x7f"
"""What `has_doubtful` takes for it; JSON needn't escape this one."""
# It begins with a set of characters, so that the rest is tried on few of them.
_DOUBTFUL = re.compile(
    f"[{CELL_START};|\\t\\r\\n](?:(?<={CELL_START})'*+(?!{CELL_START})[{_SIGNS}{_UNSEEN}]"
    f"|(?<!{CELL_START})['\"{_UNSEEN}]*+[{_SIGNS}])"
)

_TO_BE_QUOTED = re.compile(r'[",\r\n]')  # RFC 4180, section 2

_MARK = "'"


def protect(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula: `'` stands before those, also
    where one would begin for who reads another separator than the comma."""
    safe = _WITHIN.sub(lambda found: f"{found[1]}'{found[2]}" if found[2] else found[0], text)
    return f"'{safe}" if _FORMULA.match(text) else safe


def has_doubtful(cells: str) -> bool:
    """False: `protect` would leave each of these cells, with CELL_START before them, as it is."""
    return _DOUBTFUL.search(cells) is not None


def protect_all(cells: list[str]) -> list[str]:
    """`protect` of each, none of which holds CELL_START. Mostly, one look at all of them does."""
    if not has_doubtful(CELL_START + CELL_START.join(cells)):
        return cells
    return [protect(cell) if has_doubtful(CELL_START + cell) else cell for cell in cells]


def rows_of_columns(columns: Sequence[list[str]]) -> str:
    """The rows as `csv` writes them, given as columns (at least two): 2 µs less for a row."""
    rows = map(",".join, zip(*map(_quoted, columns), strict=True))
    return "".join([f"{row}\r\n" for row in rows])


def _quoted(cells: list[str]) -> list[str]:
    every = "".join(cells)
    if not any(char in every for char in '",\r\n'):
        return cells
    return [
        '"' + cell.replace('"', '""') + '"' if _TO_BE_QUOTED.search(cell) else cell
        for cell in cells
    ]


def restore(cell: str) -> str:
    """The text that `protect` was given."""
    text = cell[1:] if _PROTECTED.match(cell) else cell
    return _WITHIN.sub(
        lambda found: f"{found[1].removesuffix(_MARK)}{found[2]}" if found[2] else found[0], text
    )


_TAG_SEPARATORS = re.compile(r"[;|,]")
_QUOTED_TAG = re.compile(r'(?:^|[;|,])\s*"(?:[^"]|"")*"\s*(?:$|([;|,]))')


def read_tags(cell: str) -> list[str]:
    """Tags separated by `;`, `|` or `,`, quoted or not (as Mailchimp writes `"VIP","Friends,
    family"`), or as a JSON list of texts; each once, in order."""
    parts: Iterable[str] = _TAG_SEPARATORS.split(cell)
    listed = _json(cell) if cell.startswith("[") else None
    if isinstance(listed, list) and all(isinstance(tag, str) for tag in listed):
        parts = listed
    elif '"' in cell and (quoted := _QUOTED_TAG.search(cell)):
        parts = _csv(cell, quoted[1] or ",") or parts
    stripped = (tag.strip() for tag in parts)
    return list(dict.fromkeys(tag for tag in stripped if tag))


def write_tags(tags: list[str]) -> str:
    """With `;` between them; as JSON where a tag holds a separator itself."""
    cell = ";".join(tags)
    return cell if read_tags(cell) == tags else json.dumps(tags, ensure_ascii=False)


def _csv(cell: str, delimiter: str) -> list[str]:
    """The cells of a row that stands in a cell; none when it is no row."""
    try:
        rows = list(csv.reader([cell.strip()], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return []
    return rows[0] if rows else []


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
