"""The HTML and text parts around the author's body: layout, styles, Markdown, footer, text."""

from __future__ import annotations

import re
import textwrap
from html.parser import HTMLParser
from typing import Any

import pytest

from app.domain.content.masking import Masks
from app.domain.content.render import Content, Footer, Rendered, compile_content, template_variables
from app.errors import TemplateInvalid

FOOTER = Footer("Example Org", "1 Example Street\n12345 Town")
UNSUBSCRIBE = "https://example.com/unsubscribe?token=a&b=c"


def mail(
    body_html: str | None = None,
    *,
    name: str | None = "Ann",
    body_markdown: str | None = None,
    body_text: str | None = None,
    preheader: str | None = None,
    footer: Footer = FOOTER,
    **fields: Any,
) -> Rendered:
    """What one recipient gets."""
    content = Content("News", body_html, body_markdown, body_text, preheader)
    compiled = compile_content(content, footer)
    variables = template_variables(
        email="ann@example.com",
        name=name,
        fields=fields,
        mailout_id="7b0e",
        unsubscribe_url=UNSUBSCRIBE,
    )
    return compiled.paste(compiled.values(variables))


def text_of(body_html: str, **fields: Any) -> str:
    """The derived text, without the footer."""
    return mail(body_html, **fields).text.split("\n\n---\n")[0]


def text_of_markdown(source: str, **fields: Any) -> str:
    source = textwrap.dedent(source)
    return mail(body_markdown=source, **fields).text.split("\n\n---\n")[0]


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
     ("<a href={{ fields.url }}>x</a>", "<a href=https://e.com/>x</a>"),
     ("{% if fields.n < 3 %}less{% endif %}{% if 3 > fields.n %} more{% endif %}", "less more"),
     ("<p style=\"color: {{ fields.c }}\">x</p>", '<p style="color: red">x</p>'),
     ("<p style=\"{{ fields.style }}\">x</p>", '<p style="top:0">x</p>'),
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
    assert html.startswith("<!doctype html>\n<html>\n<head>\n<meta charset=")
    assert 'name="viewport"' in html
    assert 'name="color-scheme"' in html
    assert_well_nested(html)


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


def test_absurd_nesting_is_refused() -> None:
    with pytest.raises(TemplateInvalid, match="nested"):
        mail("<div>" * 50_000)
    with pytest.raises(TemplateInvalid, match="nested"):
        mail("<div></b>" * 50_000, body_text="x")
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


# The text part


def test_text_has_links_images_lists_and_headings() -> None:
    html = """
    <html><head><title>T</title><style>p{}</style></head><body><script>s()</script>
    <h1>Big  news</h1><p>Hello <b>dear</b> <i>{{ name }}</i>,<br>read
    <a href="https://e.com/?a=1&amp;b={{ fields.x }}">this</a>.</p>
    <ul><li>one</li><li>two<ul><li>deep</li></ul></li></ul><ol><li>first</li><li>second</li></ol>
    <p><img src="x.png" alt="A cat">&nbsp;&copy; 2 * 3_4_5 &lt;b&gt;</p><!-- gone -->
    <div style="display: none">hidden</div>
    <a href="mailto:a@e.com">a@e.com</a> <a href="https://e.com">https://e.com</a>
    <a href="#x">x</a>
    </body></html>"""
    assert text_of(html, x="7") == textwrap.dedent(
        """\
        Big news

        Hello dear Ann,
        read this (https://e.com/?a=1&b=7).

        - one
        - two
          - deep

        1. first
        2. second

        A cat\xa0© 2 * 3_4_5 <b>

        a@e.com https://e.com x"""
    )


def test_text_flattens_layout_tables() -> None:
    html = """<table><tr><td><table><tr><td><h2>Left</h2><p>One</p></td></tr></table></td>
    <td><p>Two</p><p>Three</p></td></tr></table>
    <table><tr><th>Name</th><th>Price</th></tr><tr><td>Tea</td><td>3</td></tr></table>"""
    assert text_of(html) == "Left\n\nOne\n\nTwo\n\nThree\n\nName  Price\nTea  3"


