"""A page is read whole, however deep; what is too large or gone is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest

from app.adapters.notion.client import NotionApi
from app.domain.notion.blocks import canonical, document
from app.errors import NotionPageTooLarge, NotionRefused
from app.ports import Notion
from app.sandbox.notion.server import NotionServer
from app.services.notion.reading import MAX_BLOCKS, MAX_DEPTH, read_page
from tests.support.notion_blocks import Block, block, paragraph, words
from tests.support.notion_page import PICTURES, newsletter

PAGE = UUID(int=1)


class Shelf:
    """Notion as far as reading goes: levels by the id of what holds them."""

    def __init__(self, *tree: Block) -> None:
        self.levels: dict[str, list[Block]] = {}
        self.pages: dict[str, Block] = {}
        self.asked: list[str] = []
        self.before_answer: Callable[[str], None] = lambda _: None
        self.put(str(PAGE), list(tree))

    def put(self, parent: str, tree: list[Block]) -> None:
        self.levels[parent] = [
            {name: each for name, each in block.items() if name != "children"} for block in tree
        ]
        for each in tree:
            if each["children"]:
                self.put(each["id"], each["children"])

    async def children(self, block_id: UUID, most: int | None = None) -> list[Block]:
        self.asked.append(str(block_id))
        self.before_answer(str(block_id))
        if str(block_id) not in self.levels:
            raise NotionRefused("No.", notion_code="object_not_found", notion_status=404)
        return self.levels[str(block_id)][: None if most is None else most + 1]

    async def page(self, page_id: UUID) -> dict[str, Any]:
        if str(page_id) not in self.pages:
            raise NotionRefused("No.", notion_code="object_not_found", notion_status=404)
        return self.pages[str(page_id)]


async def read(shelf: Shelf) -> list[dict[str, Any]]:
    return await read_page(cast("Notion", shelf), PAGE)


def texts(tree: list[dict[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for each in tree:
        said = each[each["type"]].get("rich_text") or [{"plain_text": each["type"]}]
        found.append(said[0]["plain_text"])
        if each.get("children"):
            found.append(texts(each["children"]))
    return found


async def test_every_level_is_read_once() -> None:
    deep = words("toggle", "a", words("toggle", "b", paragraph("c")), paragraph("d"))
    shelf = Shelf(deep, paragraph("e"))
    assert texts(await read(shelf)) == ["a", ["b", ["c"], "d"], "e"]
    assert len(shelf.asked) == 3


async def test_what_is_in_the_trash_or_of_another_page_is_not_read() -> None:
    gone = paragraph("gone")
    gone["in_trash"] = True
    other = block("child_page", {"title": "Other"}, [paragraph("secret")])
    shelf = Shelf(gone, other, paragraph("kept"))
    assert texts(await read(shelf)) == ["child_page", "kept"]
    assert other["id"] not in shelf.asked


async def test_a_synced_copy_has_what_its_original_has() -> None:
    original = block("synced_block", {"synced_from": None}, [paragraph("same")])
    source = {"type": "block_id", "block_id": original["id"]}
    shelf = Shelf(original, block("synced_block", {"synced_from": source}))
    tree = await read(shelf)
    assert texts(tree) == ["synced_block", ["same"], "synced_block", ["same"]]
    hidden = {"type": "block_id", "block_id": str(UUID(int=9))}
    made = document(await read(Shelf(block("synced_block", {"synced_from": hidden}))))
    assert [finding.level for finding in made.findings] == ["fail"]


async def test_a_link_to_a_published_page_leads_there() -> None:
    shelf = Shelf(block("link_to_page", {"type": "page_id", "page_id": str(UUID(int=7))}))
    title = {"type": "title", "title": [{"plain_text": "Shop"}]}
    shelf.pages[str(UUID(int=7))] = {
        "properties": {"Name": title},
        "public_url": "https://ann.notion.site/Shop-07",
    }
    made = document(await read(shelf))
    assert (
        made.findings == () and 'href="https://ann.notion.site/Shop-07">Shop</a>' in made.markdown
    )


async def test_a_block_that_was_taken_away_meanwhile_is_no_part_of_the_page() -> None:
    toggle = words("toggle", "gone", paragraph("with it"))
    shelf = Shelf(toggle, paragraph("kept"))

    def take_away(asked: str) -> None:
        if asked == toggle["id"]:
            shelf.levels[str(PAGE)] = shelf.levels[str(PAGE)][1:]
            shelf.levels.pop(asked, None)

    shelf.before_answer = take_away
    assert texts(await read(shelf)) == ["kept"]


async def test_a_block_that_cannot_be_read_stops_the_send() -> None:
    toggle = words("toggle", "locked", paragraph("in it"))
    shelf = Shelf(toggle, paragraph("kept"))
    del shelf.levels[toggle["id"]]
    made = document(await read(shelf))
    assert [finding.level for finding in made.findings] == ["fail"]
    assert "“locked”" in made.findings[0].what
    assert shelf.asked.count(toggle["id"]) == 2


async def test_a_page_that_is_no_newsletter_is_refused() -> None:
    long = Shelf(*(paragraph("x") for _ in range(MAX_BLOCKS + 1)))
    with pytest.raises(NotionPageTooLarge, match="3,000 blocks"):
        await read(long)
    deep = paragraph("x")
    for _ in range(MAX_DEPTH):
        deep = words("toggle", "x", deep)
    with pytest.raises(NotionPageTooLarge, match="20 levels"):
        await read(Shelf(deep))
    assert texts(await read(Shelf(deep["children"][0])))


async def test_the_reader_tells_how_far_it_has_come() -> None:
    told: list[int] = []

    async def tell(blocks: int) -> None:
        told.append(blocks)

    shelf = Shelf(words("toggle", "a", paragraph("b")), paragraph("c"))
    await read_page(cast("Notion", shelf), PAGE, tell)
    assert told == [2, 3]


async def test_every_block_comes_through_the_api(notion: NotionServer) -> None:
    """The stand-in answers in levels and pages; the mail is that of the tree that was written."""
    tree = newsletter()
    page = notion.make_page({"Name": "Every block"}, tree)
    async with NotionApi(notion.token, notion.url, per_second=1000) as api:
        found = await read_page(api, UUID(page))
    made, expected = document(found, PICTURES), document(tree, PICTURES)
    assert made.markdown == expected.markdown and made.findings == expected.findings
    assert canonical(found, PICTURES) == canonical(tree, PICTURES)
