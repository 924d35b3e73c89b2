"""How Liquid's conditions compare what subscribers have.

Imported columns are text. To python-liquid a text never equals a number (`==`), and ordering the
two (`<`) is an error. Here a text that reads as a number counts as that number, wherever it is
compared with one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from liquid import RenderContext
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LtExpression,
    NeExpression,
    _contains,
    _eq,
)
from liquid.builtin.expressions.primitive import (
    Blank,
    Empty,
    FalseLiteral,
    RangeLiteral,
    TrueLiteral,
)
from liquid.builtin.tags.case_tag import _AnyExpression
from liquid.exceptions import LiquidTypeError
from liquid.expression import Expression
from liquid.undefined import is_undefined

# No grouping of thousands: whether 1,234 is above a thousand depends on the country.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_MAX_DIGITS = 300  # no number in a mail has more, and Python refuses more than 4,300

_WITHOUT_ORDER = (TrueLiteral, FalseLiteral, Empty, Blank, RangeLiteral)


def number(value: object) -> int | float | None:
    """The number that a value is or that its text reads as; else None.

    Such texts are "42", " -1.5" or "2e3". true and false are no numbers.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _MAX_DIGITS or not (match := _NUMBER.fullmatch(text)):
            return None
        whole = match[3] is None and "." not in text
        return int(text) if whole else float(text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None if math.isnan(value) else value
    return None


def equal(left: object, right: object) -> bool:
    """Whether Liquid's `==` holds. Two texts are equal to the letter: "01234" isn't "1234"."""
    if isinstance(left, str) and isinstance(right, bool):
        left, right = right, left
    if isinstance(left, bool) and isinstance(right, str):
        return right.strip().lower() == str(left).lower()
    if isinstance(left, str) != isinstance(right, str):
        numbers = number(left), number(right)
        if None not in numbers:
            return numbers[0] == numbers[1]
    return _eq(left, right)


def ordered(left: object, right: object, holds: Callable[[int], bool]) -> bool:
    """Whether an order holds between two values; never where one of them is missing or blank.

    holds: whether the order is the wanted one; it is given -1, 0 or 1 where left is below, equal to
    or above right. Numbers and texts that read as numbers are compared as numbers, other texts as
    text, which suits dates such as 2026-05-17. Raises ValueError for values without an order.
    """
    if _is_missing(left) or _is_missing(right):
        return False
    numbers = number(left), number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return holds((numbers[0] > numbers[1]) - (numbers[0] < numbers[1]))
    if isinstance(left, str) and isinstance(right, str):
        return holds((left > right) - (left < right))
    raise ValueError


def _is_missing(value: object) -> bool:
    return value is None or is_undefined(value) or (isinstance(value, str) and not value.strip())


class _Equal(EqExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return equal(self.left.evaluate(context), self.right.evaluate(context))


class _NotEqual(NeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return not equal(self.left.evaluate(context), self.right.evaluate(context))


class _When(_AnyExpression):
    """The values of a `when`."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> list[bool]:
        value = self.left.evaluate(context)
        return [equal(value, each.evaluate(context)) for each in self.expressions]


class _Contains(ContainsExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        whole, part = self.left.evaluate(context), self.right.evaluate(context)
        if isinstance(whole, (list, tuple)) and not is_undefined(part):
            return any(equal(each, part) for each in whole)
        return _contains(self.token, whole, part)


def _compare(
    condition: LtExpression | GtExpression | LeExpression | GeExpression,
    context: RenderContext,
    holds: Callable[[int], bool],
) -> bool:
    try:
        return ordered(condition.left.evaluate(context), condition.right.evaluate(context), holds)
    except ValueError:
        # Names the condition and not the values: errors are logged, and values are personal.
        problem = f"“{condition}” compares a number with what is none, or values without an order"
        raise LiquidTypeError(problem, token=condition.token) from None


class _Less(LtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return _compare(self, context, lambda order: order < 0)


class _Greater(GtExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return _compare(self, context, lambda order: order > 0)


class _LessOrEqual(LeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return _compare(self, context, lambda order: order <= 0)


class _GreaterOrEqual(GeExpression):
    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        return _compare(self, context, lambda order: order >= 0)


_REPLACEMENTS: dict[type[Expression], type[Expression]] = {
    EqExpression: _Equal,
    NeExpression: _NotEqual,
    LtExpression: _Less,
    GtExpression: _Greater,
    LeExpression: _LessOrEqual,
    GeExpression: _GreaterOrEqual,
    ContainsExpression: _Contains,
    _AnyExpression: _When,
}


def compare_as_numbers(expressions: Iterable[Expression]) -> None:
    """Make the comparisons among them follow the rules above.

    python-liquid's parser can't be told which classes to use, so they are replaced afterwards.
    """
    for expression in expressions:
        if replacement := _REPLACEMENTS.get(type(expression)):
            expression.__class__ = replacement


def has_no_order(expression: Expression) -> bool:
    """Whether this is a `<`, `>`, `<=` or `>=` that fails whatever the data are."""
    return isinstance(expression, (LtExpression, GtExpression, LeExpression, GeExpression)) and any(
        isinstance(each, _WITHOUT_ORDER) for each in (expression.left, expression.right)
    )
