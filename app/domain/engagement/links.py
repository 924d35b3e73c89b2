"""One spelling for the links of a document and of those that SES says were clicked. Pure.

Between the two lie HTML's entities and whatever wrote the address anew on its way: a letter may be
percent-encoded or not, a host in capitals. What may mean something else stays apart.
"""

from __future__ import annotations

import re
from html import unescape

MAX_CHARS = 2000
"""What is longer is cut (`mailout_links.url`)."""

_WEB = re.compile(r"(https?):/*([^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r":(?:80|443)?\Z")
# Capabilities of ours: unsubscribe, confirm, resubscribe; also within another link's query.
_TOKEN = re.compile(r"(token(?:=|%(?:25)*3d))(?:[^&#\s%]|%(?!(?:25)*2[36]))*", re.IGNORECASE)
# The same by their looks (domain/tokens.py, timed_tokens.py), wherever they stand in an address and
# however often they were encoded: a payload, a time or none, and a signature of 32 bytes.
_SIGN = r"(?:[\w-]|%(?:25)+(?:2d|3\d|[46][1-9a-f]|5[\daf]|7[\da]))"
_DOT = r"(?:\.|%(?:25)+2e)"
_SIGNATURE = rf"{_DOT}{_SIGN}{{43}}(?!{_SIGN})"
_SIGNED = re.compile(_SIGNATURE, re.IGNORECASE | re.ASCII)
_CAPABILITY = re.compile(
    rf"(?:{_SIGN}{{44}}|{_SIGN}{{23}}|{_SIGN}{{10,300}}{_DOT}{_SIGN}{{5,7}}){_SIGNATURE}",
    re.IGNORECASE | re.ASCII,
)
_AMPERSAND = re.compile(r"&(?:amp|#38|#x26);", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
# Signs that mean the same written as they are and percent-encoded, wherever they stand in an
# address; and those that may stand in one (RFC 3986, 2.2 and 2.3). All others are encoded.
_SAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$'()*,;:@")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})?|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?#]")


def tidy_link(url: str) -> str:
    """A clicked link in one spelling, its tokens of ours masked, in at most MAX_CHARS.

    What isn't a web address is told as it is. Twice the same changes nothing.
    """
    return _tidy(url, re.compile(r"(?!)"))[:MAX_CHARS]


def link_pattern(
    href: str, hole: re.Pattern[str], shown: dict[str, str]
) -> tuple[str, str | None] | None:
    """How a document's link is told, and what SQL's `like` finds its clicks by; None: by itself.

    href: the attribute as it stands in the HTML, with a word for each hole, of letters and digits,
    that `hole` matches. shown: the Liquid of each word. None for what leads to no web page.
    """
    link = _tidy(_ENTITY.sub(lambda match: unescape(match[0]), href), hole)
    if not link.lower().startswith(("http://", "https://")) and not hole.match(link):
        return None
    if not hole.search(link):
        return link[:MAX_CHARS], None
    told = hole.sub(lambda match: shown[match[0]], link)
    literal = (re.sub(r"([\\%_])", r"\\\1", part) for part in hole.split(link))
    return told[:MAX_CHARS], re.sub(r"(?<!\\)%{2,}", "%", "%".join(literal))


def _tidy(url: str, hole: re.Pattern[str]) -> str:
    url = _masked(_AMPERSAND.sub("&", url.strip()[: 4 * MAX_CHARS]))
    if web := _WEB.fullmatch(url):
        scheme, host, rest = web[1].lower(), web[2].lower(), web[3]
        host = _PORT.sub("", host)
        # A hole may go on into the path.
        if not rest.startswith("/") and not hole.search(host):
            rest = f"/{rest}"
        url = f"{scheme}://{host}{rest}"
    # Again, since what was encoded may have hidden one.
    return _masked(_ENCODED.sub(_one_spelling, url))


def _masked(url: str) -> str:
    url = _TOKEN.sub(r"\1***", url)
    return _CAPABILITY.sub("***", url) if _SIGNED.search(url) else url


def _one_spelling(match: re.Match[str]) -> str:
    text = match[0]
    if match[1] is not None:
        sign = chr(int(match[1], 16))
        return sign if sign in _SAME else text.upper()
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
