"""Inline templates as SES renders them: `{{name}}` is replaced, and nothing else is done.

Source: SES developer guide, "Using templates to send personalized email": inline content takes
simple substitution only, values are not escaped. Escaping with `\\{{` follows Handlebars' lexer
(handlebars.l, states `mu` and `emu`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

OPEN_TRACKER = "{{ses:openTracker}}"
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)\s*")


class UnsupportedTemplate(ValueError):
    """The template uses more than `{{name}}`."""


@dataclass(frozen=True, slots=True)
class Template:
    """`literals` with `names` between them: always one literal more than names."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def literal(cls, text: str) -> Template:
        """Content that isn't a template, as SendEmail's Simple content."""
        return cls((text,), ())

    def render(self, data: Mapping[str, Any]) -> str:
        """The text with every name replaced, once: values are never rendered again.

        Raises MissingValue when `data` has no plain value for a name.
        """
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            parts.append(_as_text(name, data))
            parts.append(literal)
        return "".join(parts)


class MissingValue(LookupError):
    """A name without a value; the message is the one of SES's Rendering Failure event."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Attribute '{name}' is not present in the rendering data.")


@lru_cache(maxsize=64)
def compile_template(text: str) -> Template:
    """Split `text` at its tags; the same text again costs a look-up.

    Raises UnsupportedTemplate for blocks, partials, comments, helpers, `{{{x}}}` or a tag
    without an end.
    """
    literals, names, literal = [], [], ""
    position = search_from = 0
    while (start := text.find("{{", search_from)) >= 0:
        before = text[position:start]
        if before.endswith("\\") and not before.endswith("\\\\"):
            literal += before[:-1]  # `\{{x}}`: literal up to the next tag
            position, search_from = start, start + 2
            continue
        if text.startswith(OPEN_TRACKER, start):  # no value: SES puts its pixel there
            search_from = start + len(OPEN_TRACKER)
            continue
        end = text.find("}}", start + 2)
        tag = _NAME.fullmatch(text, start + 2, end) if end >= 0 else None
        if tag is None or text.startswith("}", end + 2):  # `{{x}}}` doesn't parse either
            raise UnsupportedTemplate("Template contains unsupported operations.")
        # Two backslashes before a tag are one backslash, then a tag.
        literals.append(literal + (before[:-1] if before.endswith("\\\\") else before))
        names.append(tag[1])
        literal, position = "", end + 2
        search_from = position
    literals.append(literal + text[position:])
    return Template(tuple(literals), tuple(names))


def missing_value(names: frozenset[str], data: Mapping[str, Any]) -> str | None:
    """What SES would say about the first name (by alphabet) without a value in `data`, if any."""
    if names <= data.keys() and not any(isinstance(data[n], dict | list) for n in names):
        return None
    try:
        for name in sorted(names):
            _as_text(name, data)
    except MissingValue as missing:
        return str(missing)
    return None


def _as_text(name: str, data: Mapping[str, Any]) -> str:
    value: Any = data
    for step in name.split("."):
        if not isinstance(value, dict) or step not in value:
            raise MissingValue(name)
        value = value[step]
    if isinstance(value, dict | list):  # would read "[object Object]"
        raise MissingValue(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
