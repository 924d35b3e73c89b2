"""The pictures of a page outlive their addresses at Notion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow

from app.adapters.assets.fetch import PictureFetcher
from app.adapters.database.postgres import PostgresDatabase
from app.adapters.notion.client import NotionApi
from app.domain.assets.kept import Kept, NotKept
from app.domain.assets.notion_hosts import notion_files
from app.domain.assets.videos import is_video_picture
from app.domain.content.render import Content, Footer, compile_content
from app.domain.notion.blocks import canonical, document, pictures_of
from app.keeping import keep_pictures
from app.sandbox.notion.server import NotionServer
from app.services.assets.keep import KeepPictures
from app.services.notion.reading import read_page
from app.services.notion.rows.page_reader import PageReader
from app.store import Store
from tests.assets.samples import photo, picture, with_place
from tests.notion.support_rows import Looker, looking, notion_settings
from tests.support.factories import Arrange
from tests.support.service import settings_for


def image(upload: Mapping[str, Any], caption: str) -> dict[str, Any]:
    return {"type": "image", "image": {**upload, "caption": caption}}


@pytest.mark.short
async def test_the_pictures_of_a_page_are_kept_and_read_anew_when_their_time_is_over(
    notion: NotionServer, direct_store: Store, dsn: str, sql: psycopg.AsyncConnection[DictRow]
) -> None:
    page = notion.make_page({"Name": "News"})
    for name, content, kind in (
        ("cat.jpg", with_place(), "image/jpeg"),
        ("large.png", photo("PNG", (1500, 500)), "image/png"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    ):
        notion.append(page, [image(notion.upload(name, content, kind), f"A {name}")])
    keep = keep_pictures(direct_store, settings_for(dsn, None, NOTION_API_URL=notion.url))
    async with NotionApi(notion.token, notion.url, per_second=1000) as api:
        tree = await read_page(api, UUID(page))
        urls = pictures_of(tree)
        assert len(urls) == 3 and all(url.startswith(notion.url) for url in urls)
        notion.expire_files()
        ended = await keep({url: url for url in urls})
        assert {each.problem for each in ended.values() if isinstance(each, NotKept)} == {"expired"}

        tree = await read_page(api, UUID(page))
        found = await keep({url: url for url in pictures_of(tree)})
        again = await read_page(api, UUID(page))
    cat, large, drawing = found.values()
    assert isinstance(cat, Kept) and isinstance(large, Kept) and isinstance(drawing, NotKept)
    assert (cat.width, large.width, drawing.problem) == (80, 1200, "svg")

    made = document(tree, found)
    assert f'src="{cat.url}"' in made.markdown and 'alt="A cat.jpg"' in made.markdown
    assert notion.url not in made.markdown and not list(notion_files(made.markdown))
    assert ["svg" in finding.what.lower() for finding in made.findings] == [True]
    compile_content(Content("News", None, made.markdown, None), Footer("Org", "Street"))

    rows = await (await sql.execute("select sha256 from assets")).fetchall()
    assert {row["sha256"] for row in rows} == {cat.sha256, large.sha256}
    assert canonical(tree) == canonical(again), "new addresses are no change"


async def is_tested_and_sent(looker: Looker, notion: NotionServer, page: str) -> None:
    """Between the two the addresses of its files end."""
    for status in ("Draft", "Send test"):
        notion.set(page, {"Status": status})
        row = await looker.look(page)
    assert row.delivery == "Test sent"
    notion.expire_files()
    notion.set(page, {"Status": "Send"})
    row = await looker.look(page)
    assert row.problem is None


@pytest.mark.short
async def test_a_row_with_pictures_is_tested_and_sent_after_their_addresses_ended(
    notion: NotionServer, postgres_database: PostgresDatabase, dsn: str, arrange: Arrange
) -> None:
    """New addresses aren't taken for a change since the test; a picture that no mail shows stops
    the row and is named."""
    await arrange.subscriber("ann@example.com")
    cat = image(notion.upload("cat.jpg", with_place(), "image/jpeg"), "A cat")
    drawing = image(notion.upload("plan.svg", b"<svg/>", "image/svg+xml"), "The plan")
    page = notion.make_page({"Name": "News", "Status": "Draft"}, ["Hello", cat, drawing])
    async with looking(postgres_database, notion_settings(dsn, notion)) as looker:
        await looker.look(page)
        notion.set(page, {"Status": "Send test"})
        refused = await looker.look(page)
        assert refused.delivery == "Problem"
        assert "SVG" in (refused.problem or "") and "export it as PNG" in (refused.problem or "")

        notion.delete_block(notion.blocks(page)[-1]["id"])
        await is_tested_and_sent(looker, notion, page)
    query = "select status, body_markdown from mailouts"
    found = await (await arrange.sql.execute(query)).fetchone()
    kept = await (await arrange.sql.execute("select sha256 from assets")).fetchone()
    assert found is not None and kept is not None
    assert found["status"] == "sending"
    assert f"http://localhost:8000/assets/{kept['sha256']}.jpg" in found["body_markdown"]
    assert notion.url not in found["body_markdown"]


@pytest.mark.short
async def test_a_row_with_a_pdf_and_a_picture_of_the_web_is_sent(
    notion: NotionServer, postgres_database: PostgresDatabase, dsn: str, arrange: Arrange
) -> None:
    """The PDF is copied, the picture stays where it is; another file stops the row and is named."""
    await arrange.subscriber("ann@example.com")
    plan = notion.upload("Tide table.pdf", b"%PDF-1.7 tides", "application/pdf")
    sheet = notion.upload("Budget.xlsx", b"PK\x03\x04", "application/vnd.ms-excel")
    cat = {"type": "image", "image": {"external": {"url": "https://example.com/cat.png"}}}
    blocks: list[Mapping[str, Any] | str] = [
        "Hello",
        cat,
        {"type": "pdf", "pdf": plan},
        {"type": "file", "file": {**sheet, "name": "Budget.xlsx"}},
    ]
    page = notion.make_page({"Name": "News", "Status": "Draft"}, blocks)
    async with looking(postgres_database, notion_settings(dsn, notion)) as looker:
        await looker.look(page)
        notion.set(page, {"Status": "Send test"})
        refused = await looker.look(page)
        assert refused.delivery == "Problem"
        problem = refused.problem or ""
        assert "Budget.xlsx" in problem and "it isn't a PDF" in problem and "link to it" in problem

        notion.delete_block(notion.blocks(page)[-1]["id"])
        await is_tested_and_sent(looker, notion, page)
    query = "select status, body_markdown from mailouts"
    found = await (await arrange.sql.execute(query)).fetchone()
    kept = await (await arrange.sql.execute("select sha256, content from assets")).fetchone()
    assert found is not None and kept is not None
    assert found["status"] == "sending" and kept["content"] == b"%PDF-1.7 tides"
    assert f"http://localhost:8000/assets/{kept['sha256']}.pdf" in found["body_markdown"]
    assert "Tide table.pdf" in found["body_markdown"]
    assert "https://example.com/cat.png" in found["body_markdown"]
    assert notion.url not in found["body_markdown"]


class WithVideos(PictureFetcher):
    """YouTube's pictures without YouTube."""

    async def fetch(self, url: str) -> bytes:
        if is_video_picture(url):
            return picture("JPEG", (480, 360))
        return await super().fetch(url)


async def test_a_page_with_a_video_has_its_picture(
    notion: NotionServer, direct_store: Store, dsn: str
) -> None:
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    video = {"type": "video", "video": {"external": {"url": url}}}
    page = UUID(notion.make_page({"Name": "News"}, [video]))
    settings = settings_for(dsn, None, NOTION_API_URL=notion.url)
    keep = KeepPictures(direct_store, settings, WithVideos(notion.url))
    async with NotionApi(notion.token, notion.url, per_second=1000) as api:
        content = await PageReader(api, keep)(page)
    assert (
        not content.findings and f'<a href="{url}"><img src="http://localhost' in content.markdown
    )
