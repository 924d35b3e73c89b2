"""Writing figures and words into the rows of a Notion that is slow, refuses, or was changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.notion.writes import Write, Written
from app.sandbox.notion.server import NotionServer
from app.services.notion.writing import MUTE_SECONDS, REFUSED_SECONDS
from app.settings import Settings
from app.store import Store
from tests.notion.desk import Desk, ours, peoples, settings_with
from tests.notion.test_writes_store import end_leases
from tests.support.factories import Arrange

NOTHING: dict[str, Any] = {
    "Delivery": None,
    "Progress": "",
    "Problem": "",
    "Recipients": None,
    "Accepted": None,
    "Mailout": None,
    "Statement": [],
}


@pytest.fixture
def settings(dsn: str, notion: NotionServer) -> Settings:
    return settings_with(dsn, notion)


@pytest.fixture
async def desk(
    direct_store: Store, notion: NotionServer, arrange: Arrange, settings: Settings
) -> AsyncIterator[Desk]:
    desk = Desk(direct_store, notion, arrange, settings)
    async with desk.api:
        yield desk


async def test_a_row_follows_its_mailout_and_peoples_words_stay(
    desk: Desk, notion: NotionServer
) -> None:
    mailout = await desk.mailout("sending", queued=60, sent=30, delivered=10)
    page = await desk.row(mailout)
    before = peoples(notion, page)
    assert await desk.write() == 1
    found = ours(notion, page)
    assert (found["Delivery"], found["Recipients"], found["Accepted"]) == ("Sending", 100, 40)
    assert (found["Delivered"], found["Bounced"], found["Unknown"]) == (10, 0, 0)
    assert found["Progress"] == "40 of 100 handed over (40%)."
    assert found["Mailout"] == f"http://localhost:8000/dashboard/mailouts/{mailout}"

    notion.forget_requests()
    await desk.write()
    assert desk.patches() == []  # nothing differs
    assert notion.requests("GET", "pages/") == []

    await desk.move(mailout, "queued", "sent", 10)
    await desk.write()
    assert [set(one) for one in desk.patches()] == [{"Accepted", "Progress"}]
    assert peoples(notion, page) == before


async def test_figures_wait_ten_seconds_and_an_answer_doesnt(
    desk: Desk, notion: NotionServer
) -> None:
    mailout = await desk.mailout("sending", queued=60)
    page = await desk.row(mailout)
    await desk.write()
    await desk.move(mailout, "queued", "sent", 10)
    await desk.write(after=5)
    assert ours(notion, page)["Accepted"] == 0
    await desk.arrange.sql.execute("update notion_rows set problem = 'It is being sent.'")
    await desk.store.notion_write_due(UUID(page))
    await desk.write(after=0)
    found = ours(notion, page)
    assert (found["Problem"], found["Accepted"]) == ("It is being sent.", 10)
    await desk.move(mailout, "queued", "sent", 10)
    await desk.write(after=11)
    assert ours(notion, page)["Accepted"] == 20


async def test_a_duplicated_row_loses_the_others_figures(desk: Desk, notion: NotionServer) -> None:
    """Notion copies everything, the closing statement too."""
    page = await desk.row(await desk.mailout("sent", delivered=2))
    await desk.write()
    copy = notion.duplicate(page)
    assert ours(notion, copy)["Statement"]
    await desk.know(copy)
    await desk.write()
    assert NOTHING.items() <= ours(notion, copy).items()
    assert ours(notion, page)["Delivered"] == 2
    assert peoples(notion, copy)["Preheader"] == "Hello"


async def test_ten_minutes_of_429_lose_nothing(desk: Desk, notion: NotionServer) -> None:
    """Notion is left alone for as long as it asks; then the row says the latest."""
    mailout = await desk.mailout("sending", queued=3)
    page = await desk.row(mailout)
    await desk.write()
    notion.fail(429, retry_after=60)
    for _ in range(10):
        await desk.move(mailout, "queued", "sent", 1)
        notion.forget_requests()
        assert await desk.write() == 1
        assert len(notion.requests()) == 1
        assert await desk.write() == 0  # rests
        assert "asks to wait" in str(await desk.trouble())
        desk.time.passed += 61
    notion.heal()
    assert await desk.write() == 1
    assert ours(notion, page)["Accepted"] == 3
    assert await desk.trouble() is None


async def test_a_lost_answer_is_not_taken_for_a_written_row(
    desk: Desk, notion: NotionServer
) -> None:
    """The write was done although it failed: the row is read before the next."""
    mailout = await desk.mailout("sending", queued=3)
    page = await desk.row(mailout)
    notion.fail(503, method="PATCH", after=True)
    await desk.write()
    notion.heal()
    assert ours(notion, page)["Delivery"] == "Sending"
    notion.forget_requests()
    desk.time.passed += 3600
    await desk.write()
    assert [one["method"] for one in notion.requests(path="pages/")] == ["GET"]
    assert await desk.trouble() is None


@pytest.mark.parametrize("name", ["Delivered", "Problem"])
async def test_a_renamed_property_is_left_out_and_the_others_are_written(
    desk: Desk, notion: NotionServer, name: str
) -> None:
    """While it is being sent. One without which nobody sees what went wrong is told of."""
    mailout = await desk.mailout("sending", queued=1, delivered=1)
    page = await desk.row(mailout, problem="Old.")
    await desk.write()
    notion.rename_property(name, "Zugestellt")
    await desk.move(mailout, "queued", "delivered", 1)
    await desk.arrange.sql.execute("update notion_rows set problem = 'New.'")
    await desk.write()
    found = ours(notion, page)
    assert found["Accepted"] == 2
    assert found["Zugestellt"] == (1 if name == "Delivered" else "Old.")
    assert ("“Problem”" in str(await desk.trouble())) == (name == "Problem")

    notion.forget_requests()
    await desk.move(mailout, "delivered", "bounced", 1)
    await desk.write()
    assert len(desk.patches()) == 1  # it isn't tried again each time

    notion.rename_property("Zugestellt", name)
    desk.time.passed += 3600
    await desk.write()
    assert ours(notion, page)[name] == (1 if name == "Delivered" else "New.")
    assert await desk.trouble() is None


async def test_a_property_of_another_type_is_left_out(desk: Desk, notion: NotionServer) -> None:
    notion.change_schema({"Bounced": None})
    notion.change_schema({"Bounced": {"checkbox": {}}})
    page = await desk.row(await desk.mailout("sent", delivered=1, bounced=1))
    await desk.write()
    assert (ours(notion, page)["Bounced"], ours(notion, page)["Delivered"]) == (False, 1)


async def test_an_owners_names_are_used(
    direct_store: Store, notion: NotionServer, arrange: Arrange, settings: Settings
) -> None:
    notion.rename_property("Delivered", "Zugestellt")
    named = settings.model_copy(update={"notion_property_delivered": "Zugestellt"})
    desk = Desk(direct_store, notion, arrange, named)
    page = await desk.row(await desk.mailout("sent", delivered=7))
    async with desk.api:
        await desk.write()
    assert ours(notion, page)["Zugestellt"] == 7


async def test_a_revoked_token_is_tried_seldom_and_a_new_one_writes_the_latest(
    desk: Desk, notion: NotionServer
) -> None:
    mailout = await desk.mailout("sending", queued=1)
    page = await desk.row(mailout)
    for _ in range(6):
        await desk.row(await desk.mailout("sending", queued=1))
    notion.revoke_token()
    assert await desk.write() > 0
    assert "NOTION_API_TOKEN" in str(await desk.trouble())
    notion.forget_requests()
    assert await desk.write() == 0  # no other row would fare better
    assert notion.requests() == []
    await desk.move(mailout, "queued", "delivered", 1)
    notion.heal()
    desk.time.passed += REFUSED_SECONDS
    assert await desk.write() > 0
    while await desk.writing.step():
        pass
    assert ours(notion, page)["Delivered"] == 1


async def test_a_row_in_the_bin_is_left_alone_until_it_is_back(
    desk: Desk, notion: NotionServer
) -> None:
    mailout = await desk.mailout("sending", queued=1)
    page = await desk.row(mailout)
    await desk.write()
    notion.trash(page)
    await desk.move(mailout, "queued", "sent", 1)
    await desk.write()
    assert "bin" in str(await desk.trouble())
    seconds = await desk.arrange.one("select extract(epoch from due_at - now()) from notion_writes")
    assert seconds > 50
    notion.restore(page)
    await desk.write()
    assert ours(notion, page)["Accepted"] == 1
    assert await desk.trouble() is None


async def test_where_a_row_was_moved_to_nothing_is_written(
    desk: Desk, notion: NotionServer
) -> None:
    """After the end nobody looks at it any more, and the other database has properties of people
    with the same names."""
    mailout = await desk.mailout("sent", sent=2)
    page = await desk.row(mailout)
    await desk.write()
    texts: dict[str, Any] = {
        "Name": {"title": {}},
        "Problem": {"rich_text": {}},
        "Delivered": {"number": {}},
    }
    archive = notion.make_database(texts)
    notion.move(page, archive["database_id"])
    notion.set(page, {"Problem": "The printer", "Delivered": 7})
    await desk.move(mailout, "sent", "delivered", 2)
    await desk.write()
    assert notion.values(page) == {"Name": "June letter", "Problem": "The printer", "Delivered": 7}
    assert "moved out of the database" in (await desk.trouble() or "")
    notion.move(page, notion.database_id)
    await desk.write()
    assert ours(notion, page)["Delivered"] == 2
    assert await desk.trouble() is None


async def test_a_page_that_is_gone_doesnt_keep_others_waiting(
    desk: Desk, notion: NotionServer
) -> None:
    gone, page = await desk.row(), await desk.row(await desk.mailout("sending", queued=1))
    notion.person("delete_forever", page=gone)
    await desk.write()
    assert ours(notion, page)["Delivery"] == "Sending"
    told = await desk.arrange.one("select error from notion_writes where page_id = %s", gone)
    assert "no such page" in told


async def test_a_locked_page_is_written(desk: Desk, notion: NotionServer) -> None:
    """The lock is for people in the app."""
    page = await desk.row(await desk.mailout("sending", queued=1))
    notion.lock(page)
    await desk.write()
    assert ours(notion, page)["Delivery"] == "Sending"


async def test_a_conflict_is_tried_again(desk: Desk, notion: NotionServer) -> None:
    page = await desk.row(await desk.mailout("sending", queued=1))
    notion.fail(409, times=1, method="PATCH")
    await desk.write()
    assert ours(notion, page)["Delivery"] == "Sending"


async def test_whatever_overwrote_the_figures_doesnt_last(desk: Desk, notion: NotionServer) -> None:
    """A person, or a request of a process that is long dead; as long as it is followed."""
    page = await desk.row(await desk.mailout("sent", delivered=7))
    await desk.write()
    notion.set(page, Delivered=3, Problem="Mine.")
    desk.late = timedelta(hours=2)
    await desk.write()
    found = ours(notion, page)
    assert (found["Delivered"], found["Problem"]) == (7, "")
    desk.late = timedelta(days=8)  # once at the end, and then no more
    assert await desk.write() == 1
    assert await desk.write() == 0


# -- two processes, and one that dies


async def test_two_processes_write_each_row_once(
    desk: Desk, notion: NotionServer, direct_store: Store, arrange: Arrange, settings: Settings
) -> None:
    pages = [await desk.row(await desk.mailout("sending", queued=1)) for _ in range(6)]
    other = Desk(direct_store, notion, arrange, settings)
    async with other.api:
        while sum(await asyncio.gather(desk.writing.step(), other.writing.step())):
            pass
    assert {ours(notion, page)["Delivery"] for page in pages} == {"Sending"}
    assert len(desk.patches()) == 6


class Dying(Store):
    """A process that is killed after it has written, before it has recorded that."""

    async def settle_notion_write(self, write: Write, done: Written, gap_seconds: float) -> bool:
        return False


async def test_who_dies_between_writing_and_recording_is_followed_by_another(
    desk: Desk,
    notion: NotionServer,
    postgres_database: Any,
    arrange: Arrange,
    settings: Settings,
) -> None:
    """The heir reads what the row says; what the dead one wrote last never stays over newer
    figures. A comment that was made isn't made again."""
    mailout = await desk.mailout("sending", queued=2)
    page = await desk.row(mailout, delivery="Problem", problem="Choose another tag.")
    dead = Desk(Dying(postgres_database), notion, arrange, settings)
    async with dead.api:
        await dead.write()
    assert ours(notion, page)["Accepted"] == 0
    await desk.move(mailout, "queued", "sent", 2)
    assert await desk.write() == 0  # the lease still holds
    await end_leases(arrange)
    await desk.write()
    assert ours(notion, page)["Accepted"] == 2
    assert len(notion.comments(page)) == 1


