"""A template as static text with holes, which SES can paste values into.

SES's inline templates know `{{name}}` and nothing else, paste values unescaped, and read any `{{`
as a tag. So whatever is not static text is a hole `{{h0}}`, `{{h1}}`, …: it is evaluated here, per
recipient, and SES pastes the outcome (DESIGN.md 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from liquid import BoundTemplate, Node
from liquid.builtin.content import ContentNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.doc_tag import DocNode
from liquid.exceptions import LiquidError

from app.domain.content import liquid
from app.domain.content.gaps import LIQUID_MEMBERS, Shown
from app.domain.given.lines import has_encoded_word, in_one_line, without_encoded_words
from app.domain.limits.at_work import working_on

_HOLE = re.compile(r"\{\{(h\d+)\}\}")
# Handlebars reads `\{{` as a literal and `{{{` as another kind of tag: these characters must not
# stand beside a hole, and `{{` nowhere.
_SPECIAL = "\\{}"
_LITERAL_TAG = re.compile(r"(?<![\\{}])[\\{}]*\{\{[\\{}]*")


class RenderError(Exception):
    """A template fails with one recipient's data. detail: which part of it, and why. field: of the
    mailout, as the contract names it. index: where in its source that part begins."""

    def __init__(self, detail: str, field: str, index: int | None = None) -> None:
        super().__init__(detail)
        self.detail, self.field, self.index = detail, field, index


@dataclass(frozen=True, slots=True)
class _Step:
    """A node to render, and the hole its output belongs to; no hole for what shows nothing.

    before, after: characters of the static text that must not stand beside a hole.
    """

    node: Node
    hole: str | None = None
    before: str = ""
    after: str = ""


class Part:
    """One template as static text with holes.

    template: the text for SES. constant: holes for static text that looks like a tag. fields: the
    names of those it asks for, shown or not.
    """

    def __init__(
        self,
        source: BoundTemplate,
        names: Iterator[str],
        *,
        field: str = "template",
        one_line: bool = False,
    ) -> None:
        """names: of holes, unused so far. field: where the template is from. one_line: values may
        bring nothing into it that a mail's head can't have."""
        self._source = source
        self._field = field
        self._one_line = one_line
        usage = source.analyze()
        self._assigned = usage.locals.keys()  # by `assign`, `capture` and loops
        self.fields = {
            path[1]
            for path in (use.segments for use in usage.globals.get("fields", ()))
            if len(path) > 1 and isinstance(path[1], str) and path[1] not in LIQUID_MEMBERS
        }
        self._names = names
        self._known: dict[tuple[str, str, str], str] = {}
        self.constant: dict[str, str] = {}
        self._steps: list[_Step] = []
        self._bare: list[tuple[str, _Step, Callable[[Mapping[str, Any]], str], bool]] = []
        self._other: list[_Step] = []
        self.template = "".join(self._compiled())
        # Static text and hole names in turns; and as Python's own format, which pastes at once.
        self._pieces = _HOLE.split(self.template)
        self._format = _HOLE.sub(r"%(\1)s", self.template.replace("%", "%%"))
        self._static_bytes = sum(len(text.encode()) for text in self._pieces[0::2])

    def fill(
        self,
        variables: Mapping[str, Any],
        values: dict[str, str],
        gaps: set[str] | None = None,
    ) -> None:
        """Add to `values` the value of each hole that isn't constant. Raises RenderError.

        gaps: gets the variables that were to be shown and are missing.
        """
        steps = self._other
        for hole, step, look_up, is_whole in self._bare:
            text = look_up(variables)
            if not text.isascii():
                self._check_sendable(text, step.node)
            values[hole] = text if is_whole else self._shown(step, text)
            if gaps is not None and not text.strip():  # rendering knows what is missing
                steps = [step, *steps]
        if steps:
            self._render(steps, variables, values, gaps)
        if self._one_line and self._steps and has_encoded_word(self.paste(values)):
            for step in self._steps:
                if step.hole:
                    values[step.hole] = without_encoded_words(values[step.hole])

    def _render(
        self,
        steps: list[_Step],
        variables: Mapping[str, Any],
        values: dict[str, str],
        gaps: set[str] | None,
    ) -> None:
        working_on(self._field)
        context = liquid.Context(self._source, globals=variables)
        context.gaps = gaps
        buffer = liquid.output_buffer(self._source.env)
        ends: list[int] = []
        for step in steps:
            try:
                step.node.render(context, buffer)
            except Exception as exc:
                # Filters raise all sorts of errors on odd data; each fails this recipient only.
                raise RenderError(
                    _reason(exc, step.node), self._field, step.node.token.start_index
                ) from exc
            ends.append(buffer.tell())
        output, start = buffer.getvalue(), 0
        for step, end in zip(steps, ends, strict=True):
            if step.hole:
                values[step.hole] = self._shown(step, output[start:end])
            start = end

    def _check_sendable(self, text: str, node: Node) -> None:
        """Half of a surrogate pair can't be written in UTF-8. Raises RenderError."""
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise RenderError(_reason(exc, node), self._field) from exc

    def _shown(self, step: _Step, text: str) -> str:
        value = f"{step.before}{text}{step.after}"
        return in_one_line(value) if self._one_line else value

    def paste(self, values: Mapping[str, str]) -> str:
        return self._format % values

    def size(self, values: Mapping[str, str]) -> int:
        """Bytes of what `paste` gives, in UTF-8."""
        return self._static_bytes + sum(len(values[name].encode()) for name in self._pieces[1::2])

    def _compiled(self) -> Iterator[str]:
        """The template's text, filling `constant` and `_steps` on the way."""
        texts, nodes = [""], list[Node]()
        for node in self._source.nodes:
            if isinstance(node, ContentNode):
                texts[-1] += node.text
            elif isinstance(node, (AssignNode, CaptureNode)):
                nodes.append(node)
            elif not isinstance(node, (CommentNode, DocNode)):
                nodes.append(node)
                texts.append("")
        yield from self._with_holes(texts, nodes)

    def _with_holes(self, texts: list[str], nodes: list[Node]) -> Iterator[str]:
        """texts: the static text before, between and after the nodes that show something."""
        statics = iter(texts)
        static = next(statics)
        for node in nodes:
            if isinstance(node, (AssignNode, CaptureNode)):
                self._add(_Step(node))
                continue
            text = static.rstrip(_SPECIAL)
            following = next(statics)
            rest = following.lstrip(_SPECIAL)
            before, after = static[len(text) :], following[: len(following) - len(rest)]
            static = rest
            yield self._static(text)
            yield self._hole(node, before, after)
        yield self._static(static)

    def _hole(self, node: Node, before: str, after: str) -> str:
        key = (before, _expression(node), after)
        # A variable that the template assigns may differ from one place to the next.
        shared = type(node) is Shown and not liquid.roots(node) & self._assigned
        name = self._known.get(key) if shared else None
        if name is None:
            name = next(self._names)
            self._add(_Step(node, name, before, after), bare=shared)
            if shared:
                self._known[key] = name
        return f"{{{{{name}}}}}"

    def _add(self, step: _Step, *, bare: bool = False) -> None:
        """bare: it uses the recipient's variables only, none that the template assigns."""
        self._steps.append(step)
        look_up = (
            step.node.lookup(escaped=self._source.env.autoescape)
            if bare and isinstance(step.node, Shown)
            else None
        )
        if look_up and step.hole:
            is_whole = not (self._one_line or step.before or step.after)
            self._bare.append((step.hole, step, look_up, is_whole))
        else:
            self._other.append(step)

    def _static(self, text: str) -> str:
        return _LITERAL_TAG.sub(self._constant, text)

    def _constant(self, match: re.Match[str]) -> str:
        name = next((n for n, value in self.constant.items() if value == match[0]), None)
        if name is None:
            name = next(self._names)
            self.constant[name] = match[0]
        return f"{{{{{name}}}}}"


def _expression(node: Node) -> str:
    """The source of an output without its braces: equal sources have equal values."""
    return node.token.value.strip("{}-").strip()


def _reason(error: Exception, node: Node) -> str:
    """Why a node failed, in one line."""
    message = error.message if isinstance(error, LiquidError) else type(error).__name__
    if isinstance(error, MemoryError):
        message = "it takes more memory than one mail may have"
    return f"{_excerpt(node)} can't be rendered: {message}"


def _excerpt(node: Node) -> str:
    excerpt = " ".join(str(node).split())
    return excerpt if len(excerpt) <= 60 else f"{excerpt[:60]}…"
