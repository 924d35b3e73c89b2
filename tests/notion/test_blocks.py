"""A page of Notion becomes a mail: what its author sees in Notion is what readers get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.assets.files import refusal
from app.domain.assets.kept import Assets, Kept, KeptFile, NotKept
from app.domain.notion.blocks import (
    Document,
    document,
    files_of,
    pictures_of,
    video_pictures_of,
)
from tests.support.mails import mail
from tests.support.notion_blocks import (
    Block,
    block,
    callout,
    columns,
    hosted_url,
    link,
    media,
    mention,
    paragraph,
    table,
    text,
    words,
)

KEPT = Kept("https://mail.example.com/assets/" + "a" * 64 + ".png", 1200, 800)


def shown(*tree: Block, **fields: Any) -> str:
    """What a reader finds between the frame's beginning and the footer: HTML."""
    html = mail(body_markdown=document(tree).markdown, **fields).html
    return html.partition('class="mail">\n')[2].partition('<div class="mail-footer"')[0]


def said(*tree: Block, **fields: Any) -> str:
    """The text part, without the footer."""
    made = mail(body_markdown=document(tree).markdown, **fields)
    return made.text.split("\n\n---\n")[0]


def problems(made: Document | Sequence[Block]) -> list[tuple[str, str]]:
    made = made if isinstance(made, Document) else document(made)
    return [(finding.level, finding.what) for finding in made.findings]


# Text


def test_text_is_literal() -> None:
    """Neither Markdown's marks nor HTML in a text mean anything: they are what somebody typed."""
    marks = "*a* _b_ __c__ # d `e` [f](https://x.y) ![g](h) <b>i</b> &amp; https://x.y ~~j~~ | - k"
    for made in (paragraph(marks), words("heading_2", f"# {marks}"), words("quote", f"> {marks}")):
        assert marks in said(made)
        assert "<b>" not in shown(made) and "<a" not in shown(made)
    assert "- 1. # not a list" in said(paragraph("- 1. # not a list"))


def test_a_tag_across_forms_is_one() -> None:
    """Notion cuts a text where its form changes, and sets quotes as printers do."""
    greeting = paragraph(
        [
            text("Dear {{ na"),
            text("me | default: “rea", bold=True),
            text("der”", italic=True),
            text("\xa0}}, hello"),
        ]
    )
    assert said(greeting) == "Dear Ann, hello"
    assert said(greeting, name=None) == "Dear reader, hello"


def test_conditions_span_blocks_and_leave_no_gap() -> None:
    tree = [
        paragraph("Before"),
        paragraph("{% if fields.plan == ‘pro’ %}"),
        paragraph("For professionals"),
        paragraph([text("{% el"), text("se %}", bold=True)]),
        callout("For all others"),
        paragraph("{% endif %}"),
        paragraph("{% if fields.plan %}Only with a plan{% endif %}"),
        paragraph("After"),
    ]
    assert said(*tree, plan="pro").split("\n\n") == [
        "Before",
        "For professionals",
        "Only with a plan",
        "After",
    ]
    assert "For all others" in said(*tree)
    assert "<p" not in shown(*tree).partition("</table>")[2].partition("<p")[0]
    assert shown(*tree, plan="pro").count("<p") == 4


def test_what_only_looks_like_liquid_is_text() -> None:
    assert "50 } {" in said(paragraph("50 } {"))
    made = document([words("heading_1", "Offers"), paragraph("Dear {{ name, hello")])
    assert problems(made) == [
        ("fail", "Block 2, “Dear {{ name, hello”: “{{ name, hello” is never closed.")
    ]


def test_links_are_those_that_mail_programs_open() -> None:
    tree = [
        paragraph(
            [
                text("shop", link="https://example.com/?a=1&b={{ name }}"),
                text(" and "),
                text("page", link="/0123456789abcdef0123456789abcdef"),
                text(" and "),
                text("script", link="javascript:alert(1)"),
            ]
        )
    ]
    html = shown(*tree, name="A & B")
    assert 'href="https://example.com/?a=1&amp;b=A%20%26%20B"' in html
    assert html.count("<a ") == 1
    assert [level for level, _ in problems(tree)] == ["warn", "warn"]


