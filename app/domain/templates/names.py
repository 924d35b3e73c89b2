"""What templates may be called. Others name them in `{% render "NAME" %}`."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_CHARS = 80
_CONTROLS = frozenset({"Cc", "Zl", "Zp"})
"""What PostgreSQL counts as such, whose table refuses it, too."""
_NOT_ALLOWED = re.compile(r"[\x00-\x1f\x7f\"'{}%]")


def check_name(name: str) -> str:
    """The name without blanks around it. Raises ValueError, saying what is wrong."""
    name = name.strip()
    if not name:
        raise ValueError("give it a name")
    if len(name) > MAX_NAME_CHARS:
        raise ValueError(f"use at most {MAX_NAME_CHARS} characters")
    if found := _NOT_ALLOWED.search(name):
        raise ValueError(f"it can't contain {found[0]!r}: other templates name it in quotes")
    if any(unicodedata.category(char) in _CONTROLS for char in name):
        raise ValueError("it can't contain a line break or another control character")
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        raise ValueError("it is not valid Unicode text") from exc
    return name
