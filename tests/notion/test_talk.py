"""Commands in comments on a row's page, answered in Notion's stand-in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import pytest
import structlog

from app.errors import NotionAway
from app.outside import notion_api
from app.sandbox.notion.server import NotionServer
from app.services.jobs.runner import Handler, JobRunner, Kind
from app.services.notion.schema_news import SchemaNews
from app.services.notion.talk import Talk
from app.services.notion.workspace import Workspace
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import Arrange, started_mailout
from tests.support.service import settings_for

READER = "reader2@example.com"


class Page:
    """A row of the database whose mailout is being sent to three readers, and who talks on it."""

    def __init__(
        self,
        notion: NotionServer,
        store: Store,
        another_talk: Callable[[], Talk],
        arrange: Arrange,
    ) -> None:
        self.notion, self.store, self.arrange = notion, store, arrange
        self.another_talk, self.talk = another_talk, another_talk()
        self.id = notion.make_page({"Name": "May letter"}, ["Dear readers"])
        self.mailout: UUID

    async def started(self) -> Page:
        self.mailout = await started_mailout(self.store, self.arrange, 3)
        await self.arrange.sql.execute(
            "insert into notion_rows (page_id, mailout_id) values (%s, %s)", [self.id, self.mailout]
        )
        return self

    def write(self, text: str | list[Any], on: str | None = None) -> str:
        """As a person; gives the thread."""
        return str(self.notion.comment(on or self.id, text)["discussion_id"])  # type: ignore[arg-type]

    def answers(self, thread: str, on: str | None = None) -> list[str]:
        """What stands in the thread below the first comment."""
        said = [c for c in self.notion.comments(on or self.id) if c["discussion_id"] == thread]
        return ["".join(item["plain_text"] for item in c["rich_text"]) for c in said[1:]]

    async def ask(self, text: str | list[Any]) -> str:
        """Its answer."""
        thread = self.write(text)
        assert await self.talk.round(0) == 1
        (answer,) = self.answers(thread)
        return answer

    async def run_out(self) -> None:
        """The lease of whoever answered last."""
        await self.arrange.sql.execute("update notion_comments set lease_until = now()")

    async def follow(self, page: str, block: str) -> str:
        """Do the job that a comment's event makes; gives its state after that."""
        done = await self._do("notion_talk", self.talk.as_job, {"page": page, "block": block})
        return str(done["state"])

    async def schema_changed(self) -> dict[str, Any]:
        """The job that a change of the database makes, done."""
        return await self._do("notion_schema", SchemaNews(self.talk._workspace).as_job, {})

    async def _do(self, kind: str, handler: Handler, payload: dict[str, Any]) -> dict[str, Any]:
        jobs = JobStore(self.store._call.__self__)  # type: ignore[attr-defined]
        job, _ = await jobs.add_job(kind, payload)
        await JobRunner(jobs, [Kind(kind, handler)]).do(job)
        shown = await jobs.show_job(job)
        assert shown is not None
        return shown

    @property
    def posted(self) -> int:
        return len(self.notion.requests("POST", "comments"))


@pytest.fixture
async def page(
    notion: NotionServer, direct_store: Store, arrange: Arrange, dsn: str
) -> AsyncIterator[Page]:
    notion.forget_requests()
    settings = settings_for(
        dsn,
        None,
        NOTION_API_TOKEN=notion.token,
        NOTION_API_URL=notion.url,
        NOTION_DATABASE_ID=notion.database_id,
        TIMEZONE="Europe/Berlin",
    )
    async with notion_api(settings) as api:

        def talk() -> Talk:
            """As of a process that has just started."""
            return Talk(direct_store, api, Workspace(api, settings), settings)

        yield await Page(notion, direct_store, talk, arrange).started()


async def test_talk(page: Page) -> None:
    """Each command is answered once, in its thread; what people say else is left alone."""
    page.write("Looks good to me")
    status = await page.ask("/status")
    assert status.startswith("Sending: 0 of 3 handed over (0%).\nRecipients 3, accepted 0")
    assert f"http://localhost:8000/dashboard/mailouts/{page.mailout}" in status
    assert "/why ann@example.com" in await page.ask("/help")
    assert "There is no /stauts here" in await page.ask("/stauts")
    assert "Whose?" in await page.ask("/why")
    asked = page.posted
    assert await page.talk.round(0) == 0
    assert page.posted == asked == 4
    page.id = page.notion.make_page({"Name": "June letter"})
    await page.arrange.sql.execute("insert into notion_rows (page_id) values (%s)", [page.id])
    for command in ("/status", "/pause", "/why ann@example.com"):
        assert "Nothing was sent from this page yet" in await page.ask(command)


