"""Whatever Notion gives for a page: no shape of a block is a fault of ours, and nothing that stands
in one runs in a mail."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app.domain.content.render import RenderError
from app.domain.notion.blocks import (
    canonical,
    document,
    files_of,
    pictures_of,
    video_pictures_of,
)
from app.domain.notion.blocks.shape import is_sound
from app.errors import AppError, NotionAway, NotionPageTooLarge
from app.ports import Notion
from app.services.notion.reading import MAX_BLOCKS, read_page
from tests.support.mails import mail
from tests.support.wide import examples

PAGE = UUID(int=1)
ACTIVE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)",
    "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "</style><script>x</script>",
    "<svg/onload=alert(1)>", "<iframe src=//evil.test>", "<base href=//evil.test>",
    "<meta http-equiv=refresh content=0;url=//evil.test>", "-->", "]]>", "{{ x }}", "{% raw %}",
    "&lt;script&gt;", "&#106;avascript:alert(1)", "[x](javascript:alert(1))",
    "![x](x\" onerror=\"y)",
    "<a href=javascript:x>", "http://xn--/", "http://[", "//evil.test", "\x00", "\ud800", "\u202e",
    "x" * 20_000,
]  # fmt: skip
KINDS = [
    "paragraph", "heading_1", "heading_2", "heading_3", "heading_4", "bulleted_list_item",
    "numbered_list_item", "to_do", "toggle", "quote", "callout", "code", "equation", "divider",
    "table", "table_row", "column_list", "column", "image", "video", "audio", "file", "pdf",
    "embed", "bookmark", "link_preview", "link_to_page", "synced_block", "template",
    "child_page", "child_database", "table_of_contents", "breadcrumb", "tab", "unsupported",
    "transcription", "meeting_notes", "button", "ai_block", "", "no such",
]  # fmt: skip
NAMES = [
    "rich_text", "text", "content", "link", "url", "href", "plain_text", "annotations", "type",
    "color", "caption", "name", "icon", "emoji", "external", "file", "file_upload", "expiry_time",
    "children", "cells", "checked", "language", "expression", "mention", "user", "page", "database",
    "date", "start", "end", "title", "has_column_header", "has_row_header", "table_width",
    "synced_from", "block_id", "is_toggleable", "width_ratio", "custom_emoji", "template_mention",
    "link_mention", "link_preview", "equation", "bold", "code", "id", "list_start_index",
]  # fmt: skip

_words = st.one_of(st.sampled_from(ACTIVE), st.text(max_size=8))
_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), _words,
        st.sampled_from(KINDS),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES + KINDS), inner, max_size=4),
    ),
    max_leaves=10,
)  # fmt: skip


def _block(kind: str, body: Any, more: dict[str, Any], children: Any) -> dict[str, Any]:
    return {
        "object": "block", "id": str(UUID(int=7)), "type": kind, kind: body, "has_children": True,
        **more, "children": children,
    }  # fmt: skip


def _blocks() -> st.SearchStrategy[list[Any]]:
    one = st.builds(
        _block,
        st.sampled_from(KINDS),
        st.one_of(_json, st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, _json))),
        st.dictionaries(
            st.sampled_from(("has_children", "archived", "id", "type")), _json, max_size=1
        ),
        st.one_of(st.just([]), _json),
    )
    return st.lists(st.one_of(one, one, one, _json), max_size=4)


class _Active(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "iframe", "object", "embed", "form", "base", "svg", "link", "input"}:
            self.found.append(tag)
        for name, value in attrs:
            scheme = "".join((value or "").split()).lower()
            if name.startswith("on") or (
                name in {"href", "src", "action", "background"}
                and scheme.startswith(("javascript:", "data:", "vbscript:", "\x01"))
            ):
                self.found.append(f"{tag} {name}={value}")


def active(html: str) -> list[str]:
    parser = _Active()
    parser.feed(html)
    parser.close()
    return parser.found


class Desk:
    """Notion as far as reading goes: the page has these blocks, all others have `below`."""

    def __init__(self, page: list[Any], below: list[Any] | None = None) -> None:
        self._page, self._below = page, below or []
        self.asked = 0

    async def children(self, block_id: UUID, most: int | None = None) -> list[Any]:
        self.asked += 1
        return self._page if block_id == PAGE else self._below

    async def page(self, page_id: UUID) -> Any:
        return {"title": 7, "properties": ["x"], "public_url": {"javascript": 1}}

    database = page


async def read(*page: Any, below: list[Any] | None = None) -> list[dict[str, Any]]:
    return await read_page(cast("Notion", Desk(list(page), below)), PAGE)


def mailed(tree: list[dict[str, Any]]) -> str:
    """The mail's HTML; empty: it is refused in words."""
    pictures_of(tree)
    files_of(tree)
    video_pictures_of(tree)
    canonical(tree)
    try:
        return mail(body_markdown=document(tree).markdown).html
    except (AppError, RenderError):
        return ""


@pytest.mark.parametrize("children", [[[]], [7], ["x"], [None], "xx", {"a": 1}, 7])
def test_children_that_are_no_blocks_are_refused_in_words(children: Any) -> None:
    page = _block("paragraph", {}, {"has_children": False}, children)
    with pytest.raises(NotionAway):
        asyncio.run(read(page))


