"""Where in an author's mail the footer fits, and how it has to look there.

Most mails have wrappers: elements that hold all the rest, give it a width and its colours. The
footer stands at the end of the innermost that can hold it, is as wide as the mail, and has the
colours that text would have there, in the light and in the dark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.domain.content.markup import MARKUP, VOID, is_start_tag
from app.domain.content.masking import Masks
from app.domain.css.cascade import Looks, visibility_of
from app.domain.css.colors import LEGIBLE as LEGIBLE_CONTRAST
from app.domain.css.colors import (
    RGB,
    contrast,
    hexadecimal,
    legible_on,
    of_background,
    parsed,
    quieter,
)
from app.domain.css.inlining import read_rules
from app.domain.css.skeleton import Element, Skeleton

DEFAULT_WIDTH = 600  # pixels
_WIDTHS = range(280, 1001)
"""Of a mail's column, in pixels; what is narrower or wider is something else."""
_HOLDS_TEXT = {"body", "div", "center", "td", "main", "section", "article"}
_WRAPS = {*_HOLDS_TEXT, "table", "tbody", "tr"}
_LAYOUT = {
    "align",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "class",
    "role",
    "style",
    "width",
}
"""Attributes of tables that make a layout. One without is a table of data."""
_NOT_SEEN = {"head", "link", "meta", "script", "style", "template", "title", "noscript", "map"}
_WHITE: RGB = parsed("#ffffff") or (1.0, 1.0, 1.0)
_GRAY, _LIGHT_GRAY = parsed("#595959"), parsed("#c8c8c8")
_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_ALWAYS = re.compile(r"\b(?:only|screen|all|and)\b|@media|\s", re.IGNORECASE)

Holds = Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True)
class Look:
    """color: of the text, as CSS. background: one of its own, where what is behind isn't known."""

    color: str
    background: str | None = None


_OWN = Look("#595959", "#ffffff")
"""Legible wherever it stands."""


@dataclass(frozen=True)
class Surroundings:
    """place: an index into the document; None: at its end. tag: of the element that is to hold what
    stands there. width: pixels. dark: None where nothing
    is different in the dark."""

    place: int | None = None
    tag: str = "body"
    width: int = DEFAULT_WIDTH
    light: Look = _OWN
    dark: Look | None = None

    @property
    def color(self) -> str:
        return self.light.color

    @property
    def background(self) -> str | None:
        return self.light.background

    @property
    def by_itself(self) -> Surroundings:
        """The same place, where what is around it isn't what it seems to be."""
        return replace(self, light=_OWN, dark=None)

    @property
    def differs_in_the_dark(self) -> bool:
        return self.dark is not None


def surroundings(document: str, masks: Masks) -> Surroundings:
    """document: the author's, whole and masked."""
    try:
        return _Finder(document, masks).found()
    except RecursionError:  # absurdly nested
        return Surroundings()


