"""The links of a mail whose clicks SES tells of. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.content.markup import ATTRIBUTE, MARKUP, Footer
from app.domain.content.render import Content, tracked_document
from app.domain.content.untracked import NO_TRACK
from app.domain.engagement.links import link_pattern

MAX_LINKS = 2_000
"""Of one document; a mail that SES takes has room for no more."""


def tracked_links(content: Content, footer: Footer) -> list[dict[str, str | None]]:
    """`url`, `place` and `pattern` of each link of the document once, in its order
    (engagement/links.py). Of content that compiles.

    place: `footer` for what is in our footer or in a `<footer>`, else `body`; of a link that is in
    both, `body`. Links that SES doesn't track, such as those to unsubscribe, are left out.
    """
    document, masks = tracked_document(content, footer)
    # As the author wrote it: without the filter that is put there for them (link_liquid.py).
    shown = {
        match[0]: masks[match[0]].liquid.replace(" | url_value", "")
        for match in masks.token.finditer(document)
    }
    # Ours is the last: nothing that is shown follows it.
    ours = document.rfind('<div class="mail-footer"')
    found: dict[str, dict[str, str | None]] = {}
    depth = 0  # of footers of the author's own
    for match, start in _tags(document):
        tag = (match["tag"] or "").lower()
        if tag == "footer":
            depth = max(0, depth + (-1 if match["close"] else 1))
        if tag not in ("a", "area") or match["close"] or NO_TRACK in match["attributes"]:
            continue
        told = link_pattern(_href(match["attributes"]), masks.token, shown)
        if told is None:
            continue
        place = "footer" if depth or start > ours >= 0 else "body"
        link = found.setdefault(told[0], {"url": told[0], "place": place, "pattern": told[1]})
        if place == "body":
            link["place"] = place
        if len(found) >= MAX_LINKS:
            break
    return list(found.values())


def _tags(document: str) -> Iterator[tuple[re.Match[str], int]]:
    """Each tag with its place, also those in conditional comments, such as a button for Outlook."""
    for match in MARKUP.finditer(document):
        if match["tag"]:
            yield match, match.start()
        elif match["comment"]:
            for inner in MARKUP.finditer(match[0].removeprefix("<!--")):
                if inner["tag"]:
                    yield inner, match.start()


def _href(attributes: str) -> str:
    for each in ATTRIBUTE.finditer(attributes):
        if each["name"].lower() == "href":
            return re.sub(r"\A([\"'])(.*)\1\Z", r"\2", each["value"] or "", flags=re.DOTALL)
    return ""
