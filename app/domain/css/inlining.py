"""The rules of style elements, copied into style attributes for programs that drop the elements.

The elements stay, for what is conditional. What may be copied is decided in cascade.py.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cssselect2.parser import AttributeSelector

from app.domain.content.markup import ATTRIBUTE, MARKUP, is_start_tag
from app.domain.content.masking import Masks
from app.domain.css.cascade import Group, groups, promoted
from app.domain.css.selectors import attribute_holds
from app.domain.css.sheets import Declaration, Rule, read_sheet
from app.domain.css.skeleton import Element, Skeleton

# Media of style elements whose rules are for everybody; no media means the same.
_ALL_MEDIA = {"", "all", "screen", "only screen", "only all"}


@dataclass(frozen=True)
class Styled:
    """html: the document with its styles inlined.

    visibility: what styles without a condition make of elements, by the numbers of their start tags
    (`is_start_tag`). "none": nothing in it is shown; "hidden": of what is inside only elements that
    are "visible" are shown. An element that isn't listed is shown if the one around it is.
    """

    html: str
    visibility: Mapping[int, str]


def inline_styles(document: str, masks: Masks, ours: Sequence[range] = ()) -> Styled:
    """document: the whole mail, masked. ours: the places of our own HTML: nothing is copied to it,
    and what it declares goes on outranking the author's rules."""
    starts = [match for match in MARKUP.finditer(document) if is_start_tag(match)]
    of_ours = {
        number for number, match in enumerate(starts) if any(match.start() in each for each in ours)
    }
    try:
        rules = list(read_rules(document, masks))
        found = groups(Skeleton(masks, document), rules, masks, of_ours)
        important = promoted(found)
    except RecursionError:  # absurdly nested: the styles stay where they are
        return Styled(document, {})
    by_number: dict[int, Group] = {}
    visibility: dict[int, str] = {}
    for group in found:
        group.choose(important)
        shown = group.visibility()
        for number in group.elements:
            by_number[number] = group
            if shown:
                visibility[number] = shown
    conditions = [each for rule in rules for each in _style_conditions(rule)]
    changes = [(each.end, each.end, " !important") for each in important]
    needs_widths = not re.search(r"\[\s*width", document)  # rules that an attribute would change
    for number, match in enumerate(starts):
        group = by_number[number]
        changes += _style_change(match, group, number, conditions)
        if needs_widths and (match["tag"] or "").lower() == "img":
            changes += _width_attribute(match, group)
    return Styled(_changed(document, changes), visibility)


# Reading


def read_rules(document: str, masks: Masks) -> Iterator[Rule]:
    """The rules of all style elements, those in Outlook's conditional comments too."""
    only_some = 0  # depth of comments such as <!--[if !mso]><!-->, whose contents browsers see
    for match in MARKUP.finditer(document):
        text = match[0].lower()
        if (match["raw"] or "").lower() == "style":
            always = not only_some and not masks.depth(document[: match.start()])
            yield from _sheet(match, masks, always=always)
        elif text.startswith(("<!--[if", "<![if")):
            if "<![endif]" not in text:
                only_some += 1
            for inner in MARKUP.finditer(match[0], len("<!--[if")):
                if (inner["raw"] or "").lower() == "style":
                    yield from _sheet(inner, masks, always=False, offset=match.start())
        elif "<![endif]" in text:
            only_some = max(0, only_some - 1)


def _sheet(match: re.Match[str], masks: Masks, *, always: bool, offset: int = 0) -> list[Rule]:
    attributes = {
        each["name"].lower(): (each["value"] or "").strip("\"'").strip().lower()
        for each in ATTRIBUTE.finditer(match["raw_attributes"])
    }
    if masks.token.search(match["raw_attributes"]):
        always = False
    elif attributes.get("type", "text/css") not in ("", "text/css"):
        return []
    media = {" ".join(each.split()) for each in attributes.get("media", "").split(",")}
    ignored = attributes.get("data-css-inline") == "ignore"
    for_all = bool(media & _ALL_MEDIA)
    conditions: tuple[str, ...] = () if for_all else (f"@media {attributes['media']}",)
    if masks.depth(match.string[: match.start()]) or offset or "title" in attributes:
        conditions += ("of some mails or readers",)
    start, end = match.end("raw_attributes") + 1, match.start("raw_end")
    return read_sheet(
        match.string[start:end],
        masks,
        # A sheet with a title is one of several that readers may choose from.
        always=always and for_all and not ignored and "title" not in attributes,
        offset=offset + start,
        conditions=conditions,
    )


