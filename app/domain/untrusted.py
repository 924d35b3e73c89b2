"""Text from the other side (SES, the database, whatever stands in between), made fit to be kept.

PostgreSQL holds no NUL, JSON in UTF-8 no half of a surrogate pair, and a line no line break.
"""

from __future__ import annotations

import json
import re
import string
from math import isfinite
from typing import Any

import orjson

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


_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_INTEGER = 18  # digits that fit any bigint


def read_json(text: str | bytes) -> Any:
    """JSON as orjson reads it, and with what JSON can spell and UTF-8 or a double can't hold: half
    a surrogate pair (of a text that was cut within an emoji), and numbers beyond a double, which
    are left as texts. For what came, and must not be lost for an oddity.

    Raises ValueError for what isn't JSON, RecursionError for what is nested beyond a thousand
    levels.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return read_oddities(text)


def read_oddities(text: str | bytes, **reading: Any) -> Any:
    """What read_json makes of a text that orjson doesn't read. reading: of json.loads."""
    value = json.loads(text, parse_int=_number, parse_float=_number, **reading)
    lenient = json.dumps(value, ensure_ascii=False)
    return orjson.loads(_SURROGATE.sub("\ufffd", lenient))


def _number(digits: str) -> int | float | str:
    if digits.lstrip("-").isdigit() and len(digits) <= _LONGEST_INTEGER:
        return int(digits)
    number = float(digits)
    return number if isfinite(number) else digits
