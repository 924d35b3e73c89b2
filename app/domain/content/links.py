"""The links of a mail. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from urllib.parse import urlsplit

from app.domain.networks import is_public

_IN_TEXT = re.compile(r"https?://[^\s<>\"']+")
_WEB = frozenset({"http", "https"})
# Schemes of links to other programs (mailto, tel), and to parts of the mail itself (cid, data).
_OTHER = frozenset({"mailto", "tel", "sms", "data", "cid", "geo", "webcal"})


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"a": "href", "area": "href", "img": "src"}.get(tag)
        self.found += [value or "" for name, value in attrs if name == wanted]


def links_of(html: str, text: str) -> list[str]:
    """Every address that a reader can follow or that a picture comes from, once, in order."""
    parser = _Links()
    parser.feed(html)
    parser.close()
    in_text = (_without_punctuation(match[0]) for match in _IN_TEXT.finditer(text))
    return list(dict.fromkeys(link.strip() for link in (*parser.found, *in_text)))


def _without_punctuation(link: str) -> str:
    """An address in running text, without what belongs to the sentence around it."""
    link = link.rstrip(".,;:!?]")
    return link.rstrip(").,") if link.count(")") > link.count("(") else link


def web_links(links: Iterable[str]) -> list[str]:
    """Those with http or https."""
    return [link for link in links if _scheme(link) in _WEB]


def lead_nowhere(links: Iterable[str]) -> list[str]:
    """Those that work on the author's machine at best: relative ones (a mail has no address of its
    own), made-up schemes, and machines that readers can't reach."""
    return [link for link in links if not link.startswith("#") and _leads_nowhere(link)]


def is_local(host: str) -> bool:
    """Whether a host's name says that it isn't on the public internet."""
    try:
        return not is_public(host)
    except ValueError:  # a name
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))


def _leads_nowhere(link: str) -> bool:
    scheme = _scheme(link)
    if scheme in _WEB:
        try:
            return is_local(urlsplit(link).hostname or "")
        except ValueError:
            return True
    return scheme not in _OTHER


def _scheme(link: str) -> str:
    try:
        return urlsplit(link).scheme
    except ValueError:
        return ""
