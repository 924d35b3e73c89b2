"""The text part, derived from the body where the author gives none."""

from __future__ import annotations

import textwrap

import pytest

from tests.support.mails import (
    mail,
    text_of,
    text_of_markdown,
)


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
    assert text_of(html) == "Left\n\nOne\n\nTwo\n\nThree\n\nName  Price\nTea   3"


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


@pytest.mark.few_variants(14)
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


@pytest.mark.parametrize(
    ("html", "text"),
    [("<tr><th>Item</th><th align=right>Price</th></tr><tr><td>Green tea</td>"
      "<td style='text-align:right'>3.50 €</td></tr><tr><td>Salt</td><td align=right>11 €</td>",
      "Item        Price\nGreen tea  3.50 €\nSalt         11 €"),
     ("<tr><td>日本</td><td>x</td></tr><tr><td>abc</td><td>y</td></tr>", "日本  x\nabc   y"),
     ("<tr><td>a</td><td></td><td>c</td></tr><tr><td>aa</td><td>bb</td><td>cc</td></tr>",
      "a       c\naa  bb  cc"),
     ("<tr><td colspan=2>Total</td><td>9</td></tr><tr><td>a</td><td>b</td><td>10</td></tr>",
      "Total     9\na      b  10"),
     ("{% for i in fields.l %}<tr><td>{{ i }}</td><td>x</td></tr>{% endfor %}", "p  x\nq  x"),
     (f"<tr><td>{'w' * 60}</td><td>a</td></tr><tr><td>b</td><td>{'v' * 30}</td></tr>",
      f"{'w' * 60}  a\nb  {'v' * 30}")],
)  # fmt: skip
def test_cells_stand_below_each_other(html: str, text: str) -> None:
    assert text_of(f"<p>x</p><table>{html}</table><p>y</p>", l=["p", "q"]) == f"x\n\n{text}\n\ny"


def test_dates_that_must_not_break_keep_their_blanks() -> None:
    html = mail("<p>On 27.&nbsp;May 2026, 10\u202fh</p>")
    assert "27.&nbsp;May 2026, 10\u202fh" in html.html
    assert html.text.startswith("On 27.\xa0May 2026, 10\u202fh\n")


def test_an_address_that_is_its_own_label_stands_once() -> None:
    html = (
        "<a href='https://www.e.com/'>www.e.com</a> <a href='mailto:A@e.com'>a@e.com</a> "
        "<a href='tel:+491'>+491</a> <a href='https://e.com/x'>e.com</a>"
    )
    assert text_of(html) == "www.e.com a@e.com +491 e.com (https://e.com/x)"


def test_no_line_begins_with_a_blank_of_the_source() -> None:
    assert text_of("<p>a<br>\n  b<br/> c</p>") == "a\nb\nc"
    style = "<style>{% if name %}p{top:0}{% endif %}</style>\n <style>a{}</style>\n"
    assert text_of(f"{style} <img alt=x> y") == "x y"
    assert text_of("<pre>a\n  b</pre>") == "a\n  b"


def test_what_is_struck_out_reads_so() -> None:
    assert text_of("<p><s>49 €</s> <del> 39 €</del> 29 €</p>") == "~49 €~ ~39 €~ 29 €"
    assert text_of_markdown("~~49 €~~ 29 €") == "~49 €~ 29 €"
