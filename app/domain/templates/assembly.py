"""One document of a mailout's body, the template and layouts around it, and the partials in them.

Each text becomes a `Unit`: its Liquid, where tags that name partials and the content block are
slots for other units. Units are put into each other after each was made HTML by itself, and before
anything else is done (render.py). A template sees its own variables: names that it assigns get its
number, so that two can't disturb each other. docs/templates.md says what authors can rely on.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from liquid import BoundTemplate

from app.domain import markdown
from app.domain.content import link_liquid, liquid, markup
from app.domain.content.masking import Masks, Piece, pieces
from app.domain.templates.inclusions import (
    Inclusion,
    InclusionError,
    loop_names,
    read,
    renamed,
    text_value,
)
from app.errors import TemplateInvalid

# Far more than a mail needs, and too little to strain the process.
MAX_DEPTH = 10  # of partials in each other
MAX_UNITS = 200
MAX_SOURCES = 60
MAX_CHARS = 2_000_000  # of all templates together, as often as they are used

CONTENT = "content"
_SLOT = re.compile(r"\{\{ (slot_\d+)\s*\}\}")
_PATH = re.compile(r"(\w+)(?:\.[\w-]+|\[(?:\d+|'[^']*'|\"[^\"]*\")\])*")


@dataclass(frozen=True)
class Text:
    """What somebody wrote. label: what errors call it."""

    label: str
    source: str
    markdown: bool
    is_template: bool = False


def template_text(row: Mapping[str, Any]) -> Text:
    """row: of a template; its name, and its body of either kind."""
    is_markdown = row.get("body_html") is None
    source = row["body_markdown"] if is_markdown else row["body_html"]
    return Text(f"template “{row['name']}”", source, is_markdown, is_template=True)


@dataclass
class _Scope:
    """The variables that some units share. number: 0 where names stay as they are."""

    number: int
    names: set[str] = field(default_factory=set)  # that a unit assigns
    loops: set[str] = field(default_factory=set)  # of loops

    def renames(self) -> dict[str, str]:
        return {name: f"{name}__{self.number}" for name in self.names} if self.number else {}


@dataclass
class Unit:
    """One text of the document.

    source: its Liquid, with slots for other units. given: what it was included with, and how that
    is called in the document. values: the source of each of these, as its surroundings wrote it.
    made: names in `source` that aren't its author's. constants: variables that are plain text.
    """

    text: Text
    scope: _Scope
    given: dict[str, str]
    values: dict[str, str]
    around: Unit | None = None
    source: str = ""
    template: BoundTemplate | None = None  # of the source
    slots: dict[str, Unit] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    constants: dict[str, str] = field(default_factory=dict)

    @property
    def known(self) -> set[str]:
        """The variables that it may use besides everybody's."""
        loop = ["forloop"] if self.scope.loops else []
        return {*self.scope.names, *self.scope.loops, *self.given, *self.made, *loop}


@dataclass
class Assembly:
    """The whole document. root: the outermost text."""

    root: Unit
    units: list[Unit]
    _origins: dict[int, tuple[str, int]] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        return [unit.source for unit in self.units]

    @property
    def is_single(self) -> bool:
        return len(self.units) == 1

    def fragment(self, masks: Masks) -> str:
        """The masked HTML of all of it. Raises TemplateInvalid for HTML that can't be handled."""
        return self._fragment(self.root, masks)

    def origin(self, mask: int | None) -> tuple[str, int] | None:
        """In which text a mask's Liquid stands, and in which line."""
        return None if mask is None else self._origins.get(mask)

    def _fragment(self, unit: Unit, masks: Masks) -> str:
        masked = self._masked(unit, masks)
        if unit.text.markdown:
            masked = markdown.to_html(masked, masks)
        try:
            markup.check(masked)
        except markup.MarkupError as exc:
            raise TemplateInvalid(f"{unit.text.label}: {exc}.", field=unit.text.label) from exc
        if unit.text.markdown and unit.slots:
            masked = _unwrapped(masked, masks)

        def filled(match: re.Match[str]) -> str:
            mask = masks[match[0]].liquid
            slot = _SLOT.fullmatch(mask)
            if slot and (within := unit.slots.get(slot[1])):
                return inner(self._fragment(within, masks))
            constant = unit.constants.get(mask[2:-2].strip("- \n"))
            if constant is None or unit.text.markdown:
                return match[0]
            return html.escape(constant)

        if not unit.slots and not unit.constants:
            return masked
        return masks.token.sub(filled, masked)

    def _masked(self, unit: Unit, masks: Masks) -> str:
        number = len(masks)
        for piece, line in _lines(unit.source):
            if piece.kind != "static":
                for _ in range(2 if piece.kind == "raw" else 1):
                    self._origins[number] = (unit.text.label, line)
                    number += 1
        return masks.mask(unit.source)


