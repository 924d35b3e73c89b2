"""The elements of a mail as a browser will see them, and what Liquid may change about them.

Every start tag of the source is an element here, with what is known of it in each mail that has it:
its ancestors, its siblings, its attributes, whether it has content. What isn't known is marked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from selectolax.lexbor import LexborHTMLParser, LexborNode

from app.domain.content.masking import Masks
from app.domain.css.branches import ELEMENTS, NUMBER, OTHER, ROOTS, UNKNOWN, Path, Scan, Tag


@dataclass(eq=False)
class Element:
    """One start tag, or an element that browsers add (`tbody`).

    parent: None for the root and for detached elements.
    unsure: attributes whose values Liquid makes; None: Liquid may make any attribute.
    detached: it was opened in one branch of Liquid and closed in another, or browsers drop it; what
    is around it isn't known. implied: browsers add it.
    unsure_nesting: there may be elements between it and its children, because some branches open or
    close elements inside. may_end_early: a branch may end it before what the source puts inside.
    has_content: text or elements; None: it may be empty.
    has_own_text: there is text or Liquid's output between its children.
    may_gain_children: Liquid may put elements among its children.
    captures: the number of `capture` blocks around it: it is shown where the variable is, not here.
    """

    tag: str | None  # None: Liquid makes it
    attributes: dict[str, str] = field(default_factory=dict)
    unsure: frozenset[str] | None = frozenset()
    path: Path = ()
    parent: Element | None = None
    children: list[Element] = field(default_factory=list)
    index: int = 0
    detached: bool = False
    implied: bool = False
    unsure_nesting: bool = False
    may_end_early: bool = False
    has_content: bool | None = False
    has_own_text: bool = False
    may_gain_children: bool = False
    captures: int = 0

    @cached_property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @cached_property
    def has_fixed_children(self) -> bool:
        """Whether its children are the same in every mail."""
        if self.unsure_nesting or self.may_gain_children:
            return False
        return all(child.path == self.path for child in self.children)

    @cached_property
    def names(self) -> frozenset[str] | None:
        """Its tag, id and classes and those of all around it, in lower case; None if not known."""
        unsure = self.unsure is None or {"class", "id"} & self.unsure
        if self.tag is None or unsure or self.unsure_nesting or self.detached or self.captures:
            return None
        above = self.parent.names if self.parent else frozenset[str]()
        own = {self.tag, *(name.lower() for name in (self.attributes.get("id", ""), *self.classes))}
        return None if above is None else above if own <= above else above | own

    @cached_property
    def places(self) -> dict[Element, tuple[int, int]]:
        """For each of its children which of those of its type it is, from 1, and of how many.

        Empty where Liquid makes a child's type.
        """
        by_type: dict[str | None, list[Element]] = {}
        for child in self.children:
            by_type.setdefault(child.tag, []).append(child)
        if None in by_type:
            return {}
        return {
            child: (place, len(alike))
            for alike in by_type.values()
            for place, child in enumerate(alike, 1)
        }

    def in_each_mail_of(self, other: Element) -> bool:
        """Whether it is in every mail that has `other`, around it where the source says so."""
        return other.path[: len(self.path)] == self.path and self.captures == other.captures


class Skeleton:
    """elements: for each start tag, in the order of the source, what browsers make of it: mostly
    one element; of `<b>` in `<p><b>x<p>y` two. others: those that browsers or Liquid add."""

    def __init__(self, masks: Masks, document: str) -> None:
        """document: the whole mail, masked."""
        scan = Scan(masks, document)
        by_number = _elements_by_number(scan)
        self.elements = [
            by_number.get(str(number)) or [_element(tag, detached=True)]
            for number, tag in enumerate(scan.tags)
        ]
        self.others = by_number.get("", [])
        for number, tag in enumerate(scan.others):
            self.others += by_number.get(f"{OTHER}{number}") or [_element(tag, detached=True)]


def _element(tag: Tag, *, detached: bool = False) -> Element:
    return Element(
        None if tag.name == UNKNOWN else tag.name,
        tag.attributes,
        tag.unsure,
        tag.path,
        detached=detached,
        unsure_nesting=tag.unsure_nesting,
        may_end_early=tag.may_end_early,
        has_content=None if detached or tag.raw else False,
        captures=tag.captures,
    )


def _elements_by_number(scan: Scan) -> dict[str, list[Element]]:
    """The elements that browsers make of the tags, by their numbers; those without a tag by ""."""
    found: dict[str, list[Element]] = {}
    roots = Counter(tag.name for tag in scan.tags if tag.name in ROOTS)
    walk: list[tuple[LexborNode | None, Element | None]] = [
        (LexborHTMLParser("".join(scan.pieces)).root, None)
    ]
    while walk:
        node, parent = walk.pop()
        if node is None:
            continue
        if parent is not None:
            walk.append((node.next, parent))
        if node.is_text_node and parent is not None:
            _note_text(parent, node.text_content or "", scan.paths)
        if not node.is_element_node:
            continue
        number = node.attributes.get(NUMBER) or ""
        element = _add_element(node, number, parent, scan)
        found.setdefault(number, []).append(element)
        if element.tag in ROOTS:
            element.unsure_nesting |= scan.unsure_root
            if roots[element.tag] > 1:
                element.unsure = None
        walk.append((node.child, element))
    return found


def _add_element(node: LexborNode, number: str, parent: Element | None, scan: Scan) -> Element:
    if number.startswith(OTHER):
        element = _element(scan.others[int(number.removeprefix(OTHER))])
    elif number:
        element = _element(scan.tags[int(number)])
    else:
        element = Element(node.tag or "", implied=True)
        if parent is not None:
            element.path, element.captures = parent.path, parent.captures
            element.unsure_nesting = element.may_end_early = parent.unsure_nesting
    if parent is not None:
        element.parent, element.index = parent, len(parent.children)
        parent.children.append(element)
        if parent.has_content is not True:
            parent.has_content = True if element.path == parent.path else None
    return element


def _note_text(parent: Element, text: str, paths: list[Path]) -> None:
    words = text.split()
    parent.has_own_text |= bool(words)
    if any(word.isdigit() and paths[int(word)] == parent.path for word in words):
        parent.has_content = True
    elif parent.has_content is False:
        parent.has_content = None
    parent.may_gain_children |= ELEMENTS in words
