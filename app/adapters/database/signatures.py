"""The signatures of the functions that an SQL file puts, read from its text.

PostgreSQL takes functions of one name and different parameters for different functions. So a
parameter that was added leaves the function as it was beside the new one, and a call that fits both
is refused as "not unique".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# With `out` parameters a function needs no `returns`.
_FUNCTION = re.compile(
    r"^create (?:or replace )?function (\w+)\s*\((.*?)\)\s*(?:returns|language)\b",
    re.MULTILINE | re.DOTALL,
)
_BETWEEN = re.compile(r",(?![^(\[]*[)\]])")  # commas that aren't within brackets


def signatures(text: str) -> Iterator[str]:
    """Each function in `text` as PostgreSQL's regprocedure takes it: `name(type, type)`.

    Reads what our files hold: every parameter is `[out] name type [default …]`.
    """
    for name, parameters in _FUNCTION.findall(text):
        types = map(_type, _BETWEEN.split(parameters))
        yield f"{name}({', '.join(kind for kind in types if kind)})"


def _type(parameter: str) -> str | None:
    """None: it is no input."""
    words = re.split(r"\bdefault\b", parameter, maxsplit=1)[0].split()
    return None if not words or words[0] == "out" else " ".join(words[1:])
