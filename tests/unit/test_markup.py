"""The HTML and text parts around the author's body: layout, styles, Markdown, footer."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from app.domain.content.render import Footer
from app.errors import TemplateInvalid
from tests.support.mails import (
    mail,
)


class _Nesting(HTMLParser):
    """Fails where an end tag closes something else than the innermost open element."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def assert_well_nested(html: str) -> None:
    parser = _Nesting()
    parser.feed(html)
    assert parser.open == []


# The author's HTML


@pytest.mark.parametrize(
    "body",
    ["<p>&#123;&#123; name }} &nbsp; &copy; &lt;b&gt;</p>",
     "<!--[if mso]><table><tr><td width='600'><![endif]--><p>x</p><!--[if mso]></td><![endif]-->",
     "<![if !mso]><p>x</p><![endif]>",
     "<P CLASS=x>UPPER<BR/>case</P>",
     "<td>stray</td> & ampersands < less",
     "<p title='it''s'>odd</p>",
     "<style>.a{color:red}@media (max-width:1px){.b{color:green}}</style>"],
)  # fmt: skip
def test_html_stays_as_it_was(body: str) -> None:
    assert body in mail(body).html


@pytest.mark.parametrize(
    ("body", "shown"),
    [("<td {% if name %}class=\"a\"{% endif %}>x</td>", '<td class="a">x</td>'),
     ("<td{% if name %} class='a'{% endif %}>x</td>", "<td class='a'>x</td>"),
     ('<a href="{{ fields.url }}?a=1&b=2">x</a>', '<a href="https://e.com/?a=1&b=2">x</a>'),
     ("<a href={{ fields.url }}>x</a>", '<a href="https://e.com/">x</a>'),
     ("{% if fields.n < 3 %}less{% endif %}{% if 3 > fields.n %} more{% endif %}", "less more"),
     ("<p style=\"color: {{ fields.c }}\">x</p>", '<p style="color: red">x</p>'),
     ("<!--[if mso]><i>{{ name }}</i><![endif]-->", "<!--[if mso]><i>Ann</i><![endif]-->"),
     ("<style>.a{color:{{ fields.c }}}</style>", "<style>.a{color:red}</style>"),
     ("<h{{ fields.n }}>x</h{{ fields.n }}>", "<h2>x</h2>"),
     ("<table>{% for i in fields.items %}<tr><td>{{ i }}</td></tr>{% endfor %}</table>",
      "<table><tr><td>p</td></tr><tr><td>q</td></tr></table>"),
     ("<table>{% if name %}<tr><td>x</td></tr>{% endif %}</table>",
      "<table><tr><td>x</td></tr></table>")],
)  # fmt: skip
def test_liquid_works_wherever_it_stands(body: str, shown: str) -> None:
    """In text, between table rows, in attributes, tags, comments and styles."""
    fields: dict[str, Any] = {
        "url": "https://e.com/",
        "n": 2,
        "c": "red",
        "style": "top:0",
        "items": ["p", "q"],
    }
    assert shown in mail(body, **fields).html


def test_a_fragment_becomes_a_document() -> None:
    html = mail("<p>Hello</p>").html
    assert html.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset=')
    assert 'name="viewport"' in html
    assert 'name="color-scheme"' in html
    assert_well_nested(html)


@pytest.mark.parametrize(
    ("body", "dark"),
    [("<p>x</p>", True), ("<p style='background:#fff'>x</p>", False),
     ("<table bgcolor=white><tr><td>x</table>", False), ("<font color=red>x</font>", False),
     ("<style>p{color:red}</style><p>x</p>", False),
     ("<style>p{color:red}@media (prefers-color-scheme:dark){p{color:pink}}</style><p>x", True)],
)  # fmt: skip
def test_a_mail_is_for_the_dark_if_it_is_made_for_it(body: str, dark: bool) -> None:
    """Where only its backgrounds have colours, the program's light text would stand on them."""
    assert ('name="color-scheme"' in mail(body).html) is dark


