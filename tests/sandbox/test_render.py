"""Inline templates: substitution as SES and Handlebars' lexer do it, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.ses.render import (
    MissingValue,
    UnsupportedTemplate,
    compile_template,
    missing_value,
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a {{ x }} b{{x}}", "a 1 b1"),
        ("{{deep.inner}}", "2"),
        ("{{yes}}{{null}}|", "true|"),
        (r"\{{x}}", "{{x}}"),
        (r"\{{x}} {{x}}", "{{x}} 1"),
        (r"\{{x}} \{{x}} {{x}}", "{{x}} {{x}} 1"),
        (r"\\{{x}}", "\\1"),
        (r"\{{#if}}", "{{#if}}"),
        ("{ {x} } }}", "{ {x} } }}"),
    ],
)
def test_substitution(source: str, expected: str) -> None:
    data = {"x": 1, "deep": {"inner": "2"}, "yes": True, "null": None}
    assert compile_template(source).render(data) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{{x}}}",
        "{{x}}}",
        "{{#each a}}",
        "{{/if}}",
        "{{>p}}",
        "{{! c}}",
        "{{&x}}",
        "{{x y}}",
        "{{}}",
        "{{x",
        "{{~x}}",
        "{{../x}}",
        "{{a..b}}",
        "{{{{x}}}}",
    ],
)
def test_anything_more_is_unsupported(source: str) -> None:
    with pytest.raises(UnsupportedTemplate):
        compile_template(source)


def test_a_missing_value_is_named() -> None:
    names = frozenset({"b", "a", "deep.x"})
    assert missing_value(names, {"a": "", "b": 1, "deep": {"x": 0}}) is None
    message = missing_value(names, {"b": 1})
    assert message == "Attribute 'a' is not present in the rendering data."
    assert missing_value(frozenset({"a"}), {"a": {"no": "text"}})  # "[object Object]" in a mail
    with pytest.raises(MissingValue):
        compile_template("{{deep.y}}").render({"deep": {}})


@given(st.lists(st.tuples(st.text(alphabet="ab \n<&", max_size=5), st.text(max_size=8))))
def test_values_come_out_as_they_went_in(parts: list[tuple[str, str]]) -> None:
    """Whatever a value holds, also `{{x}}`, it is pasted once and unchanged."""
    source = "".join(f"{literal}{{{{h{n}}}}}" for n, (literal, _) in enumerate(parts))
    data = {f"h{n}": value for n, (_, value) in enumerate(parts)}
    expected = "".join(literal + value for literal, value in parts)
    assert compile_template(source).render(data) == expected
