"""What becomes of a body: the mail that one recipient gets, its text, its inlined styles."""

from __future__ import annotations

import textwrap
from html.parser import HTMLParser
from typing import Any

import tinycss2

from app.domain.content.render import Content, Footer, Rendered, compile_content, template_variables

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


class _Styles(HTMLParser):
    """The style attributes of the elements, by their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if name := attributes.get("id"):
            self.found[name] = declared(attributes.get("style") or "")


def declared(css: str) -> dict[str, str]:
    """Names and values as tinycss2 reads them, `!important` among the values."""
    found = tinycss2.parse_blocks_contents(css, skip_whitespace=True, skip_comments=True)
    return {
        each.lower_name: tinycss2.serialize(each.value).strip() + " !important" * each.important
        for each in found
    }


def styles(body: str, **fields: Any) -> dict[str, dict[str, str]]:
    reader = _Styles()
    reader.feed(mail(body, **fields).html)
    return reader.found


def inlined(
    css: str, element: str = '<p id=x class="web">x</p>', /, **fields: Any
) -> dict[str, str]:
    """What the element with the id x gets. css: a style element, or the text of one."""
    sheet = css if "<style" in css.lower() else f"<style>{css}</style>"
    return styles(sheet + element, **fields)["x"]


# What outranks the inlined


def sheet_of(body: str) -> str:
    html = mail(body).html
    return html[html.index("<style>") + 7 : html.index("</style>")]
