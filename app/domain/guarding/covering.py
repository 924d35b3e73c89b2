"""Whether an author's styles hide the footer, as far as that can be told from them.

The footer's own elements say with `!important` all that makes them seen (markup.py), which no rule
of a style sheet outranks. What is left is what styles do to the elements around it, and what they
lay over it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.content.markup import MARKUP
from app.domain.content.masking import Masks
from app.domain.css.cascade import Looks, visibility_of
from app.domain.css.colors import parsed
from app.domain.css.inlining import read_rules
from app.domain.css.skeleton import Element, Skeleton
from app.domain.css.surroundings import in_the_light

_NEUTRAL = ("none", "auto", "visible", "initial", "unset", "1", "0", "normal", "100%", "static")
_MOVES = (
    *("clip", "clip-path", "mask", "mask-image", "-webkit-mask", "-webkit-mask-image", "filter"),
    *("transform", "scale", "translate", "rotate", "offset-path", "zoom", "content-visibility"),
)
"""Properties that may make an element unseen, in more ways than are worth telling apart."""
_LAID_OVER = re.compile(
    r"::?(?:before|after|backdrop)\b[^{}]*\{[^{}]*\bposition\s*:\s*(?:absolute|fixed)",
    re.IGNORECASE,
)
_PIXELS = re.compile(r"(\d+(?:\.\d+)?)(?:px|pt|em|rem)?")


@dataclass(frozen=True)
class Covered:
    """by: what hides the footer, or may. surely: of every reader."""

    by: str
    surely: bool


def covered(document: str, masks: Masks, link: str) -> Covered | None:
    """document: masked and framed. link: the token that is the address of the footer's link. None:
    nothing hides it."""
    try:
        found = list(_covers(document, masks, link))
    except RecursionError:  # absurdly nested
        return Covered("what is nested too deeply", surely=False)
    return next((each for each in found if each.surely), found[0] if found else None)


def _covers(document: str, masks: Masks, link: str) -> Iterator[Covered]:
    looks = Looks(list(read_rules(document, masks)), masks)
    skeleton = Skeleton(masks, document)
    everything = (each for alike in skeleton.elements for each in alike)
    ours = next((each for each in everything if each.attributes.get("href") == link), None)
    if ours is None:
        yield Covered("Liquid that makes tags", surely=False)
        return
    for element in _chain(ours):
        if element is ours or "mail-footer" in element.classes:
            if _is_recoloured(element, looks.values(element, in_the_light)):
                yield Covered("a colour that is given to it", surely=False)
            continue  # all else they say themselves
        if element.unsure is None or "style" in element.unsure:
            yield Covered(f"Liquid in <{element.tag}>", surely=False)
        if problem := _hides(looks.values(element, in_the_light)):
            yield Covered(f"“{problem}” of <{element.tag}>", surely=True)
        elif problem := _hides(looks.values(element, lambda _: True)) or _moves(
            looks.values(element, lambda _: True)
        ):
            yield Covered(f"“{problem}” of <{element.tag}>", surely=False)
        if "all" in looks.values(element):
            yield Covered(f"Liquid in the styles of <{element.tag}>", surely=False)
        if any(_hides(each) for each in looks.doubtful(element)):
            yield Covered(f"what may or may not be said of <{element.tag}>", surely=False)
        color = looks.values(element, in_the_light).get("color", "inherit")
        known = color in ("inherit", "currentcolor", "unset") or parsed(color) is not None
        if not known and "color:inherit" in ours.attributes.get("style", ""):
            yield Covered(f"the colour of <{element.tag}>, which isn't known,", surely=False)
    for match in MARKUP.finditer(document):
        if (match["raw"] or "").lower() == "style" and _LAID_OVER.search(match[0]):
            yield Covered("what ::before or ::after lays over it", surely=False)


def _chain(element: Element) -> Iterator[Element]:
    current: Element | None = element
    while current is not None:
        yield current
        current = current.parent


def _is_recoloured(element: Element, values: Mapping[str, str]) -> bool:
    """Whether a rule outranks the footer's own colour, which isn't important where it is another
    one in the dark."""
    own = re.search(r"(?:^|;)color:([^;!]+)", element.attributes.get("style", ""))
    return own is not None and values.get("color") != own[1].strip().lower()


def _hides(values: Mapping[str, str]) -> str | None:
    """What of the values hides what is in an element, as it is declared."""
    if visibility_of(values) == "none":
        names = ("display", "opacity", "height", "max-height", "width", "max-width")
        return next((f"{name}: {values[name]}" for name in names if name in values), "overflow")
    overflow = " ".join(values.get(f"overflow{axis}", "") for axis in ("", "-y", "-block"))
    if re.search(r"hidden|clip|auto|scroll", overflow):
        for name in ("max-height", "height", "block-size", "max-block-size"):
            if _PIXELS.fullmatch(values.get(name, "")):
                return f"{name}: {values[name]}; overflow: {overflow.strip()}"
    if values.get("content-visibility") == "hidden":
        return "content-visibility: hidden"
    return None


def _moves(values: Mapping[str, str]) -> str | None:
    if values.get("position") in ("absolute", "fixed"):
        return f"position: {values['position']}"
    names = (name for name in _MOVES if values.get(name, "none") not in _NEUTRAL)
    return next((f"{name}: {values[name] or '…'}" for name in names), None)
