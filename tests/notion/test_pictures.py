"""The pictures of a page outlive their addresses at Notion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from app.adapters.notion.client import NotionApi
from app.domain.assets.kept import Kept, NotKept
from app.domain.assets.notion_hosts import notion_files
from app.domain.content.render import Content, Footer, compile_content
from app.domain.notion.blocks import canonical, document, pictures_of
from app.keeping import keep_pictures
from app.sandbox.notion.server import NotionServer
from app.services.notion.reading import read_page
from app.store import Store
from tests.assets.samples import photo, with_place
from tests.support.service import settings_for


def image(upload: Mapping[str, Any], caption: str) -> dict[str, Any]:
    return {"type": "image", "image": {**upload, "caption": caption}}


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
