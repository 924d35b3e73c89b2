"""Texts longer than Notion takes in one piece."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.adapters.notion.client import NotionApi
from app.domain.notion.properties import write
from app.sandbox.notion.server import NotionServer


@pytest.mark.parametrize("text", ["x" * 4001, "🎈" * 2001, "x" + "🎈" * 2001, ""])
async def test_a_long_text_arrives_whole(notion: NotionServer, text: str) -> None:
    """Notion counts as JavaScript does: most emoji are two."""
    page = notion.make_page({"Name": "June"})
    async with NotionApi(notion.token, notion.url, per_second=1000) as api:
        await api.update_page(UUID(page), {"Problem": write("rich_text", text)})
        if text:
            await api.comment({"page_id": page}, text)
    assert notion.values(page)["Problem"] == text
    said = ["".join(i["plain_text"] for i in c["rich_text"]) for c in notion.comments(page)]
    assert said == ([text] if text else [])
