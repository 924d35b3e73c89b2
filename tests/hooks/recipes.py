"""Recipes in docs/ are tried as they are written: their blocks of code are read from the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def json_blocks(page: str) -> list[Any]:
    return [json.loads(block) for block in blocks(page, "json")]


def filled(template: Any, values: dict[str, Any]) -> Any:
    """With each `{{a.b.c}}` replaced by what `values` has there, as Zapier's and Make's templates
    have it. Raises KeyError for what there isn't."""
    if isinstance(template, dict):
        return {name: filled(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    if not isinstance(template, str):
        return template

    def found(match: re.Match[str]) -> str:
        value: Any = values
        for part in match[1].strip().split("."):
            value = value[part]
        return str(value)

    return re.sub(r"{{([^}]+)}}", found, template)


def shape(value: Any, place: str = "") -> set[str]:
    """The paths of all members: what somebody who maps fields can choose from. Of a list, those of
    its first entry."""
    if isinstance(value, dict):
        inner = [shape(member, f"{place}.{name}") for name, member in value.items()]
        return set().union({place} if place else set(), *inner)
    if isinstance(value, list) and value:
        return {place} | shape(value[0], f"{place}[]")
    return {place}