def test_text_keeps_liquid_in_order() -> None:
    """Loops and conditions of the body work in the text as well; nothing is HTML-escaped."""
    html = """{% assign greeting = "Hi & hello" %}
    <p>{{ greeting }} {{ name }}</p>
    {% if fields.items %}
    <ul>
      {% for i in fields.items %}
      <li {% if i == "p" %}class="x"{% endif %}><a href="https://e.com/{{ i }}">{{ i }}</a></li>
      {% endfor %}
    </ul>
    {% else %}
    <p>Nothing</p>
    {% endif %}
    <p>Bye</p>"""
    assert text_of(html, name="<A>", items=["p", "q"]) == (
        "Hi & hello <A>\n\n- p (https://e.com/p)\n- q (https://e.com/q)\n\nBye"
    )
    assert text_of(html, name="A") == "Hi & hello A\n\nNothing\n\nBye"


def test_text_keeps_what_dropped_places_set() -> None:
    """An `assign` in a head or an attribute counts; outputs and texts there don't."""
    html = (
        "<head>{% assign a = 1 %}<title>{{ name }}</title></head><body>"
        "<p data-x='{% assign b = 2 %}{{ name }}'>{{ a }}{{ b }}{{ c }}</p>"
        "<!-- {{ name }} {% assign d = 4 %} --><style>{% assign c = 3 %}p{}</style>{{ c }}{{ d }}"
    )
    html = html.replace("{{ c }}</p>", "</p>")
    assert text_of(html) == "12\n\n34"


def test_entities_do_not_become_liquid_in_text() -> None:
    assert text_of("<p>&#123;&#123; name }} &#123;% if %}</p>") == "{{ name }} {% if %}"


def test_a_link_opened_and_closed_under_conditions_is_text() -> None:
    html = '{% if name %}<a href="{{ fields.u }}">{% endif %}go{% if name %}</a>{% endif %}'
    assert text_of(html, u="https://e.com") == "go (https://e.com)"
    assert text_of(html, name=None) == "go"


def test_what_liquid_may_hide_is_in_the_text() -> None:
    html = '<p style="display:none">a</p><p style="{% if name %}display:none{% endif %}">b</p>'
    assert text_of(html) == "b"