@given(_blocks())
@settings(max_examples=examples(60), deadline=None, phases=[Phase.generate])
def test_any_json_is_a_mail_or_a_refusal_in_words(page: list[Any]) -> None:
    with suppress(AppError):
        assert active(mailed(asyncio.run(read(*page)))) == []


def _said(words: Any, link: Any = None) -> dict[str, Any]:
    return {
        "type": "text",
        "text": {"content": words, "link": {"url": link} if link else None},
        "plain_text": words,
        "href": link,
        "annotations": {"color": words},
    }


_links = st.fixed_dictionaries({"url": _words})
_files = st.fixed_dictionaries(
    {"type": st.sampled_from(("external", "file", "emoji", "x"))},
    optional={"external": _links, "file": _links, "emoji": _words},
)
_items = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(("text", "mention", "equation", "x"))},
        optional={
            "text": st.fixed_dictionaries({"content": _words, "link": st.none() | _links}),
            "plain_text": _words,
            "href": _words,
            "annotations": st.dictionaries(st.sampled_from(("bold", "code", "color")), _words),
            "equation": st.fixed_dictionaries({"expression": _words}),
            "mention": st.fixed_dictionaries(
                {"type": _words},
                optional={
                    "date": st.fixed_dictionaries({"start": _words}, optional={"end": _words}),
                    "custom_emoji": _links,
                    "link_mention": st.fixed_dictionaries({"href": _words}),
                },
            ),
        },
    ),
    max_size=3,
)
_sound = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("rich_text", "caption"), _items),
        "cells": st.lists(_items, max_size=3),
        "title": st.one_of(_words, _items),
        "icon": _files,
        **dict.fromkeys(("url", "name", "color", "language", "expression", "list_format"), _words),
        "external": _links,
        "file": _links,
        "type": st.sampled_from(("external", "file")),
        "list_start_index": st.integers(-(2**70), 2**70),
        "width_ratio": st.floats(),
    },
)


@given(st.lists(st.tuples(st.sampled_from(KINDS), _sound), max_size=4))
@settings(max_examples=examples(40), deadline=None, phases=[Phase.generate])
def test_any_words_in_blocks_of_the_right_shape_are_words(made: list[tuple[str, Any]]) -> None:
    page = [
        {"id": str(UUID(int=n)), "type": kind, "has_children": False, kind: body}
        for n, (kind, body) in enumerate(made, 7)
    ]
    assert active(mailed(asyncio.run(read(*page)))) == []


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "nasty",
    [
        pytest.param(text, id=ascii(text)[:20], marks=[] if n < 3 else [pytest.mark.short])
        for n, text in enumerate(ACTIVE)
    ],
)
async def test_a_script_in_any_member_of_any_block_does_not_run(nasty: str) -> None:
    items = [_said(nasty, nasty)]
    page = [
        {
            "object": "block", "id": str(UUID(int=7)), "type": kind, "has_children": False,
            kind: {
                "rich_text": items, "caption": items, "cells": [items], "title": nasty,
                "url": nasty, "type": "external", "external": {"url": nasty}, "name": nasty,
                "expression": nasty, "language": nasty, "color": nasty,
                "icon": {"type": "emoji", "emoji": nasty},
            },
        }
        for kind in KINDS
        if kind
    ]  # fmt: skip
    for one in page:
        assert active(mailed(await read(one))) == [], one["type"]


async def test_a_page_without_end_ends() -> None:
    """Blocks that are in themselves, a copy that is its own original, more than a mail holds."""

    def one(kind: str = "toggle", **body: Any) -> dict[str, Any]:
        return {"id": str(uuid4()), "type": kind, kind: body, "has_children": kind == "toggle"}

    copy = one("synced_block", synced_from={"block_id": str(UUID(int=9))})
    with pytest.raises(NotionPageTooLarge):
        await read(one(), below=[one()])
    with pytest.raises(NotionPageTooLarge):
        await read(one(), below=[one(), one(), one()])
    with pytest.raises(NotionPageTooLarge):
        await read(copy, below=[copy])
    with pytest.raises(NotionPageTooLarge):
        await read(*(one("divider") for _ in range(MAX_BLOCKS + 1)))


@pytest.mark.parametrize(
    "block",
    [
        None, 7, "x", [], {}, {"id": 7, "type": "paragraph"}, {"id": str(PAGE), "type": ["x"]},
        {"id": str(PAGE), "type": "paragraph", "paragraph": {"rich_text": "x"}},
        {"id": str(PAGE), "type": "paragraph", "paragraph": {"rich_text": [None]}},
        {"id": str(PAGE), "type": "paragraph", "paragraph": {"rich_text": [{"text": "x"}]}},
        {"id": str(PAGE), "type": "image", "image": {"type": "file", "file": {"url": {}}}},
        {"id": str(PAGE), "type": "table_row", "table_row": {"cells": [{}]}},
        {"id": str(PAGE), "type": "link_to_page", "link_to_page": {"page_id": "../../x"}},
        {"id": "../users/me", "type": "toggle", "has_children": True},
    ],
)  # fmt: skip
async def test_what_is_no_block_is_told_in_words(block: Any) -> None:
    with pytest.raises(NotionAway, match="can't be read"):
        await read(block)


def test_a_block_nested_beyond_measure_is_none() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"link": deep}
    assert not is_sound({"id": str(PAGE), "type": "paragraph", "paragraph": deep})