def _style_conditions(rule: Rule) -> Iterator[AttributeSelector]:
    for selector in rule.selectors:
        if selector:
            yield from selector.style_conditions()


# Writing


def _changed(document: str, changes: Iterable[tuple[int, int, str]]) -> str:
    """changes: from where, to where, and what is to stand there."""
    parts: list[str] = []
    end = 0
    for start, stop, text in sorted(changes):
        parts += document[end:start], text
        end = stop
    return "".join(parts) + document[end:]


def _style_change(
    match: re.Match[str], group: Group, number: int, conditions: list[AttributeSelector]
) -> Iterator[tuple[int, int, str]]:
    """The change of a start tag, if any."""
    if group.copied or group.copied_important or group.own_promoted:
        start, end, attribute = _style_attribute(match, group)
        if not _decides(attribute, group.elements[number], conditions):
            yield start, end, attribute


def _width_attribute(match: re.Match[str], group: Group) -> Iterator[tuple[int, int, str]]:
    """The width in pixels that CSS gives a picture as an attribute, too: Outlook knows no other,
    and would show it in its full size. Source: caniemail.com, "max-width" and "width"."""
    names = (each["name"].lower() for each in ATTRIBUTE.finditer(match["attributes"]))
    if not group.inlinable or "width" in names:
        return
    values = group.values()
    width = values.get("width", "")
    if width == "100%":
        width = values.get("max-width", "")
    if found := re.fullmatch(r"(\d+)(?:\.\d+)?px", width):
        yield match.end("tag"), match.end("tag"), f' width="{found[1]}"'


def _style_attribute(match: re.Match[str], group: Group) -> tuple[int, int, str]:
    """The style attribute that a start tag gets, and its place: from where, to where.

    In it stand, in this order: what rules declare; the tag's own style; what rules declare
    `!important`, without that word, since the order is enough and the rules themselves stay. Last
    are those of the tag's own declarations that must outrank rules made `!important`: once more and
    with `!important`, since Outlook ignores declarations that have it.
    """
    attributes = ATTRIBUTE.finditer(match["attributes"])
    own = next((each for each in attributes if each["name"].lower() == "style"), None)
    raw = (own and own["value"]) or '""'
    quote = raw[0] if raw[0] in "\"'" else ""
    value = raw[1:-1] if quote else raw
    quote = quote or '"'
    before, after, promoted_again = (
        ";".join(_written_declaration(each, quote) for each in declarations)
        for declarations in (
            [each.declaration for each in group.copied],
            [each.declaration for each in group.copied_important],
            [replace(each, value=f"{each.value} !important") for each in group.own_promoted],
        )
    )
    if after or promoted_again:
        value = value.rstrip().removesuffix(";")
    parts = (before, value, after, promoted_again)
    attribute = f"style={quote}{'; '.join(part for part in parts if part)}{quote}"
    if own is None:
        place = match.end("tag")
        return place, place, f" {attribute}"
    start, end = (match.start("attributes") + place for place in own.span())
    return start, end, attribute


def _written_declaration(declaration: Declaration, quote: str) -> str:
    """As it stands in an attribute between such quotes."""
    value = declaration.value
    if not re.search(r"['\\]", value):
        value = value.replace('"', "'")  # CSS takes either quote; this one needs no entity
    value = html.escape(value, quote=False)
    return f"{declaration.name}: {value.replace(quote, '&quot;' if quote == chr(34) else '&#39;')}"


def _decides(attribute: str, element: Element, conditions: list[AttributeSelector]) -> bool:
    """Whether another style attribute might change which rules reach elements: `p[style]`."""
    value = html.unescape(attribute.strip().removeprefix("style=")[1:-1])
    return any(
        before is None or before is not attribute_holds(each, element, value)
        for each in conditions
        for before in [attribute_holds(each, element)]
    )
