"""`POST /send-mailout` with a page of the Notion database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.sandbox.notion.server import NotionServer
from tests.notion.support_rows import Looker, looking, notion_settings
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process


@pytest.fixture
async def front(dsn: str, notion: NotionServer) -> AsyncIterator[Service]:
    """The web process alone."""
    async with in_process(notion_settings(dsn, notion), with_sender=False) as service:
        yield service


@pytest.fixture
async def looker(
    dsn: str, postgres_database: PostgresDatabase, notion: NotionServer, arrange: Arrange
) -> AsyncIterator[Looker]:
    """What the work process does, when it is told to."""
    await arrange.subscriber("ann@example.com")
    async with looking(postgres_database, notion_settings(dsn, notion)) as looker:
        yield looker


def letter(notion: NotionServer, status: str, **more: Any) -> str:
    return notion.make_page({"Name": "June letter", "Status": status}, ["It is June."], **more)


async def ask(
    front: Service, notion: NotionServer, page: str, event: str | None = None, **change: Any
) -> httpx.Response:
    """As an automation posts it, with the page as it is now."""
    body = {
        "source": {"type": "automation", "event_id": event or str(uuid4()), "attempt": 1},
        "data": {**notion.page(page), **change},
    }
    return await front.http.post("/send-mailout", json=body, headers=BEARER)


async def states(arrange: Arrange) -> list[str]:
    found = await arrange.sql.execute("select status from mailouts")
    return [row["status"] for row in await found.fetchall()]


async def test_a_row_needs_no_mailout_made_before(
    front: Service, looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, "Send")
    notion.forget_requests()
    answer = await ask(front, notion, page, "event")
    assert answer.status_code == 202
    made = answer.json()["mailout_id"]
    assert answer.json() == {"mailout_id": made, "status": "reading"}
    assert answer.headers["location"] == f"/mailouts/{made}"
    assert (await front.show(made))["subject"] == "June letter"
    assert notion.requests() == []  # nobody waits for Notion
    for event in ("event", "another"):
        assert (await ask(front, notion, page, event)).json() == answer.json()
    await looker.work()
    row = await looker.row(page)
    assert (row.press, row.answered, row.problem, str(row.mailout_id)) == (1, 1, None, made)
    assert (await front.show(made))["status"] == "sending"
    await ask(front, notion, page)
    await looker.work()
    assert (await looker.row(page)).press == 1


@pytest.mark.short
async def test_a_button_that_names_no_status_sends_once(
    front: Service, looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, "Draft")
    for _ in range(2):  # Notion tries again when it gets no answer
        assert (await ask(front, notion, page, "click", properties={})).status_code == 202
    await looker.work()
    row = await looker.row(page)
    assert (row.asked, row.press) == ("send", 1)
    assert await states(arrange) == ["sending"]


@pytest.mark.short
async def test_an_automation_that_tells_of_every_status_sends_nothing_by_draft(
    front: Service, looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, "Send test")
    await ask(front, notion, page)
    await looker.work()
    notion.set(page, Status="Draft")
    await looker.poll()  # which was quicker
    assert (await ask(front, notion, page)).status_code == 202
    await looker.work()
    assert (await looker.row(page)).press == 1

    notion.set(page, Status="Pause")
    await looker.poll()
    notion.set(page, Status="Draft")
    assert (await ask(front, notion, page, properties={})).status_code == 202
    await looker.work()
    row = await looker.row(page)
    assert (row.asked, row.press) == ("pause", 2)
    assert await states(arrange) == ["draft"]


async def test_who_is_back_at_draft_when_it_is_read_sends_nothing(
    front: Service, looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, "Send")
    posted = notion.page(page)["properties"]
    notion.set(page, Status="Draft")
    assert (await ask(front, notion, page, properties=posted)).status_code == 202
    await looker.work()
    assert (await looker.row(page)).press == 0
    assert await states(arrange) == ["draft"]


async def test_a_page_of_another_place_is_none_of_ours(
    front: Service, looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    await looker.poll()  # so it is known where the rows are
    other = notion.make_database({"Name": {"title": {}}})["database_id"]
    elsewhere = notion.make_page({"Name": "A note"}, parent=other)
    refused = await ask(front, notion, elsewhere)
    assert (refused.status_code, refused.json()["code"]) == (404, "mailout_not_found")
    # Without its parent nobody can tell before it is read: then the draft is taken back.
    assert (await ask(front, notion, elsewhere, parent=None)).status_code == 202
    assert await states(arrange) == ["draft"]
    await looker.work()
    assert looker.job is not None and looker.job["state"] == "failed"
    assert "no row of the database" in looker.job["error"]
    assert await states(arrange) == []
    assert await looker.store.notion_row(UUID(elsewhere)) is None


async def test_a_mailout_made_by_hand_for_the_page_starts_as_ever(
    front: Service, looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, "Send")
    made = await arrange.mailout(notion_page_id=page.replace("-", ""))
    answer = await ask(front, notion, page)
    assert (answer.status_code, answer.json()["status"]) == (202, "sending")
    assert answer.json()["mailout_id"] == str(made)
    row = await looker.look(page)  # an event or the polling tells of it, too
    assert row.problem is not None and "made by hand" in row.problem


async def test_a_payload_in_another_form_does_no_harm(front: Service, notion: NotionServer) -> None:
    page = letter(notion, "Send")
    odd: list[dict[str, Any]] = [
        {"properties": {"Status": 5, "Name": "x"}},
        {"properties": {"Name": {"type": "title", "title": [{"plain_text": "a\0b\n"}]}}},
        {"properties": {"Status": {"type": "select", "select": {}}}},
        {"properties": []},
        {"parent": {"type": "database_id", "database_id": "x"}},
        {"parent": {"type": "workspace", "workspace": True}},
    ]
    answers = [await ask(front, notion, page, **data) for data in odd]
    assert [answer.status_code for answer in answers] == [202] * 4 + [200] * 2


async def test_the_dashboard_leads_to_the_page_and_says_where_it_is_written(
    front: Service, notion: NotionServer
) -> None:
    page = letter(notion, "Send")
    made = (await ask(front, notion, page)).json()["mailout_id"]
    link = f"https://www.notion.so/{page.replace('-', '')}"
    async with signed_in(front) as person:
        shown = (await person.get(f"/mailouts/{made}")).text
        written = (await person.get(f"/mailouts/{made}/edit")).text
    assert link in shown and link in written
    assert "replaced when its row there is tested or sent" in written