def inner(fragment: str) -> str:
    """What of an HTML document can stand in another one: its style sheets and its body."""
    if not re.search(r"<(?:!doctype|html|head|body)\b", fragment, re.IGNORECASE):
        return fragment
    flags = re.DOTALL | re.IGNORECASE

    def styles(head: re.Match[str]) -> str:
        return "\n".join(re.findall(r"<style\b.*?</style\s*>", head[0], flags))

    fragment = re.sub(r"<head\b.*?</head\s*>", styles, fragment, flags=flags)
    return re.sub(r"<!doctype[^>]*>|</?(?:html|body)\b[^>]*>", "", fragment, flags=flags).strip()


def _unwrapped(fragment: str, masks: Masks) -> str:
    """Markdown makes a paragraph of slots on lines of their own; what fills them may be tables."""

    def bare(match: re.Match[str]) -> str:
        tokens = masks.token.findall(match[1])
        slots = [bool(_SLOT.fullmatch(masks[token].liquid)) for token in tokens]
        others = masks.token.sub(
            lambda m: "x" if masks[m[0]].prints and not _SLOT.fullmatch(masks[m[0]].liquid) else "",
            match[1],
        )
        return match[1] if any(slots) and not others.strip() else match[0]

    return re.sub(r"<p>((?:(?!</?p\b).)*)</p>", bare, fragment, flags=re.DOTALL)


Report = Callable[[TemplateInvalid], None]


def _raise(problem: TemplateInvalid) -> None:
    raise problem


def assemble(
    body: Text | None, sources: Mapping[str, Any] | None, *, report: Report = _raise
) -> Assembly:
    """Put a mailout's body into its template, and that into its layouts.

    body: None: the template has the whole body. sources: `MailoutContent.sources`. report: gets
    what another template may still mend: variables that nobody knows, partials that don't exist.
    Raises TemplateInvalid for everything else.
    """
    return _Assembler(sources or {}, report).all(body)


