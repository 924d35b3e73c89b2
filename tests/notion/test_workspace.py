"""Which database is meant, and what its schema says."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest

from app.domain.notion.pages import database_id
from app.domain.notion.properties import PROPERTIES
from app.domain.notion.schema import Schema
from app.errors import ConfigurationError, NotionRefused
from app.ports import Notion
from app.services.notion.workspace import Workspace
from app.settings import Settings
from tests.notion.support import FakeTime

DATABASE = UUID("1f0e0000-0000-4000-8000-000000000001")
SOURCE = UUID("1f0e0000-0000-4000-8000-000000000002")
OTHER = UUID("1f0e0000-0000-4000-8000-000000000003")
NAMES = {each.name: each.name for each in PROPERTIES}


class Shelf:
    """A Notion with one database."""

    def __init__(self, *sources: UUID) -> None:
        self.sources = sources
        self.properties: dict[str, Any] = {
            "Name": {"id": "title", "type": "title", "title": {}},
            "Status": {
                "id": "a%3Ab",
                "type": "status",
                "status": {"options": [{"name": "Draft"}, {"name": "Send"}]},
            },
            "Delivered": {"id": "xyz", "type": "number", "number": {"format": "number"}},
            "Problem": {"id": "pq", "type": "number", "number": {}},
        }
        self.asked: list[str] = []

    async def database(self, database_id: UUID) -> dict[str, Any]:
        self.asked.append("database")
        if database_id != DATABASE:
            raise NotionRefused("none", notion_status=404)
        return {"data_sources": [{"id": str(one), "name": "News"} for one in self.sources]}

    async def data_source(self, data_source_id: UUID) -> dict[str, Any]:
        self.asked.append("data source")
        if data_source_id not in self.sources:
            raise NotionRefused("none of that either", notion_status=404)
        parent = {"type": "database_id", "database_id": str(DATABASE)}
        return {"parent": parent, "properties": self.properties}

    async def me(self) -> dict[str, Any]:
        self.asked.append("me")
        return {"object": "user", "id": str(OTHER), "type": "bot"}


def workspace(shelf: Shelf, database: str, time: FakeTime | None = None) -> Workspace:
    settings = Settings(_env_file=None, notion_database_id=database)
    return Workspace(cast(Notion, shelf), settings, now=(time or FakeTime()).now)


@pytest.mark.parametrize(
    "given",
    [
        str(DATABASE),
        DATABASE.hex,
        f"https://www.notion.so/acme/Newsletters-{DATABASE.hex}?v={OTHER.hex}&pvs=4",
        f"https://www.notion.so/{DATABASE.hex}?v={OTHER.hex}&p={OTHER.hex}&pm=s",
        f"https://app.notion.com/p/acme/{DATABASE.hex}?v={OTHER.hex}",
        str(SOURCE),
    ],
)
async def test_a_database_in_every_form_is_found_once(given: str) -> None:
    shelf = Shelf(SOURCE)
    found = workspace(shelf, given)
    assert await found.data_source_id() == SOURCE
    asked = len(shelf.asked)
    assert (await found.place()).ids == {SOURCE, DATABASE}
    assert len(shelf.asked) == asked


def test_a_views_link_names_its_database() -> None:
    assert database_id(f"notion.so/acme/{DATABASE.hex}?v={OTHER.hex}") == DATABASE


@pytest.mark.parametrize(
    ("sources", "given", "words"),
    [
        ((SOURCE, OTHER), str(DATABASE), f"News: {OTHER}"),
        ((), str(DATABASE), "linked view"),
        ((SOURCE,), "newsletters", "NOTION_DATABASE_ID names no page"),
    ],
)
async def test_which_one_is_meant_must_be_clear(
    sources: tuple[UUID, ...], given: str, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await workspace(Shelf(*sources), given).data_source_id()
    assert words in caught.value.detail


async def test_what_is_not_there_is_refused_as_a_database() -> None:
    with pytest.raises(NotionRefused, match=r"^none$"):
        await workspace(Shelf(SOURCE), str(OTHER)).data_source_id()


async def test_the_schema_is_asked_again_when_it_is_old_or_changed() -> None:
    shelf, time = Shelf(SOURCE), FakeTime()
    found = workspace(shelf, str(DATABASE), time)
    schema = await found.schema()
    assert await found.schema() is schema
    found.forget_schema()
    assert await found.schema() is not schema
    schema = await found.schema()
    time.passed += 301
    assert await found.schema() is not schema


async def test_a_row_of_the_database_is_known_by_its_parent() -> None:
    found = workspace(Shelf(SOURCE), str(DATABASE))
    for parent, is_row in (
        ({"data_source_id": str(SOURCE), "database_id": str(DATABASE)}, True),
        ({"type": "database_id", "database_id": DATABASE.hex}, True),
        ({"id": str(DATABASE), "type": "database"}, True),
        ({"type": "page_id", "page_id": str(DATABASE)}, False),
        ({"data_source_id": str(OTHER)}, False),
        ({"type": "workspace", "workspace": True}, False),
    ):  # fmt: skip
        assert await found.has_row({"parent": parent}) is is_row, parent


async def test_we_know_ourselves() -> None:
    shelf = Shelf(SOURCE)
    found = workspace(shelf, str(DATABASE))
    assert await found.me() == await found.me() == OTHER
    assert shelf.asked == ["me"]


def test_properties_are_known_by_name_and_type() -> None:
    schema = Schema.from_api({"properties": Shelf().properties}, NAMES)
    status = schema.column("Status")
    assert status is not None and status.options == ("Draft", "Send")
    assert status.id == "a:b"  # which is escaped in an answer
    assert set(schema.writable) == {"Delivered"}  # Problem is of another type, the rest isn't there
    fitting = {each.name for each in PROPERTIES if schema.fits(each)}
    assert fitting == {"Name", "Status", "Delivered"}
