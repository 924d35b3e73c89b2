"""What rules and style attributes declare for each element, and which of it may be copied to style
attributes.

Only what holds in every mail and for every reader may be copied. In a style attribute it outranks
all rules. So whatever outranks it in the author's mail has to be copied, too, or be made
`!important` where it stands. Where that isn't possible, nothing is copied
(docs/decisions/0012-inlined-styles.md).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.domain.content.masking import Masks
from app.domain.css.properties import overlap
from app.domain.css.selectors import Selector, Specificity, Verdict
from app.domain.css.sheets import Declaration, Rule, read_attribute
from app.domain.css.skeleton import Element, Skeleton

# Elements that are not shown, or whose content is no markup.
_CLOSED = {
    *("base", "head", "iframe", "link", "meta", "noembed", "noframes", "noscript", "script"),
    *("style", "template", "textarea", "title", "xmp"),
}


# Media that are dark whatever else they are.
_DARK = re.compile(
    r"@media (?!not)[^,]*\(\s*prefers-color-scheme\s*:\s*dark\s*\)[^,]*", re.IGNORECASE
)


@dataclass(frozen=True)
class Applied:
    """A rule's declaration for an element.

    specificity: of the selector that reaches it. surely: whether it does in every mail, for every
    reader. reaches: whether it does, should the rule's conditions hold.
    """

    declaration: Declaration
    rule: Rule
    specificity: Specificity
    surely: bool
    reaches: bool

    @property
    def rank(self) -> tuple[Specificity, int]:
        """Of two that are both `!important`, or both not, that with the higher rank wins."""
        return self.specificity, self.declaration.place

    def overlaps(self, other: Declaration) -> bool:
        return self.declaration is not other and overlap(self.declaration.name, other.name)


@dataclass(eq=False)
class Group:
    """Elements, by the numbers of their tags, for which the same is declared.

    applied: by rules, in the order of their ranks. own: by their style attributes. inlinable:
    whether styles may be copied to them. ours: whether they are ours and not the author's. fixed:
    whether their style attributes must stay as they are. copied, copied_important: the declarations
    that are copied to them, in the order of ranks. own_promoted: those of `own` that are made
    `!important`.
    """

    applied: list[Applied]
    own: list[Declaration]
    inlinable: bool
    ours: bool
    fixed: bool
    elements: dict[int, Element] = field(default_factory=dict)
    copied: list[Applied] = field(default_factory=list)
    copied_important: list[Applied] = field(default_factory=list)
    own_promoted: list[Declaration] = field(default_factory=list)

    def __post_init__(self) -> None:
        opaque = [each.declaration for each in self.applied if each.declaration.opaque]
        clear = [each for each in self.applied if not each.declaration.opaque]
        self._normal = [each for each in clear if not each.declaration.important]
        self._important = [each for each in clear if each.declaration.important]
        # Whether these outrank the opaque ones isn't known, so they stay as they are.
        self._unclear = {each for each in clear if any(map(each.overlaps, opaque))}
        self.outranked = [
            (low, high)
            for number, high in enumerate(self._normal)
            for low in self._normal[:number]
            if low.overlaps(high.declaration)
        ]

    def worth_copying(self) -> list[Applied]:
        """The normal declarations that would do something in a style attribute."""
        if not self.inlinable:
            return []
        return _effective(self._sure(self._normal))

    def not_promotable(self) -> Iterator[Declaration]:
        """Those that can't be made `!important`, since they would then outrank more than now."""
        own = [each for each in self.own if each.opaque or not each.important]
        own = [each for each in own if not self._can_be_promoted(each)]
        for each in self._normal:
            stronger = (
                each.overlaps(other.declaration) and other.rank < each.rank
                for other in self._important
            )
            over = [other for other in own if not self._yields(other, each)]
            if each in self._unclear or any(map(each.overlaps, over)) or any(stronger):
                yield each.declaration

    def _can_be_promoted(self, own: Declaration) -> bool:
        """Whether it may be made `!important` without outranking more than it does now."""
        outranked = any(each.overlaps(own) for each in self._important)
        return own.always and not self.fixed and not outranked

    def _yields(self, own: Declaration, to: Applied) -> bool:
        """Whether it doesn't count where such a rule holds: the footer has other colours in the
        dark, which are `!important`."""
        in_the_dark = any(_DARK.fullmatch(each) for each in to.rule.conditions)
        return self.ours and in_the_dark and any(each.overlaps(own) for each in self._important)

    def choose(self, promoted: set[Declaration]) -> None:
        """Decide what is written into the attribute. promoted: what is made `!important`."""
        over = [each for each in self._normal if each.declaration in promoted]
        self.own_promoted = [
            each
            for each in self.own
            if not each.important
            and any(other.overlaps(each) and not self._yields(each, other) for other in over)
        ]
        if not self.inlinable:
            return
        above = defaultdict(list)
        for low, high in self.outranked:
            above[low].append(high)
        safe: set[Applied] = set()
        for each in reversed(self._sure(self._normal)):
            if all(high in safe or high.declaration in promoted for high in above[each]):
                safe.add(each)
        self.copied = [each for each in self.worth_copying() if each in safe]
        final = [each for each in self.own if each.important]
        self.copied_important = [
            each
            for each in _effective(self._sure(self._important))
            if not any(map(each.overlaps, final))
        ]

    def visibility(self) -> str | None:
        """As in `inlining.Styled`; None: it is shown if the element around it is."""
        if self.ours:  # the text part has its own footer
            return "none"
        return visibility_of(self.values())

    def values(self) -> dict[str, str]:
        """What is declared without a condition; "" where that depends on Liquid."""
        surely = [each.declaration for each in self.applied if each.surely]
        values: dict[str, str] = {}
        for each in (
            *(each for each in surely if not each.important),
            *(each for each in self.own if not each.important),
            *(each for each in surely if each.important),
            *(each for each in self.own if each.important),
        ):
            if each.opaque:  # what Liquid may show is shown
                values.clear()
            values[each.name] = each.value.lower() if each.always else ""
        if any("hidden" in each.attributes for each in self.elements.values()):
            values.setdefault("display", "none")
        return values

    def _sure(self, applied: list[Applied]) -> list[Applied]:
        return [each for each in applied if each.surely and each not in self._unclear]