def test_a_link_to_a_file_at_notion_stops_the_send() -> None:
    """In an hour it would lead nowhere."""
    tree = [paragraph([text("The plan", link=hosted_url("plan.pdf"))])]
    assert [level for level, _ in problems(tree)] == ["fail"]
    assert "amazonaws" not in document(tree).markdown and said(*tree) == "The plan"


# Blocks


def test_lists_count_on() -> None:
    tree = [
        words("numbered_list_item", "one", words("numbered_list_item", "inner")),
        words("numbered_list_item", "two"),
        paragraph("between"),
        words("numbered_list_item", "seven", list_start_index=7, list_format="numbers"),
        words("to_do", "done", checked=True),
        words("to_do", "open", checked=False),
    ]
    assert said(*tree).split("\n") == [
        "1. one",
        "   a. inner",
        "2. two",
        "",
        "between",
        "",
        "7. seven",
        "",
        "- ☑\xa0done",
        "- ☐\xa0open",
    ]


def test_code_keeps_its_blank_lines() -> None:
    assert "if a:\n\n    b < c" in said(words("code", "if a:\n\n    b < c", language="python"))


def test_boxes_hold_what_is_in_them() -> None:
    tree = [
        callout("Note", words("bulleted_list_item", "deep", callout("deeper"))),
        columns([paragraph("left")], [callout("right"), paragraph("lower")]),
        table(["a", "b"], ["c", "d"]),
        words("toggle", "More", paragraph("inside")),
        block("synced_block", {"synced_from": None}, [paragraph("same")]),
    ]
    found = said(*tree)
    for word in ("Note", "deep", "deeper", "left", "right", "lower", "More", "inside", "same"):
        assert word in found.split(), word
    assert "a  b\nc  d" in found


# Pictures and files


def test_a_picture_is_the_kept_one() -> None:
    url = hosted_url("a.png")
    tree = [media("image", url, "A boat", hosted=True)]
    assert pictures_of(tree) == [url]
    made = document(tree, {url: KEPT})
    assert made.is_sendable and f'src="{KEPT.url}"' in made.markdown
    assert 'alt="A boat"' in made.markdown and "<figcaption>A boat</figcaption>" in made.markdown
    assert "amazonaws" not in made.markdown


def test_a_picture_that_cannot_be_shown_stops_the_send() -> None:
    url = hosted_url("a.heic")
    tree = [
        words("toggle", "Photos", media("image", url, hosted=True)),
        media("image", None),
        media("pdf", hosted_url("a.pdf"), hosted=True),
    ]
    refused = NotKept("heic", "it is a HEIC photo, which can't be read here: export it as JPEG")
    made = document(tree, {url: refused})
    assert not made.is_sendable
    assert [(level, what.partition(":")[0]) for level, what in problems(made)] == [
        ("fail", "Block 2, in the toggle “Photos”"),
        ("fail", "Block 3, after “Photos”"),
        ("fail", "Block 4, after “Photos”"),
    ]
    assert refused.detail in problems(made)[0][1]
    assert "amazonaws" not in made.markdown


def test_a_picture_of_the_web_stays_there() -> None:
    made = document([media("image", "https://example.com/cat.png", "A cat")])
    assert made.is_sendable and 'src="https://example.com/cat.png"' in made.markdown
    for url in ("http://127.0.0.1/cat.png", "http://localhost/cat.png", "ftp://example.com/cat"):
        assert [level for level, _ in problems([media("image", url)])] == ["fail"], url


PLAN = KeptFile("https://mail.example.com/assets/" + "b" * 64 + ".pdf", 1_240_000, "b" * 64)


