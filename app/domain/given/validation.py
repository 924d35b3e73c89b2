"""What is wrong with a request, in words that say what to do: pydantic's are for programmers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_PLACES = {"body", "query", "path", "header"}
_CHOICES = re.compile(r"\^?\(([\w|]+)\)\$?")

_WORDS: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    "missing": "it is missing, and needed",
    "extra_forbidden": "there is no such field here; check its name, or leave it out",
    "json_invalid": "it isn't JSON",
    "model_attributes_type": "a JSON object is needed, such as {…}",
    "model_type": "a JSON object is needed, such as {…}",
    "dict_type": "a JSON object is needed, such as {…}",
    "list_type": "a list is needed, such as […]",
    "string_type": "text is needed, in quotes",
    "string_unicode": "text is needed; half a character is in it",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "uuid_type": "an id is needed, such as 0b8f4d3a-6c1e-4f57-9a52-3d1c7e5b9f10",
    "uuid_parsing": "an id is needed, such as 0b8f4d3a-6c1e-4f57-9a52-3d1c7e5b9f10",
    "greater_than_equal": lambda of: f"it has to be at least {_number(of['ge'])}",
    "less_than_equal": lambda of: f"it has to be at most {_number(of['le'])}",
    "greater_than": lambda of: f"it has to be more than {_number(of['gt'])}",
    "less_than": lambda of: f"it has to be less than {_number(of['lt'])}",
    "literal_error": lambda of: f"choose {of['expected']}",
    "string_too_long": lambda of: f"at most {_many(of['max_length'], 'character')}",
    "string_too_short": lambda of: (
        "it is empty" if of["min_length"] == 1 else f"at least {of['min_length']} characters"
    ),
    "too_long": lambda of: f"at most {_many(of['max_length'], 'entry', 'entries')}",
    "too_short": lambda of: f"at least {_many(of['min_length'], 'entry', 'entries')}",
    "string_pattern_mismatch": lambda of: _choices(of["pattern"]),
}


def described(errors: Any) -> str:
    """pydantic's errors as one sentence that names each field; values are not repeated."""
    return "; ".join(f"{_where(error)}: {_what(error)}" for error in errors)


def _where(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return "body"
    names = list(error["loc"])
    if names[:1] == ["query"]:  # of a parameter that may be repeated its name says enough
        names = [name for name in names if not isinstance(name, int)]
    if names and names[0] in _PLACES:
        del names[0]
    return ".".join(str(name) for name in names) or "body"


def _what(error: Mapping[str, Any]) -> str:
    words = _WORDS.get(error["type"])
    if words is None:
        return str(error["msg"]).removeprefix("Value error, ")
    return words if isinstance(words, str) else words(error["ctx"])


def _number(bound: Any) -> str:
    return f"{bound:,.10g}" if isinstance(bound, (int, float)) else str(bound)


def _many(count: int, one: str, several: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def _choices(pattern: str) -> str:
    found = _CHOICES.fullmatch(pattern)
    if found is None:
        return f"it has to look like {pattern}"
    *most, last = found[1].split("|")
    return f"choose {', '.join(most)} or {last}" if most else f"choose {last}"