class Looks:
    """What rules and style attributes declare for single elements."""

    def __init__(self, rules: list[Rule], masks: Masks) -> None:
        self._index = _Index(rules)
        self._masks = masks

    def values(
        self, element: Element, holds: Callable[[tuple[str, ...]], bool] = lambda all_: not all_
    ) -> dict[str, str]:
        """The values that win, by property, in the order in which they were declared; "" for one
        that isn't known. holds: whether the conditions of a rule do."""
        reached = [
            each for each in _applied(self._index.reached([element])) if holds(each.rule.conditions)
        ]
        own = read_attribute(element.attributes.get("style", ""), self._masks)
        found: dict[str, str] = {}
        for important in (False, True):
            for each in reached:
                # What may or may not reach it, such as `:hover`, doesn't count.
                if each.declaration.important is important and each.reaches:
                    _set(found, each.declaration, known=each.declaration.known)
            for declaration in own:
                if declaration.important is important:
                    _set(found, declaration, known=declaration.always)
        return found

    def doubtful(self, element: Element) -> Iterator[dict[str, str]]:
        """The values of each rule that may or may not reach it, in whichever mail."""
        for rule, _, verdict in self._index.reached([element]):
            if verdict is None:
                yield {each.name: each.value.lower() for each in rule.declarations}


def _set(values: dict[str, str], declaration: Declaration, *, known: bool) -> None:
    values.pop(declaration.name, None)
    values[declaration.name] = declaration.value.lower() if known else ""


def groups(
    skeleton: Skeleton, rules: list[Rule], masks: Masks, ours: Container[int]
) -> list[Group]:
    """ours: the numbers of the tags that are ours and not the author's."""
    # Rules such as `p[style]` depend on style attributes, which must then stay as they are.
    watched = any(
        selector and any(selector.style_conditions())
        for rule in rules
        for selector in rule.selectors
    )
    index = _Index(rules)
    own: dict[str, list[Declaration]] = {}
    found: dict[object, Group] = {}
    for number, alike in (
        *enumerate(skeleton.elements),
        *((None, [other]) for other in skeleton.others),
    ):
        element = alike[0]
        reached = index.reached(alike)
        style = element.attributes.get("style", "")
        if style not in own:
            own[style] = read_attribute(style, masks)
        anything = _may_declare_anything(element, masks)
        is_ours = number is not None and number in ours
        is_inlinable = number is not None and not is_ours and _is_inlinable(element)
        is_fixed = watched or number is None or element.tag in _CLOSED
        key = (
            tuple((id(selector), verdict) for _, selector, verdict in reached),
            *(style, "hidden" in element.attributes, anything, is_inlinable, is_ours, is_fixed),
        )
        if key not in found:
            declared = [*own[style], *_ANYTHING[:anything]]
            found[key] = Group(_applied(reached), declared, is_inlinable, is_ours, is_fixed)
        if number is not None:
            found[key].elements[number] = element
    return list(found.values())


