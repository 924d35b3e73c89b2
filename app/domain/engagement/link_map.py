"""A mail with a badge at each link: its number, and how many people followed it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape, unescape
from typing import Any

from app.domain.content.markup import ATTRIBUTE, MARKUP
from app.domain.content.untracked import NO_TRACK
from app.domain.engagement.links import tidy_link
from app.domain.engagement.words import number_range

MAX_BADGES = 500

# Out of the flow, so that nothing of the mail is moved by it, and out of reach of its style sheets.
_FONT = "11px/16px system-ui,sans-serif"
_SHOWN = {
    "all": "initial",
    "position": "absolute",
    "z-index": "2147483647",
    "margin": "-14px 0 0 -3px",
    "padding": "0 6px",
    "border": "1px solid #fff",
    "border-radius": "9px",
    "background": "{paper}",
    "color": "#fff",
    "font": f"700 {_FONT}",
    "white-space": "nowrap",
    "pointer-events": "none",
}
_NUMBER = {"all": "unset", "font": f"500 {_FONT}"}


def _style(declarations: Mapping[str, str]) -> str:
    return ";".join(f"{name}:{value}!important" for name, value in declarations.items())


_BADGE = (
    f'<as-badge aria-hidden="true" style="{_style(_SHOWN)}"><span style="{_style(_NUMBER)}">'
    "{number}</span>&nbsp; {people}</as-badge>"
)
_FOLLOWED, _NEVER = "#1a56b8", "#59626c"


def link_map(html: str, links: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`html` with badges, and `places`: the links as they are numbered, each `number`, `url`,
    `span` (from people who followed it for certain to those who may have), `machine`, `events`,
    `footer`, and `times`: how often it stands in the mail.

    html: one reader's mail. links: rows of `mailout_links` with their figures. A link that isn't
    among them was never followed; those that SES doesn't track have no badge.
    """
    exact = {link["url"]: link for link in links}
    patterns = _patterns(links)
    places: dict[str, dict[str, Any]] = {}
    parts: list[str] = []
    end = 0
    for match in MARKUP.finditer(html):
        if (match["tag"] or "").lower() not in ("a", "area") or match["close"]:
            continue
        href = _href(match["attributes"])
        if href is None or NO_TRACK in match["attributes"].lower() or len(parts) >= MAX_BADGES:
            continue
        url = tidy_link(unescape(href))
        if not url.startswith(("http://", "https://")):
            continue
        link = exact.get(url) or next((one for fits, one in patterns if fits.fullmatch(url)), None)
        key = link["url"] if link else url
        place = places.get(key) or places.setdefault(key, _place(len(places) + 1, key, link))
        place["times"] += 1
        if match["tag"].lower() == "a":
            parts += [html[end : match.end()], _badge(place)]
            end = match.end()
    return {"html": "".join([*parts, html[end:]]), "places": list(places.values())}


def _place(number: int, url: str, link: Mapping[str, Any] | None) -> dict[str, Any]:
    low = link["human"] if link else 0
    return {
        "number": number,
        "url": url,
        "span": {"low": low, "high": low + (link["unknown"] if link else 0)},
        "machine": link["machine"] if link else 0,
        "events": link["events"] if link else 0,
        "footer": link is not None and link["place"] == "footer",
        "times": 0,
    }


def _badge(place: Mapping[str, Any]) -> str:
    paper = _FOLLOWED if place["span"]["high"] else _NEVER
    people = escape(number_range(place["span"]))
    return _BADGE.format(paper=paper, number=place["number"], people=people)


def _patterns(
    links: Sequence[Mapping[str, Any]],
) -> list[tuple[re.Pattern[str], Mapping[str, Any]]]:
    """As `link_of` in SQL finds them: the one with the most text first."""
    found = [link for link in links if link["pattern"]]
    found.sort(key=lambda link: -len(link["pattern"].replace("%", "")))
    return [(_like(link["pattern"]), link) for link in found]


def _like(pattern: str) -> re.Pattern[str]:
    """What SQL's `like` finds by `pattern`, which has no `_` but an escaped one."""
    parts = re.findall(r"\\(.)|(%)|([^\\%]+)", pattern, re.DOTALL)
    found = (".*" if hole else re.escape(escaped or text) for escaped, hole, text in parts)
    return re.compile("".join(found), re.DOTALL)


def _href(attributes: str) -> str | None:
    for each in ATTRIBUTE.finditer(attributes):
        if each["name"].lower() == "href":
            return re.sub(r"\A([\"'])(.*)\1\Z", r"\2", each["value"] or "", flags=re.DOTALL)
    return None
