"""Links work as their author meant them, whatever an editor did to the braces in them."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content.link_liquid import LinkError, repair_links
from app.domain.content.render import Content, Footer, Rendered, compile_content, template_variables
from app.errors import TemplateInvalid
from tests.unit.test_render_properties import quick

UNSUBSCRIBE = "https://news.example/unsubscribe?token=a&b=c"
EMAIL = "ann+news@example.com"


def mail(
    body_html: str | None = None,
    *,
    body_markdown: str | None = None,
    body_text: str | None = None,
    name: str | None = "Ann",
    **fields: Any,
) -> Rendered:
    compiled = compile_content(
        Content("s", body_html, body_markdown, body_text), Footer("Org", "Street")
    )
    variables = template_variables(
        email=EMAIL, name=name, fields=fields, mailout_id="m", unsubscribe_url=UNSUBSCRIBE
    )
    return compiled.paste(compiled.values(variables))


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def address(rendered: Rendered) -> str:
    """Of the first link or picture, as a browser reads it."""
    parser = _Addresses()
    parser.feed(rendered.html)
    return parser.found[0]


def asked(rendered: Rendered) -> dict[str, list[str]]:
    """What the site reads in the first link's query."""
    return parse_qs(urlsplit(address(rendered)).query)


ESCAPED = [
    "%7B%7B%20{}%20%7D%7D", "%7b%7b{}%7d%7d", "%7B%7B {} %7D%7D", "%7B%7B+{}+%7D%7D",
    "&#123;&#123; {} &#125;&#125;", "&#x7B;&#x7b;{}&#x7D;&#x7d;", "&lbrace;&lbrace;{}&rcub;&rcub;",
    "{{{{%20{}%20}}}}", "{{{{&nbsp;{}&nbsp;}}}}", "%7B%7B%C2%A0{}%C2%A0%7D%7D", "{{%7B {} %7D}}",
    "{{{{ {} }}}}",
]  # fmt: skip


@pytest.mark.few_variants(12)
@pytest.mark.parametrize("escaped", ESCAPED)
@pytest.mark.parametrize(
    "link",
    ['<a href="{}">x</a>', "<a href='{}'>x</a>", '<a class="b" HREF = "{}" id=c>x</a>',
     '<a href="http://{}">x</a>', '<a href="https://{}">x</a>'],
)  # fmt: skip
def test_a_link_to_unsubscribe_is_one_and_is_not_tracked(link: str, escaped: str) -> None:
    rendered = mail(link.format(escaped.format("unsubscribe_url")))
    assert address(rendered) == UNSUBSCRIBE
    assert "<a ses:no-track" in rendered.html
    assert rendered.text.startswith(f"x ({UNSUBSCRIBE})\n")


@pytest.mark.few_variants(12)
@pytest.mark.parametrize("escaped", ESCAPED)
@pytest.mark.parametrize(
    "link",
    ['<a href="https://shop.example/?a=1&amp;u={}&amp;z=2#top">x</a>',
     "<img src='https://shop.example/p.gif?a=1&u={}&z=2'>",
     "<a href='{{{{ fields.shop }}}}?a=1&u={}&z=2'>x</a>",
     '<a href="https://shop.example/{{% if name %}}?a=1&u={}{{% endif %}}&z=2">x</a>'],
)  # fmt: skip
def test_a_value_in_a_query_arrives_as_it_is(link: str, escaped: str) -> None:
    rendered = mail(link.format(escaped.format("email")), shop="https://shop.example/")
    assert asked(rendered) == {"a": ["1"], "u": [EMAIL], "z": ["2"]}


@pytest.mark.few_variants(8)
@pytest.mark.parametrize("escaped", [e for e in ESCAPED if " " not in e and "{{%20" not in e])
@pytest.mark.parametrize(
    "source",
    ["[x](https://shop.example/?u={})", '[x](https://shop.example/?u={} "title")',
     "![x](https://shop.example/?u={})",
     "[x][1]\n\n[1]: https://shop.example/?u={}", "[x]: https://shop.example/?u={}\n\n[x]",
     '<a href="https://shop.example/?u={}">x</a>'],
)  # fmt: skip
def test_links_of_markdown_work_too(source: str, escaped: str) -> None:
    rendered = mail(body_markdown=source.format(escaped.format("email")))
    assert asked(rendered) == {"u": [EMAIL]}


