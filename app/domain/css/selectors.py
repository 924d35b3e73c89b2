"""Whether a CSS selector reaches an element: in every mail, in none, or that depends.

The third verdict, None, is for what isn't known when a mailout is compiled: what Liquid decides
(app/domain/css/skeleton.py), the reader's pointer (`:hover`), and the mail program, which may put
elements and attributes of its own around the mail. True and False are certain (Kleene's logic).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cssselect2 import parser
from tinycss2.nth import parse_nth

from app.domain.css.branches import ROOTS
from app.domain.css.skeleton import Element

Verdict = bool | None
Specificity = tuple[int, int, int]

# What mail programs put around or on a mail, for rules that are meant for them alone. Source:
# howtotarget.email.
_CLIENT_NAMES = {
    *("ExternalClass", "ReadMsgBody", "moz-text-html", "moz-text-plain", "yshortcuts"),
    *("MessageViewBody", "MessageWebViewDiv", "outlook"),
    *("data-ogsc", "data-ogsb", "data-ogac", "data-ogab", "owa", "x-apple-data-detectors"),
}


class Selector:
    """One complex selector, such as `.a > p:first-child`. It keeps its verdicts on the elements of
    one mail: another mail takes a `fresh` one."""

    def __init__(self, parsed: parser.Selector) -> None:
        self.specificity: Specificity = parsed.specificity
        self._parsed = parsed
        self._tree = parsed.parsed_tree
        self._memo: _Memo = {}
        # To rule out most elements quickly. Names are ids, classes and tags, in lower case.
        self.name = next(_names(self._tree), "")
        """A name that the element must have; "" if there is none."""
        self._names_around = frozenset(_names_around(self._tree))

    def fresh(self) -> Selector:
        """The same, without verdicts."""
        return Selector(self._parsed)

    def reaches(self, element: Element) -> Verdict:
        around = element.parent.names if element.parent else None
        if around is not None and not self._names_around <= around:
            return False
        return _reaches(self._tree, element, self._memo)

    def style_conditions(self) -> Iterator[parser.AttributeSelector]:
        """Its conditions on the style attribute, such as `[style*=none]`."""
        yield from _style_conditions(self._tree)


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """The weakest of them: False before None before True."""
    result: Verdict = True
    for verdict in verdicts:
        if verdict is False:
            return False
        result = result and verdict
    return result


def some(verdicts: Iterable[Verdict]) -> Verdict:
    """The strongest of them."""
    result: Verdict = False
    for verdict in verdicts:
        if verdict is True:
            return True
        result = None if verdict is None else result
    return result


def _negated(verdict: Verdict) -> Verdict:
    return None if verdict is None else not verdict


def _unsure(verdict: Verdict) -> Verdict:
    """The verdict where what it was found for may be missing from some mails."""
    return False if verdict is False else None


# By the selector's part, which the selector keeps alive, and the element, which the memo does: the
# address of an element that is gone may be another's.
_Memo = dict[tuple[int, Element], Verdict]


def _names(tree: Any) -> Iterator[str]:
    """The names that the element itself must have, the rarer kinds first."""
    while isinstance(tree, parser.CombinedSelector):
        tree = tree.right
    for kind, attribute in (
        (parser.IDSelector, "ident"),
        (parser.ClassSelector, "class_name"),
        (parser.LocalNameSelector, "lower_local_name"),
    ):
        names = (
            getattr(each, attribute) for each in tree.simple_selectors if isinstance(each, kind)
        )
        yield from (name.lower() for name in names if name not in _CLIENT_NAMES)


def _names_around(tree: Any) -> Iterator[str]:
    """The names that elements around it must have."""
    while isinstance(tree, parser.CombinedSelector):
        if tree.combinator in (" ", ">"):
            yield from _names(tree.left)
        tree = tree.left


def _reaches(tree: Any, element: Element, memo: _Memo) -> Verdict:
    """tree: a selector as cssselect2 parses it. memo: the verdicts found so far."""
    if isinstance(tree, parser.CompoundSelector):
        return every(_holds(each, element, memo) for each in tree.simple_selectors)
    key = id(tree), element
    if key not in memo:
        right = _reaches(tree.right, element, memo)
        memo[key] = right if right is False else every((right, _left(tree, element, memo)))
    return memo[key]


def _left(tree: Any, element: Element, memo: _Memo) -> Verdict:
    """Whether what the last combinator has on its left is found where the combinator says."""
    if element.detached:
        return None
    if tree.combinator == " ":
        return some(_ancestors(tree.left, element, memo))
    if tree.combinator == ">":
        return _parent(tree.left, element, memo)
    return _before(tree, element, memo)


def _before(tree: Any, element: Element, memo: _Memo) -> Verdict:
    """Whether it is among the siblings before (`~`), or the very one before (`+`)."""
    parent = element.parent
    if parent is None:
        return False
    if (
        element.tag in ROOTS
        or parent.unsure_nesting
        or parent.may_gain_children
        or _shown_elsewhere(element, parent)
    ):
        return None
    if not parent.has_fixed_children:
        return _unsure(some(_reaches(tree.left, each, memo) for each in parent.children))
    before = parent.children[: element.index]
    if tree.combinator == "+":
        before = before[-1:]
    return some(_reaches(tree.left, each, memo) for each in before)


def _ancestors(left: Any, element: Element, memo: _Memo) -> Iterator[Verdict]:
    child, parent = element, element.parent
    while parent is not None:
        if parent.unsure_nesting or _shown_elsewhere(child, parent):
            yield None
        verdict = _reaches(left, parent, memo)
        around = parent.in_each_mail_of(element) and not parent.may_end_early
        yield verdict if around else _unsure(verdict)
        child, parent = parent, parent.parent


def _parent(left: Any, element: Element, memo: _Memo) -> Verdict:
    parent = element.parent
    if parent is None:
        return False
    if parent.unsure_nesting or _shown_elsewhere(element, parent):
        return None
    verdict = _reaches(left, parent, memo)
    around = parent.in_each_mail_of(element) and not parent.may_end_early
    return verdict if around else _unsure(verdict)


def _shown_elsewhere(element: Element, parent: Element) -> bool:
    """Whether a `capture` is between them, so that the element is shown where the variable is."""
    return element.captures != parent.captures


def _holds(simple: Any, element: Element, memo: _Memo) -> Verdict:
    """Whether one simple selector, such as `.a` or `:empty`, is true of the element."""
    match simple:
        case parser.LocalNameSelector():
            tag = element.tag
            return None if tag is None else bool(tag == simple.lower_local_name)
        case parser.NamespaceSelector():
            return bool(simple.namespace != "")
        case parser.IDSelector():
            return _has_name(element, "id", [element.attributes.get("id", "")], simple.ident)
        case parser.ClassSelector():
            return _has_name(element, "class", element.classes, simple.class_name)
        case parser.AttributeSelector():
            return attribute_holds(simple, element)
        case parser.NegationSelector():
            return _negated(_any_of(simple, element, memo))
        case parser.MatchesAnySelector() | parser.SpecificityAdjustmentSelector():
            return _any_of(simple, element, memo)
        case parser.RelationalSelector():
            return some(_has(each, element, memo) for each in simple.selector_list)
        case parser.PseudoClassSelector():
            return _pseudo_class(simple.name, element)
        case parser.FunctionalPseudoClassSelector():
            numbers = parse_nth(simple.arguments) if simple.name.startswith("nth-") else None
            return _nth(simple.name, numbers[0], numbers[1], element) if numbers else None
    return None


def _any_of(simple: Any, element: Element, memo: _Memo) -> Verdict:
    return some(_reaches(each.parsed_tree, element, memo) for each in simple.selector_list)


def _has_name(element: Element, attribute: str, names: list[str], name: str) -> Verdict:
    if element.unsure is None or attribute in element.unsure:
        return None
    if name in names:
        return True
    # In a document without a doctype, case doesn't matter.
    alike = name.lower() in (each.lower() for each in names)
    return None if alike or name in _CLIENT_NAMES else False


def attribute_holds(
    simple: parser.AttributeSelector, element: Element, value: str | None = None
) -> Verdict:
    """Whether a condition such as `[href^=http]` is true. value: another one than the source's."""
    if element.unsure is None:
        return None
    value = element.attributes.get(simple.lower_name) if value is None else value
    if value is None:
        return None if simple.lower_name in _CLIENT_NAMES else False
    if simple.operator is None:
        return True
    if simple.lower_name in element.unsure:
        return None
    if _compares(simple.operator, value, simple.value):
        return True
    # It depends on the attribute whether case matters.
    alike = _compares(simple.operator, value.lower(), simple.value.lower())
    return None if alike else False


