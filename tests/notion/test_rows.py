"""The life of a row, from a person's hand in Notion to the mailout and back into the row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.sandbox.notion.server import NotionServer
from tests.notion.support_rows import Looker, looking, notion_settings
from tests.support.factories import Arrange

TEXT = ["Dear {{ name }},", "it is June."]


@pytest.fixture
async def looker(
    dsn: str, postgres_database: PostgresDatabase, notion: NotionServer
) -> AsyncIterator[Looker]:
    async with looking(postgres_database, notion_settings(dsn, notion, notion.token)) as looker:
        yield looker


@pytest.fixture
async def readers(arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com", name="Ann", tags=["spring"])
    await arrange.subscriber("ben@example.com", name="Ben")


def letter(notion: NotionServer, **properties: Any) -> str:
    return notion.make_page({"Name": "June letter", "Status": "Draft", **properties}, TEXT)


async def mailout(arrange: Arrange) -> dict[str, Any]:
    found = await (await arrange.sql.execute("select * from mailouts")).fetchone()
    assert found is not None
    return found


@pytest.mark.usefixtures("readers")
class TestSending:
    async def test_from_draft_over_a_test_to_the_start(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Preheader="News", Audience=["spring"])
        assert (await looker.look(page)).press == 0
        notion.set(page, Status="Send test")
        row = await looker.look(page)
        assert (row.delivery, row.answered) == ("Test sent", 1)
        tests = "select count(*) from send_logs where is_test"
        assert await arrange.one(tests) == 2
        made = await mailout(arrange)
        assert (made["subject"], made["preheader"]) == ("June letter", "News")
        assert made["audience"] == {"tags": ["spring"]} and made["status"] == "draft"
        assert "it is June." in made["body_markdown"]

        notion.set(page, Status="Send")
        row = await looker.look(page)
        assert (row.problem, row.answered, row.asked) == (None, 2, "send")
        made = await mailout(arrange)
        assert (made["status"], made["recipients"]) == ("sending", 1)
        for _ in range(2):  # whatever tells of it again
            await looker.look(page)
        assert await arrange.one(tests) == 2
