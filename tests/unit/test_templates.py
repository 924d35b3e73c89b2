"""A mailout's body in its template and layouts, with partials: one document (assembly.py)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.content.render import Content, Footer, compile_content, template_variables
from app.errors import TemplateInvalid
from tests.support.wide import examples

FOOTER = Footer("Example", "1 Road")
ANN = {"name": "Ann", "fields": {"city": "Ulm", "items": ["a", "b"]}}


def row(name: str, html: str | None, layout: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "version": 1,
        "body_html": html,
        "body_markdown": None,
        "layout_id": layout,
        **more,
    }


def content(
    html: str | None, *rows: dict[str, Any], template: str | None = None, **more: Any
) -> Content:
    return Content(
        **{
            "subject": "News",
            "body_html": html,
            "body_markdown": None,
            "body_text": None,
            "sources": {"template_id": template, "templates": list(rows)},
            **more,
        }
    )


def rendered(what: Content, **person: Any) -> str:
    """The HTML that Ann gets, without what the program adds to each mail."""
    compiled = compile_content(what, FOOTER)
    variables = template_variables(
        email="ann@example.com", mailout_id="1", unsubscribe_url="https://u", **(ANN | person)
    )
    html = compiled.paste(compiled.values(variables)).html
    html = re.sub(r"<div class=\"mail-footer\".*?\n</div>\n", "", html, flags=re.DOTALL)
    body = re.search(r"<body[^>]*>(.*?)</body>", html, re.DOTALL)
    assert body is not None, html
    return body[1].strip()


def refusal(what: Content) -> str:
    with pytest.raises(TemplateInvalid) as refused:
        compile_content(what, FOOTER)
    return refused.value.detail


def test_a_body_fills_the_content_block_and_that_its_layouts() -> None:
    letter = row("letter", "<h1>Hi</h1>{{ content }}", "frame")
    frame = row("frame", "<main>{{- content -}}</main>")
    body = "<p>{{ name }} {{ mailout.subject }}</p>"
    assert rendered(content(body, letter, frame, template="letter")) == (
        "<main><h1>Hi</h1><p>Ann News</p></main>"
    )


def test_without_a_body_the_templates_is_sent() -> None:
    assert rendered(content(None, row("t", "<p>{{ name }}</p>"), template="t")) == "<p>Ann</p>"
    assert rendered(content("  \n", row("t", "<p>All</p>"), template="t")) == "<p>All</p>"
    text = row("t", None, body_markdown="*Hi*")
    assert "<em>Hi</em>" in rendered(content(None, text, template="t"))


def test_a_body_needs_a_place_and_a_place_a_body() -> None:
    assert refusal(content("<p>x</p>", row("t", "<p>x</p>"), template="t")).startswith(
        "template “t” has no content block"
    )
    assert refusal(content(None, row("t", "<p>\n{{ content }}</p>"), template="t")).startswith(
        "The mailout has no body: template “t” has a content block (line 2)"
    )
    two = row("t", "{{ content }}\n\n{{content}}")
    assert "line 3: there is a second content block" in refusal(content("x", two, template="t"))
    # What looks like one shows as it is in a raw block, and is nothing in a comment.
    one = row("t", "{% comment %}{{ content }}{% endcomment %}{{ content }}")
    assert rendered(content("<p>x</p>", one, template="t")) == "<p>x</p>"
    assert "only a template has a content block" in refusal(content("{{ content }}"))
    filtered = row("t", "{{ content }}\n{{ content | upcase }}")
    assert "line 2: {{ content }} stands by itself" in refusal(content("x", filtered, template="t"))
    # Our own names for places are nobody else's.
    own = "{% assign slot_0 = 'a' %}{{ slot_0 }}"
    assert rendered(content(own, one, template="t")) == "a"


def test_markdown_stands_in_html_and_html_in_markdown() -> None:
    html = row("html", "<table><tr><td>{{ content }}</td></tr></table>")
    markdown = row("markdown", None, body_markdown="# Hi\n\n{{ content }}\n\n*Bye*")
    table = "<table><tr><td>x</td></tr></table>"
    assert rendered(content(None, html, template="html", body_markdown="**{{ name }}**")) == (
        "<table><tr><td><p><strong>Ann</strong></p>\n</td></tr></table>"
    )
    mixed = rendered(content(table, markdown, template="markdown"))
    assert re.search(r"</h1>\n<table[^>]*><tr><td[^>]*>x</td></tr></table>\n<p[^>]*><em>Bye", mixed)


def test_a_whole_document_stands_in_a_template_without_its_head() -> None:
    body = (
        "<!doctype html><html lang='de'><head><title>T</title><style>.a{color:#c00000}</style>"
        "</head><body bgcolor='red'><p class='a'>x</p></body></html>"
    )
    sent = rendered(content(body, row("t", "<div>{{ content }}</div>"), template="t"))
    assert sent.count("<body") == sent.count("<title") == 0
    assert """<p style="color: #c00000" class='a'>x</p>""" in sent


def test_partials_are_found_by_name_in_any_case_and_get_values() -> None:
    button = row("button", '<a href="{{ url }}">{{ label }}</a>')
    body = '{% render "BUTTON", label: "Read & more", url: "https://x.example/?a=1&b=2" %}'
    compiled = compile_content(content(body, button), FOOTER)
    # What is the same for everybody is part of the mail's own text.
    assert '<a href="https://x.example/?a=1&amp;b=2">Read &amp; more</a>' in compiled.html
    assert rendered(content('{% include "button", label: name, url: fields.city %}', button)) == (
        '<a href="Ulm">Ann</a>'
    )


def test_what_a_partial_is_given_counts_as_ones_own_for_the_dry_run() -> None:
    what = content('{% render "p", who: fields.nick %}', row("p", "{{ who }}"))
    gaps: set[str] = set()
    compile_content(what, FOOTER).values(
        template_variables(
            email="a@example.com", name=None, fields={}, mailout_id="1", unsubscribe_url="https://u"
        ),
        gaps,
    )
    assert gaps == {"fields.nick"}


def test_render_is_isolated_and_include_is_not() -> None:
    loud = row("loud", "{% assign x = x | append: '!' %}{{ x }}")
    assert rendered(content('{% assign x = "a" %}{% include "loud" %}{{ x }}', loud)) == "a!a!"
    assert rendered(content('{% assign x = "a" %}{% render "loud", x: x %}{{ x }}', loud)) == "a!a"
    assert "unknown variable “y”" in refusal(
        content('{% assign y = 1 %}\n{% render "p" %}', row("p", "\n{{ y }}"))
    )
    # Nor do a template's variables disturb those of the text in it.
    letter = row("t", "{% assign x = 'outer' %}{{ content }}{{ x }}")
    assert rendered(content("{% assign x = 'in' %}{{ x }}", letter, template="t")) == "inouter"
    own = row("t", "{% assign name = name | upcase %}{{ name }} {{ content }}")
    assert rendered(content("{{ name }}", own, template="t")) == "ANN Ann"


def test_partials_in_loops_and_for_lists() -> None:
    item = row("item", "[{{ item }}{{ forloop.index }}]")
    assert rendered(content('{% render "item" for fields.items %}', item)) == "[a1][b2]"
    assert rendered(content('{% render "item" for fields.items as item %}', item)) == "[a1][b2]"
    shared = row("shared", "[{{ thing }}]")
    loop = '{% for thing in fields.items %}{% include "shared" %}{% endfor %}'
    assert rendered(content(loop, shared)) == "[a][b]"
    named = '{% for item in fields.items %}{% render "item" with item %}{% endfor %}'
    assert rendered(content(named, row("item", "[{{ item }}]"))) == "[a][b]"


def test_a_partials_rules_of_style_reach_its_tags() -> None:
    note = row("note", "<style>.note{color:#123456}</style><p class='note'>x</p>")
    assert "color:#123456" in rendered(content('{% render "note" %}', note)).replace(": ", ":")


def test_partials_stand_between_rows_and_in_the_text_part() -> None:
    line = row("line", "<tr><td>{{ label }}</td></tr>")
    body = "<table>{% render 'line', label: 'One' %}{% render 'line', label: name %}</table>"
    compiled = compile_content(content(body, line), FOOTER)
    assert "<table><tr><td>One</td></tr>" in compiled.html
    assert compiled.text.startswith("One")


@pytest.mark.parametrize(
    ("body", "rows", "said"),
    [
        ("\n{% render 'a' %}", [row("a", "x\n{% include 'A' %}")], "template “a”, line 2: "),
        (
            "{% render 'a' %}",
            [row("a", "{% render 'b' %}"), row("b", "\n\n{% include 'a' %}")],
            "template “b”, line 3: template “a” would include itself "
            "(template “a” → template “b” → template “a”)",
        ),
        ("x\n{% render 'gone' %}", [], "body_html, line 2: there is no template “gone”"),
        ("\n{% render name %}", [], "body_html, line 2: “render” takes the name"),
        ("\n{% include 'a', x %}", [row("a", "x")], "body_html, line 2: "),
        ("{% render 'a' %}", [row("a", "\n{% if %}")], "template “a”, line 2: "),
        ("{% render 'a' %}", [row("a", "\n{{ nmae }}")], "template “a”, line 2: unknown variable"),
        ("{% render 'a' %}", [row("a", "\n{{ 1 | divided_by: 0 }}")], "template “a”, line 2: "),
        ("{% render 'a' %}", [row("a", "<p>\n<!-- ")], "template “a”: "),
        ("{% render 'a' %}", [row("a", "{{ content }}")], "template “a”, line 1: nothing fills"),
    ],
)
def test_a_fault_is_named_with_template_and_line(
    body: str, rows: list[dict[str, Any]], said: str
) -> None:
    assert refusal(content(body, *rows)).startswith(said)


def test_bombs_are_refused_before_they_go_off() -> None:
    deep = [row(f"d{n}", f"{{% render 'd{n + 1}' %}}") for n in range(20)]
    assert "at most 10 deep" in refusal(content("{% render 'd0' %}", *deep))
    wide = [row(f"w{n}", f"{{% include 'w{n + 1}' %}}" * 9) for n in range(8)] + [row("w8", "x")]
    assert "too much is included" in refusal(content("{% render 'w0' %}", *wide))
    large = row("large", "x" * 900_000)
    assert "too much is included" in refusal(content("{% render 'large' %}" * 3, large))
    loop = "{% for i in (1..5000) %}{% render 'inner' %}{% endfor %}"
    inner = row("inner", "\n{% for i in (1..5000) %}x{% endfor %}")
    assert refusal(content(f"\n{loop}", inner)).startswith("body_html, line 2: ")
    endless = row("endless", "\n\n{% for i in (1..90000) %}x{% endfor %}")
    assert refusal(content("{% render 'endless' %}", endless)).startswith(
        "template “endless”, line 3: "
    )
    many = [row(f"m{n}", "x") for n in range(61)]
    assert "more than 60 templates" in refusal(content("x", *many))


def test_layouts_of_themselves_are_refused() -> None:
    ring = [row("a", "{{ content }}", "b"), row("b", "{{ content }}", "a")]
    assert "is a layout of itself" in refusal(content("x", *ring, template="a"))


_texts = st.lists(
    st.sampled_from(
        [
            "<p>{{ name }}</p>",
            "{% assign x = 'a' %}",
            "{{ x }}",
            "{% render 'p', v: name %}",
            "{% include 'q' %}",
            "{% if name %}yes{% else %}no{% endif %}",
            "{% for i in (1..2) %}{{ i }}{% endfor %}",
        ]
    ),
    max_size=4,
).map("".join)


@settings(max_examples=examples(40))
@given(body=_texts, letter=_texts)
def test_a_template_changes_nothing_of_the_text_in_it(body: str, letter: str) -> None:
    """Whatever the template does around it, the body shows what it shows by itself."""
    partials = [row("p", "({{ v }}{% assign x = 'p' %}{{ x }})"), row("q", "{% assign x = 'q' %}")]
    body, letter = ("{% assign x = nil %}" + text for text in (body, letter))
    alone = rendered(content(f"<i>{body}</i>", *partials))
    template = row("t", f"{letter}<b>{{{{ content }}}}</b>{letter}")
    within = rendered(content(f"<i>{body}</i>", *partials, template, template="t"))
    assert f"<b>{alone}</b>" in within
