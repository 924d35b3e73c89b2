"""Which addresses are files at Notion."""

from __future__ import annotations

import pytest

from app.domain.assets.notion_hosts import is_at_notion, is_notion_file, notion_files

FILES = [
    "https://prod-files-secure.s3.us-west-2.amazonaws.com/ab/cd/cat.png?X-Amz-Expires=3600",
    "https://s3.us-west-2.amazonaws.com/secure.notion-static.com/ab/cat.png",
    "https://s3-us-west-2.amazonaws.com/public.notion-static.com/ab/cat.png",
    "https://secure.notion-static.com/cat.png",
    "https://file.notion.so/f/f/ab/cat.png?table=block",
    "https://img.notionusercontent.com/s3/prod-files-secure%2Fcat.png/size/",
    "https://www.notion.so/image/https%3A%2F%2Fexample.com%2Fcat.png?table=block&id=1",
    "https://ann.notion.site/image/attachment%3Aab%3Acat.png?id=1",
    "https://www.notion.so/signed/https%3A%2F%2Fprod-files-secure",
    "HTTPS://FILE.Notion.so:443/x",
    "//file.notion.so/x",
    "https://ann@file.notion.so./x",
    "https:\\\\file.notion.so\\x",
]
OTHERS = [
    "https://www.notion.so/My-page-1f0d",
    "https://ann.notion.site/Welcome-1f0d",
    "https://notion.so",
    "https://example.com/cat.png",
    "https://notion.so.example.com/image/x",
    "https://file.notion.so.example.com/x",
    "https://my-notion-static.com/x",
    "https://prod-files-secure.example.com/x",
    "https://mine.s3.us-west-2.amazonaws.com/prod-files-secure",
    "https://s3.us-west-2.amazonaws.com/mine/prod-files-secure",
    "file.notion.so",
    "mailto:ann@file.notion.so",
]


@pytest.mark.parametrize("url", FILES)
def test_a_file_at_notion_is_known_by_its_address(url: str) -> None:
    assert is_notion_file(url) and is_at_notion(url)


@pytest.mark.parametrize("url", OTHERS)
def test_pages_and_other_sites_are_none(url: str) -> None:
    assert not is_notion_file(url)
    assert list(notion_files(f'<a href="{url}">x</a>')) == []


def test_a_picture_of_notions_own_is_fetched_though_it_lives() -> None:
    assert is_at_notion("https://www.notion.so/images/page-cover/met_1.jpg")
    assert not is_at_notion("https://example.com/notion.so/cat.png")


@pytest.mark.parametrize(
    "text",
    [
        '<img src="{}">',
        "<img src='{}'>",
        "<img src={} alt=x>",
        '<img srcset="https://example.com/a.png 1x, {} 2x">',
        '<td background="{}">',
        "<style>td {{ background: url({}) }}</style>",
        '<a href="{}">the file</a>',
        "![a cat]({})",
        "The file: {}.",
        "{{% assign picture = '{}' %}}",
        '<a href="https://example.com/?to={}">',
    ],
)
@pytest.mark.parametrize("url", [FILES[0], FILES[6]])
def test_it_is_found_wherever_it_stands(text: str, url: str) -> None:
    lines = f"<p>\n{text.format(url)}\n</p>"
    assert [line for line, _ in notion_files(lines)] == [2]


def test_it_is_found_in_disguise() -> None:
    assert len(list(notion_files("https:&#47;&#x2f;file.notion.so/x"))) == 1
    assert len(list(notion_files("https://example.com/?u=https%3A%2F%2Ffile.notion.so%2Fx"))) == 1


def test_a_long_text_is_read_in_no_time() -> None:
    """Neither rows of slashes nor of addresses cost more than their length."""
    for text in ("/" * 300_000, "//a.example" * 9_000, "https:" * 50_000, "\\" * 300_000):
        assert list(notion_files(text + " notion")) == []
