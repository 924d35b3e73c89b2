"""What one rendering may do, in a process that renders for many: by its steps and the size of its
values, so that no test depends on a clock."""

from __future__ import annotations

import pytest

from app.domain.content.masking import pieces
from app.domain.content.render import Content, Footer, RenderError, compile_content
from app.domain.content.render import template_variables as variables
from app.domain.limits.open_ends import never_closed
from app.errors import TemplateInvalid


def rendered(template: str, **fields: object) -> str:
    """Its HTML for somebody with these fields. A bomb that needs them passes the checks."""
    content = Content("s", f"<p>{template}</p>", None, "text")
    compiled = compile_content(content, Footer("Org", "X"))
    person = variables(
        email="a@example.com", name="Ann", fields=fields, mailout_id="1", unsubscribe_url="u"
    )
    return compiled.paste(compiled.values(person)).html


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ 'x' " + "| replace: 'x', 'xxxxxxxxxx'" * 12 + " }}", "replace"),
        ("{% assign a = 'x' %}" + "{% assign a = a | append: a %}" * 40 + "{{ a }}", "append"),
        (
            "{% assign a = 9 %}{% for i in (1..1000) %}{% assign a = a | times: a %}{% endfor %}",
            "300 digits",
        ),
        (
            "{% assign s = 'a,b' | split: ',' %}" + "{% assign s = s | concat: s %}" * 40,
            "10,000 entries",
        ),
        (
            "{% for i in (1..10000) %}" + "{% if name %}{% endif %}" * 50 + "{% endfor %}",
            "50,000 steps",
        ),
        (
            "{% for i in (1..100) %}{% for j in (1..100) %}"
            + "{{ name | upcase | downcase }}" * 20
            + "{% endfor %}{% endfor %}",
            "50,000 steps",
        ),
        ("{% for i in (1..9000) %}{{ fields" + ".a" * 500 + " }}{% endfor %}", "steps"),
        ("{{ 'now' | date: '" + "%Y" * 1000 + "' }}", "date"),
        ("{% tablerow i in (1..9000) %}" + "{{ name }}" * 30 + "{% endtablerow %}", "steps"),
    ],
)
def test_a_bomb_is_refused_before_it_goes_off(template: str, told: str) -> None:
    with pytest.raises(TemplateInvalid, match=told) as refused:
        rendered(template)
    assert refused.value.field == "body_html"


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ fields.a | replace: 'x', fields.a }}", "replace"),
        ("{% assign s = fields.a | split: '' %}{{ s | join: fields.a }}", "join|split"),
        ("{% assign s = fields.list | split: ',' %}{{ s | uniq | size }}", "steps"),
        ("{% for i in (1..2000) %}{% capture b %}{{ fields.a }}{% endcapture %}{% endfor %}", "s"),
        (
            "{% for i in (1..2000) %}{{ fields.a | upcase | size }}{% endfor %}",
            "50,000 steps",
        ),
    ],
)
def test_one_that_a_readers_data_light_fails_for_them_alone(template: str, told: str) -> None:
    big = {"a": "x" * 90_000, "list": ",".join(map(str, range(9_000)))}
    with pytest.raises(RenderError, match=told):
        rendered(template, **big)
    assert rendered(template, a="x", list="a,b")


def test_a_long_digest_is_no_bomb() -> None:
    entry = (
        "{% if fields.city == 'Bonn' %}<b>{{ i | plus: 1 }}</b>{% else %}{{ i }}{% endif %}"
        "{{ name | default: 'you' | capitalize | truncate: 20 }} {{ 'now' | date: '%d.%m.%Y' }}"
    )
    shown = rendered("{% for i in (1..500) %}" + entry + "{% endfor %}", city="Bonn")
    assert "<b>501</b>Ann" in shown


def test_loops_in_loops_are_weighed_once_for_each_round() -> None:
    """Of the inner loop's body no more than runs is counted."""
    loops = "{% for i in (1..90) %}{% for j in (1..90) %}{{ j }}{% endfor %}{% endfor %}"
    assert rendered(loops).count("90") >= 90


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "opening", ["{% raw %}", "{%- doc -%}", "{% ", "{{ ", "{% comment %}{% raw %}"]
)
def test_what_begins_again_and_again_is_refused_at_once(opening: str) -> None:
    """python-liquid would look through all of the rest for the end of each: here, 40 billion
    characters."""
    with pytest.raises(TemplateInvalid, match="never closed") as refused:
        rendered("Dear reader,\n" + opening * 30_000)
    assert refused.value.line == 2


@pytest.mark.parametrize(
    "source",
    [
        "{% raw %}{{ a }}{% endraw %}" * 100,
        "{{ name }}" * 100,
        "{% raw %}" * 100 + "{% endraw %}",
        "{",
    ],
)
def test_what_is_closed_in_the_end_is_left_to_liquid(source: str) -> None:
    assert never_closed(source) is None
    assert "".join(piece.text for piece in pieces(source)) == source


def test_a_source_that_never_ends_has_pieces_without_gaps() -> None:
    source = "a {{ name }} {% comment %} b {% endcomment %}" + "{% raw %}" * 1_000
    assert "".join(piece.text for piece in pieces(source)) == source
    source = "a {% comment %} " + "{% raw %}" * 1_000
    assert "".join(piece.text for piece in pieces(source)) == source
