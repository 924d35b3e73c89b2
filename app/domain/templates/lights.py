"""A mail as it looks in the light or in the dark, whichever the browser that shows it is set to."""

from __future__ import annotations

import re
from typing import Literal

Light = Literal["light", "dark"]

_QUERY = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_META = re.compile(
    r"<meta\b(?=[^>]*\bname\s*=\s*[\"']?color-scheme\b)[^>]*\bdark\b[^>]*>", re.IGNORECASE
)


def in_light(html: str, light: Light) -> str:
    """The mail with its conditions about light decided: a frame of another origin isn't told what
    the page around it prefers."""

    def decided(query: re.Match[str]) -> str:
        return "(min-width: 0)" if query[1].lower() == light else "(max-width: 0)"

    html = _QUERY.sub(decided, html)
    # What a mail that knows both gets behind it, where it has no colour itself.
    scheme = f"<style>:root {{ color-scheme: {light} }}</style>"
    return _META.sub(lambda meta: meta[0] + scheme, html, count=1)