def test_a_pdf_that_was_uploaded_is_a_card_with_its_name_and_size() -> None:
    url = hosted_url("Tide%20table.pdf")
    elsewhere = media("pdf", "https://example.com/plan.pdf", name="plan.pdf")
    trees = [
        [media("pdf", url, hosted=True), elsewhere],
        [media("file", url, "When to *sail*", hosted=True, name="Tide table.pdf"), elsewhere],
    ]
    for tree in trees:
        assert files_of(tree) == [url] and pictures_of(tree) == []
        made = document(tree, {url: PLAN})
        assert made.findings == () and "amazonaws" not in made.markdown
        both = mail(body_markdown=made.markdown)
        assert f'href="{PLAN.url}"' in both.html and PLAN.url in both.text
        for word in ("Tide table.pdf", "PDF, 1.2 MB", 'href="https://example.com/plan.pdf"'):
            assert word in both.html
        assert "Tide table.pdf" in both.text and "PDF, 1.2 MB" in both.text
    assert ">When to *sail*</a>" in both.html


def test_a_file_that_isnt_kept_stops_the_send_with_the_remedy() -> None:
    url = hosted_url("Budget.xlsx")
    refused = refusal(b"PK of an office file", 5_000_000)
    assert refused is not None
    kept: Assets
    for kept in ({url: refused}, {}):
        made = document([media("file", url, "Our budget", hosted=True)], kept)
        assert [level for level, _ in problems(made)] == ["fail"]
        said = made.findings[0].sentences
        assert "“Budget.xlsx”" in said and "link to it" in said, said
        assert "amazonaws" not in made.markdown + said


def test_a_video_is_its_picture_and_leads_to_it() -> None:
    url, frame = "https://youtu.be/dQw4w9WgXcQ", "https://i.ytimg.com/vi/dQw4w9WgXcQ/hqdefault.jpg"
    kept = Kept(KEPT.url, 480, 360)
    linked = [text("The "), text("regatta", link="https://example.com/"), text(' "2026"')]
    tree = [media("video", url, linked), media("video", url)]
    assert video_pictures_of(tree) == [frame]
    made = document(tree, {frame: kept})
    assert made.findings == () and "ytimg" not in made.markdown
    both = mail(body_markdown=made.markdown)
    for alt in ("The regatta &quot;2026&quot;", "Video"):
        assert f'alt="{alt}" width="480"' in both.html
    assert both.html.count(f'href="{url}"') == 4 and 'href="https://example.com/"' not in both.html
    assert both.text.count(url) == 2 and both.text.count("regatta") == 1
    narrow = document([columns(tree[:1], [paragraph("beside")])], {frame: kept}).markdown
    assert 'width="288" class="n-wide"' in narrow


def test_a_video_without_a_picture_is_a_card() -> None:
    tree = [media("video", "https://vimeo.com/76979871", "The regatta")]
    assert video_pictures_of(tree) == []
    assert document(tree).is_sendable and "<img" not in document(tree).markdown
    assert "▶" in said(*tree) and "The regatta" in said(*tree)
    uploaded = [media("video", hosted_url("film.mp4"), hosted=True)]
    assert [level for level, _ in problems(uploaded)] == ["fail"]


def test_what_is_not_shown_is_named() -> None:
    tree = [
        words("heading_1", "News"),
        block("breadcrumb"),
        block("unsupported", {"block_type": "form"}),
        {"object": "block", "id": "0b"},
        paragraph([mention("user", "@Ann", {"object": "user", "id": "u"})]),
    ]
    levels = [level for level, _ in problems(tree)]
    assert levels == ["warn", "fail", "fail"]
    assert "“form”" in problems(tree)[1][1]
    assert said(*tree) == "News\n\n@Ann"


def test_a_link_card_leads_there() -> None:
    html = shown(link("bookmark", "https://example.com/a?b=1&c=2", "Read *this*"))
    assert "<a" in html and 'href="https://example.com/a?b=1&amp;c=2"' in html
    assert "Read *this*" in html