class _Finder:
    def __init__(self, document: str, masks: Masks) -> None:
        self._document = document
        self._masks = masks
        self._looks = Looks(list(read_rules(document, masks)), masks)
        self._skeleton = Skeleton(masks, document)
        self._starts = [match for match in MARKUP.finditer(document) if is_start_tag(match)]
        self._numbers = {
            id(element): number
            for number, alike in enumerate(self._skeleton.elements)
            for element in alike
        }

    def found(self) -> Surroundings:
        wrappers = list(self._wrappers())
        if not wrappers:
            return Surroundings()
        place, inner = None, wrappers[0]
        for each in reversed(wrappers):
            if each.tag == "body":
                break
            if each.tag in _HOLDS_TEXT and (end := self._end(each)) is not None:
                place, inner = end, each
                break
        else:
            return Surroundings()
        width = next(
            (width for each in reversed(wrappers) if (width := self._width(each))),
            self._width_inside(wrappers[-1]),
        )
        light = self._look(inner, in_the_light)
        dark: Look | None = self._look(inner, _in_the_dark)
        tag = inner.tag or "body"
        dark = dark if dark != light else None
        return Surroundings(place, tag, width or DEFAULT_WIDTH, light, dark)

    # Wrappers

    def _wrappers(self) -> Iterator[Element]:
        """The body, and as long as an element holds nothing else, the element in it."""
        everything = (each for alike in self._skeleton.elements for each in alike)
        element = next((e for e in (*everything, *self._skeleton.others) if e.tag == "body"), None)
        while element is not None:
            yield element
            seen = [each for each in element.children if self._is_seen(each)]
            if len(seen) != 1 or element.has_own_text or element.unsure_nesting:
                return
            (inner,) = seen
            if inner.tag == "table" and not _LAYOUT & inner.attributes.keys():
                return
            if inner.tag not in _WRAPS or inner.path != element.path or inner.detached:
                return
            if not _lets_in(self._looks.values(inner)):
                return
            element = inner

    def _is_seen(self, element: Element) -> bool:
        attributes = element.attributes
        if element.tag in _NOT_SEEN or "hidden" in attributes:
            return False
        if element.tag == "img" and {attributes.get("width"), attributes.get("height")} & {
            "0",
            "1",
        }:
            return False
        return visibility_of(self._looks.values(element)) is None

    def _end(self, element: Element) -> int | None:
        """Where its end tag begins, if nothing that is shown follows it."""
        number = self._numbers.get(id(element))
        if number is None:
            return None
        start = self._starts[number]
        open_tags, end = 1, None
        for match in MARKUP.finditer(self._document, start.end()):
            name = (match["tag"] or "").lower()
            if is_start_tag(match):
                number += 1
            if end is not None:
                pixel = name in VOID and not self._is_seen(self._skeleton.elements[number][0])
                if is_start_tag(match) and not pixel:
                    return None
            elif name == element.tag:
                open_tags += -1 if match["close"] else 1
                end = None if open_tags else match.start()
        if end is None:
            return None
        after = MARKUP.sub("", self._document[end:])
        between = self._document[start.end() : end]
        shown = self._masks.token.sub("", after).strip() or self._masks.depth(between)
        prints = any(self._masks[m[0]].may_print for m in self._masks.token.finditer(after))
        return None if shown or prints or self._masks.depth(self._document[:end]) else end

    # Widths

    def _width(self, element: Element) -> int | None:
        values = self._looks.values(element)
        for text in (
            *(values.get(name, "") for name in ("max-width", "width")),
            element.attributes.get("width", ""),
        ):
            found = re.fullmatch(r"\s*(\d+)(?:\.\d+)?(?:px)?\s*", text)
            if found and int(found[1]) in _WIDTHS:
                return int(found[1])
        return None

    def _width_inside(self, element: Element) -> int | None:
        """Of the last thing in it that has one."""
        for _ in range(6):
            seen = [each for each in element.children if self._is_seen(each)]
            if not seen:
                return None
            element = seen[-1]
            if element.tag not in _WRAPS:
                return None
            if width := self._width(element):
                return width
        return None

    # Colours

    def _look(self, element: Element, holds: Holds) -> Look:
        background, is_sure = self._background(element, holds)
        text, is_said = self._text(element, holds)
        if any(self._looks.values(e, holds).get("color") in _UNSEEN for e in _and_around(element)):
            return _OWN
        if not is_sure:
            if is_said:  # it is legible for the author's own text
                return Look(hexadecimal(text) if text else "inherit")
            return _OWN
        if background is None:  # the reader's own
            if text and holds is in_the_light and contrast(text, _WHITE) < LEGIBLE_CONTRAST:
                return _OWN
            return Look(hexadecimal(text) if text else "inherit")
        if text and contrast(text, background) >= LEGIBLE_CONTRAST:
            return Look(hexadecimal(quieter(text, background)))
        if is_said and text is None:
            return Look("inherit")
        grays = [each for each in (_GRAY, _LIGHT_GRAY) if each]
        return Look(hexadecimal(legible_on(background, grays)))

    def _background(self, element: Element, holds: Holds) -> tuple[RGB | None, bool]:
        """What is behind its text; None: nothing. And whether that is known."""
        for each in _and_around(element):
            values = self._looks.values(each, holds)
            said = [(n, v) for n, v in values.items() if n.startswith("background")]
            color, is_sure = parsed(each.attributes.get("bgcolor", "")), True
            if each.attributes.get("background"):
                is_sure = False
            for name, value in said:
                if name == "background-color":
                    color = parsed(value)
                    is_sure = is_sure and (color is not None or value in _SEEN_THROUGH)
                elif name == "background":
                    color, is_sure = of_background(value)
                    is_sure = is_sure and (color is not None or value in _SEEN_THROUGH)
                elif name == "background-image":
                    is_sure = value == "none"
            if color or not is_sure:
                return color, is_sure
        return None, True

    def _text(self, element: Element, holds: Holds) -> tuple[RGB | None, bool]:
        """The colour of its text, where it is known; and whether one is declared."""
        for each in _and_around(element):
            value = self._looks.values(each, holds).get("color", each.attributes.get("text"))
            if value is not None and value not in ("inherit", "unset"):
                return parsed(value), True
        return None, False


_UNSEEN = ("transparent", "rgba(0,0,0,0)", "rgba(0, 0, 0, 0)")
_SEEN_THROUGH = ("transparent", "none", "inherit", "initial", "unset")


def _and_around(element: Element) -> Iterator[Element]:
    current: Element | None = element
    while current is not None:
        yield current
        current = current.parent


def _lets_in(values: dict[str, str]) -> bool:
    """Whether a block at its end would stand below what it holds, and be seen whole."""
    display = values.get("display", "block")
    if display not in ("block", "table", "table-cell", "table-row", "table-row-group", "flow-root"):
        return False
    if values.get("position") in ("absolute", "fixed") or values.get("float") in ("left", "right"):
        return False
    is_cut = "hidden" in values.get("overflow", "") or "max-height" in values
    return not (is_cut and re.match(r"[1-9]", values.get("max-height", values.get("height", ""))))


def in_the_light(conditions: tuple[str, ...]) -> bool:
    return all(not _ALWAYS.sub("", each) for each in conditions)


def _in_the_dark(conditions: tuple[str, ...]) -> bool:
    return all(
        any(not _ALWAYS.sub("", _DARK.sub("", one)) for one in each.split(","))
        for each in conditions
    )
