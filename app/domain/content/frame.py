"""What is around a mail's content: language and title, hidden preheader, footer, each in its place.

All text here is masked (masking.py).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from app.domain.content.markup import ATTRIBUTE, MARKUP, Footer, footer_html
from app.domain.content.masking import Masks
from app.domain.css.surroundings import Surroundings, surroundings
from app.domain.guarding.footer import stands_in

# Tags of Liquid that what follows them depends on.
_REMEMBERED = {"assign", "capture", "cycle", "decrement", "increment", "liquid"}


@dataclass(frozen=True)
class Framed:
    """ours: where in the document our own HTML stands. link: the token that is the address of the
    footer's link."""

    document: str
    ours: list[range]
    link: str


def with_language_and_title(document: str, masks: Masks, *, language: str, title: str) -> str:
    """The document with `lang` and `<title>`, where its author gives none.

    language: a tag of BCP 47. title: masked text, not HTML.
    """
    changes: list[tuple[int, int, str]] = []
    tags = [match for match in MARKUP.finditer(document) if match["tag"] and not match["close"]]
    # Liquid may follow the name at once: `<html{% if …`.
    roots = [match for match in tags if masks.token.split(match["tag"].lower())[0] == "html"]
    for root in roots:
        values = {
            each["name"].lower(): (each["value"] or "").strip("\"'")
            for each in ATTRIBUTE.finditer(root["attributes"])
        }
        place = root.start() + len("<html")
        by_liquid = (masks[token].liquid for token in masks.token.findall(root[0]))
        written = masks.token.sub("", " ".join(values)) + "".join(by_liquid)
        if not re.search(r"(?<!xml:)lang\b", written):
            known = values.get("xml:lang") or html.escape(language)
            changes.append((place, place, f' lang="{known}"'))
    if not roots:
        start = _after_prologue(document)
        changes.append((start, start, f'<html lang="{html.escape(language)}">\n'))
    changes += _title(document, masks, title)
    for begin, end, text in sorted(changes, reverse=True):
        document = document[:begin] + text + document[end:]
    return document


def with_styles_in_head(document: str, masks: Masks) -> str:
    """The document with the style elements of its body in its head, in their order.

    Gmail reads no others (caniemail.com, "<style> element"). What depends on Liquid stays, and what
    is in Outlook's conditional comments.
    """
    place = _head_end(document, masks)
    if place is None:
        return document
    only_some = 0  # depth of comments such as <!--[if !mso]><!-->
    moved: list[re.Match[str]] = []
    for match in MARKUP.finditer(document, place):
        text = match[0].lower()
        if text.startswith(("<!--[if", "<![if")) and "<![endif]" not in text:
            only_some += 1
        elif "<![endif]" in text and text.startswith("<!"):
            only_some = max(0, only_some - 1)
        elif (match["raw"] or "").lower() == "style" and not only_some:
            before = document[: match.start()]
            if not masks.depth(before) and _is_the_same_before(match[0], before, masks):
                moved.append(match)
    for match in reversed(moved):
        document = document[: match.start()] + document[match.end() :]
    styles = "".join(f"{match[0]}\n" for match in moved)
    return document[:place] + styles + document[place:]


def _is_the_same_before(style: str, before: str, masks: Masks) -> bool:
    """Whether the Liquid in a style element means the same without what stands before it."""
    tags = {masks[match[0]].tag for match in masks.token.finditer(before)}
    return not masks.token.search(style) or not tags & _REMEMBERED


def framed(
    document: str, masks: Masks, *, preheader: str, footer: Footer, unsubscribe_url: str
) -> Framed:
    """The document with preheader and footer. preheader: HTML, may be empty. unsubscribe_url: a
    token."""
    around = surroundings(document, masks)
    made = _around_it(document, masks, around, preheader, footer, unsubscribe_url)
    if around.color == "inherit" and not stands_in(made.document, unsubscribe_url, around.tag):
        # Something is left open before it, of whichever colour.
        made = _around_it(document, masks, around.by_itself, preheader, footer, unsubscribe_url)
    return made


def _around_it(
    document: str,
    masks: Masks,
    around: Surroundings,
    preheader: str,
    footer: Footer,
    unsubscribe_url: str,
) -> Framed:
    last = footer_html(footer, unsubscribe_url, around)
    start, end = _bounds(document, masks)
    end = end if around.place is None else around.place
    parts = [
        (_head_end(document, masks), _dark_style(around)),
        (start, preheader),
        (end, last),
    ]
    out, ours, done = "", [], 0
    for place, text in sorted(parts, key=lambda part: part[0] or 0):
        if place is None or not text:
            continue
        out += document[done:place]
        done = place
        ours.append(range(len(out), len(out) + len(text)))
        out += text
    return Framed(out + document[done:], ours, unsubscribe_url)


def _bounds(document: str, masks: Masks) -> tuple[int, int]:
    """Where what is shown begins and ends."""
    tags = [match for match in MARKUP.finditer(document) if match["tag"]]
    opening = [m.end() for m in tags if m["tag"].lower() == "body" and not m["close"]]
    if not opening:
        opening = [m.end() for m in tags if m["tag"].lower() == "head" and m["close"]]
    start = opening[0] if opening else _after_prologue(document)
    ends = [m.start() for m in tags if m["close"] and m["tag"].lower() in ("body", "html")]
    end = next((each for each in ends if each >= start), len(document))
    # Inside of an `if` it would be missing from some mails. Browsers show what follows </html>.
    return start, len(document) if masks.depth(document[:end]) else end


def _head_end(document: str, masks: Masks) -> int | None:
    """Where something can be added to the head; None: that depends on Liquid."""
    place = None
    for match in MARKUP.finditer(document):
        name = (match["tag"] or "").lower()
        if name == "head" and match["close"]:
            place = match.start()
            break
        if name == "body":
            place = match.start() if place is None else place
            break
        if name in ("head", "html") and not match["close"]:
            place = match.end()
    place = _after_prologue(document) if place is None else place
    return None if masks.depth(document[:place]) else place


def _title(document: str, masks: Masks, title: str) -> list[tuple[int, int, str]]:
    """The change that gives it a title, if it needs one."""
    for match in MARKUP.finditer(document):
        if (match["tag"] or "").lower() == "body":
            break
        if (match["raw"] or "").lower() == "title":
            start, end = match.end("raw_attributes") + 1, match.start("raw_end")
            given = document[start:end].strip()
            return [] if given else [(start, end, html.escape(title, quote=False))]
    place = _head_end(document, masks)
    if place is None:
        return []
    return [(place, place, f"<title>{html.escape(title, quote=False)}</title>\n")]


def _after_prologue(document: str) -> int:
    """Where content begins in a document that has neither head nor body."""
    end = 0
    for match in MARKUP.finditer(document):
        prologue = match[0].startswith(("<!", "<?")) or (match["tag"] or "").lower() == "html"
        if document[end : match.start()].strip() or not prologue:
            break
        end = match.end()
    return end


def _dark_style(around: Surroundings) -> str:
    """The footer's colours in the dark, where they differ. Twice its class, to outrank an author's
    rule for all links."""
    if around.dark is None:
        return ""
    look, name = around.dark, ".mail-footer.mail-footer"
    background = look.background or "transparent"
    return (
        "<style>\n@media (prefers-color-scheme: dark) {\n"
        f"  {name} {{ background: {background} !important; }}\n"
        f"  {name}, {name} a {{ color: {look.color} !important; }}\n"
        "}\n</style>\n"
    )
