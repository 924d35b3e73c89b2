"""Fields that a mail asks for and the list has under another name."""

from __future__ import annotations

import pytest

from app.domain.content.field_names import under_other_names, variable
from app.domain.content.render import Content, Footer, compile_content


@pytest.mark.parametrize(
    ("used", "there", "found"),
    [
        (["city"], ["City", "plan"], [("city", "City")]),
        (["first_name"], ["First Name"], [("first_name", "First Name")]),
        (["contry"], ["country"], [("contry", "country")]),
        (["city"], ["City", "city"], []),  # both are there
        (["city"], ["plan"], []),  # nothing like it: it may be rare
        ([], ["City"], []),
    ],
)
def test_one_that_was_probably_meant_is_named(
    used: list[str], there: list[str], found: list[tuple[str, str]]
) -> None:
    assert list(under_other_names(used, there)) == found


def test_a_variable_is_named_as_a_template_shows_it() -> None:
    assert [variable(name) for name in ("City", "First Name")] == [
        "fields.City",
        'fields["First Name"]',
    ]


def test_every_field_that_is_asked_for_is_known() -> None:
    html = (
        "<p>{{ fields.city | default: 'you' }}{% if fields['Shoe size'] %}x{% endif %}"
        "{{ fields.size }}{{ fields[name] }}</p>"
    )
    content = Content("{{ fields.a }}", html, None, "{% assign b = fields.t %}{{ b }}")
    compiled = compile_content(content, Footer("We", "Street 1"))
    assert [part.fields for part in compiled.parts] == [{"a"}, {"city", "Shoe size"}, {"t"}]
