"""Rows of the Notion database in the store, over each way to the database."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

from app.domain.notion.row import Row
from app.ports import Database
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import Arrange

PAGE, OTHER = UUID(int=0x1F0D << 96), UUID(int=0x1F0E << 96)
KEY = {"request_key": "notion:event", "request_hash": "page"}


async def row_of(store: Store, page: UUID = PAGE) -> Row:
    row = await store.notion_row(page)
    assert row is not None
    return row


async def test_news_lead_to_a_look_and_news_during_a_look_to_another(
    store: Store, database: Database
) -> None:
    jobs = JobStore(database)
    await store.notion_news([PAGE])
    await store.notion_news([PAGE, OTHER])
    claimed = {job.payload["page"]: job for _ in range(2) if (job := await _claim(jobs))}
    assert claimed.keys() == {str(PAGE), str(OTHER)}
    assert await _claim(jobs) is None  # one job, however much the news
    look, news = claimed[str(PAGE)], (await row_of(store)).news

    await store.notion_news([PAGE])
    assert await _claim(jobs) is None  # the one that runs holds the key
    assert await store.end_notion_look(PAGE, news, look.id)  # and is told to look again
    assert not await store.end_notion_look(PAGE, news + 1, look.id)

    await store.notion_news([PAGE])  # the look is over, although its job isn't settled yet
    following = await _claim(jobs)
    assert following is not None and following.payload == {"page": str(PAGE)}


async def _claim(jobs: JobStore):  # type: ignore[no-untyped-def]
    return await jobs.claim_job(["notion_row"], 60)


async def test_of_two_who_write_a_row_one_is_told(store: Store) -> None:
    await store.notion_news([PAGE])
    read = await row_of(store)
    saved = await store.save_notion_row(read, {"status": "Send", "press": 1, "asked": "send"})
    assert saved is not None and (saved.status, saved.press, saved.asked) == ("Send", 1, "send")
    assert await store.save_notion_row(read, {"answered": 1, "problem": "late"}) is None
    assert await row_of(store) == saved


async def test_a_request_makes_one_draft_however_often_it_comes(
    store: Store, arrange: Arrange
) -> None:
    first = await store.ask_notion_row(PAGE, "June letter", calls=True, **KEY)
    again = await store.ask_notion_row(PAGE, "June letter", calls=True, **KEY)
    assert first == again and first is not None and first["status"] == "reading"
    other = await store.ask_notion_row(
        PAGE, None, calls=True, request_key="notion:other", request_hash="page"
    )
    assert other == first  # another event of the same page
    row = await row_of(store)
    assert (str(row.mailout_id), row.mailout_status) == (first["mailout_id"], "draft")
    assert (row.news, row.calls) == (2, 2)
    assert await arrange.one("select subject from mailouts") == "June letter"


async def test_requests_at_once_make_one_draft(store: Store, arrange: Arrange) -> None:
    answers = await asyncio.gather(
        *(
            store.ask_notion_row(PAGE, None, calls=False, request_key=f"e{n}", request_hash="p")
            for n in range(5)
        )
    )
    assert len({str(answer) for answer in answers}) == 1
    assert await arrange.one("select count(*) from mailouts") == 1


async def test_a_page_of_a_mailout_made_by_hand_is_left_to_it(
    store: Store, arrange: Arrange
) -> None:
    await arrange.mailout(notion_page_id=PAGE.hex)
    assert await store.ask_notion_row(PAGE, "x", calls=True, **KEY) is None
    assert await store.notion_row(PAGE) is None
    assert await store.find_send_request("notion:event") is None


async def test_a_page_that_is_none_of_ours_is_forgotten_with_its_draft(
    store: Store, arrange: Arrange
) -> None:
    await store.ask_notion_row(PAGE, "x", calls=True, **KEY)
    assert await store.forget_notion_row(PAGE)
    assert await store.notion_row(PAGE) is None
    assert await arrange.one("select count(*) from mailouts") == 0
    await store.notion_news([OTHER])
    assert not await store.forget_notion_row(OTHER)


async def test_of_two_rows_with_the_same_content_one_is_frozen(
    store: Store, arrange: Arrange
) -> None:
    for page in (PAGE, OTHER):
        await store.notion_news([page])
        await store.make_notion_mailout(page, "June letter")
    asked = {"press": 1, "asked": "send", "title": "June letter"}
    rows = [await store.save_notion_row(await row_of(store, p), asked) for p in (PAGE, OTHER)]
    frozen = {"press": 1, "hash": "h", "page": []}
    done = await asyncio.gather(
        *(store.freeze_notion_row(row, frozen, twice=False) for row in rows if row)
    )
    (kept, none), (refused, twin) = sorted(done, key=lambda one: one[0] is None)
    assert kept is not None and kept.frozen == frozen and none is None
    assert refused is None and twin is not None and twin["title"] == "June letter"
    second = await row_of(store, OTHER if kept.page_id == PAGE else PAGE)
    assert (await store.freeze_notion_row(second, frozen, twice=True))[0] is not None
    assert await store.freeze_notion_row(second, frozen, twice=True) == (None, None)


async def test_a_row_whose_job_ended_without_an_answer_gets_one(
    store: Store, database: Database
) -> None:
    jobs = JobStore(database)
    await store.notion_news([PAGE])
    assert await store.answer_forsaken_notion_rows("It failed.") == 0  # its job is open
    job = await _claim(jobs)
    assert job is not None
    assert await store.save_notion_row(await row_of(store), {"press": 1, "asked": "send"})
    await jobs.settle_job(job, "failed", error="A fault")
    assert await store.answer_forsaken_notion_rows("It failed.") == 1
    row = await row_of(store)
    assert (row.answered, row.problem, row.delivery) == (1, "It failed.", "Problem")
    assert await store.answer_forsaken_notion_rows("It failed.") == 0


async def test_looks_that_found_nothing_to_do_are_forgotten(
    database: Database, store: Store, arrange: Arrange
) -> None:
    jobs = JobStore(database)
    for result, kind in ((None, "notion_row"), ({"press": 1}, "notion_row"), (None, "import")):
        await jobs.add_job(kind, {})
        job = await jobs.claim_job([kind], 60)
        assert job is not None
        await jobs.settle_job(job, "done", result=result)
    assert await store.forget_idle_looks() == 0
    await arrange.sql.execute("update jobs set finished_at = now() - interval '1 hour'")
    assert await store.forget_idle_looks() == 1
    assert len(await jobs.list_jobs(10)) == 2


async def test_rows_that_something_may_happen_to_are_known(store: Store, arrange: Arrange) -> None:
    async def known(*pages: UUID) -> dict[str, bool]:
        return {r["page_id"]: r["open"] for r in await store.known_notion_rows(pages)}

    await store.notion_news([PAGE])
    assert await known(OTHER) == {}
    assert await known(PAGE) == {str(PAGE): False}
    await store.make_notion_mailout(PAGE, "x")
    seen = {"seen_at": "2026-11-01T00:00:00Z", "status": "Send"}
    assert await store.save_notion_row(await row_of(store), seen)
    assert await known() == {str(PAGE): True}
    await arrange.sql.execute("update mailouts set status = 'sent', sent_at = now()")
    assert await known() == {}


async def test_one_of_all_processes_looks_through_the_rows(store: Store) -> None:
    asked = await asyncio.gather(*(store.begin_notion_poll(60) for _ in range(4)))
    assert sorted(asked) == [False, False, False, True]
    assert await store.begin_notion_poll(0)


async def test_the_source_is_told_to_who_may_not_ask_notion(store: Store) -> None:
    database, source = uuid4(), uuid4()
    assert await store.notion_source("abc") is None
    await store.tell_notion_source("abc", database, source)
    assert await store.notion_source("abc") == frozenset([database, source])
    await store.tell_notion_source("abc", None, source)
    assert await store.notion_source("abc") == frozenset([source])
    assert await store.notion_source("other") is None
