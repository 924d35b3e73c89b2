"""Two readings of one page are the same; a change is told to the author in words."""

from __future__ import annotations

from copy import deepcopy

import pytest

from app.domain.assets.kept import Kept, KeptFile
from app.domain.notion.blocks import Tree, canonical, content_hash, differences
from tests.support.notion_blocks import (
    Block,
    callout,
    hosted_url,
    media,
    mention,
    paragraph,
    table,
    text,
    words,
)


def page() -> list[Block]:
    return [
        words("heading_1", "Winter"),
        paragraph("We meet on Monday, the 7th of December, in the old town hall"),
        words("toggle", "More", paragraph("Bring a friend"), paragraph("Bring a cake")),
        media("image", hosted_url("boat.png"), "A boat", hosted=True),
        callout("Doors open at seven"),
        table(["Day", "Place"], ["Monday", "Hall"]),
        paragraph("See you"),
    ]


def told(before: Tree, after: Tree) -> list[str]:
    return differences(canonical(before), canonical(after))


def test_a_second_reading_is_the_same() -> None:
    """Ids, times and signatures of addresses change by themselves, and so do the cuts of a text."""
    before, after = page(), page()
    after[0]["last_edited_time"] = "2026-11-27T08:00:00.000Z"
    after[3]["image"]["file"] = {"url": hosted_url("boat.png", "b2"), "expiry_time": "2027"}
    whole = after[1]["paragraph"]["rich_text"][0]["plain_text"]
    after[1]["paragraph"]["rich_text"] = [text(whole[:9]), text(whole[9:])]
    del after[1]["paragraph"]["rich_text"][0]["annotations"]
    assert before != after
    assert canonical(before) == canonical(after)
    assert content_hash(canonical(before)) == content_hash(canonical(after))
    assert told(before, after) == []


def test_an_emoji_of_the_workspace_stays_the_same() -> None:
    """Its address is signed anew each time, and stands in its link, too."""
    one, other = (hosted_url("parrot.png", each) for each in ("a1", "b2"))
    trees = [
        [paragraph([mention("custom_emoji", ":parrot:", {"url": url}, href=url)])]
        for url in (one, other)
    ]
    assert canonical(trees[0]) == canonical(trees[1])


def test_a_picture_is_known_by_its_content() -> None:
    tree = [media("image", hosted_url("boat.png"), hosted=True)]
    url = tree[0]["image"]["file"]["url"]
    one, other = (Kept("https://a.example/x.png", 1, 1, sha256=each * 64) for each in "ab")
    assert canonical(tree, {url: one}) == canonical(tree, {url: one})
    assert differences(canonical(tree, {url: one}), canonical(tree, {url: other})) == [
        "The picture was replaced or changed."
    ]


def test_a_pdf_is_known_by_its_content() -> None:
    trees = [[media("pdf", hosted_url("a.pdf", each), hosted=True)] for each in ("a1", "b2")]
    urls = [tree[0]["pdf"]["file"]["url"] for tree in trees]
    one, other = (KeptFile("https://a.example/x.pdf", 1, each * 64) for each in "ab")
    first = canonical(trees[0], {urls[0]: one})
    assert canonical(trees[1], {urls[1]: one}) == first
    changed = differences(first, canonical(trees[1], {urls[1]: other}))
    assert changed == ["The PDF was replaced or changed."]


@pytest.mark.parametrize(
    "changed",
    [
        [paragraph([text("a", bold=True)])],
        [paragraph([text("a", color="red")])],
        [paragraph([text("a", link="https://example.com")])],
        [paragraph("a", color="red_background")],
        [words("quote", "a")],
        [paragraph("a", paragraph("b"))],
        [paragraph([mention("date", "a", {"start": "2026-12-01"})])],
    ],
)
def test_what_a_reader_sees_otherwise_is_a_change(changed: list[Block]) -> None:
    before = [paragraph("a")]
    assert content_hash(canonical(before)) != content_hash(canonical(changed))
    assert len(told(before, changed)) == 1


def test_changes_are_told_with_their_place() -> None:
    after = deepcopy(page())
    said = "We meet on Tuesday, the 8th of December, in the old town hall"
    after[1]["paragraph"]["rich_text"] = [text(said)]
    after[2]["children"][1]["paragraph"]["rich_text"] = [text("Bring a pie")]
    del after[4]
    after.insert(1, after.pop(5))
    after.append(paragraph("P.S. Write to us"))
    assert told(page(), after) == [
        "The paragraph “See you” was moved.",
        "The paragraph “We meet on Monday, the 7th of December,…” was changed: "
        "“We meet on Monday, the 7th of December,…” is "
        "“We meet on Tuesday, the 8th of December…” now.",
        "The paragraph “Bring a cake” in the toggle “More” was changed: "
        "“Bring a cake” is “Bring a pie” now.",
        "The callout “Doors open at seven” was removed.",
        "The paragraph “P.S. Write to us” was added.",
    ]


def test_a_long_list_of_changes_ends() -> None:
    before = [paragraph(f"Line {number}") for number in range(100)]
    after = [paragraph(f"Other words entirely, {number * 7}") for number in range(100)]
    found = told(before, after)
    assert len(found) == 12 and found[-1] == "And 89 more blocks were changed."


def test_a_block_that_stands_in_another_one_is_a_change() -> None:
    inner = paragraph("c")
    before = [words("toggle", "a", paragraph("b"), inner), words("toggle", "d", paragraph("e"))]
    after = [words("toggle", "a", paragraph("b")), words("toggle", "d", inner, paragraph("e"))]
    assert len(told(before, after)) == 1
    # Where nothing else stands between, the blocks are the same and in the same order.
    before = [words("toggle", "a", inner), words("toggle", "d")]
    after = [words("toggle", "a"), words("toggle", "d", inner)]
    assert len(told(before, after)) == 1