def test_an_address_in_angle_brackets_is_a_link_of_markdown() -> None:
    for escaped in ("%7B%7Bemail%7D%7D", "%7B%7B%20email%20%7D%7D", "{{email}}", "{{ email }}"):
        rendered = mail(body_markdown=f"See <https://shop.example/?u={escaped}>.")
        assert asked(rendered) == {"u": [EMAIL]}


def test_filters_strings_and_tags_may_be_escaped() -> None:
    default = "%7B%7B%20fields.none%20%7C%20default%3A%20%22J%C3%BCrgen%22%20%7D%7D"
    assert asked(mail(f'<a href="https://e.example/?n={default}">x</a>')) == {"n": ["Jürgen"]}
    tags = "%7B%25%20if%20name%20%25%7Du=%7B%7Bname%7D%7D%7B%25%20endif%20%25%7D"
    assert asked(mail(f'<a href="https://e.example/?{tags}">x</a>')) == {"u": ["Ann"]}
    quoted = "{% if fields.n &gt; 3 %}{{ fields.none | default: &quot;a b&quot; }}{% endif %}"
    assert "<p>a b</p>" in mail(f"<p>{quoted}</p>", n="4").html
    assert "<p>%20&amp;</p>" in mail("<p>{{ fields.none | default: '%20&amp;' }}</p>").html


def test_other_places_of_a_mail_have_links_as_well() -> None:
    link = "https://e.example/?u=%7B%7Bemail%7D%7D"
    sent = "https://e.example/?u=ann%2Bnews%40example.com"
    for place in (
        '<!--[if mso]><v:rect href="{}"></v:rect><![endif]-->',
        "<style>p{{background:url({})}}</style>",
        '<td background="{}">x</td>', "<p>{}</p>", '<p style="background:url({})">x</p>',
    ):  # fmt: skip
        assert place.format(sent) in mail(place.format(link)).html
    given_text = mail("<p>x</p>", body_text=f"See {link}, or {link}.").text
    assert given_text.startswith(f"See {sent}, or {sent}.\n")


def test_a_label_that_is_its_address_stays_alike() -> None:
    link = "https://e.example/?u=%7B%7B%20email%20%7D%7D"
    text = mail(f'<p><a href="{link}">{link}</a></p>').text
    assert text.startswith("https://e.example/?u=ann%2Bnews%40example.com\n")


# Values in queries


@quick
@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_whatever_a_value_is_the_site_reads_it(value: str) -> None:
    rendered = mail('<a href="https://e.example/?v={{ fields.v }}&w=1">x</a>', v=value)
    query = dict(pair.split("=") for pair in urlsplit(address(rendered)).query.split("&"))
    assert (unquote(query["v"]), query["w"]) == (value, "1")


def test_values_look_like_those_elsewhere() -> None:
    link = '<a href="https://e.example/?a={{ fields.a }}&b={{ fields.b }}&c={{ fields.c }}">x</a>'
    assert asked(mail(link, a=True, b=1.5, c=["p", "q"])) == {
        "a": ["true"],
        "b": ["1.5"],
        "c": ["pq"],
    }
    assert address(mail(link)) == "https://e.example/?a=&b=&c="


@pytest.mark.parametrize(
    "link",
    ["{% if name %}{{ unsubscribe_url }}{% else %}https://e.example{% endif %}",
     "{% if name %}http://{{ unsubscribe_url }}{% endif %}", " {{ unsubscribe_url }}"],
)  # fmt: skip
def test_the_unsubscribe_link_may_depend_on_liquid(link: str) -> None:
    assert address(mail(f'<a href="{link}">x</a>')).strip() == UNSUBSCRIBE


def test_the_unsubscribe_link_may_be_a_value_of_another() -> None:
    assert asked(mail('<a href="https://e.example/?to={{ unsubscribe_url }}">x</a>')) == {
        "to": [UNSUBSCRIBE]
    }


def test_what_the_author_encodes_is_encoded_once() -> None:
    link = '<a href="https://e.example/?u={{ email | url_encode }}">x</a>'
    assert asked(mail(link)) == {"u": [EMAIL]}


