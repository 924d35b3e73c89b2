"""The life of a row, from a person's hand in Notion to the mailout and back into the row."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, tzinfo
from typing import Any, Self
from uuid import UUID

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.domain.notion.row import Row
from app.sandbox.notion.server import NotionServer
from tests.notion.support_rows import Looker, looking, notion_settings
from tests.support.factories import Arrange

pytestmark = pytest.mark.usefixtures("readers")

TEXT = ["Dear {{ name }},", "it is June."]
NO_PICTURE = {
    "type": "image",
    "image": {"type": "external", "external": {"url": "http://127.0.0.1/x.png"}},
}
NEXT_YEAR = datetime.now(UTC).year + 1
MORNING = f"{NEXT_YEAR}-02-01T09:00:00.000+02:00"
REFUSED: list[tuple[dict[str, Any], list[Any], str]] = [
    ({"Name": ""}, TEXT, "no Name"),
    ({"Audience": ["nobody"]}, TEXT, "Nobody would get it"),
    ({}, ["Dear {{ nmae }}"], "The text “Dear {{ nmae }}”: unknown variable “nmae”"),
    ({}, [NO_PICTURE], "picture"),
    ({"Send at": "2020-01-01T09:00:00+01:00"}, TEXT, "has passed"),
    ({"Send at": f"{NEXT_YEAR}-01-01"}, TEXT, "no time"),
    ({"Send at": MORNING, "Time zone": "Berlin"}, TEXT, "Europe/Berlin"),
]


def letter(notion: NotionServer, *blocks: Any, **properties: Any) -> str:
    return notion.make_page(
        {"Name": "June letter", "Status": "Draft", **properties}, blocks or TEXT
    )


async def mailout(arrange: Arrange, page: str | None = None) -> dict[str, Any]:
    query = "select * from mailouts where %s::text is null or notion_page_id = %s"
    found = await (await arrange.sql.execute(query, [page, page])).fetchone()
    assert found is not None
    return found


async def set_and_look(looker: Looker, notion: NotionServer, page: str, **properties: Any) -> Row:
    for name, value in properties.items():
        notion.set(page, {name.replace("_", " ").capitalize(): value})
    return await looker.look(page)


async def finish(arrange: Arrange) -> None:
    await arrange.sql.execute("select queue_recipients(id, 1000) from mailouts")
    await arrange.sql.execute(
        "update mailouts set status = 'sent', sent_at = '2026-10-01' where status = 'sending'"
    )


class TestSending:
    async def test_from_draft_over_a_test_to_the_start(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Preheader="News", Audience=["spring"])
        assert (await looker.look(page)).press == 0
        row = await set_and_look(looker, notion, page, status="Send test")
        assert (row.delivery, row.answered) == ("Test sent", 1)
        assert row.problem is not None and "OWNER_EMAIL" not in row.problem
        assert row.problem.startswith("For whoever runs the service:\n• ")  # SES is away here
        tests = "select count(*) from send_logs where is_test"
        assert await arrange.one(tests) == 2
        made = await mailout(arrange)
        assert (made["subject"], made["preheader"]) == ("June letter", "News")
        assert made["audience"] == {"tags": ["spring"]} and made["status"] == "draft"
        assert "it is June." in made["body_markdown"]

        notion.edit_block(notion.blocks(page)[1]["id"], "it is July.")
        row = await set_and_look(looker, notion, page, status="Send")
        assert row.problem is not None and "it is July." in row.problem and row.answered == 2
        assert (await mailout(arrange))["status"] == "draft"

        await set_and_look(looker, notion, page, status="Draft")
        row = await set_and_look(looker, notion, page, status="Send")  # as it is
        assert (row.problem, row.answered, row.asked) == (None, 3, "send")
        made = await mailout(arrange)
        assert (made["status"], made["recipients"]) == ("sending", 1)
        assert "it is July." in made["body_markdown"]
        for _ in range(2):  # whatever tells of it again
            assert (await looker.look(page)).press == 3
        assert await arrange.one(tests) == 2
        assert await arrange.one("select count(*) from mailouts") == 1

    async def test_a_row_that_was_never_tested_goes_and_says_so(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        row = await looker.look(letter(notion, Status="Send"))
        assert row.problem is None and row.note is not None and "No test mail" in row.note
        assert (await mailout(arrange))["status"] == "sending"

    async def test_while_it_is_sent_and_after(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        await looker.look(page)

        async def state(status: str) -> str:
            row = await set_and_look(looker, notion, page, status=status)
            assert row.answered == row.press
            return str((await mailout(arrange))["status"])

        assert await state("Pause") == "paused"
        assert await state("Send") == "sending"
        assert await state("Draft") == "sending"
        assert await state("Send test") == "sending"
        problem = (await looker.row(page)).problem
        assert problem is not None and "is being sent" in problem
        assert await state("Pause") == "paused"
        assert await state("Cancel") == "cancelled"
        assert await state("Send") == "cancelled"
        problem = (await looker.row(page)).problem
        assert problem is not None and "cancelled" in problem and "duplicate" in problem

    async def test_what_was_sent_goes_no_second_time(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        await looker.look(page)
        await finish(arrange)
        for status in ("Send", "Send test", "Pause"):
            await set_and_look(looker, notion, page, status="Draft")
            row = await set_and_look(looker, notion, page, status=status)
            assert row.problem is not None and "already sent on 1 October 2026" in row.problem
        assert (await mailout(arrange))["status"] == "sent"

    async def test_who_changes_their_mind_while_it_is_read_is_heard(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        read = looker.looks.answers.read

        async def slowly(page_id: UUID) -> Any:
            content = await read(page_id)
            notion.set(page, Status="Cancel")
            return content

        looker.slow_down(slowly)
        row = await looker.look(page)
        assert (row.asked, row.delivery, row.problem) == ("cancel", "Cancelled", None)
        assert (await mailout(arrange))["status"] == "draft"

    async def test_what_cannot_be_sent_is_told_in_the_row(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        for properties, blocks, said in REFUSED:
            row = await looker.look(letter(notion, *blocks, Status="Send", **properties))
            assert row.problem is not None and said in row.problem, row.problem
            assert "set Status to Draft" in row.problem
            assert (row.answered, row.delivery) == (1, "Problem")
        states = await arrange.sql.execute("select status from mailouts")
        assert {row["status"] for row in await states.fetchall()} == {"draft"}


class TestSchedules:
    async def test_send_at_is_kept_and_taken_back(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, **{"Status": "Send", "Send at": MORNING})
        row = await looker.look(page)
        assert row.problem is None
        made = await mailout(arrange)
        assert made["status"] == "scheduled"  # the instant, by the clocks of TIMEZONE
        assert made["schedule"] == {"at": f"{NEXT_YEAR}-02-01T08:00", "zone": "Europe/Berlin"}

        notion.edit_block(notion.blocks(page)[1]["id"], "it is July.")
        notion.set(page, {"Send at": MORNING.replace("T09", "T10")})
        row = await looker.look(page)
        assert row.note is not None and "July" in row.note and "Send at" in row.note
        assert (await mailout(arrange))["schedule"]["at"].endswith(
            "08:00"
        )  # only a person moves it

        row = await set_and_look(looker, notion, page, status="Pause")
        assert (row.delivery, row.note) == ("Paused", None)
        assert (await mailout(arrange))["status"] == "draft"
        notion.set(page, {"Time zone": "America/New_York"})
        await set_and_look(looker, notion, page, status="Send")
        made = await mailout(arrange)
        assert made["schedule"] == {"at": f"{NEXT_YEAR}-02-01T10:00", "zone": "America/New_York"}
        assert "July" in made["body_markdown"]

        await set_and_look(looker, notion, page, status="Draft")
        assert (await mailout(arrange))["status"] == "draft"
        notion.set(page, {"Time zone": "Recipient's"})
        await set_and_look(looker, notion, page, status="Send")
        made = await mailout(arrange)
        assert (made["status"], made["waves"]) == ("scheduled", True)
        assert made["schedule"]["fallback"] == "Europe/Berlin"
        await set_and_look(looker, notion, page, status="Cancel")
        assert (await mailout(arrange))["status"] == "cancelled"

    async def test_a_row_that_is_gone_is_taken_back_and_what_is_sent_goes_on(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        scheduled = letter(notion, **{"Name": "Later", "Status": "Send", "Send at": MORNING})
        moved = letter(notion, **{"Name": "Moved", "Status": "Send", "Send at": MORNING})
        sending = letter(notion, Status="Send")
        for page in (scheduled, moved, sending):
            await looker.look(page)
            (notion.move if page == moved else notion.trash)(page)
            row = await looker.look(page)
            assert row.gone_at is not None and row.answered == row.press
        for page in (scheduled, moved):
            assert (await mailout(arrange, page))["status"] == "draft"
            problem = (await looker.row(page)).problem
            assert problem is not None and "isn't sent by itself" in problem
        assert (await mailout(arrange, sending))["status"] == "sending"

        notion.restore(scheduled)
        row = await looker.look(scheduled)
        assert row.gone_at is None and row.answered == row.press  # Status still says Send
        assert (await mailout(arrange, scheduled))["status"] == "draft"


class TestCopies:
    async def test_a_copy_of_a_sent_row_is_not_sent_by_itself(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        await looker.look(page)
        await finish(arrange)
        notion.set(page, Delivery="Sent", Recipients=2, Delivered=2)
        copy = notion.duplicate(page)
        row = await looker.look(copy)
        assert row.problem is not None and "copy" in row.problem
        assert (row.press, row.mailout) == (0, None)
        await set_and_look(looker, notion, copy, status="Draft", name="July letter")
        assert (await looker.row(copy)).problem is None
        row = await set_and_look(looker, notion, copy, status="Send")
        assert row.problem is None
        assert (await mailout(arrange, copy))["status"] == "sending"

    @pytest.mark.short
    async def test_a_copy_made_before_any_figures_asks_first(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        copy = notion.duplicate(page)
        for one in (page, copy):
            await looker.look(one)
        row = await looker.row(copy)
        assert row.problem is not None and "very same text" in row.problem
        assert (await mailout(arrange, copy))["status"] == "draft"
        await set_and_look(looker, notion, copy, status="Draft")
        assert (await set_and_look(looker, notion, copy, status="Send")).problem is None
        assert (await mailout(arrange, copy))["status"] == "sending"


@pytest.mark.short
async def test_a_changed_audience_is_confirmed_by_a_second_send(
    looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    await looker.look(letter(notion, Status="Send"))
    await finish(arrange)
    await arrange.subscribers(300)
    page = letter(notion, Name="July letter", Status="Send")
    row = await looker.look(page)
    assert row.problem is not None and "302 people instead of 2" in row.problem
    assert (await mailout(arrange, page))["status"] == "draft"
    await set_and_look(looker, notion, page, status="Draft")
    assert (await set_and_look(looker, notion, page, status="Send")).problem is None
    assert (await mailout(arrange, page))["status"] == "sending"


async def test_a_look_outlives_what_notion_refuses_for_a_time(
    looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, Status="Send")
    notion.revoke_token()
    await looker.store.notion_news([UUID(page)])
    await looker.work()
    assert looker.job is not None and looker.job["state"] == "waiting"
    assert "NOTION_API_TOKEN" in looker.job["error"]
    notion.heal()
    notion.fail(429, retry_after=0)
    await looker.hurry(arrange)
    assert looker.job["state"] == "waiting" and looker.job["failures"] == 0
    notion.heal()
    await looker.hurry(arrange)
    assert (await looker.row(page)).answered == 1
    assert (await mailout(arrange))["status"] == "sending"


@pytest.mark.short
async def test_properties_that_are_renamed_send_nothing_astray(
    looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    """Without its Audience a row would go to everybody, without Send at it would go now; and a
    Status that can't be read asks for nothing."""
    planned = letter(notion, **{"Name": "Later", "Status": "Send", "Send at": MORNING})
    await looker.look(planned)
    page = letter(notion, Audience=["spring"])
    await looker.look(page)
    notion.rename_property("Audience", "Who")
    row = await set_and_look(looker, notion, page, status="Send")
    assert row.problem is not None and "“Who”" in row.problem and "everybody" in row.problem
    assert (await mailout(arrange, page))["status"] == "draft"
    await set_and_look(looker, notion, page, status="Draft")
    await set_and_look(looker, notion, page, status="Send")  # a person says that it is right
    assert (await mailout(arrange, page))["recipients"] == 2

    notion.rename_property("Status", "Stage")
    row = await looker.look(planned)
    assert looker.job is not None and looker.job["state"] == "waiting"
    assert "“Status” is missing" in looker.job["error"]
    assert (row.press, (await mailout(arrange, planned))["status"]) == (1, "scheduled")
    assert await looker.poll() == 0
    assert await looker.store.notion_trouble() is not None


