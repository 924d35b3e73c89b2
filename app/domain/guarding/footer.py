"""Whether the footer with the link to unsubscribe is where readers see it, whatever the author
opened before it.

A browser's parser reads each document that a mail may become, and the footer's ancestors must be
elements that show what is in them. Styles are judged in covering.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from app.domain.content.markup import MarkupError
from app.domain.content.masking import Masks
from app.domain.guarding.variants import TooMany, variants

_SHOW = {
    *("html", "body", "div", "center", "main", "section", "article", "header", "footer", "aside"),
    *("nav", "address", "figure", "hgroup", "search", "p", "blockquote", "pre", "span", "font"),
    *("table", "tbody", "thead", "tfoot", "tr", "td", "th", "ul", "ol", "li", "dl", "dd", "dt"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "form", "fieldset", "label", "b", "strong", "i", "em"),
    *("u", "small", "big", "tt", "code", "s", "strike", "del", "ins", "mark", "sub", "sup", "a"),
    *("abbr", "cite", "q", "kbd", "samp", "var", "bdi", "time", "nobr", "dir", "menu"),
}
"""Elements that show what is in them."""
_HIDE = ("hidden", "popover", "inert")


def require_footer(document: str, masks: Masks, link: str) -> None:
    """document: masked and framed. link: the token that is the address of the footer's link.

    Raises MarkupError for a document in which the footer wouldn't be seen.
    """
    try:
        for variant in variants(document, masks):
            if problem := _problem(LexborHTMLParser(variant), link):
                raise MarkupError(f"{problem}, which would hide the footer")
    except TooMany:
        raise MarkupError(
            "too many branches of Liquid open or close elements to tell whether the footer is "
            "seen; let each close what it opens"
        ) from None


def stands_in(document: str, link: str, tag: str) -> bool:
    """Whether the footer's parent is such an element."""
    ours = _footers_link(LexborHTMLParser(document), link)
    parent = ours and next((each.parent for each in _ancestors(ours) if _is_footer(each)), None)
    return parent is not None and parent.tag == tag


def _problem(page: LexborHTMLParser, link: str) -> str | None:
    """Why the footer isn't seen; None: it is."""
    ours = _footers_link(page, link)
    if ours is None:
        return "something is never closed: a tag, a quote in one, or an element such as <plaintext>"
    for each in _ancestors(ours):
        if each.tag not in _SHOW:
            return f"<{each.tag}> is never closed"
        for name in _HIDE:
            if name in each.attributes:
                return f"<{each.tag} {name}> is never closed, or holds everything"
    return None


def _footers_link(page: LexborHTMLParser, link: str) -> LexborNode | None:
    found = (each for each in page.css("a") if each.attributes.get("href") == link)
    return next((each for each in found if any(map(_is_footer, _ancestors(each)))), None)


def _is_footer(node: LexborNode) -> bool:
    return "mail-footer" in (node.attributes.get("class") or "").split()


def _ancestors(node: LexborNode) -> Iterator[LexborNode]:
    parent = node.parent
    while parent is not None and parent.is_element_node:
        yield parent
        parent = parent.parent