async def test_why_says_the_address_to_the_owner_alone(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    """No line of a log has it, ours or a library's."""
    link = {"type": "text", "text": {"content": READER, "link": {"url": f"mailto:{READER}"}}}
    with caplog.at_level(logging.INFO), structlog.testing.capture_logs() as lines:
        answer = await page.ask([{"type": "text", "text": {"content": "/why\u00a0"}}, link])
        nobody = await page.ask("/why \u201cnobody@example.com\u201d.")
    assert answer == f"{READER} is in this mailout, and not mailed yet. It waits for its turn."
    assert nobody.startswith("Nobody on the list has the address nobody@example.com")
    assert "notion_comment_answered" in [line["event"] for line in lines]
    assert "@example.com" not in f"{lines} {caplog.text}"
    kept = await page.arrange.one("select jsonb_agg(c)::text from notion_comments c")
    assert "example.com" not in kept


async def test_pause_and_resume(page: Page) -> None:
    assert "Paused" in await page.ask("/pause")
    assert (await page.store.mailout_headline(page.mailout))["status"] == "paused"
    assert "paused already" in await page.ask("/pause")
    assert "Paused: 0 of 3" in await page.ask("/status")
    assert "goes on" in await page.ask("/Resume!")
    assert (await page.store.mailout_headline(page.mailout))["status"] == "sending"
    by = await page.arrange.one(
        "select jsonb_agg(jsonb_build_array(action, by) order by id) from audit_log "
        "where action in ('mailout.pause', 'mailout.resume')"
    )
    assert [action for action, _ in by] == ["mailout.pause", "mailout.resume"]
    assert all(who.startswith("notion") for _, who in by)


async def test_who_dies_after_answering_is_not_repeated(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = page.write("/pause")
    with monkeypatch.context() as patch:

        async def die(*_: object) -> None:
            raise KeyError("killed")

        patch.setattr(page.store, "settle_notion_comment", die)
        with pytest.raises(KeyError):
            await page.talk.round(0)
    assert len(page.answers(thread)) == 1
    await page.store.resume_mailout(page.mailout, by="dashboard")
    await page.run_out()
    await page.talk.round(0)
    assert page.posted == 1
    assert (
        await page.store.open_notion_comments([UUID(page.notion.comments(page.id)[0]["id"])])
        == set()
    )
    assert (await page.store.mailout_headline(page.mailout))["status"] == "sending"


async def test_who_dies_before_answering_is_followed(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it did isn't done again: others may have changed it since."""
    thread = page.write("/pause")
    with monkeypatch.context() as patch:

        async def die(*_: object) -> None:
            raise KeyError("killed")

        patch.setattr(page.talk._notion, "comment", die)
        with pytest.raises(KeyError):
            await page.talk.round(0)
    await page.store.resume_mailout(page.mailout, by="dashboard")
    assert await page.talk.round(0) == 0  # it may still be at it
    await page.run_out()
    assert await page.talk.round(0) == 1
    assert [answer[:6] for answer in page.answers(thread)] == ["Paused"]
    assert (await page.store.mailout_headline(page.mailout))["status"] == "sending"


@pytest.mark.parametrize("after", [False, True])
async def test_notion_is_away_while_we_answer(page: Page, after: bool) -> None:
    """after: it took the answer and said nothing."""
    thread = page.write("/help")
    page.notion.fail(503, times=1, path="comments", method="POST", retry_after=0, after=after)
    with pytest.raises(NotionAway):
        await page.talk.round(0)
    await page.talk.round(0)
    assert len(page.answers(thread)) == 1
    assert page.posted == (1 if after else 2)


async def test_without_the_capability_nobody_asks_for_ever(page: Page) -> None:
    """The owner is told which to tick."""
    page.write("/help")
    page.notion.capabilities(without=["insert_comments"])
    with structlog.testing.capture_logs() as lines:
        await page.talk.step()
    assert "Insert comments" in next(
        line["remedy"] for line in lines if line["event"] == "notion_comments_refused"
    )
    assert "Insert comments" in (await page.store.notion_webhook())["comments_refused"]
    asked = page.posted
    await page.talk.step()
    await page.run_out()
    await page.talk.round(0)
    assert page.posted == asked
    page.notion.heal()
    await page.ask("/status")
    assert (await page.store.notion_webhook())["comments_refused"] is None


async def test_what_notion_refuses_is_waited_out(page: Page) -> None:
    """Reading comments, or everything."""
    page.notion.capabilities(without=["read_comments"])
    assert await page.talk.round(0) == 0
    assert "Read comments" in (await page.store.notion_webhook())["comments_refused"]
    page.notion.heal()
    await page.talk.round(0)
    assert (await page.store.notion_webhook())["comments_refused"] is None
    page.notion.revoke_token()
    page.talk = page.another_talk()
    with structlog.testing.capture_logs() as lines:
        await page.talk.step()
        await page.talk.step()
    assert [line["event"] for line in lines].count("notion_talk_waits") == 1
    assert await page.follow(page.id, page.id) == "failed"
    page.notion.heal()


async def test_events_of_comments(page: Page) -> None:
    """On a block of the page, on a row that was never looked at, on a page that is no row, and on
    one that another process answers just now."""
    block = page.notion.blocks(page.id)[0]["id"]
    on_block = page.write("/status", on=block)
    assert await page.talk.round(0) == 0
    assert await page.follow(page.id, block) == "done"
    assert len(page.answers(on_block, on=block)) == 1

    unseen = page.notion.make_page({"Name": "New"})
    on_unseen = page.write("/status", on=unseen)
    assert await page.follow(unseen, unseen) == "done"
    assert "Nothing was sent from this page yet" in page.answers(on_unseen, on=unseen)[0]

    home = page.notion.act("about")["home_page_id"]
    page.notion.share(home)
    other = page.notion.make_page({"Name": "Notes"}, parent=home)
    on_other = page.write("/pause", on=other)
    assert await page.follow(other, other) == "done"
    assert page.answers(on_other, on=other) == []

    taken = page.notion.comment(page.id, "/status")
    await page.store.begin_notion_comment(UUID(taken["id"]), UUID(page.id), "status", 60)
    assert await page.follow(page.id, page.id) == "waiting"
    assert page.answers(taken["discussion_id"]) == []


async def test_a_changed_property_is_named(page: Page) -> None:
    """And known from then on, without waiting for what was read before to grow old."""
    workspace = page.talk._workspace
    assert "Progress" in (await workspace.schema()).columns
    page.notion.rename_property("Progress", "How far")
    done = await page.schema_changed()
    assert done["state"] == "done"
    assert "How far" in done["result"]["missing"][0]
    assert "How far" in (await workspace.schema()).columns
    page.notion.share(page.notion.database_id, False)
    done = await page.schema_changed()
    assert done["state"] == "failed"
    assert "isn't shared" in done["error"]