class _Assembler:
    def __init__(self, sources: Mapping[str, Any], report: Report) -> None:
        rows = sources.get("templates") or []
        self._rows = {row["id"]: row for row in rows}
        self._names = {row["name"].lower(): row for row in rows}
        self._template_id = sources.get("template_id")
        self._report = report
        self._units: list[Unit] = []
        self._chars = 0
        self._number = 0

    def all(self, body: Text | None) -> Assembly:
        if len(self._rows) > MAX_SOURCES:
            raise TemplateInvalid(
                f"The mailout uses more than {MAX_SOURCES} templates.", field="template_id"
            )
        unit = None if body is None else self._unit(body, _Scope(0), stack=())
        for row in self._chain():
            text = template_text(row)
            scope = _Scope(self._next() if unit else 0)
            unit = self._unit(text, scope, content=unit, stack=(text.label,))
        if unit is None:
            raise TemplateInvalid(
                "The mailout has no body: give HTML or Markdown.", field="body_html"
            )
        for each in self._units:
            self._check_variables(each)
        for each in self._units:
            _rename(each)
        return Assembly(unit, self._units)

    def _chain(self) -> Iterator[Mapping[str, Any]]:
        """The template and its layouts, innermost first."""
        seen = set()
        next_id = self._template_id
        while next_id is not None:
            row = self._rows.get(next_id)
            if row is None:
                raise TemplateInvalid("The mailout's template is gone.", field="template_id")
            if next_id in seen:
                where = template_text(row).label
                raise TemplateInvalid(f"{where} is a layout of itself.", field=where)
            seen.add(next_id)
            yield row
            next_id = row["layout_id"]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _unit(
        self,
        text: Text,
        scope: _Scope,
        *,
        stack: tuple[str, ...],
        content: Unit | None = None,
        given: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        around: Unit | None = None,
    ) -> Unit:
        self._chars += len(text.source) * text.is_template
        if len(self._units) >= MAX_UNITS or self._chars > MAX_CHARS:
            raise TemplateInvalid(
                f"{text.label}: too much is included; a mail is made of at most {MAX_UNITS} "
                f"texts, {MAX_CHARS:,} characters together.",
                field=text.label,
            )
        unit = Unit(text, scope, dict(given or {}), dict(values or {}), around)
        self._units.append(unit)
        inclusions = self._write(unit, content)
        template = liquid.parse(unit.source, html=True, field=text.label, known=None)
        unit.template = template
        scope.names |= set(template.analyze().locals) - unit.made
        scope.loops |= {name for name, _ in loop_names(template.nodes, template)} - unit.made
        for slot, inclusion, line, number in inclusions:
            self._include(unit, slot, inclusion, line, number, stack)
        return unit

    def _write(self, unit: Unit, content: Unit | None) -> list[tuple[str, Inclusion, int, int]]:
        """Write the unit's source. Gives each tag that includes: its slot, line and number."""
        label, written = unit.text.label, list[str]()
        inclusions: list[tuple[str, Inclusion, int, int]] = []
        source = repaired(unit.text.source, field=label)
        for piece, line in _lines(source):
            if piece.kind == "output" and expression(piece) == CONTENT and unit.text.is_template:
                if unit.slots:
                    raise _invalid(label, line, _SECOND)
                if content is None and unit.around is None:
                    raise TemplateInvalid(
                        f"The mailout has no body: {label} has a content block (line {line}), "
                        "which it fills. Give HTML or Markdown.",
                        field="body_html",
                    )
                if content is None:
                    raise _invalid(label, line, _IN_PARTIAL)
                unit.slots["slot_0"] = content
                unit.made.add("slot_0")
                written.append(_slot("slot_0", piece))
            elif piece.tag in ("render", "include"):
                try:
                    inclusion = read(piece)
                except InclusionError as exc:
                    raise _invalid(label, line, f"{exc}.") from exc
                number = self._next()
                slot = f"slot_{number}"
                inclusions.append((slot, inclusion, line, number))
                unit.made |= {slot, *_targets(inclusion, number).values()}
                written.append(_including(slot, inclusion, piece, number))
            else:
                written.append(piece.text)
        if content is not None and not unit.slots:
            raise TemplateInvalid(
                f"{label} has no content block, so there is no place for the text in it: write "
                "{{ content }} there, or leave the mailout's body empty.",
                field=label,
            )
        unit.source = "".join(written)
        return inclusions

    def _include(
        self,
        unit: Unit,
        slot: str,
        inclusion: Inclusion,
        line: int,
        number: int,
        stack: tuple[str, ...],
    ) -> None:
        label = unit.text.label
        row = self._names.get(inclusion.name.lower())
        if row is None:
            self._report(_invalid(label, line, f"there is no template “{inclusion.name}”."))
            return
        text = template_text(row)
        if text.label in stack:
            ring = " → ".join([*stack, text.label][stack.index(text.label) :])
            raise _invalid(label, line, f"{text.label} would include itself ({ring}).")
        if len(stack) >= MAX_DEPTH:
            raise _invalid(label, line, f"partials stand in each other at most {MAX_DEPTH} deep.")
        given, values = _targets(inclusion, number), dict(inclusion.arguments)
        if inclusion.loop:
            del values[inclusion.loop]
            given["forloop"] = "forloop"
        if not inclusion.isolated:
            given = unit.given | given
        unit.slots[slot] = self._unit(
            text,
            _Scope(number) if inclusion.isolated else unit.scope,
            stack=(*stack, text.label),
            given=given,
            values=values,
            around=unit,
        )

    def _check_variables(self, unit: Unit) -> None:
        assert unit.template is not None
        for name, problem, index in liquid.unknown_variables(unit.template, unit.known):
            line = unit.source.count("\n", 0, index) + 1
            if name == CONTENT:
                problem = _CONTENT_ALONE if unit.text.is_template else _NO_CONTENT
            elif unit.text.is_template:
                tag = f"{{% render …, {name}: … %}}"
                problem += f" Or is it a partial's own? Then {tag} gives it."
            self._report(_invalid(unit.text.label, line, problem))


