"""Links of ours that SES must not track: nobody's leaving is to be seen, slowed down or lost.

SES leaves links with the attribute `ses:no-track` as they are, and takes the attribute away.
Source: SES developer guide, "Amazon SES email sending metrics FAQs" (click tracking).
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from app.domain.content.markup import ATTRIBUTE, MARKUP, START_TAG
from app.domain.content.masking import Masks

NO_TRACK = "ses:no-track"
MAX_TRACKED_LINKS = 250
"""Of one message; clicks on those behind aren't seen. Source: as above."""

_ASSIGNED = re.compile(r"\bassign\s+([\w-]+)\s*=([^\n]*)")
_CAPTURED = re.compile(r"\bcapture\s+[\"']?([\w-]+)")
# Addresses of ours that hold somebody's token, written out: a link that was copied from a mail.
_OF_OURS = re.compile(r"/(?:unsubscribe|resubscribe|confirm)/?\?", re.IGNORECASE)
_TOKEN = re.compile(r"[?&;]token=", re.IGNORECASE)
_NOT_FOLLOWED = {"link", "base"}


def untrack(document: str, masks: Masks) -> str:
    """The masked document with `ses:no-track` in every link that leads to `unsubscribe_url` (by
    itself, or by a variable that was made of it) or to a page of ours for whoever has its token.

    What stands in a conditional comment, such as a button for Outlook, is a link, too.
    """
    ours = _names_it(_made_of_it(masks))

    def untracked(match: re.Match[str]) -> str:
        if match["comment"]:
            return START_TAG.sub(untracked_tag, match[0])
        return untracked_tag(match) if match["tag"] and not match["close"] else match[0]

    def untracked_tag(match: re.Match[str]) -> str:
        attributes = match["attributes"]
        if match["tag"].lower() in _NOT_FOLLOWED:
            return match[0]
        values = {m["name"].lower(): m["value"] or "" for m in ATTRIBUTE.finditer(attributes)}
        links = [value for name, value in values.items() if name.endswith("href")]
        if NO_TRACK in values or not (links or match["tag"].lower() == "a"):
            return match[0]
        liquid = [masks[token].liquid for token in masks.token.findall(attributes)]
        if any(map(ours.search, liquid)) or any(map(_holds_token, links)):
            return f"<{match['tag']} {NO_TRACK}{attributes}>"
        return match[0]

    return MARKUP.sub(untracked, document)


def _holds_token(link: str) -> bool:
    return bool(_OF_OURS.search(link) and _TOKEN.search(link))


def tracked_links(html: str) -> int:
    """How many links of a finished mail SES would track, were there no limit."""
    parser = _Tracked()
    parser.feed(html)
    parser.close()
    return parser.count


class _Tracked(HTMLParser):
    count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        web = (values.get("href") or "").strip().lower().startswith(("http://", "https://"))
        self.count += tag in {"a", "area"} and web and NO_TRACK not in values


def _names_it(names: set[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(names)))})(?![\w-])")


def _made_of_it(masks: Masks) -> set[str]:
    """`unsubscribe_url` and the variables that may hold it: assigned or captured, also by way of
    others. One that holds it on one branch only counts, too."""
    names: set[str] = {"unsubscribe_url"}
    while True:
        found, ours = set(names), _names_it(names)
        capturing: list[str] = []
        for mask in masks:
            if mask.tag == "capture":
                capturing += _CAPTURED.findall(mask.liquid)[:1]
            elif mask.tag == "endcapture" and capturing:
                capturing.pop()
            elif ours.search(mask.liquid):
                found.update(capturing)
            for name, value in _ASSIGNED.findall(mask.liquid):
                if ours.search(value):
                    found.add(name)
        if found == names:
            return names
        names = found
