"""People go on writing while a row is read, change the types of properties, and press twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from app.sandbox.notion.server import NotionServer
from tests.notion.support_rows import Looker
from tests.notion.test_rows import MORNING, finish, letter, mailout, set_and_look
from tests.support.factories import Arrange

pytestmark = pytest.mark.usefixtures("readers")


def after_the_first_reading(looker: Looker, act: Callable[[], Awaitable[Any]]) -> None:
    """Has `act` happen when the page was read for the first time."""
    read = looker.looks.answers.read
    readings: list[UUID] = []

    async def slowly(page_id: UUID) -> Any:
        content = await read(page_id)
        readings.append(page_id)
        if len(readings) == 1:
            await act()
        return content

    looker.slow_down(slowly)


class TestWhileItIsRead:
    @pytest.mark.short
    async def test_other_readers_are_the_ones_who_get_it(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")

        async def correct() -> None:
            notion.set(page, {"Audience": ["spring"]})

        after_the_first_reading(looker, correct)
        row = await looker.look(page)
        made = await mailout(arrange)
        assert (made["status"], made["recipients"], row.problem) == ("sending", 1, None)
        assert made["audience"] == {"tags": ["spring"]}

    async def test_what_was_taken_back_and_corrected_goes_as_it_is_then(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")

        async def correct() -> None:
            notion.set(page, Status="Draft")
            notion.edit_block(notion.blocks(page)[1]["id"], "it is July.")
            notion.set(page, Status="Send")

        after_the_first_reading(looker, correct)
        row = await looker.look(page)
        made = await mailout(arrange)
        assert (made["status"], row.answered, row.problem) == ("sending", row.press, None)
        assert "July" in made["body_markdown"] and "June" not in made["body_markdown"]

    async def test_what_is_written_in_the_dashboard_isnt_sent_in_its_place(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        freeze, edits = looker.store.freeze_notion_row, ["Something else"]

        async def edited(*args: Any, **more: Any) -> Any:
            if edits:
                await arrange.sql.execute("update mailouts set body_markdown = %s", [edits.pop()])
            return await freeze(*args, **more)

        looker.store.freeze_notion_row = edited  # type: ignore[method-assign]
        await looker.look(page)
        made = await mailout(arrange)
        assert made["status"] == "sending" and "it is June." in made["body_markdown"]

    @pytest.mark.few_variants(1)
    @pytest.mark.parametrize("at", ["reading", "start"])
    async def test_who_starts_it_by_the_api_meanwhile_is_contradicted_by_nobody(
        self, looker: Looker, notion: NotionServer, arrange: Arrange, at: str
    ) -> None:
        page = letter(notion, Status="Send")
        release = looker.store.release_mailout

        async def start() -> None:
            await arrange.sql.execute("update mailouts set status = 'sending', started_at = now()")

        async def released(*args: Any, **more: Any) -> Any:
            moved = await release(*args, **more)
            await start()
            return moved

        if at == "reading":
            after_the_first_reading(looker, start)
        else:
            looker.store.release_mailout = released  # type: ignore[method-assign]
        row = await looker.look(page)
        assert (row.answered, row.problem, row.delivery) == (1, None, None)
        assert (await mailout(arrange))["status"] == "sending"

    @pytest.mark.short
    async def test_who_goes_on_writing_doesnt_keep_it_from_being_sent(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")
        read, words = looker.looks.answers.read, iter(range(100))

        async def slowly(page_id: UUID) -> Any:
            content = await read(page_id)
            notion.edit_block(notion.blocks(page)[1]["id"], f"it is day {next(words)}.")
            return content

        looker.slow_down(slowly)
        row = await looker.look(page)
        assert (row.answered, row.problem) == (1, None)
        assert (await mailout(arrange))["status"] == "sending" and next(words) < 10

    async def test_a_page_whose_blocks_notion_denies_is_refused(
        self, looker: Looker, notion: NotionServer
    ) -> None:
        page = letter(notion, Status="Send")
        notion.fail(404, path="children")
        row = await looker.look(page)
        assert row.problem is not None and "Notion" in row.problem
        assert (row.answered, row.delivery) == (1, "Problem")

    async def test_a_draft_that_is_deleted_isnt_sent(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        page = letter(notion, Status="Send")

        async def delete() -> None:
            await arrange.sql.execute("delete from mailouts")

        after_the_first_reading(looker, delete)
        row = await looker.look(page)
        assert row.problem is not None and "was deleted" in row.problem
        assert (row.answered, row.mailout) == (1, None)

    @pytest.mark.short
    async def test_a_button_pressed_twice_confirms_nothing_that_nobody_has_read(
        self, looker: Looker, notion: NotionServer, arrange: Arrange
    ) -> None:
        await looker.look(letter(notion, Status="Send"))
        await finish(arrange)
        await arrange.subscribers(300)
        page = letter(notion, Name="July letter")

        async def press() -> None:
            await looker.store.ask_notion_row(UUID(page), "July letter", calls=True)

        after_the_first_reading(looker, press)
        await press()
        await looker.work()
        row = await looker.row(page)
        assert row.problem is not None and "302 people instead of 2" in row.problem
        assert (await mailout(arrange, page))["status"] == "draft"
        await press()  # having read it
        await looker.work()
        assert (await mailout(arrange, page))["status"] == "sending"


@pytest.mark.short
async def test_a_copy_that_notion_named_so_asks_first(
    looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, Status="Send")
    copy = notion.duplicate(page)
    notion.set(copy, Name="June letter (1)")
    for one in (page, copy):
        await looker.look(one)
    row = await looker.row(copy)
    assert row.problem is not None and "very same text" in row.problem
    assert (await mailout(arrange, copy))["status"] == "draft"


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("name", "kind", "value", "without"),
    [
        ("Audience", "rich_text", "spring", "everybody"),
        ("Audience", "checkbox", True, "everybody"),
        ("Send at", "rich_text", "tomorrow", "at once"),
        ("Time zone", "multi_select", ["Recipient's"], "TIMEZONE"),
    ],
)
async def test_a_property_of_another_type_sends_nothing_astray(
    looker: Looker, notion: NotionServer, arrange: Arrange,
    name: str, kind: str, value: Any, without: str,
) -> None:  # fmt: skip
    page = letter(notion)
    notion.change_schema({name: None})
    notion.change_schema({name: {kind: {}}})
    notion.set(page, {name: value, "Status": "Send"})
    row = await looker.look(page)
    assert row.problem is not None and f"“{name}”" in row.problem and without in row.problem
    assert (await mailout(arrange))["status"] == "draft"


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("Preheader", "number", 3), ("Preheader", "checkbox", True), ("Time zone", "number", None)],
)
async def test_a_property_that_says_nothing_readable_is_none(
    looker: Looker, notion: NotionServer, arrange: Arrange, name: str, kind: str, value: Any
) -> None:
    page = letter(notion)
    notion.change_schema({name: None})
    notion.change_schema({name: {kind: {}}})
    notion.set(page, {name: value, "Send at": MORNING, "Status": "Send"})
    row = await looker.look(page)
    assert (row.answered, row.problem) == (1, None)
    assert (await mailout(arrange))["status"] == "scheduled"


async def test_a_status_of_another_type_is_told_and_asks_for_nothing(
    looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    page = letter(notion, **{"Status": "Send", "Send at": MORNING})
    await looker.look(page)
    notion.change_schema({"Status": None})
    notion.change_schema({"Status": {"multi_select": {}}})
    notion.set(page, Status=["Send"])
    await looker.look(page)
    assert looker.job is not None and looker.job["failures"] == 0
    assert "“Status”" in looker.job["error"] and "multi_select" in looker.job["error"]
    assert (await mailout(arrange))["status"] == "scheduled"
    assert await looker.poll() == 0
    trouble = await looker.store.notion_trouble()
    assert trouble is not None and "is no select" in trouble["trouble"]


async def test_whatever_stands_in_a_row_is_answered(
    looker: Looker, notion: NotionServer, arrange: Arrange
) -> None:
    for properties, said in (
        ({"Name": "June\0 letter"}, None),
        ({"Name": "June\r\nBcc: eve@example.com"}, None),
        ({"Name": "x" * 1200}, "1,200 characters"),
        ({"Audience": ["spring\0"]}, "NUL"),
        ({"Send at": "9999-12-31T23:30:00.000-05:00"}, "Send at can't be read"),
        ({"Send at": "9000-12-31T23:30:00.000+00:00"}, "more than a year ahead"),
    ):
        page = letter(notion, f"For {next(iter(properties.values()))[:20]!r}", **properties)
        row = await set_and_look(looker, notion, page, status="Send")
        assert (row.press, row.answered) == (1, 1), properties
        assert (row.problem is None) if said is None else (said in (row.problem or "")), row.problem
    subjects = await arrange.sql.execute("select subject from mailouts where status = 'sending'")
    assert {each["subject"] for each in await subjects.fetchall()} == {
        "June letter", "June Bcc: eve@example.com"
    }  # fmt: skip


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("zone", [None, "europe/berlin", "Recipient's"])
async def test_a_schedule_that_nobody_changed_isnt_called_changed(
    looker: Looker, notion: NotionServer, arrange: Arrange, zone: str | None
) -> None:
    page = letter(notion, **{"Status": "Send", "Send at": MORNING, "Time zone": zone})
    for _ in range(2):
        row = await looker.look(page)
        assert "Changed" not in (row.note or "") and row.problem is None
    assert (await mailout(arrange))["status"] == "scheduled"


@pytest.mark.short
async def test_a_status_that_was_just_set_is_seen_among_more_rows_than_a_query_gives(
    looker: Looker, notion: NotionServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sandbox.notion.model.query.MAX_ROWS", 3)
    page = letter(notion, Name="The oldest row")
    for number in range(4):
        letter(notion, Name="", Status="Send", Preheader=str(number))
    await looker.poll()
    notion.set(page, Status="Send")
    await looker.poll()
    assert (await mailout(arrange, page))["status"] == "sending"