def test_blanks_of_a_mailto_are_no_plus_signs() -> None:
    rendered = mail('<a href="mailto:a@e.example?subject={{ fields.s }}">x</a>', s="Hi & bye")
    assert address(rendered) == "mailto:a@e.example?subject=Hi%20%26%20bye"


@pytest.mark.parametrize(
    "link",
    ["{{ fields.v }}", "https://e.example/{{ fields.v }}", "https://e.example/?{{ fields.v }}",
     "https://e.example/?a=1#{{ fields.v }}", "https://e.example/?v={% echo fields.v %}"],
)  # fmt: skip
def test_other_parts_of_a_link_are_the_authors(link: str) -> None:
    """A field may hold a whole address, a path or a query."""
    assert "a/b?c=d" in address(mail(f'<a href="{link}">x</a>', v="a/b?c=d"))


@pytest.mark.parametrize(
    "text", ["x?a=1&b={{ fields.v }}", "https://e.example/?a=1&nbsp;{{ fields.v }}",
             "https://e.example/?a=1</b> {{ fields.v }}", "a = '?b={{ fields.v }}'"]
)  # fmt: skip
def test_what_is_no_link_is_not_encoded(text: str) -> None:
    assert "a b" in mail(f"<p><b>{text}</p>", v="a b").html
    style = "<style>p{background:url(https://e.example/?a=1)}.b{color:{{ fields.v }}}</style>"
    assert "color:a b" in mail(style, v="a b").html


# What can't be understood is named; what is meant literally stays


@pytest.mark.parametrize(
    "link",
    ['<a\nhref="https://e.example/?u=%7B%7B%20email">x</a>',
     '<a\nhref="https://e.example/?u=%257B%257B%2520email%2520%257D%257D">x</a>',
     "<a\nhref='&#123;&#123; email'>x</a>",
     "<a\nhref='&amp;#123;&amp;#123; email &amp;#125;&amp;#125;'>x</a>",
     '<p>\n<a href="https://editor.example/%7B%7B%20unsubscribe_url%20%7D%7D">x</a>',
     '<p>\n<a href="http://localhost/{{ unsubscribe_url }}">x</a>',
     '<p>\n<a href="https://e.example/?u=%7B%7B%20nmae%20%7D%7D">x</a>',
     '<p>\n<a href="https://e.example/?u=%7B%7B%20email%20oops%20%7D%7D">x</a>',
     '<p>\n<a href="%7B%25%20if%20name%20%25%7D">x</a>'],
)  # fmt: skip
@pytest.mark.parametrize("field", ["body_html", "body_markdown"])
@pytest.mark.parametrize("first", ["", "<b>\n</b>" + "<a href='%7B%7B email %7D%7D'>x</a>" * 9])
def test_what_cannot_be_understood_is_refused_with_its_line(
    first: str, link: str, field: str
) -> None:
    with pytest.raises(TemplateInvalid) as caught:
        mail(**{"body_html": None, field: first + link})
    assert (caught.value.field, caught.value.line) == (field, 3 if first else 2)


@pytest.mark.parametrize(
    "source",
    ["<p>&#123;&#123; name &#125;&#125; and %7B%7B name %7D%7D</p>",
     '<p title="&#123;&#123; x">y</p>',
     '<a href="https://e.example/?q=%7B%22a%22%3A%7B%22b%22%3A%7B%7D%7D%7D">x</a>',
     '<a href="https://e.example/100%25?a=%7Bx%7D&b={y}">x</a>',
     "<style>@media print{.a{color:red}}p{background:url(https://e.example/a)}</style>",
     "{% raw %}<a href='%7B%7Bx%7D%7D'>{{ y%20 }}</a>{% endraw %}",
     "{% comment %}<a href='%7B%7Bx'>{% endcomment %}x", "{{ name", "{"],
)  # fmt: skip
def test_what_is_meant_literally_stays(source: str) -> None:
    assert repair_links(source) == source


@pytest.mark.parametrize("many", [10_000, pytest.param(50_000, marks=pytest.mark.short)])
def test_a_long_body_of_braces_is_read_in_no_time(many: int) -> None:
    """Bounded work: this test would time out."""
    for odd in ("%7B%7B", "](", "href=", "href='", "https://%7B", "&#123;", "{%7B ", "{{ "):
        for start in ("", '<a href="'):
            with contextlib.suppress(LinkError):
                repair_links(start + odd * many)
