"""A database that the owner has had before: two properties of other names, and Notion's own type
Status."""

from __future__ import annotations

from app.adapters.database.postgres import PostgresDatabase
from app.outside import notion_api
from app.sandbox.notion.server import NotionServer
from app.services.notion.check import check_notion
from app.services.notion.workspace import Workspace
from app.services.notion.writing import Writing
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.notion.support_rows import looking, notion_settings
from tests.support.factories import Arrange

OPTIONS = ("Draft", "Send test", "Send", "Pause", "Cancel", "Idea")


async def test_a_title_and_a_status_are_enough(
    dsn: str, postgres_database: PostgresDatabase, arrange: Arrange, notion_server: NotionServer
) -> None:
    notion = notion_server
    notion.reset()
    made = notion.make_database(
        {
            "Betreff": {"title": {}},
            "Stage": {"status": {"options": [{"name": name} for name in OPTIONS]}},
            "Owner": {"rich_text": {}},
        },
        title="Editorial calendar",
    )
    notion.database_id, notion.data_source_id = made["database_id"], made["data_source_id"]
    settings = notion_settings(
        dsn, notion, NOTION_PROPERTY_NAME="Betreff", NOTION_PROPERTY_STATUS="Stage"
    )
    await arrange.subscriber("ann@example.com", name="Ann")
    page = notion.make_page(
        {"Betreff": "June letter", "Stage": "Idea", "Owner": "Ben"}, ["Dear {{ name }},", "June."]
    )
    before = notion.values(page)

    async with looking(postgres_database, settings) as looker, notion_api(settings) as api:
        assert not [one for one in await check_notion(api, settings) if one.level == "fail"]
        assert await looker.poll() == 0
        notion.set(page, {"Stage": "Send"})
        assert await looker.poll() == 1
        row = await looker.row(page)
        assert (row.problem, row.mailout_status) == (None, "sending")

        store = Store(postgres_database)
        workspace = Workspace(api, settings)
        writing = Writing(store, api, workspace, settings, Metrics())
        await writing.step()
        trouble = await store.notion_writes_trouble()
        assert trouble is not None  # nothing shows what went wrong; the rest isn't missed
        assert "no property “Delivery” and “Problem”" in trouble["error"]

    assert notion.values(page) == before | {"Stage": "Send"}
