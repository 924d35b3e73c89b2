"""Whatever an author writes and a subscriber's data are: SES's pasting shows what Liquid would."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from liquid import Environment

from app.domain.content import liquid
from app.domain.content.holes import Part
from app.domain.content.render import (
    Content,
    Footer,
    RenderError,
    compile_content,
    template_variables,
)
from app.errors import TemplateInvalid
from tests.support.wide import examples

FOOTER = Footer("Org {{h0}} \\", "1 Street {", html="{{h1}}{%", text="}}{{{")
quick = settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)

# fmt: off
NASTY = [
    "{", "}", "{{", "}}", "\\", "{{h0}}", "\\{{h1}}", "{{{h0}}}", "{%", "%}", "{{!", "{{~", "<p>",
    "</b>", "&amp;", "&", '"', "'", "\r\n", "\n", " ", "é", "😀", "\u2028", "h0", "x", "%",
    "%(h0)s",
]
ROOTS = [
    "name", "email", "fields.a", "fields.b", "fields.list", "fields['x y']", "mailout.id",
    "mailout.subject", "unsubscribe_url", "v", "c",
]
FILTERS = [
    "upcase", "default: 'friend'", "append: name", "escape", "escape_once", "url_encode", "strip",
    "size", "split: 'x' | join: '{'", "replace: '{', '}'", "truncate: 5", "plus: 1",
    "newline_to_br", "first", "url_decode", "strip_html", "divided_by: fields.b",
]
# fmt: on
nasty_text = st.lists(st.sampled_from(NASTY), max_size=6).map("".join)
static = nasty_text.filter(lambda text: "{{" not in text and "{%" not in text)
raw = nasty_text.map(lambda text: f"{{% raw %}}{text}{{% endraw %}}")

expression = st.builds(
    lambda root, filters: " | ".join([root, *filters]),
    st.sampled_from([*ROOTS, "'<{'", "3"]),
    st.lists(st.sampled_from(FILTERS), max_size=2),
)
dash = st.sampled_from(["", "-"])
output = st.builds(lambda x, a, b: f"{{{{{a} {x} {b}}}}}", expression, dash, dash)
simple_tag = st.one_of(
    st.builds("{{% assign v = {} %}}".format, expression),
    st.builds("{{% echo {} %}}".format, expression),
    st.sampled_from(
        [
            "{% increment n %}",
            "{% decrement n %}",
            "{% cycle 'a', '{', '}' %}",
            "{% # note %}",
            "{% comment %}{{ nothing }} {% if %}{% endcomment %}",
            "{% assign c = name -%}",
            "{% doc %} {{ {% enddoc %}",
            "{% liquid\nassign v = name\necho v\n%}",
        ]
    ),
)


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, max_size=3).map("".join)
    return st.one_of(
        st.builds("{{%{} if {} %}}{}{{% else %}}{}{{% endif {}%}}".format, dash, st.sampled_from(
            ["name", "fields.a == nil", "name contains '{'", "v == blank"]), body, body, dash),
        st.builds("{{% unless {} %}}{}{{% endunless %}}".format, st.sampled_from(ROOTS), body),
        st.builds("{{% for i in fields.list limit: 3 %}}{}{{{{ i }}}}{{% endfor %}}".format, body),
        st.builds("{{% for i in (1..3) %}}{}{{% if i == 2 %}}{{% break %}}{{% endif %}}"
                  "{{% else %}}{{% endfor %}}".format, body),
        st.builds("{{% capture c %}}{}{{% endcapture %}}".format, body),
        st.builds("{{% case fields.a %}}{{% when 1 %}}{}{{% else %}}{}{{% endcase %}}".format,
                  body, body),
        st.builds("{{% ifchanged %}}{}{{% endifchanged %}}".format, body),
        st.builds("{{% tablerow i in fields.list cols:2 %}}{}{{% endtablerow %}}".format, body),
    )  # fmt: skip


leaf = st.one_of(static, raw, output, simple_tag)
# v and c are always defined somewhere, so that no root is unknown.
source = st.lists(st.recursive(leaf, blocks, max_leaves=6), max_size=8).map(
    lambda parts: "".join(parts) + "{% if false %}{% assign v = 1 %}{% assign c = 1 %}{% endif %}"
)
value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), nasty_text),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
variables = st.builds(
    lambda name, fields: (
        template_variables(
            email="a&b@example.com",
            name=name,
            fields=fields,
            mailout_id="m",
            unsubscribe_url="https://example.com/?t=1&u=2",
        )
        | {"mailout": {"id": "m", "subject": "Hi {{ name }}"}}
    ),
    st.one_of(st.none(), nasty_text),
    st.dictionaries(st.sampled_from(["a", "b", "list", "x y"]), value),
)


def direct(template: str, data: dict[str, Any], *, html: bool) -> str:
    """python-liquid alone, as it comes."""
    return Environment(autoescape=html).from_string(template).render(**data)


def one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)


def handlebars(template: str, values: dict[str, str]) -> str:
    """What Handlebars makes of it, where `\\{{x}}` is literal and `{{{x}}}` another tag."""
    out, rest = "", template
    while (at := rest.find("{{")) >= 0:
        text, rest = rest[:at], rest[at:]
        if text.endswith("\\") and not text.endswith("\\\\"):
            following = rest.find("{{", 2)
            end = following if following >= 0 else len(rest)
            out, rest = out + text[:-1] + rest[:end], rest[end:]
            continue
        out += text[:-1] if text.endswith("\\\\") else text
        match = re.match(r"\{\{(\w+)\}\}", rest)
        assert match, f"not a simple tag: {rest[:20]!r}"
        out, rest = out + values[match[1]], rest[match.end() :]
    return out + rest


@quick
@given(template=source, data=variables, html=st.booleans(), subject=st.booleans())
def test_pasting_the_values_gives_what_liquid_renders(
    template: str, data: dict[str, Any], html: bool, subject: bool
) -> None:
    try:
        parsed = liquid.parse(template, html=html, field="body_html")
    except TemplateInvalid:
        assume(False)
    part = Part(parsed, (f"h{n}" for n in count()), one_line=subject)
    values = dict(part.constant)
    try:
        expected = direct(template, data, html=html)
    except Exception:  # noqa: BLE001  # data that python-liquid stumbles over
        with pytest.raises(RenderError):
            part.fill(data, values)
        return
    part.fill(data, values)
    pasted = part.paste(values)
    if subject:
        assert one_line(pasted) == one_line(expected)
        assert all(one_line(v) == v for n, v in values.items() if n not in part.constant)
    else:
        assert pasted == expected
    assert handlebars(part.template, values) == pasted


@quick
@given(template=source, data=variables)
def test_the_authors_texts_survive_compilation(template: str, data: dict[str, Any]) -> None:
    """HTML is in the mail as Liquid renders it, whatever happens around it; so is the text."""
    subject = f"s{one_line(template)}".replace("mailout.subject", "mailout.id")
    try:
        compiled = compile_content(Content(subject, template + "<p>", None, "t" + template), FOOTER)
        values = compiled.values(data)
    except (TemplateInvalid, RenderError):
        assume(False)
    rendered = compiled.paste(values)
    assert rendered.subject == one_line(direct(subject, data, html=False))
    data = {**data, "mailout": {"id": "m", "subject": rendered.subject}}
    assert direct(template, data, html=True).strip() in rendered.html
    assert rendered.text.startswith(direct("t" + template + "\n", data, html=False).rstrip())
    assert "Org {{h0}} \\" in rendered.html
    assert "{{h1}}{%" in rendered.html
    assert rendered.text.endswith(
        "---\n}}{{{\n\nOrg {{h0}} \\\n1 Street {\n\n"
        "Unsubscribe: https://example.com/?t=1&u=2\n"
    )  # fmt: skip
    for part in compiled.parts:
        assert handlebars(part.template, values) == part.paste(values)
    assert compiled.constant.items() <= values.items()


@pytest.mark.parametrize("name", [None, "", "A", "<A>", 7, True, ["a", "<b>"]])
def test_what_is_pasted_is_plain_text(name: Any) -> None:
    """No Markup, which would escape what is put beside it."""
    compiled = compile_content(Content("s", "<p>{{ name }}</p>", None, "{{ name }}"), FOOTER)
    data = template_variables(
        email="a@example.com",
        name=name,
        fields={},
        mailout_id="m",
        unsubscribe_url="https://x.test",
    )
    assert {type(text) for text in compiled.values(data).values()} == {str}


@quick
@given(template=source, data=variables)
def test_a_text_part_can_be_derived_from_any_body(template: str, data: dict[str, Any]) -> None:
    html = f"<table><tr><td>{template}</td></tr></table>"
    try:
        # One that parses and passes the trial by itself.
        compile_content(Content("s", html, None, "text"), FOOTER)
    except TemplateInvalid:
        assume(False)
    for content in (Content("s", html, None, None), Content("s", None, template + "\n\nx", None)):
        compiled = compile_content(content, FOOTER)
        try:
            rendered = compiled.paste(compiled.values(data))
        except RenderError:
            continue
        assert not re.search(r"lq\d+x\d+z", rendered.html + rendered.text)


@quick
@given(
    chain=st.lists(st.sampled_from(sorted(liquid.HTML.filters)), max_size=4),
    name=st.sampled_from(["<script>", '"><img onerror=x>', "&lt;b&gt;", "%3Cb%3E", "PGI+"]),
)
def test_no_filter_switches_escaping_off(chain: list[str], name: str) -> None:
    """The rule: what a subscriber's data puts into HTML is text, through every filter."""
    template = "{{ " + " | ".join(["name", *chain]) + " }}"
    part = Part(liquid.HTML.from_string(template), iter(["h0"]))
    values: dict[str, str] = {}
    try:
        part.fill({"name": name}, values)
    except RenderError:
        return
    assert not re.search(r"<(?!br />)|\"", values["h0"])