_ANYTHING = [Declaration("all", "", important=False, place=0, end=0, opaque=True)]


def _may_declare_anything(element: Element, masks: Masks) -> bool:
    """Whether Liquid may give the tag a style attribute, or take it away."""
    if element.unsure is not None:
        return False
    names = " ".join(element.attributes)
    return "style" in names or any(masks[each].may_print for each in masks.token.findall(names))


def promoted(of: Iterable[Group]) -> set[Declaration]:
    """The declarations to make `!important`, so that they outrank those that are copied.

    With each goes all that outranks it for any element. Where something that outranks it can't be
    made `!important`, it isn't either.
    """
    above: _Steps = defaultdict(set)
    below: _Steps = defaultdict(set)
    needed: set[Declaration] = set()
    unpromotable: set[Declaration] = set()
    for group in of:
        wanted = set(group.worth_copying())
        for low, high in group.outranked:
            above[low.declaration].add(high.declaration)
            below[high.declaration].add(low.declaration)
            if low in wanted and not high.surely:
                needed.add(high.declaration)
        unpromotable.update(group.not_promotable())
    return _closure(needed - _closure(unpromotable, below), above)


_Steps = dict[Declaration, set[Declaration]]


def _closure(start: set[Declaration], steps: _Steps) -> set[Declaration]:
    """All that steps from the start lead to, the start included."""
    found, todo = set(start), list(start)
    while todo:
        new = steps.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def _is_inlinable(element: Element) -> bool:
    """Whether it is known which rules reach the tag, and its author doesn't forbid inlining."""
    if element.tag is None or element.tag in _CLOSED:
        return False
    if element.unsure is None or {"class", "id"} & element.unsure:
        return False
    return element.attributes.get("data-css-inline") != "ignore"


_Reached = tuple[Rule, Selector | None, Verdict]


class _Index:
    """The rules by a name that an element must have, so that few need a closer look."""

    def __init__(self, rules: list[Rule]) -> None:
        self._all = [(rule, selector) for rule in rules for selector in rule.selectors]
        self._by_name: Mapping[str, list[int]] = defaultdict(list)
        for number, (_, selector) in enumerate(self._all):
            self._by_name[selector.name if selector else ""].append(number)

    def reached(self, elements: list[Element]) -> list[_Reached]:
        """The rules that reach them or may. elements: all that one tag makes."""
        found: list[_Reached] = []
        for number in self._candidates(elements[0]):
            rule, selector = self._all[number]
            verdicts = {selector.reaches(each) if selector else None for each in elements}
            verdict = verdicts.pop() if len(verdicts) == 1 else None
            if verdict is not False:
                found.append((rule, selector, verdict))
        return found

    def _candidates(self, element: Element) -> Iterable[int]:
        if not element.tag or element.unsure is None or {"class", "id"} & element.unsure:
            return range(len(self._all))
        names = {"", element.tag, element.attributes.get("id", "").lower()}
        names |= {each.lower() for each in element.classes}
        return sorted(number for name in names for number in self._by_name.get(name, ()))


def _applied(reached: list[_Reached]) -> list[Applied]:
    applied = [
        Applied(
            declaration,
            rule,
            selector.specificity if selector else (0, 0, 0),
            surely=verdict is True and declaration.always,
            reaches=verdict is True,
        )
        for rule, selector, verdict in reached
        for declaration in rule.declarations
    ]
    return sorted(applied, key=lambda each: each.rank)


def _effective(applied: list[Applied]) -> list[Applied]:
    """Without those that a stronger rule replaces by one of the same name.

    The strongest rule may declare a property several times, for programs that don't understand the
    last one: all of these stay. If it reaches the element by several selectors, the strongest
    counts.
    """
    last = {each.declaration.name: each.rule for each in applied}
    strongest = {each.declaration: each for each in applied}
    return [
        each
        for each in applied
        if last[each.declaration.name] is each.rule and strongest[each.declaration] is each
    ]


def visibility_of(values: Mapping[str, str]) -> str | None:
    overflow = " ".join(values.get(f"overflow{axis}", "") for axis in ("", "-x", "-y"))
    sizes = (f"{most}{side}" for most in ("", "max-") for side in ("height", "width"))
    flat = any(_is_zero(values.get(size, "")) for size in sizes)
    clipped = "hidden" in overflow or "clip" in overflow
    if values.get("display") == "none" or (flat and clipped) or _is_zero(values.get("opacity", "")):
        return "none"
    visibility = values.get("visibility")
    if visibility in ("hidden", "collapse"):
        return "hidden"
    return "visible" if visibility == "visible" else None


def _is_zero(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?0*\.?0+(%|[a-z]+)?", value))
