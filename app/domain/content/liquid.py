"""The template language: Liquid with limits, and a check of templates before anything is sent.

The variables and the rule for unknown names are those of CONTRACT.md 4; authors read
docs/templates.md.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterator
from io import StringIO
from typing import Any, ClassVar, TextIO
from urllib.parse import quote

from liquid import BoundTemplate, Environment, Node, RenderContext
from liquid.builtin.expressions import LoopExpression, Path
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.for_tag import BreakNode, ContinueNode, ForNode, ForTag
from liquid.builtin.tags.tablerow_tag import TablerowNode, TablerowTag
from liquid.exceptions import LiquidError, LoopIterationLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.stream import TokenStream
from liquid.stringify import to_liquid_string
from liquid.token import TOKEN_TAG, Token

from app.domain.content.comparing import compare_as_numbers, has_no_order, number
from app.domain.content.gaps import OutputTag, WatchedEchoTag, subexpressions
from app.domain.guarding.filters import FILTERS
from app.domain.leftovers.explain import (
    explain_syntax,
    explain_tag,
    explain_variable,
    known_filter,
)
from app.domain.limits.at_work import working_on
from app.domain.limits.open_ends import never_closed
from app.domain.limits.steps import BudgetContext, BudgetForNode, BudgetTablerowNode, weigh
from app.errors import TemplateInvalid

ROOTS = ("name", "email", "fields", "mailout", "unsubscribe_url")
VARIABLES = "name, email, fields.…, mailout.id, mailout.subject, unsubscribe_url"

# What `include` and `render` name is put in before this (domain/templates). `safe` and `escapejs`
# switch escaping off.
_REFUSED_TAGS = ("include", "render")
_REFUSED_FILTERS = ("safe", "escapejs")


class Context(BudgetContext):
    """A render context whose buffers keep line breaks as they are.

    python-liquid's limited buffer turns CRLF into LF, which no other part of it does.
    gaps: gets the variables that a recipient lacks (gaps.py); None: nobody wants to know.
    """

    gaps: set[str] | None = None

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        used = buf.size if isinstance(buf, LimitedStringIO) else 0
        return output_buffer(self.env, used)


class Template(BoundTemplate):
    context_class = Context

    def __init__(self, env: Environment, nodes: list[Node], *args: Any, **kwargs: Any) -> None:
        super().__init__(env, nodes, *args, **kwargs)
        compare_as_numbers(_expressions(nodes, self))
        weigh(nodes, Context(self))

    def _get_buffer(self) -> StringIO:
        return output_buffer(self.env)


def output_buffer(env: Environment, used: int = 0) -> LimitedStringIO:
    """A buffer that raises OutputStreamLimitError past the limit. used: bytes already written."""
    return LimitedStringIO((env.output_stream_limit or 0) - used, newline="\n")


class BoundedRange(RangeLiteral):
    """The `(a..b)` of a loop, refused when it is too long.

    python-liquid would make a list of it first where the loop is `reversed`.
    """

    __slots__ = ()

    def _make_range(self, start: Any, stop: Any) -> range:
        """As conditions do, this takes "3.0" for 3."""
        return super()._make_range(_whole(start), _whole(stop))

    def evaluate(self, context: RenderContext) -> range:
        numbers = super().evaluate(context)
        # Not by len(), which overflows above 2**63.
        limit = context.env.loop_iteration_limit or 0
        if numbers.stop - numbers.start > limit:
            raise LoopIterationLimitError(f"a loop may have {limit} rounds", token=self.token)
        return numbers


def _whole(value: object) -> object:
    found = number(value)
    return int(found) if found is not None and math.isfinite(found) else value


class BoundedForTag(ForTag):
    node_class = BudgetForNode

    def parse(self, stream: TokenStream) -> Node:
        node = super().parse(stream)
        assert isinstance(node, ForNode)
        _bound(node.expression)
        return node


class BoundedTablerowTag(TablerowTag):
    node_class = BudgetTablerowNode

    def parse(self, stream: TokenStream) -> TablerowNode:
        node = super().parse(stream)
        _bound(node.expression)
        return node


def _bound(loop: LoopExpression) -> None:
    numbers = loop.iterable
    if isinstance(numbers, RangeLiteral):
        loop.iterable = BoundedRange(numbers.token, numbers.start, numbers.stop)


def url_value(value: object) -> str:
    """A filter: the text of a value, percent-encoded for a URL's query, blanks as `%20` (in
    `mailto:` a `+` would stay one)."""
    return quote(to_liquid_string(value, autoescape=False), safe="")


class MailEnvironment(Environment):
    """Liquid for mail: strict, no files, no network, bounded in time and size."""

    template_class = Template
    # Far more than a mail needs, and too little to strain the process.
    loop_iteration_limit: ClassVar[int | None] = 10_000
    local_namespace_limit: ClassVar[int | None] = 1_000_000  # bytes
    output_stream_limit: ClassVar[int | None] = 5_000_000  # bytes
    block_nesting_limit: ClassVar[int] = 20

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in _REFUSED_TAGS:
            del self.tags[tag]
        for name in _REFUSED_FILTERS:
            del self.filters[name]
        self.add_filter("url_value", url_value)
        for name, filter_ in FILTERS.items():
            self.add_filter(name, filter_)
        self.add_tag(OutputTag)
        self.add_tag(WatchedEchoTag)
        self.add_tag(BoundedForTag)
        self.add_tag(BoundedTablerowTag)


HTML = MailEnvironment(autoescape=True)
TEXT = MailEnvironment()


def parse(
    source: str, *, html: bool, field: str, known: Collection[str] | None = ()
) -> BoundTemplate:
    """Parse and check one template.

    html: whether outputs are HTML-escaped. field: the contract's name of the column it is from.
    known: variables besides `ROOTS`; None: any is taken.
    Raises TemplateInvalid with the line for a syntax error, an unknown tag, filter or variable,
    a `break` outside of a loop, or a range where it could exhaust memory.
    """
    working_on(field)
    if open_end := never_closed(source):
        what, index = open_end
        at = _line(source, index)
        problem = f"“{what}” begins again and again and is never closed."
        raise TemplateInvalid(f"{place(field, at)}: {problem}", field=field, line=at)
    try:
        template = (HTML if html else TEXT).from_string(source)
    except LiquidError as exc:
        line = line_of(exc)
        hint = explain_tag(_last_word(exc)) or explain_syntax(_liquid_at(source, exc))
        problem = f"{exc.message}. {hint or 'Correct the Liquid there.'}"
        if line is None and (tag := _unclosed(source)):
            line = _line(source, tag.start_index)
            problem = f"“{tag.value}” is never closed; add end{tag.value}."
        raise TemplateInvalid(
            f"{place(field, line)}: {problem}",
            field=field,
            line=line,
        ) from exc
    for problem, index in _problems(template, known):
        line = _line(source, index)
        raise TemplateInvalid(f"{place(field, line)}: {problem}", field=field, line=line)
    return template


def _liquid_at(source: str, error: LiquidError) -> str:
    """The output or tag that an error is about, as it is written."""
    at = error.token.start_index if error.token else -1
    openings = (source.rfind(braces, 0, at + 2) for braces in ("{{", "{%"))
    start = max(openings) if at >= 0 else -1
    if start < 0:
        return ""
    start -= source[max(0, start - 1)] == "{"
    return re.split(r"(?<=\}\})(?!\})|(?<=%\})", source[start : start + 500])[0]


def _last_word(error: LiquidError) -> str:
    """The name in "unexpected tag 'unsubscribe'", else ""."""
    found = re.fullmatch(r"unexpected tag '(\w+)'", str(error.message))
    return found[1] if found else ""


def _unclosed(source: str) -> Token | None:
    """The tag of the innermost block that is still open at the end."""
    open_tags: list[Token] = []
    for token in TEXT.tokenizer()(source):
        if token.kind == TOKEN_TAG and f"end{token.value}" in _ends():
            open_tags.append(token)
        elif token.kind == TOKEN_TAG and token.value.startswith("end") and open_tags:
            open_tags.pop()
    return open_tags[-1] if open_tags else None


def _ends() -> set[str]:
    return {tag.end for tag in TEXT.tags.values() if tag.block}


def place(field: str, line: int | None) -> str:
    return field if line is None else f"{field}, line {line}"


def line_of(error: LiquidError) -> int | None:
    """The 1-based line of the template an error is about, where python-liquid knows it."""
    token = error.token
    return (
        None if token is None or token.start_index < 0 else _line(token.source, token.start_index)
    )


def _line(source: str, index: int) -> int:
    return source.count("\n", 0, index) + 1


def _problems(template: BoundTemplate, known: Collection[str] | None) -> Iterator[tuple[str, int]]:
    """What is wrong, in words, and where (an index into the source)."""
    usage = template.analyze()
    for name, spans in usage.filters.items():
        if name not in template.env.filters:
            hint = _similar(name, template.env.filters)
            if known := known_filter(name):
                hint = f" Did you mean {known}?"
            yield (
                f"there is no filter “{name}”.{hint}",
                spans[0].index,
            )
    if known is not None:
        for _, problem, index in unknown_variables(template, known):
            yield problem, index
    for name, places in usage.locals.items():
        if name == "unsubscribe_url":
            remedy = "choose another name: the footer's link needs this one."
            yield f"“{name}” can't be redefined; {remedy}", places[0].span.index
    yield from _stray_interrupts(template.nodes, template)
    for expression in _expressions(template.nodes, template):
        if type(expression) is RangeLiteral:
            yield (
                "a range like (1..5) works in for and tablerow only.",
                expression.token.start_index,
            )
        elif has_no_order(expression):
            yield (
                "<, >, <= and >= can't compare with true, false, empty or blank.",
                expression.token.start_index,
            )


def unknown_variables(
    template: BoundTemplate, known: Collection[str]
) -> Iterator[tuple[str, str, int]]:
    """The name, what is wrong, in words, and where (an index into the source)."""
    usage = template.analyze()
    for name, uses in usage.globals.items():
        if name not in ROOTS and name not in usage.locals and name not in known:
            path = ".".join(str(each) for each in uses[0].segments)
            yield name, _unknown_variable(name, path), uses[0].span.index


def _unknown_variable(name: str, path: str) -> str:
    hint = _similar(name, ROOTS) or f" Did you mean fields.{name}?" * name.isidentifier()
    if foreign := explain_variable(path):
        hint = f" {foreign}"
    return f"unknown variable “{name}”; there are: {VARIABLES}.{hint}"


def _similar(name: str, known: object) -> str:
    assert isinstance(known, (tuple, dict))
    close = difflib.get_close_matches(name, [str(each) for each in known], n=1)
    return f" Did you mean {close[0]}?" if close else ""


def roots(node: Node) -> set[str]:
    """The names of the variables that a node's own expressions use."""
    used = (each for expression in node.expressions() for each in subexpressions(expression))
    return {str(each.head()) for each in used if isinstance(each, Path)}


def _children(node: Node, template: BoundTemplate) -> list[Node]:
    return list(node.children(Context(template), include_partials=False))


def _stray_interrupts(
    nodes: list[Node], template: BoundTemplate, *, in_loop: bool = False
) -> Iterator[tuple[str, int]]:
    for node in nodes:
        if isinstance(node, (BreakNode, ContinueNode)) and not in_loop:
            yield f"{node} works inside a loop only.", node.token.start_index
        for child in _children(node, template):
            # The `else` of a for loop runs instead of the loop, outside of it.
            looping = isinstance(node, (ForNode, TablerowNode)) and child is node.block
            yield from _stray_interrupts([child], template, in_loop=in_loop or looping)


def _expressions(nodes: list[Node], template: BoundTemplate) -> Iterator[Expression]:
    for node in nodes:
        for expression in node.expressions():
            yield from subexpressions(expression)
        yield from _expressions(_children(node, template), template)