@pytest.mark.short
async def test_two_executors_send_each_of_two_rows_once(
    looker: Looker, dsn: str, postgres_database: PostgresDatabase, notion: NotionServer,
    arrange: Arrange,
) -> None:  # fmt: skip
    pages = [letter(notion, Name=name, Status="Send") for name in ("June", "July")]
    settings = notion_settings(dsn, notion)
    async with looking(postgres_database, settings) as other:
        for _ in range(2):
            await asyncio.gather(
                *(one.look(page) for one in (looker, other) for page in reversed(pages))
            )
    rows = [await looker.row(page) for page in pages]
    assert [(row.press, row.answered, row.problem) for row in rows] == [(1, 1, None)] * 2
    states = await arrange.sql.execute("select status, count(*) from mailouts group by 1")
    assert [tuple(row.values()) for row in await states.fetchall()] == [("sending", 2)]
    started = "select count(*) from audit_log where action = 'mailout.start'"
    assert await arrange.one(started) == 2


class TestPolling:
    @pytest.fixture(autouse=True)
    def one_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Notion tells the minute of the last edit. What the program writes into a row in another
        minute than that of its look is looked at once more."""
        started = datetime.now(UTC)

        class Standing(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return cls.fromtimestamp(started.timestamp(), tz)

        monkeypatch.setattr("app.sandbox.notion.model.records.datetime", Standing)

    async def test_without_webhooks_a_status_is_seen(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page, draft = letter(notion), letter(notion, Name="Not yet")
        assert await looker.poll() == 0
        notion.set(page, {"Status": "Send", "Send at": MORNING})
        assert await looker.poll() == 1
        assert (await mailout(arrange))["status"] == "scheduled"
        assert await looker.poll() == 0  # nothing new
        notion.set(page, Status="Draft")
        assert await looker.poll() == 1
        assert (await mailout(arrange))["status"] == "draft"
        notion.set(page, Status="Send")
        await looker.poll()
        notion.trash(page)
        assert await looker.poll() == 1
        assert (await mailout(arrange))["status"] == "draft"
        assert await looker.poll() == 0
        assert await looker.store.notion_row(UUID(draft)) is None

    async def test_what_was_sent_comes_back_only_when_it_is_touched(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        await looker.poll()
        await finish(arrange)
        notion.set(page, Delivery="Sent")
        assert await looker.poll() == 0
        notion.set(page, Status="Send test")
        assert await looker.poll() == 1
        problem = (await looker.row(page)).problem
        assert problem is not None and "already sent" in problem
        notion.set(page, Status="Draft")
        assert await looker.poll() == 1
        assert (await looker.row(page)).problem is None
        assert await looker.poll() == 0

    @pytest.mark.short
    async def test_what_could_not_even_become_a_mailout_may_be_asked_for_again(
        self, looker: Looker, notion: NotionServer
    ) -> None:
        page = letter(notion, Name="", Status="Send")
        await looker.poll()
        problem = (await looker.row(page)).problem
        assert problem is not None and "Name" in problem
        notion.set(page, Name="June", Status="Draft")
        assert await looker.poll() == 1
        assert (await looker.row(page)).problem is None
        notion.set(page, Status="Send")
        await looker.poll()
        row = await looker.row(page)
        assert (row.press, row.problem) == (2, None)

    @pytest.mark.short
    async def test_a_database_that_cannot_be_asked_is_told_once_and_asked_again(
        self, looker: Looker, notion: NotionServer
    ) -> None:
        letter(notion, Status="Send")
        notion.revoke_token()
        assert await looker.poll() == 0
        trouble = await looker.store.notion_trouble()
        assert trouble is not None and "NOTION_API_TOKEN" in trouble["trouble"]
        notion.heal()
        assert await looker.poll() == 1
        assert await looker.store.notion_trouble() is None

    @pytest.mark.short
    async def test_a_job_that_was_cancelled_leaves_an_answer(
        self, looker: Looker, notion: NotionServer
    ) -> None:
        page = letter(notion, Status="Send")
        await looker.store.notion_news([UUID(page)])
        for job in await looker.jobs.list_jobs(10, state="waiting"):
            await looker.jobs.cancel_job(UUID(job["id"]))
        assert await looker.poll() == 1  # it is seen for the first time all the same
        row = await looker.row(page)
        assert (row.answered, row.press) == (1, 1)

    async def test_names_of_the_owners_own_are_used(
        self, dsn: str, postgres_database: PostgresDatabase, notion: NotionServer, arrange: Arrange
    ) -> None:
        notion.rename_property("Status", "Zustand")
        notion.rename_property("Delivery", "Versand")
        page = notion.make_page({"Name": "June letter", "Zustand": "Send"}, TEXT)
        settings = notion_settings(
            dsn, notion, NOTION_PROPERTY_STATUS="Zustand", NOTION_PROPERTY_DELIVERY="Versand",
            NOTION_DATABASE_ID=notion.data_source_id,
        )  # fmt: skip
        async with looking(postgres_database, settings) as looker:
            assert await looker.poll() == 1
            assert (await looker.row(page)).problem is None
        assert (await mailout(arrange))["status"] == "sending"