def _compares(operator: str, value: str, wanted: str) -> bool:
    match operator:
        case "=":
            return value == wanted
        case "~=":
            return wanted in value.split()
        case "|=":
            return value == wanted or value.startswith(f"{wanted}-")
        case "^=":
            return bool(wanted) and value.startswith(wanted)
        case "$=":
            return bool(wanted) and value.endswith(wanted)
    return bool(wanted) and wanted in value


def _pseudo_class(name: str, element: Element) -> Verdict:
    match name:
        case "root":
            return element.tag == "html"
        case "empty":
            unknown = element.detached or element.unsure_nesting or element.may_gain_children
            return (
                False if element.has_content else None if unknown else _negated(element.has_content)
            )
        case "link" | "any-link":  # `:visited` beside it is the exception to it
            if element.unsure is None:
                return None
            return element.tag in ("a", "area") and "href" in element.attributes
        case "first-child" | "last-child" | "first-of-type" | "last-of-type":
            return _nth(name.replace("first-", "nth-").replace("last-", "nth-last-"), 0, 1, element)
        case "only-child" | "only-of-type":
            ends = (name.replace("only-", f"nth-{end}") for end in ("", "last-"))
            return every(_nth(end, 0, 1, element) for end in ends)
    return None


def _nth(name: str, a: int, b: int, element: Element) -> Verdict:
    """The `an + b`th among its siblings, or among those of its type."""
    parent = element.parent
    if element.detached or (parent is not None and not parent.has_fixed_children):
        return None
    if parent is None:
        position, count = 1, 1
    elif name.endswith("of-type"):
        if element not in parent.places:
            return None
        position, count = parent.places[element]
    else:
        position, count = element.index + 1, len(parent.children)
    if "last" in name:
        position = count + 1 - position
    steps = position - b
    return steps == 0 if a == 0 else steps % a == 0 and steps // a >= 0