_IN_PARTIAL = "nothing fills the content block: a partial can't have one."
_CONTENT_ALONE = "{{ content }} stands by itself, once: no filter and no tag can use it."
_NO_CONTENT = "only a template has a content block; this is the text that fills it."
_SECOND = "there is a second content block; keep one."


def _rename(unit: Unit) -> None:
    """Give the variables their names of the document."""
    assert unit.template is not None
    own = unit.scope.names | unit.scope.loops
    names = unit.scope.renames() | unit.given
    for name, value in unit.values.items():
        path = _PATH.fullmatch(value)
        outside = unit.around.known if unit.around else set()
        if name in own:
            continue
        if path and path[1] in liquid.ROOTS and path[1] not in outside:
            names[name] = value  # the same as what was assigned, and known to be one's own
        elif (text := text_value(value)) is not None:
            unit.constants[unit.given[name]] = text
    source = renamed(unit.source, unit.template, names) if names else unit.source
    opens = unit.around is None or unit.around.scope is not unit.scope
    if opens and unit.scope.number:
        # Where it changes one of everybody's variables, its own starts as that.
        everybodys = sorted(unit.scope.names & set(liquid.ROOTS) - unit.given.keys())
        source = "".join(f"{{% assign {names[n]} = {n} %}}" for n in everybodys) + source
    unit.source = source


def _lines(source: str) -> Iterator[tuple[Piece, int]]:
    """The pieces of a source, and in which line each begins."""
    line = 1
    for piece in pieces(source):
        yield piece, line
        line += piece.text.count("\n")


def expression(piece: Piece) -> str:
    """Of an output, without its braces."""
    return piece.text[2:-2].strip("- \t\r\n")


def _slot(name: str, piece: Piece) -> str:
    """As many lines as before, so that those of errors stay true."""
    lines = "\n" * piece.text.count("\n")
    return f"{{{{ {name} {lines}}}}}"


def _targets(inclusion: Inclusion, number: int) -> dict[str, str]:
    return {name: f"{name}__{number}" for name in inclusion.arguments}


def _including(slot: str, inclusion: Inclusion, piece: Piece, number: int) -> str:
    """What stands in the source for a tag that includes: its values, and the slot."""
    targets = _targets(inclusion, number)
    written = [
        f"{{% assign {targets[name]} = {' '.join(value.split())} %}}"
        for name, value in inclusion.arguments.items()
        if name != inclusion.loop
    ]
    if inclusion.loop is None:
        return "".join([*written, _slot(slot, piece)])
    items = " ".join(inclusion.arguments[inclusion.loop].split())
    head = f"{{% for {targets[inclusion.loop]} in {items} %}}"
    return "".join([*written, head, _slot(slot, piece), "{% endfor %}"])


def _invalid(label: str, line: int, detail: str) -> TemplateInvalid:
    return TemplateInvalid(f"{liquid.place(label, line)}: {detail}", field=label, line=line)


def repaired(source: str, *, field: str) -> str:
    """A source whose links hold the Liquid that their author meant. Raises TemplateInvalid."""
    try:
        return link_liquid.repair_links(source)
    except link_liquid.LinkError as exc:
        raise _invalid(field, exc.line, f"{exc}.") from exc
