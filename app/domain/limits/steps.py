"""How much one rendering may do: steps, and the size of the values in between.

python-liquid limits the rounds of loops, what is written and what is assigned. That leaves values
that grow within one expression, long bodies in long loops, and filters whose work grows with the
square. Here each of those costs steps, of which a rendering has so many, and is refused before it
is done where it would be large. A process that renders for many needs this, since nobody ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TextIO

from liquid import Node, RenderContext
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import Path
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.exceptions import ResourceLimitError
from liquid.expression import Expression
from liquid.token import Token

MAX_STEPS = 50_000
"""A tag, an output or a part of an expression is one, in each round of a loop; a quarter of a
second or so in all, for each recipient. A digest of a hundred entries takes some thousands."""
MAX_TAGS = 2_000
"""Tags and outputs in one mail, as it is written. A newsletter has fifty; 5,000 conditions held the
process that sends for seconds, and each mail of it half a second."""
MAX_CHARS = 100_000
"""Of a text that a filter gives: what Gmail shows of a whole mail."""
MAX_DATE_CHARS = 100
"""Of a text that `date` reads; a longer one stays as it is, as all that isn't a date does."""
MAX_ITEMS = 10_000
"""Of a list."""
MAX_BITS = 1_000
"""Of a whole number: 300 digits."""
_CHARS_A_STEP = 200


class TooMuch(ResourceLimitError):
    """A rendering that does more than one mail may."""

    def __init__(self, message: str) -> None:
        super().__init__(message, token=None)


class BudgetContext(RenderContext):
    """steps_left: of this rendering. weight: steps of one round of the loop that is about to
    begin."""

    steps_left = MAX_STEPS
    weight = 1

    def spend(self, steps: int) -> None:
        """Raises TooMuch."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise TooMuch(f"it takes more than {MAX_STEPS:,} steps")

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        return partial(_bounded, self, name, super().filter(name, token))

    def assign(self, key: str, val: Any) -> None:
        self.spend(1 + len(self.locals) // 20)  # python-liquid adds up the sizes of all
        super().assign(key, val)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        super().raise_for_loop_limit(length)
        self.spend(length * self.weight)


class BudgetForNode(ForNode):
    weight = 1

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return _weighed(self.weight, super().render_to_output, context, buffer)


class BudgetTablerowNode(TablerowNode):
    weight = 1

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return _weighed(self.weight, super().render_to_output, context, buffer)


def _weighed(
    weight: int,
    render: Callable[[RenderContext, TextIO], int],
    context: RenderContext,
    buffer: TextIO,
) -> int:
    if not isinstance(context, BudgetContext):
        return render(context, buffer)
    before, context.weight = context.weight, weight
    try:
        return render(context, buffer)
    finally:
        context.weight = before


def weigh(nodes: Iterable[Node], context: RenderContext) -> int:
    """Tell each loop what one of its rounds takes, and give the steps of all nodes, loops' bodies
    once. context: any of their template."""
    steps = 0
    for node in nodes:
        inside = weigh(node.children(context, include_partials=False), context)
        if isinstance(node, (BudgetForNode, BudgetTablerowNode)):
            node.weight = 1 + inside
        text = len(node.text) // _CHARS_A_STEP if isinstance(node, ContentNode) else 0
        steps += 1 + text + inside + sum(map(_parts, node.expressions()))
    return steps


def _parts(expression: Expression) -> int:
    segments = len(expression.path) // 10 if isinstance(expression, Path) else 0
    return 1 + segments + sum(map(_parts, expression.children()))


def _bounded(
    context: BudgetContext,
    name: str,
    function: Callable[..., object],
    value: object,
    *arguments: Any,
    **named: Any,
) -> object:
    """What a filter gives. Raises TooMuch, before the work where that can be told beforehand."""
    size = _size(value)
    if (expected := _EXPECTED.get(name)) is not None:
        _require(expected(value, *arguments), f"what {name} gives")
    if name == "uniq":  # compares each with each
        context.spend(size * size // 50)
    if name == "date" and size > MAX_DATE_CHARS:  # no date; looking for one takes the square of it
        function = _unchanged
    result = function(value, *arguments, **named)
    kind = type(result)
    if kind is int:
        if result.bit_length() > MAX_BITS:  # type: ignore[attr-defined]
            raise TooMuch("a number may have 300 digits")
    elif isinstance(result, str):
        _require(len(result), f"what {name} gives")
    elif isinstance(result, (list, tuple)) and len(result) > MAX_ITEMS:
        raise TooMuch(f"a list may have {MAX_ITEMS:,} entries")
    context.spend(1 + (size + _size(result)) // _CHARS_A_STEP)
    return result


def _unchanged(value: object, *_: object) -> object:
    return value


def _size(value: object) -> int:
    return len(value) if isinstance(value, (str, list, tuple)) else 1


def _require(chars: int, what: str) -> None:
    if chars > MAX_CHARS:
        raise TooMuch(f"{what} may have {MAX_CHARS:,} characters")


# How many characters filters would give whose result may be far larger than what they are given.


def _replaced(value: object, old: object = "", new: object = "", *_: object) -> int:
    text, sought, put = str(value), str(old), str(new)
    if len(text) * max(1, len(put)) <= MAX_CHARS:
        return 0
    return len(text) + text.count(sought) * (len(put) - len(sought))


def _joined(value: object, separator: object = " ", *_: object) -> int:
    if not isinstance(value, (list, tuple)):
        return 0
    texts = sum(len(each) for each in value if isinstance(each, str))
    return texts + max(0, len(value) - 1) * len(str(separator))


def _formatted(_value: object, form: object = "", *_: object) -> int:
    return len(str(form)) * 256  # what Python's strftime makes of it at most


_EXPECTED: dict[str, Callable[..., int]] = {
    "replace": _replaced,
    "join": _joined,
    "date": _formatted,
}