def _has(relative: Any, element: Element, memo: _Memo) -> Verdict:
    """`:has(…)`: whether the element contains what the relative selector wants."""
    if element.detached or relative.combinator in ("+", "~"):
        return None
    tree = relative.selector.parsed_tree
    within = list(element.children if relative.combinator == ">" else _descendants(element))
    verdicts = [_reaches(tree, each, memo) for each in within]
    for number, each in enumerate(within):
        # What a longer selector has on its left must be inside, too: that isn't looked at.
        if each.path != element.path or isinstance(tree, parser.CombinedSelector):
            verdicts[number] = _unsure(verdicts[number])
    if any(each.unsure_nesting or each.may_gain_children for each in (element, *within)):
        verdicts.append(None)
    return some(verdicts)


def _descendants(element: Element) -> Iterator[Element]:
    stack = element.children[::-1]
    while stack:
        each = stack.pop()
        yield each
        stack += each.children[::-1]


def _style_conditions(tree: Any) -> Iterator[parser.AttributeSelector]:
    match tree:
        case parser.CombinedSelector():
            yield from _style_conditions(tree.left)
            yield from _style_conditions(tree.right)
        case parser.CompoundSelector():
            for simple in tree.simple_selectors:
                yield from _style_conditions(simple)
        case parser.AttributeSelector() if tree.lower_name == "style":
            yield tree
        case parser.RelativeSelector():
            yield from _style_conditions(tree.selector)
        case parser.Selector():
            yield from _style_conditions(tree.parsed_tree)
        case (
            parser.NegationSelector()
            | parser.MatchesAnySelector()
            | parser.SpecificityAdjustmentSelector()
            | parser.RelationalSelector()
        ):
            for each in tree.selector_list:
                yield from _style_conditions(each)
