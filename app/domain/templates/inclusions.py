"""`{% render %}` and `{% include %}`: what they name, and with which variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from liquid import BoundTemplate, Environment, Node
from liquid.builtin.expressions import Identifier, StringLiteral
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.tags.render_tag import RenderNode, RenderTag
from liquid.exceptions import LiquidError

from app.domain.content.masking import Piece


class _IncludeTag(RenderTag):
    """The two differ in what the partial sees; they are written alike."""

    name = "include"


class _Grammar(Environment):
    """Knows these two tags, to read one of them."""

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(_IncludeTag)


_GRAMMAR = _Grammar()
_BOUND = re.compile(r"\s*(?:with|for)\s+(?P<value>.+?)(?:\s+as\s+[\w-]+)?\s*,?\s*\Z", re.DOTALL)
_LITERAL = re.compile(r"'[^']*'|\"[^\"]*\"")


class InclusionError(ValueError):
    """A tag that can't be read; the message says why."""


@dataclass(frozen=True)
class Inclusion:
    """One of the two tags.

    isolated: the partial sees what it is given (`render`), not all that its surroundings see.
    arguments: the source of each value. loop: the name in `arguments` that is each item of a list
    in turn.
    """

    name: str
    isolated: bool
    arguments: dict[str, str] = field(default_factory=dict)
    loop: str | None = None


def read(piece: Piece) -> Inclusion:
    """Raises InclusionError."""
    try:
        [node] = _GRAMMAR.from_string(piece.text).nodes
    except LiquidError as exc:
        raise InclusionError(f"{exc.message}. Correct the Liquid there") from exc
    assert isinstance(node, RenderNode)
    if not isinstance(node.name, StringLiteral):
        raise InclusionError(
            f"“{piece.tag}” takes the name of a template in quotes, such as "
            f'{{% {piece.tag} "button" %}}'
        )
    end = re.search(r"-?%}\Z", piece.text)
    assert end is not None
    starts = [each.token.start_index for each in node.args] + [end.start()]
    arguments = {
        each.name: _value(piece.text[start:stop])
        for each, start, stop in zip(node.args, starts, starts[1:], strict=False)
    }
    loop = None
    if node.var is not None:
        name = str(node.alias) if node.alias else node.name.value
        if not re.fullmatch(r"[A-Za-z_][\w-]*", name):
            raise InclusionError(f"name the variable: … as item, as “{name}” can't be one")
        rest = piece.text[node.name.token.start_index : starts[0]]
        quoted = _LITERAL.match(rest) or _LITERAL.search(rest)
        bound = _BOUND.match(rest[quoted.end() :] if quoted else rest)
        if bound is None:
            raise InclusionError("this can't be read; give the values as name: value")
        arguments[name] = bound["value"]
        loop = name if node.loop else None
    return Inclusion(str(node.name.value), piece.tag == "render", arguments, loop)


def _value(argument: str) -> str:
    """Of `name: value,`."""
    return argument.partition(":")[2].strip().removesuffix(",").strip()


def text_value(value: str) -> str | None:
    """The text of a string literal; None: it is something else."""
    return value[1:-1] if _LITERAL.fullmatch(value) else None


def loop_names(nodes: list[Node], template: BoundTemplate) -> list[tuple[str, int]]:
    """The variables of `for` and `tablerow`, each with its index in the source."""
    found: list[tuple[str, int]] = []
    context = template.context_class(template)
    for node in nodes:
        loop = getattr(node, "expression", None)
        if isinstance(loop, LoopExpression):
            assert isinstance(loop.identifier, Identifier)
            found.append((str(loop.identifier), loop.identifier.token.start_index))
        children = node.children(context, include_partials=False)
        found += loop_names(list(children), template)
    return found


def renamed(source: str, template: BoundTemplate, names: Mapping[str, str]) -> str:
    """A source where its variables have other names, or stand for a path such as `fields.city`.

    template: parsed from it.
    """
    usage = template.analyze()
    places = {
        (place.span.index, name)
        for used in (usage.variables, usage.locals)
        for name, found in used.items()
        if name in names
        for place in found
    }
    places |= {
        (start, name) for name, start in loop_names(template.nodes, template) if name in names
    }
    for start, name in sorted(places, reverse=True):
        bracketed = re.compile(rf"\[\s*(['\"]){re.escape(name)}\1\s*\]").match(source, start)
        end = bracketed.end() if bracketed else start + len(name)
        assert bracketed or source[start:end] == name, (source[start:end], name)
        source = source[:start] + names[name] + source[end:]
    return source
