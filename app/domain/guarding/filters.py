"""What of a text may stand where a browser reads more than text. Each takes HTML that is escaped
and gives such."""

from __future__ import annotations

import html
import re

from markupsafe import Markup

SCHEMES = {"http", "https", "mailto", "tel"}
"""Of addresses that readers' data bring."""
NOWHERE = Markup("#")
_READ_OVER = re.compile("[\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]+")
_SCHEME = re.compile(r"([^:/?#]*):")
_CSS = re.compile(
    r"(?:[\w\s#%.,+-]|!\s*important|(?:rgba?|hsla?|calc|min|max|clamp)\([\w\s%.,*/+-]*\))*",
    re.IGNORECASE,
)
_DECODED = 3
"""Times: a program on the way may decode once more than the reader's."""
_MOST = 2_000
"""Characters of an address that are looked at for its scheme."""


def scheme_of(address: str) -> str:
    """In lower case, as browsers read it: over blanks and control characters. "" for none."""
    found = _SCHEME.match(_READ_OVER.sub("", address[:_MOST]))
    return found[1].lower() if found else ""


def safe_address(value: object) -> object:
    text = str(value)[:_MOST]
    for _ in range(_DECODED):
        text = html.unescape(text)
        if scheme_of(text) not in {"", *SCHEMES}:
            return NOWHERE
    return value


def safe_addresses(value: object) -> object:
    """Of `srcset`: one that isn't safe takes away all."""
    candidates = re.split(r"[\s,]+", html.unescape(str(value)))
    return value if all(safe_address(each) == each for each in candidates) else Markup("")


def css_value(value: object) -> object:
    """Numbers, words and colours, without which there is nothing."""
    return value if _CSS.fullmatch(html.unescape(str(value))) else Markup("")


def css_address(value: object) -> object:
    """Within `url(…)`."""
    if safe_address(value) is NOWHERE:
        return Markup("")
    plain = html.unescape(str(value))
    return Markup.escape(re.sub(r"[^\w\-.~:/?#@!$&*+,;=%]", _percent, plain))


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode(errors="ignore"))


def only_a_word(value: object) -> object:
    return value if re.fullmatch(r"[A-Za-z][\w-]*", str(value)) and not _acts(value) else Markup("")


def _acts(value: object) -> bool:
    return str(value).lower().startswith("on") or str(value).lower() in ("hidden", "style", "href")


def only_digits(value: object) -> object:
    return value if re.fullmatch(r"[0-9]*", str(value)) else Markup("")


FILTERS = {
    each.__name__: each
    for each in (safe_address, safe_addresses, css_value, css_address, only_a_word, only_digits)
}