@pytest.mark.parametrize(
    "document",
    ['<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd">\n<html lang="de"><head>'
     "<title>{{ name }}</title></head><body class=x>HERE</body></html>",
     "<html><head></head>HERE</html>", "<html>HERE</html>", "<body>HERE</body>",
     "<HTML><BODY>HERE</BODY></HTML>", "<head></head>HERE",
     "<!doctype html><!-- <body> --><html><body>HERE</body></html><!-- </body> -->"],
)  # fmt: skip
def test_a_document_keeps_its_frame(document: str) -> None:
    html = mail(document, preheader="pre").html
    html = html.replace("<title>News</title>\n", "").replace(' lang="en"', "")
    if "<html" not in document.lower():
        html = html.replace("<html>\n", "", 1)
    before, after = document.replace("{{ name }}", "Ann").split("HERE")
    assert html.startswith(before)
    assert html.endswith(after)
    assert html.index(">pre") < html.index("HERE") < html.index("Example Org")


@pytest.mark.parametrize(
    "body", ["<p>x</p><!-- note", "<style>p{color:red}", "<p>x<script>", "<title>x", "<!--"]
)
def test_what_would_hide_the_footer_is_refused(body: str) -> None:
    with pytest.raises(TemplateInvalid, match="never closed") as caught:
        mail(body)
    assert caught.value.field == "body_html"


@pytest.mark.parametrize("depth", [5_000, pytest.param(50_000, marks=pytest.mark.short)])
def test_absurd_nesting_is_refused(depth: int) -> None:
    with pytest.raises(TemplateInvalid, match="nested"):
        mail("<div>" * depth)
    with pytest.raises(TemplateInvalid, match="nested"):
        mail("<div></b>" * depth, body_text="x")
    assert mail("<p>old style" * 1000 + "<br>" * 1000, body_text="x")


# Styles


def test_rules_are_inlined_and_style_elements_stay() -> None:
    style = "<style>p{color:red}.b{margin:0}@media (max-width:1px){p{top:0}}</style>"
    html = mail(f"{style}<p class='b'>x</p>").html
    assert style in html
    assert "<p style=\"color: red;margin: 0\" class='b'>x</p>" in html


def test_an_own_style_attribute_wins_as_in_the_cascade() -> None:
    style = '<style>p{color:red;font-family:"A B"}</style>'
    html = mail(f"{style}<p style=\"color:blue\">1</p><p style='color:{{{{ name }}}}'>2</p>").html
    assert "<p style=\"color: red;font-family: 'A B'; color:blue\">1</p>" in html
    assert "<p style='color: red;font-family: &#39;A B&#39;; color:Ann'>2</p>" in html


def test_tags_whose_rules_depend_on_liquid_stay_as_they_are() -> None:
    """An inlined `p` rule would beat the `.hot` rule of the style element."""
    body = '<style>p{color:blue}.hot{color:red}</style><p class="{{ fields.c }}">x</p><p>y</p>'
    html = mail(body, c="hot").html
    assert '<p class="hot">x</p><p style="color: blue">y</p>' in html


def test_rules_with_liquid_are_not_inlined() -> None:
    """The rule: a piece of Liquid is in the mail exactly as often as the author wrote it."""
    body = (
        "<style>.a{color:{{ fields.c }}} {% if name %}.b{color:red}{% endif %} .c{top:0}</style>"
        '<p class="a">1</p><p class="b">2</p>'
    )
    html = mail(body, c="red").html
    assert '<p class="a">1</p><p class="b">2</p>' in html
    assert "<style>.a{color:red} .b{color:red} .c{top:0}</style>" in html


def test_rules_reach_rows_inside_of_a_loop() -> None:
    body = (
        "<style>tr td{color:red}</style>"
        "<table>{% for i in fields.items %}<tr><td>{{ i }}</td></tr>{% endfor %}</table>"
    )
    assert mail(body, items=[1, 2]).html.count('<td style="color: red">') == 2


def test_no_style_sheet_is_loaded(tmp_path: Any) -> None:
    sheet = tmp_path / "x.css"
    sheet.write_text("p{color:red}")
    for address in (str(sheet), sheet.as_uri(), "http://127.0.0.1:1/x.css"):
        link = f'<link rel="stylesheet" href="{address}"><style>@import url("{address}");</style>'
        assert "<p>x</p>" in mail(f"{link}<p>x</p>").html


# Preheader and footer


def test_the_preheader_is_hidden_text_before_everything() -> None:
    html = mail("<p>Body</p>", preheader="Hi {{ name }}, 1 < 2 {{ 'a' }}", name="<b>").html
    assert re.search(
        r"<body>\n?<div style=\"display:none[^>]*>Hi &lt;b&gt;, 1 &lt; 2 a&#847;", html
    )
    assert html.index("Hi &lt;b&gt;") < html.index("Body")
    assert "Hi" not in mail("<p>Body</p>", preheader="Hi").text


