"""A mail's HTML as SES changes it to see opens and clicks.

Source: SES developer guide, "Amazon SES email sending metrics FAQs" (250 links, `ses:no-track`,
`ses:tags`, text isn't touched) and "Configuring custom domains to handle open and click tracking"
(the pixel stands at the end, or where `{{ses:openTracker}}` first is).
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote

from app.sandbox.ses.render import OPEN_TRACKER
from app.sandbox.store import Mail

MAX_LINKS = 250
_LINKING = {"a", "area"}
_HREF = re.compile(r"""([\s"'/]href\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_SES_ATTRIBUTE = re.compile(
    r"""\s+ses:(?:no-track|tags)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?(?=[\s/>])""",
    re.IGNORECASE,
)
_PIXEL = '<img alt="" src="{}" style="display: block; width: 1px; height: 1px;">'


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a mail. tracked: the address that stands in its place; None: it is left alone."""

    url: str
    position: int  # among the tracked ones, from 1
    tags: dict[str, list[str]] | None = None
    tracked: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a reader's mail program gets. pixel: None where opens aren't tracked."""

    html: str
    links: tuple[Link, ...]
    pixel: str | None

    @property
    def tracked_links(self) -> list[Link]:
        return [link for link in self.links if link.tracked]


class Tracker:
    """Makes the addresses in mails, and tells whether one is of that mail."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._key = secrets.token_bytes(32)

    def delivered(self, mail: Mail) -> Delivered | None:
        """The HTML part of `mail` as it arrives; None when it has none. Made anew each time."""
        html = mail.render(mail.call.html)
        if html is None:
            return None
        links: tuple[Link, ...] = ()
        if mail.call.tracked.clicks:
            html, links = _rewritten(html, lambda link: self._click_url(mail, link))
        if not mail.call.tracked.opens:
            return Delivered(html.replace(OPEN_TRACKER, ""), links, None)
        pixel = f"{self._base_url}/I0/{mail.message_id}/{self._signed(mail, 0, '')}=1"
        return Delivered(_with_pixel(html, _PIXEL.format(escape(pixel))), links, pixel)

    def is_ours(self, mail: Mail, position: int, url: str, signature: str) -> bool:
        """Whether the address of a link (position 0: of the pixel) was made for this mail."""
        return hmac.compare_digest(self._signed(mail, position, url), signature)

    def _click_url(self, mail: Mail, link: Link) -> str:
        signature = self._signed(mail, link.position, link.url)
        target = quote(link.url, safe=":")
        return f"{self._base_url}/L0/{target}/{link.position}/{mail.message_id}/{signature}=1"

    def _signed(self, mail: Mail, position: int, url: str) -> str:
        text = f"{mail.message_id}\n{position}\n{url}".encode()
        return hmac.new(self._key, text, "sha256").hexdigest()[:32]


def _rewritten(html: str, address: Callable[[Link], str]) -> tuple[str, tuple[Link, ...]]:
    """The source with tracked addresses, the rest as it was; and its web links in their order."""
    parser = _Links(html)
    parser.feed(html)
    parser.close()
    parts: list[str] = []
    links: list[Link] = []
    end = tracked = 0
    for start, tag, attributes in parser.found:
        url = (attributes.get("href") or "").strip()
        cleaned = _SES_ATTRIBUTE.sub("", tag)
        if url.lower().startswith(("http://", "https://")):
            link = Link(url, 0, _tags(attributes.get("ses:tags")))
            if "ses:no-track" not in attributes and tracked < MAX_LINKS:
                tracked += 1
                link = replace(link, position=tracked)
                link = replace(link, tracked=address(link))
                cleaned = _HREF.sub(_in_place(link.tracked or ""), cleaned, count=1)
            links.append(link)
        parts += (html[end:start], cleaned)
        end = start + len(tag)
    return "".join((*parts, html[end:])), tuple(links)


def _in_place(url: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f'{match[1]}"{escape(url)}"'


def _tags(text: str | None) -> dict[str, list[str]] | None:
    """`ses:tags="campaign:spring;place:top;"` as an event shows it."""
    pairs = [pair.partition(":") for pair in (text or "").split(";") if ":" in pair]
    return {name.strip(): [value.strip()] for name, _, value in pairs} or None


def _with_pixel(html: str, pixel: str) -> str:
    before, found, after = html.partition(OPEN_TRACKER)
    if found:
        return before + pixel + after.replace(OPEN_TRACKER, "")
    end = html.lower().rfind("</body")
    return html + pixel if end < 0 else html[:end] + pixel + html[end:]


class _Links(HTMLParser):
    """Collects start tags of links: where each stands, its source, its attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[int, str, dict[str, str | None]]] = []
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", source))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LINKING:
            line, column = self.getpos()
            source = self.get_starttag_text() or ""
            self.found.append((self._line_starts[line - 1] + column, source, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
