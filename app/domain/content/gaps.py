"""Where a recipient's missing data leave a gap in a mail.

A missing `name` or `fields.x` renders empty and is a problem in the dry run (CONTRACT.md 4). What
counts is what is shown: a value behind `if` that isn't reached, or one that `default` replaces,
leaves no gap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from liquid import RenderContext, escape
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.token import Token
from liquid.undefined import is_undefined

from app.domain.limits.steps import BudgetContext

PERSONAL = ("name", "fields")
"""The variables that one subscriber has and another hasn't."""

_LONG = 1_000
"""Characters: a longer output takes a step for each so many."""
_GROUPS = ("fields", "mailout")
LIQUID_MEMBERS = ("size", "first", "last")  # of any object, beside its own keys


class Shown(OutputNode):
    """`{{ … }}`. It adds those of its variables that are missing to the context's `gaps`."""

    __slots__ = ("_defaulted", "_paths")

    def __init__(self, token: Token, expression: Expression) -> None:
        super().__init__(token, expression)
        self._paths = [
            each
            for each in subexpressions(expression)
            if isinstance(each, Path) and each.head() in PERSONAL
        ]
        filters = expression.filters if isinstance(expression, FilteredExpression) else None
        self._defaulted = any(each.name == "default" for each in filters or ())

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        text = to_liquid_string(self.expression.evaluate(context), context.autoescape)
        gaps: set[str] | None = getattr(context, "gaps", None)
        if gaps is not None and not (self._defaulted and text.strip()):
            gaps.update(str(path) for path in self._paths if _is_blank(path.evaluate(context)))
        if len(text) > _LONG and isinstance(context, BudgetContext):
            context.spend(len(text) // _LONG)
        return buffer.write(text)

    def lookup(self, *, escaped: bool) -> Callable[[Mapping[str, Any]], str] | None:
        """A function from the variables to the text that rendering would give; None unless this is
        a bare `{{ name }}`, `{{ fields.x }}` or `{{ mailout.x }}`.

        Most outputs are, and the function takes 0.4 µs where rendering takes 6 (the mailout's
        subject is in the title of every mail). escaped: for HTML. Only valid where no tag may have
        changed the variable.
        """
        expression = self.expression
        if isinstance(expression, FilteredExpression) and not expression.filters:
            expression = expression.left
        match expression.path if isinstance(expression, Path) else None:
            case [str(root)]:
                return lambda variables: _liquid_string(variables[root], escaped=escaped)
            case [str(group), str(key)] if group in _GROUPS and key not in LIQUID_MEMBERS:
                return lambda variables: _liquid_string(variables[group].get(key), escaped=escaped)
        return None


class ShownEcho(Shown):
    """`{% echo … %}`."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{{% echo {self.expression} %}}"


class OutputTag(Output):
    node_class = Shown


class WatchedEchoTag(EchoTag):
    node_class = ShownEcho  # type: ignore[assignment]  # the library makes no other use of it


def subexpressions(expression: Expression) -> Iterator[Expression]:
    """The expression and all that it is made of."""
    yield expression
    for child in expression.children():
        yield from subexpressions(child)


_ESCAPED = re.compile("[&<>'\"]")


def _liquid_string(value: object, *, escaped: bool) -> str:
    """As `to_liquid_string`, which walks through all that a value may be before it escapes."""
    if type(value) is not str:
        return str(to_liquid_string(value, escaped))  # of Markup, text
    return str(escape(value)) if escaped and _ESCAPED.search(value) else value


def _is_blank(value: object) -> bool:
    return value is None or is_undefined(value) or (isinstance(value, str) and not value.strip())
