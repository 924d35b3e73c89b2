"""Whatever stands on a page: nothing is lost, nothing is torn, nothing runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from html.parser import HTMLParser
from itertools import count
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.content.markup import VOID
from app.domain.content.render import RenderError
from app.domain.notion.blocks import canonical, document
from app.domain.notion.blocks.tree import walk
from app.errors import TemplateInvalid
from tests.support.mails import mail
from tests.support.notion_blocks import (
    Block,
    Item,
    block,
    callout,
    columns,
    hosted_url,
    inline_equation,
    link,
    media,
    mention,
    table,
    text,
    words,
)
from tests.support.wide import examples

NASTY = (
    *("<script>alert(1)</script>", '" onerror="x', "'", "&amp;", "&", "<!--", "-->", "]]>", "<p"),
    *("{", "}", "\\", "*", "__", "# ", "- ", "1. ", "> ", "|", "```", "~~", "lq0x0z", "{#a}", "$"),
    *("\n", "\n\n", "\t", "\x00", "\u2028", "\xa0", "🎉", "[x](y)", "javascript:alert(1)"),
    *("https://x.y/?a=1&b=2", "::: a", "</div>", "<br/>", "{ {", "\ud800"),
)
LIQUID = (
    *("{{", "}}", "{%", "%}", "{{ name }}", "{% if name %}", "{% endif %}", "{% raw %}"),
    *("{% endraw %}", "{% comment %}", "{% endcomment %}", "{% assign a = “b” %}", "{{ a < b }}"),
)
LINKS = (None, "https://example.com/?a=1&b=<2>", "javascript:alert(1)", "/0b0b", "mailto:a@b.co")
COLORS = ("default", "red", "blue_background", "nonsense")
_numbers = count(1)


def pages(nasty: Sequence[str]) -> st.SearchStrategy[list[Block]]:
    """Pages of blocks of all kinds, whose words are found again among what could hide them."""
    pieces = st.sampled_from(nasty)

    def of_item(
        kind: str, before: str, after: str, link: str | None, bold: bool, color: str
    ) -> Item:
        said = f"{before} word{next(_numbers)}x {after}"
        if kind == "user":
            return mention("user", said, {"object": "user", "id": "u"}, color=color)
        if kind == "page":
            return mention("page", said, {"id": "0b"}, href="https://www.notion.so/0b")
        if kind == "equation":
            return inline_equation("x^2", color=color)
        return text(said, link=link, bold=bold, code=kind == "code", color=color)

    items = st.builds(
        of_item,
        st.sampled_from(("text", "text", "code", "user", "page", "equation")),
        pieces,
        pieces,
        st.sampled_from(LINKS),
        st.booleans(),
        st.sampled_from(COLORS),
    )
    said = st.lists(items, max_size=3)
    addresses = st.sampled_from(LINKS)
    leaves = st.one_of(
        st.builds(words, st.sampled_from(("paragraph", "code")), said),
        st.builds(lambda said: media("image", "https://e.com/a.png", said), said),
        st.builds(lambda said: media("pdf", hosted_url("a.pdf"), said, hosted=True), said),
        st.builds(lambda url, said: link("bookmark", url or "", said), addresses, said),
        st.builds(lambda a, b, c, d: table([a, b], [c, d], names=True), said, said, said, said),
        st.builds(lambda: block("divider")),
    )
    blocks = st.recursive(leaves, lambda inner: _around(inner, said), max_leaves=8)
    return st.lists(blocks, max_size=4).map(lambda tree: [words("heading_1", "A page"), *tree])


def _around(
    inner: st.SearchStrategy[Block], said: st.SearchStrategy[list[Item]]
) -> st.SearchStrategy[Block]:
    trees = st.lists(inner, max_size=3)
    colors = st.sampled_from(COLORS)
    return st.one_of(
        st.builds(
            lambda kind, said, color, tree: words(kind, said, *tree, color=color),
            st.sampled_from(TEXTS),
            said,
            colors,
            trees,
        ),
        st.builds(lambda said, color, tree: callout(said, *tree, color=color), said, colors, trees),
        st.builds(columns, trees, trees),
        st.builds(lambda tree: block("synced_block", {"synced_from": None}, tree), trees),
        st.builds(lambda tree: block("tab", {}, tree), trees),
    )


TEXTS = (
    *("paragraph", "heading_1", "heading_2", "heading_3", "heading_4", "quote", "toggle"),
    *("bulleted_list_item", "numbered_list_item", "to_do"),
)


class _Tags(HTMLParser):
    """What is torn or would run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.wrong += [f"<{tag}>"] * (tag in ("script", "iframe", "object", "form"))
        for name, value in attrs:
            address = (value or "").strip().lower() if name in ("href", "src") else ""
            runs = name.startswith("on") or address.startswith("javascript:")
            self.wrong += [f"{name}={value}"] * runs

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def wrong(html: str) -> list[str]:
    tags = _Tags()
    tags.feed(html)
    tags.close()
    return tags.wrong + tags.open


@given(pages(NASTY))
@settings(max_examples=examples(20), deadline=None)
def test_nothing_is_lost_torn_or_run(tree: list[Block]) -> None:
    """Each word of the page is in the mail and in its text."""
    made = document(tree)
    assert wrong(made.markdown) == []
    both = mail(body_markdown=made.markdown)
    assert wrong(both.html.partition("<body")[2].partition(">")[2]) == ["</body>", "</html>"]
    expected = set(re.findall(r"word\d+x", json.dumps(tree)))
    in_html, in_text = re.sub("<[^>]*>", " ", both.html), both.text
    assert not [word for word in expected if word not in in_html or word not in in_text]


@given(pages(LIQUID))
@settings(max_examples=examples(20), deadline=None)
def test_liquid_tears_no_element(tree: list[Block]) -> None:
    """Even where an author's Liquid is wrong; and then what is refused has a reason."""
    made = document(tree)
    assert wrong(made.markdown) == []
    with suppress(TemplateInvalid, RenderError):
        mail(body_markdown=made.markdown)


@given(pages(NASTY))
@settings(max_examples=examples(20), deadline=None)
def test_a_second_reading_is_the_same(tree: list[Block]) -> None:
    again = json.loads(json.dumps(tree).replace("Signature=a1", "Signature=b2"))
    for each in walk(again):
        assert isinstance(each, dict)
        each.update(id=str(uuid4()), last_edited_time="2027-01-01T00:00:00.000Z")
    assert canonical(again) == canonical(tree)
    assert document(again) == document(tree)
