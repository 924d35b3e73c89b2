"""What subscribers have is mostly imported text; conditions read numbers in it as numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content import liquid
from app.domain.content.comparing import number
from app.domain.content.holes import RenderError
from app.domain.content.render import Content, Footer, compile_content, template_variables
from app.errors import TemplateInvalid


def shown(template: str, **fields: Any) -> str:
    """What a recipient with these fields reads. Raises RenderError, TemplateInvalid."""
    compiled = compile_content(Content("s", "<p>x</p>", None, template), Footer("Org", "X"))
    variables = template_variables(
        email="ann@example.com",
        name="Ann",
        fields=fields,
        mailout_id="m",
        unsubscribe_url="https://example.com/u",
    )
    return compiled.paste(compiled.values(variables)).text.split("\n\n---\n")[0]


def holds(condition: str, **fields: Any) -> bool:
    return shown(f"{{% if {condition} %}}yes{{% else %}}no{{% endif %}}", **fields) == "yes"


@pytest.mark.few_variants(3)
@pytest.mark.parametrize("points", ["150", " 150 ", "150.0", "+150", "1.5e2", "1e3", 150, 150.5])
def test_text_that_is_a_number_compares_as_a_number(points: object) -> None:
    for condition in ("fields.p > 100", "fields.p >= 150", "fields.p != 99", "99 < fields.p",
                      "150 <= fields.p", "fields.p > '100'", "fields.p > fields.q"):  # fmt: skip
        assert holds(condition, p=points, q="9")
    for condition in ("fields.p < 100", "fields.p <= 149", "fields.p == 99", "fields.p > 1000",
                      "fields.p < '9'", "fields.p < fields.q"):  # fmt: skip
        assert not holds(condition, p=points, q="9")


@pytest.mark.few_variants(3)
@pytest.mark.parametrize(("value", "other"), [("5", 5), ("5.0", 5), ("0.1", 0.1), (5, "5"),
                                              ("-3", -3), ("007", 7), (".5", 0.5)])  # fmt: skip
def test_equality_sees_numbers_in_text_wherever_it_is_asked_for(value: Any, other: Any) -> None:
    literal = repr(other)
    assert holds(f"fields.v == {literal}", v=value)
    assert not holds(f"fields.v != {literal}", v=value)
    assert shown(f"{{% unless fields.v == {literal} %}}x{{% endunless %}}y", v=value) == "y"
    case = f"{{% case fields.v %}}{{% when 99, {literal} %}}yes{{% else %}}no{{% endcase %}}"
    assert shown(case, v=value) == "yes"
    elsif = f"{{% if false %}}{{% elsif fields.v == {literal} and true %}}yes{{% endif %}}"
    assert shown(elsif, v=value) == "yes"
    assert holds(f"fields.l contains {literal}", l=["x", value])
    split = (
        f"{{% assign l = 'x,{value}' | split: ',' %}}{{% if l contains {literal} %}}y{{% endif %}}"
    )
    assert shown(split) == "y"


def test_two_texts_are_equal_to_the_letter() -> None:
    """A postcode of 01234 is none of 1234."""
    assert not holds("fields.zip == '1234'", zip="01234")
    assert not holds("fields.zip == fields.other", zip="1.0", other="1")
    assert holds("fields.zip == 'a'", zip="a")
    assert holds("fields.text contains 23", text="1234")


@pytest.mark.parametrize("value", ["true", "TRUE", " True ", True])
def test_text_that_says_true_is_true(value: object) -> None:
    """Excel writes TRUE."""
    assert holds("fields.vip == true", vip=value)
    assert not holds("fields.vip == false", vip=value)
    assert not holds("fields.vip == true", vip="yes")
    assert holds("fields.vip == false", vip="FALSE")


@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_missing_is_neither_above_nor_below(value: object) -> None:
    for operator in ("<", ">", "<=", ">="):
        assert not holds(f"fields.p {operator} 100", p=value)
        assert not holds(f"fields.p {operator} 'a'", p=value)
        assert not holds(f"100 {operator} fields.nothing")


def test_other_texts_compare_as_text() -> None:
    assert holds("fields.day < '2026-05-17'", day="2026-05-03")
    assert holds("fields.name > 'B'", name="Cid")


@pytest.mark.few_variants(12)
@pytest.mark.parametrize(
    "value", ["n/a", "1,234", "12 €", "1_000", "0x10", "NaN", "inf", "１２", "9" * 301,
              True, [1], {"a": 1}]
)  # fmt: skip
@pytest.mark.parametrize("operator", ["<", ">", "<=", ">="])
def test_what_is_no_number_fails_this_recipient_and_names_the_condition(
    value: object, operator: str
) -> None:
    """Not a word of what they have: it is personal, and errors are logged."""
    with pytest.raises(RenderError) as caught:
        holds(f"fields.points {operator} 100", points=value)
    assert f"fields.points {operator} 100" in caught.value.detail
    assert str(value) not in caught.value.detail.replace("100", "")


@pytest.mark.parametrize(
    "condition",
    ["fields.p > true", "fields.p >= empty", "blank < fields.p", "fields.p <= false",
     "'many' > 5", "fields > 5", "email > 5", "mailout.id < 5"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{{% if {} %}}x{{% endif %}}",
                                  "{{% if false %}}{{% elsif {} %}}x{{% endif %}}",
                                  "{{% unless {} %}}x{{% endunless %}}"])  # fmt: skip
def test_what_can_never_be_compared_is_refused_with_its_line(form: str, condition: str) -> None:
    with pytest.raises(TemplateInvalid) as caught:
        shown("Hello\n" + form.format(condition))
    assert (caught.value.field, caught.value.line) == ("body_text", 2)
    assert "compare" in caught.value.detail


def test_a_range_takes_numbers_in_text() -> None:
    for text in ("3", "3.0", " 3 ", 3):
        assert shown("{% for i in (1..fields.n) %}{{ i }}{% endfor %}", n=text) == "123"


numbers = st.one_of(
    st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1, -1.5])
)


@given(numbers, numbers)
def test_numbers_compare_alike_as_text_and_as_numbers(left: float, right: float) -> None:
    for operator in ("<", ">", "<=", ">=", "==", "!="):
        source = f"{{% if a {operator} b %}}yes{{% endif %}}"
        template = liquid.TEXT.from_string(source)
        expected = template.render(a=left, b=right)
        assert template.render(a=str(left), b=right) == expected
        assert template.render(a=left, b=str(right)) == expected
        if operator not in ("==", "!="):
            assert template.render(a=str(left), b=str(right)) == expected


@given(st.text(max_size=20))
def test_whatever_text_says_asking_for_its_number_is_safe(text: str) -> None:
    found = number(text)
    assert found is None or found == float(text)