async def test_a_process_that_is_stopped_gives_its_row_back(
    desk: Desk, notion: NotionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a request, which was done: another reads the row first, at once."""
    page = await desk.row(await desk.mailout("sending", queued=1))
    done = asyncio.Event()
    update = desk.api.update_page

    async def unheard(*arguments: Any) -> dict[str, Any]:
        await update(*arguments)
        done.set()
        return await asyncio.Future()

    with monkeypatch.context() as patch:
        patch.setattr(desk.api, "update_page", unheard)
        step = asyncio.create_task(desk.write())
        await done.wait()
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
    assert await desk.write() == 1
    assert ours(notion, page)["Delivery"] == "Sending"


# -- the closing statement


async def test_a_statement_hangs_on_the_row_at_the_end_and_when_it_changed(
    desk: Desk, notion: NotionServer
) -> None:
    mailout = await desk.mailout("sending", sent=2)
    page = await desk.row(mailout)
    await desk.write()
    assert ours(notion, page)["Statement"] == []
    await desk.arrange.sql.execute("update mailouts set status = 'sent', sent_at = now()")
    await desk.write()
    [name] = ours(notion, page)["Statement"]
    assert name.startswith("statement-")
    assert [one for one in notion.requests("POST") if one["path"].endswith("/send")]
    notion.forget_requests()
    for later in (timedelta(hours=23), timedelta(hours=25)):  # the same once more: none
        desk.late = later
        await desk.write()
    assert notion.requests("POST") == []
    await desk.move(mailout, "sent", "delivered", 2)
    await desk.write()
    assert notion.requests("POST", "file_uploads")
    assert ours(notion, page)["Delivered"] == 2


async def test_without_its_property_there_is_no_statement(desk: Desk, notion: NotionServer) -> None:
    """Its presence is the switch, also when it was removed a moment before the end."""
    mailout = await desk.mailout("sending", delivered=2)
    page = await desk.row(mailout)
    await desk.write()
    notion.change_schema({"Statement": None})
    await desk.arrange.sql.execute("update mailouts set status = 'sent', sent_at = now()")
    await desk.write()
    assert ours(notion, page)["Delivered"] == 2
    assert notion.requests("POST", "file_uploads") == []


async def test_a_file_that_notion_doesnt_take_becomes_a_link(
    desk: Desk, notion: NotionServer
) -> None:
    """Such as one beyond the 5 MB of a workspace without a paid plan."""
    mailout = await desk.mailout("sent", delivered=2)
    page = await desk.row(mailout)
    notion.fail(400, path="file_uploads")
    await desk.write()
    [said] = notion.page(page)["properties"]["Statement"]["files"]
    assert said["external"]["url"].endswith(f"/dashboard/mailouts/{mailout}/statement.csv")
    assert await desk.trouble() is None


# -- comments


async def test_a_problem_is_commented_once_for_each_press(desk: Desk, notion: NotionServer) -> None:
    page = await desk.row(delivery="Problem", problem="There is no tag ann@example.com, spring.")
    await desk.write()
    await desk.store.notion_write_due(UUID(page))
    await desk.write()
    [said] = [one["rich_text"][0]["plain_text"] for one in notion.comments(page)]
    assert said == "There is no tag a•••@e•••.com, spring."
    assert ours(notion, page)["Problem"] == said
    await desk.arrange.sql.execute("update notion_rows set press = 2")  # it is being looked at
    await desk.store.notion_write_due(UUID(page))
    await desk.write()
    assert len(notion.comments(page)) == 1
    await desk.arrange.sql.execute("update notion_rows set answered = 2")
    await desk.store.notion_write_due(UUID(page))
    await desk.write()
    assert len(notion.comments(page)) == 2


async def test_a_pause_by_the_guards_is_commented_with_the_link(
    desk: Desk, notion: NotionServer
) -> None:
    mailout = await desk.mailout("sending", queued=1)
    page = await desk.row(mailout)
    await desk.store.pause_mailout(mailout, "guard", "Too many bounced.")
    await desk.write()
    [said] = [one["rich_text"][0]["plain_text"] for one in notion.comments(page)]
    assert said.startswith("“June letter” is paused. Too many bounced. It waits for you")
    assert said.endswith(f"/dashboard/mailouts/{mailout}")
    found = ours(notion, page)
    assert found["Delivery"] == "Paused"
    assert found["Problem"].startswith("Too many bounced.")


async def test_who_may_not_comment_doesnt_try_each_time(desk: Desk, notion: NotionServer) -> None:
    notion.capabilities(without=["insert_comments"])
    page = await desk.row(delivery="Problem", problem="No.")
    await desk.write()
    await desk.row(delivery="Problem", problem="No.")
    await desk.write()
    assert len(notion.requests("POST", "comments")) == 1
    assert ours(notion, page)["Problem"] == "No."
    assert await desk.trouble() is None
    notion.heal()
    desk.time.passed += MUTE_SECONDS
    third = await desk.row(delivery="Problem", problem="No.")
    await desk.write()
    assert len(notion.comments(third)) == 1
