"""What people paste to name a page of Notion, and what Notion posts."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.notion.pages import NotAPage, is_integration_webhook, page_id

PAGE = UUID("1f0d0000-0000-4000-8000-00000000abcd")
ID, OTHER = PAGE.hex, "e" * 32


@pytest.mark.parametrize(
    "given_text",
    [
        ID, str(PAGE), ID.upper(), f"  {ID}\n",
        f"My-Page-{ID}", f"My-Page-{PAGE}", f"Cafe-{ID}", f"No-1-{ID}", f"my page {ID}",
        f"https://www.notion.so/My-Page-{ID}?pvs=4", f"https://www.notion.so/{ID}",
        f"https://www.notion.so/acme/My-Page-{ID}?pvs=4#{OTHER}",
        f"https://www.notion.so/{PAGE}", f"www.notion.so/My-Page-{ID}", f"notion.so/{ID}/",
        f"https://app.notion.com/p/{ID}", f"https://app.notion.com/p/acme/My-Page-{ID}?source=copy_link",
        f" https://acme.notion.site/My-Page-{ID} ", f"notion://www.notion.so/My-Page-{ID}",
        f"https://www.notion.so/acme/{OTHER}?v={OTHER}&p={ID}&pm=s",
        f"https://www.notion.so/{OTHER}/J%C3%A4nner-{ID}",
        f"HTTPS://WWW.NOTION.SO/My-Page-{ID}",
    ],
)  # fmt: skip
def test_a_page_in_every_form(given_text: str) -> None:
    assert page_id(given_text) == PAGE


@pytest.mark.parametrize(
    "given_text",
    [
        "", "June letter", "June-letter", ID[:-1], f"{ID}a", f"{ID} {ID[:-1]}",
        "https://www.notion.so/My-Page", "https://www.notion.so/", f"https://example.com/{ID}",
        f"https://notion.so.example.com/{ID}", f"https://evilnotion.so/{ID}",
        f"https://www.notion.so/acme/{ID}?v={OTHER}", f"https://[www.notion.so/{ID}",
        f"https://docs.example.com/www.notion.so/{ID}", f"a/{ID}", f"{{{ID}}}",
    ],
)  # fmt: skip
def test_what_names_no_page_is_refused_with_the_remedy(given_text: str) -> None:
    with pytest.raises(NotAPage, match=r"copy its link|its id"):
        page_id(given_text)


@given(
    page=st.uuids(),
    title=st.text(st.characters(codec="utf-8", exclude_characters="/?#"), max_size=20),
)
def test_whatever_the_title_the_id_is_found(page: UUID, title: str) -> None:
    for link in (
        f"https://www.notion.so/x-{page.hex}?pvs=4",
        f"https://a.notion.site/{title}-{page.hex}",
    ):
        assert page_id(link) == page


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        ({"verification_token": "secret_abc"}, True),
        ({"type": "page.created", "subscription_id": "s", "entity": {"id": ID, "type": "page"},
          "data": {}}, True),
        ({"source": {"type": "automation"}, "data": {"object": "page", "id": ID}}, False),
        ({"mailout_id": str(PAGE)}, False),
        ({"verification_token": None}, False),
    ],
)  # fmt: skip
def test_what_notion_posts_for_an_integration(body: dict[str, object], *, is_one: bool) -> None:
    assert is_integration_webhook(body) is is_one
