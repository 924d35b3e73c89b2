"""Liquid that begins again and again and never ends.

For each beginning python-liquid's lexer looks through all that follows, so thousands of them take
minutes. One look backwards tells it at once.
"""

from __future__ import annotations

import re

MOST = 50
"""A mistake leaves a few open, and python-liquid says where better than this does."""

_TAG = r"\{{%-?\s*{name}\s*-?%\}}"
_PAIRS = (
    ("{%", re.compile(r"\{%"), re.compile(r"%\}")),
    ("{{", re.compile(r"\{\{"), re.compile(r"\}\}")),
    *(
        (f"{{% {name} %}}", re.compile(_TAG.format(name=name)), re.compile(_TAG.format(name=end)))
        for name, end in (("raw", "endraw"), ("doc", "enddoc"))
    ),
)


def never_closed(source: str) -> tuple[str, int] | None:
    """What is opened more than MOST times behind the last place where it is closed, and the index
    of the first."""
    for what, opening, closing in _PAIRS:
        end = 0
        for match in closing.finditer(source):
            end = match.end()
        first: int | None = None
        for number, match in enumerate(opening.finditer(source, end)):
            first = match.start() if first is None else first
            if number >= MOST:
                return what, first
    return None