def test_a_blank_preheader_is_none() -> None:
    assert "display:none" not in mail("<p>Body</p>", preheader=" ").html


def test_the_footer_is_in_both_parts() -> None:
    footer = Footer("A & B <Org>", "Street 1\r\nTown", html="<b>Why</b> you", text="Why you")
    got = mail("<p>x</p>", footer=footer)
    end = got.html[got.html.index("<b>Why</b> you") :]
    assert "A &amp; B &lt;Org&gt;<br>\nStreet 1<br>\nTown<br>\n<a href=" in end
    assert 'href="https://example.com/unsubscribe?token=a&amp;b=c" ses:no-track' in end
    assert end.index("Unsubscribe</a>") < end.index("</body>")
    assert got.text == (
        "x\n\n---\nWhy you\n\nA & B <Org>\nStreet 1\nTown\n\n"
        "Unsubscribe: https://example.com/unsubscribe?token=a&b=c\n"
    )  # fmt: skip


def test_the_footers_texts_are_no_liquid() -> None:
    nasty = "{{ name }} {% if x %} {{h0}} \\{{ {"
    got = mail("<p>x</p>", footer=Footer(nasty, nasty, html=nasty, text=nasty))
    assert got.html.count(nasty) == 3
    assert got.text.count(nasty) == 3


def test_the_footer_is_there_whichever_branch_is_taken() -> None:
    """A body tag inside of an `if` is no place for it."""
    body = "{% if name %}<html><body>A</body></html>{% else %}<body>B</body>{% endif %}"
    for name in ("Ann", None):
        assert "Example Org" in mail(body, name=name).html


def test_the_authors_own_unsubscribe_links_are_not_tracked() -> None:
    html = mail('<a class=x href="{{ unsubscribe_url }}">out</a><a href="https://e.com">e</a>').html
    assert '<a ses:no-track class=x href="https://example.com/unsub' in html
    assert '<a href="https://e.com">e</a>' in html


# Markdown


def test_markdown_becomes_a_mail_with_a_layout() -> None:
    html = mail(body_markdown="# Hi {{ name }}\n\nA *b* [c]({{ unsubscribe_url }}).").html
    assert re.search(r"<h1 style=\"[^\"]+\">Hi Ann</h1>", html)
    assert re.search(r'<a [^>]*href="https://example.com/unsubscribe\?token=a&amp;b=c">c</a>', html)
    assert "max-width: 600px" in html
    assert "prefers-color-scheme: dark" in html
    assert_well_nested(html)


def test_markdown_has_tables_html_and_code() -> None:
    source = """\
| a | b |
|---|---|
| {{ name | default: "x" }} | `{{ fields.x }}` |

<div class="x">{{ name }}</div>

```
{% raw %}{{ literal }}{% endraw %} {{ name }}
```
"""
    html = mail(body_markdown=source, x="<X>").html
    assert re.search(r"<td [^>]*>Ann</td>", html)
    assert re.search(r"<code [^>]*>&lt;X&gt;</code>", html)
    assert '<div class="x">Ann</div>' in html
    assert re.search(r"<code [^>]*>{{ literal }} Ann\n</code>", html)


@pytest.mark.parametrize("name", ["Ann", None])
def test_tags_on_lines_of_their_own_keep_the_html_well_nested(name: str | None) -> None:
    source = """\
Before
{% if name %}
Inside
{% else %}
- Other
{% endif %}

{% for i in fields.items %}
- {{ i }}
{% endfor %}
After

| a |
|---|
{% for i in fields.items %}
| {{ i }} |
{% endfor %}

{% if name %}
| b |
|---|
| c |
{% endif %}

- item
  {% if name %}
  more
  {% endif %}

> {% if name %}
> quoted
> {% endif %}
"""
    html = mail(body_markdown=source, name=name, items=["p", "q"]).html
    assert_well_nested(html)
    assert html.count("<li>") == (3 if name else 4)
    assert len(re.findall(r"<ul ", html)) == (2 if name else 3)
    assert len(re.findall(r"<td [^>]*>[pqc]</td>", html)) == (3 if name else 2)
    assert "&lt;!--" not in html
    assert "<!--" not in html


def test_markdown_escapes_do_not_make_liquid() -> None:
    assert "{{ name }}" in mail(body_markdown="\\{\\{ name }} &#123;&#123; name }}").html