@pytest.mark.parametrize(
    ("css", "html"),
    [(".h{display:none!important}", "<div class=h>hidden</div>shown"),
     ("@media x{.h{display:block}}.h{display:none}", "<p class=h>hidden</p><p>shown</p>"),
     (".h{display:none}@media x{.h{display:block!important}}", "<td class=h>hidden</td>shown"),
     (".h{max-height:0;overflow:hidden;mso-hide:all}", "<div class=h><p>hidden</p></div>shown"),
     ("", "<div style='max-height:0px;overflow:hidden;mso-hide:all'>hidden</div>shown"),
     ("", "<div style='MAX-HEIGHT: 0; OVERFLOW: HIDDEN'>hidden</div>shown"),
     (".h{height:0;overflow-y:hidden}", "<div class=h>hidden</div>shown"),
     (".h{width:0}div{overflow:hidden}", "<div class=h>hidden</div>shown"),
     ("", "<span style='opacity:0'>hidden</span>shown"),
     (".h{visibility:hidden}", "<p class=h>hidden</p>shown"),
     (".h{visibility:hidden}.s{visibility:visible}",
      "<div class=h>hidden<p class=s>shown</p><a href=x>hidden</a><img alt=hidden></div>"),
     ("p{display:block}.h{display:none}", "<p hidden class=h>hidden</p>shown"),
     ("", "<p hidden>hidden</p>shown"), ("p{display:block}", "<p hidden>shown</p>"),
     (".h{display:none}", "<p class=h style='display:block'>shown</p>"),
     (".h{display:none}", "<p class=h style='display:{{ fields.d }}'>shown</p>"),
     (".h{display:none!important}", "<p class=h style='display:block'>hidden</p>shown"),
     (".h{display:none}", "<p class=h style='display:inline-block !important'>shown</p>"),
     (".h{display:none}.h.s{display:table-cell}", "<td class='h s'>shown</td>"),
     (".h{max-height:0;overflow:hidden}", "<p class=h style='max-height:none'>shown</p>"),
     (".h{max-height:0}", "<p class=h>shown</p>"), (".h{opacity:0.5}", "<p class=h>shown</p>"),
     (".h{mso-hide:all}", "<p class=h>shown</p>"), (".h{height:0.5em;overflow:hidden}",
      "<p class=h>shown</p>"),
     ("@media print{.h{display:none}}", "<p class=h>shown</p>"),
     ("@media x{.h{display:none!important}}", "<p class=h>shown</p>"),
     ("{% if name %}.h{display:none}{% endif %}", "<p class=h>shown</p>"),
     (".h:empty,.h:hover{display:none}", "<p class=h>shown</p>"),
     (".h{display:none}", "<p class='{{ fields.d }}'>shown</p>"),
     ("p:last-child{display:none}", "{% for i in (1..1) %}<p>shown</p>{% endfor %}"),
     (".m{display:none}@media x{.m{display:block!important}.d{display:none!important}}",
      "<p class=m>hidden</p><p class='d'>shown</p>"),
     ("p{color:red}@media x{p{color:blue}}@layer y{p{display:none;color:lime}}p{display:none}",
      "<p>hidden</p>shown"),
     ("", "<!--[if mso]>hidden<![endif]--><!--[if !mso]><!-->shown<!--<![endif]-->"),
     ("", "<p style='display:none'>hidden {{ name }}<br><b>hidden</b></p>shown")],
)  # fmt: skip
def test_what_no_reader_sees_is_not_in_the_text(css: str, html: str) -> None:
    """Rules on a condition left aside: it isn't the text that is read on a narrow screen."""
    table = f"<table><tr>{html}</tr></table>" if "<td" in html else html
    assert text_of(f"<style>{css}</style>{table}", d="block").strip() == "shown"


def test_tablerow_is_lines_in_text() -> None:
    html = "<table>{% tablerow i in fields.items cols:2 %}<b>{{ i }}</b>{% endtablerow %}</table>"
    assert text_of(html, items=["p", "q", "r"]) == "p\nq\nr"


def test_text_of_markdown() -> None:
    source = """\
        # Hi {{ name }}

        Some *text* and a [link](https://e.com).

        {% for i in fields.items %}
        - {{ i }}
        {% endfor %}

        Bye
        """
    assert text_of_markdown(source, items=["p", "q"]) == (
        "Hi Ann\n\nSome text and a link (https://e.com).\n\n- p\n- q\n\nBye"
    )


def test_given_text_is_taken_as_it_is() -> None:
    got = mail("<p>x</p>", body_text="  A & B\r\n<b>{{ name }}</b>", name="<i>")
    assert got.text.startswith("  A & B\r\n<b><i></b>\n\n---\n")


# Masks


def test_tokens_are_words_that_occur_nowhere_else() -> None:
    masks = Masks("LQ0X lq1x", "lq2x")
    assert masks.mask("{{ name }}") == "lq3x0z"


@pytest.mark.parametrize(
    "source",
    ["a {{ b }} c", "{% comment %}{% if %}{{ x }}{% comment %}{% endcomment %}{% endcomment %}x",
     "{%- if a -%} b {%- endif -%}", "{% liquid\n assign a = 1\n%}", "{{ '{{' }}{{% if a %}{"],
)  # fmt: skip
def test_unmasking_restores_liquid_to_the_byte(source: str) -> None:
    masks = Masks(source)
    masked = masks.mask(source)
    assert "{%" not in masked
    assert masks.unmask(masked).replace("{% raw %}{{% endraw %}", "{") == source
