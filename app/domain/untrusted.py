"""Text from the other side (SES, the database, whatever stands in between), made fit to be kept.

PostgreSQL holds no NUL, JSON in UTF-8 no half of a surrogate pair, and a line no line break.
"""

from __future__ import annotations

import re
import string

MAX_CHARS = 500
"""Enough for every message of SES; a proxy's page may have megabytes."""

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# How what a page doesn't show begins, and where it ends.
_UNSEEN = (("<!--", "-->"), ("<script", "</script"), ("<style", "</style"))
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def plain(value: object, limit: int = MAX_CHARS) -> str:
    """`value` in one line of at most `limit` characters, whatever it is; "" for None."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return " ".join(_UNFIT.sub(" ", text[: 4 * limit]).split())[:limit]


def page_words(value: object, limit: int = MAX_CHARS) -> str:
    """The words that a web page shows, as `plain` gives them; any other text as it is."""
    text = value if isinstance(value, str) else plain(value)
    return plain(_shown(text[: 100 * limit]), limit)


def _shown(page: str) -> str:
    lower, shown, position = page.translate(_LOWER), "", 0
    while (start := lower.find("<", position)) >= 0:
        mark = next((end for begin, end in _UNSEEN if lower.startswith(begin, start)), ">")
        end = lower.find(mark, start + 1)
        if end < 0:
            break
        shown += f"{page[position:start]} "
        position = end if mark.startswith("<") else end + len(mark)
    return shown + page[position:]
