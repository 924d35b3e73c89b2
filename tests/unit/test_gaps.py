"""What a recipient lacks is a problem where the mail would show it, and only there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given

from app.domain.content.render import (
    Content,
    Footer,
    RenderError,
    compile_content,
    template_variables,
)
from app.errors import TemplateInvalid
from tests.unit.test_render_properties import quick, source, variables


def gaps(template: str, name: str | None = None, **fields: Any) -> set[str]:
    compiled = compile_content(Content("s", f"<p>{template}</p>", None, "text"), Footer("Org", "X"))
    found: set[str] = set()
    compiled.values(
        template_variables(
            email="a@example.com",
            name=name,
            fields=fields,
            mailout_id="m",
            unsubscribe_url="https://example.com/u",
        ),
        found,
    )
    return found


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ("{{ name }}", {"name"}),
        ("{{ name | upcase }} {{ name }}", {"name"}),
        ("{{ fields.city }}", {"fields.city"}),
        ("{{ fields['first name'] }}", {"fields['first name']"}),
        ("{{ fields.address.city }}", {"fields.address.city"}),
        ("{{ 'Dear ' | append: name }}", {"name"}),
        ("{% echo name %}", {"name"}),
        ("{% liquid\necho fields.city\n%}", {"fields.city"}),
        ("{% for i in (1..2) %}{{ fields.city }}{% endfor %}", {"fields.city"}),
        ("{% unless name %}{{ fields.nick }}{% endunless %}", {"fields.nick"}),
        ("{{ name | default: fields.nick }}", {"name", "fields.nick"}),
        ("{{ name | default: 'you' }}", set()),
        ("{{ name | upcase | default: 'you' }}", set()),
        ("{{ name | default: fields.nick | default: 'you' }}", set()),
        ("{% if name %}Hi {{ name }}{% endif %}", set()),
        ("{% if fields.vip %}{{ fields.city }}{% endif %}", set()),
        ("{% for item in fields.items %}{{ item }}{% endfor %}", set()),
        ("{% assign name = 'x' %}{{ name }}", set()),
        ("{{ email }} {{ mailout.subject }}", set()),
    ],
)
def test_what_is_shown_and_missing(template: str, missing: set[str]) -> None:
    assert gaps(template) == missing


@pytest.mark.parametrize("value", [None, "", "  "])
def test_blank_is_missing(value: str | None) -> None:
    assert gaps("{{ fields.city }} {{ name }}", name=value, city=value) == {"fields.city", "name"}


@pytest.mark.parametrize("value", ["Rome", 0, False, [], [1]])
def test_other_values_are_there(value: object) -> None:
    assert gaps("{{ fields.city }}", city=value) == set()


def test_subject_and_text_count_too() -> None:
    compiled = compile_content(
        Content("{{ name }}", "<p>x</p>", None, "{{ fields.city }}"), Footer("Org", "X")
    )
    found: set[str] = set()
    known: dict[str, Any] = {"name": None, "fields": {}, "mailout": {}, "unsubscribe_url": "u"}
    compiled.values(known, found)
    assert found == {"name", "fields.city"}


@quick
@given(template=source, data=variables)
def test_looking_for_gaps_changes_nothing(template: str, data: dict[str, Any]) -> None:
    try:
        compiled = compile_content(Content("s", template + "<p>", None, "t"), Footer("Org", "X"))
        plain = compiled.values(data)
    except (TemplateInvalid, RenderError):
        assume(False)
    assert compiled.values(data, set()) == plain


@quick
@given(template=source, data=variables)
def test_what_is_looked_up_is_missing_where_rendering_says_so(
    template: str, data: dict[str, Any]
) -> None:
    """A bare variable is looked up without Liquid's machinery: values and gaps are the same."""
    try:
        compiled = compile_content(Content("s", template + "<p>", None, "t"), Footer("Org", "X"))
    except (TemplateInvalid, RenderError):
        assume(False)
    outcomes: list[tuple[object, set[str]]] = []
    for _ in range(2):
        found: set[str] = set()
        try:
            outcomes.append((compiled.values(data, found), found))
        except RenderError as exc:
            outcomes.append((exc.field, set()))
        for part in compiled.parts:  # the second time all is rendered
            part._bare, part._other = [], part._steps
    assert outcomes[0] == outcomes[1]
