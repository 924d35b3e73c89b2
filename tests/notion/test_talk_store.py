"""What the database keeps of the talk by comments, and what it knows of who is asked about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.mailouts import Transition
from app.domain.notion.events import Event
from app.store import Store
from tests.support.factories import Arrange, claim_mailout, start, started_mailout


async def row(arrange: Arrange, mailout: UUID | None = None, **columns: Any) -> UUID:
    page = uuid4()
    await arrange.sql.execute(
        "insert into notion_rows (page_id, mailout_id) values (%s, %s)", [page, mailout]
    )
    for name, value in columns.items():
        await arrange.sql.execute(
            f"update notion_rows set {name} = {value} where page_id = %s".encode(), [page]
        )
    return page


async def test_a_comment_is_answered_by_one_and_once(store: Store) -> None:
    comment, page = uuid4(), uuid4()
    assert await store.open_notion_comments([comment]) == {comment}
    begun = await store.begin_notion_comment(comment, page, "status", 60)
    assert begun == {"tries": 1, "answer_hash": None}
    assert await store.begin_notion_comment(comment, page, "status", 60) is None
    assert await store.open_notion_comments([comment]) == {comment}
    await store.settle_notion_comment(comment, "answered")
    assert await store.open_notion_comments([comment]) == set()
    assert await store.begin_notion_comment(comment, page, "status", 60) is None


async def test_who_died_while_answering_is_followed(store: Store) -> None:
    """Whoever follows learns what may stand in the thread already."""
    comment, page = uuid4(), uuid4()
    await store.begin_notion_comment(comment, page, "status", -1)
    await store.note_notion_answer(comment, "hash")
    assert await store.begin_notion_comment(comment, page, "status", 60) == {
        "tries": 2,
        "answer_hash": "hash",
    }
    await store.settle_notion_comment(comment, None)  # Notion was away: at once
    again = await store.begin_notion_comment(comment, page, "status", 60)
    assert again and again["tries"] == 3


async def test_a_comment_acts_once_though_it_is_read_twice(store: Store, arrange: Arrange) -> None:
    """Whoever follows a dead process mustn't undo what happened since."""
    mailout = await started_mailout(store, arrange, 3)
    comment = uuid4()
    await store.begin_notion_comment(comment, uuid4(), "pause", 60)
    paused = await store.act_on_notion_comment(comment, "pause", mailout, "notion Ann")
    assert paused == Transition(True, "paused", "Paused by a person.")
    await store.resume_mailout(mailout, by="dashboard")
    assert await store.act_on_notion_comment(comment, "pause", mailout, "notion Ann") == paused
    assert (await store.mailout_headline(mailout))["status"] == "sending"
    assert (await arrange.one("select by from audit_log where action = 'mailout.pause'")) == (
        "notion Ann"
    )


async def test_an_event_is_taken_once(store: Store, arrange: Arrange) -> None:
    page, comment, database, bot = (uuid4() for _ in range(4))
    await store.tell_notion_integration(bot, [database])
    told = Event("e1", "page.created", "look", page, None, None, frozenset({database}), None)
    assert await store.take_notion_event(told, None) == "look"
    assert await store.take_notion_event(told, None) == "copy"
    talk = Event("e2", "comment.created", "talk", page, page, comment, frozenset(), None)
    assert await store.take_notion_event(talk, None) == "talk"
    assert await store.take_notion_event(replace(talk, id="e3", bots=(bot,)), None) == "own"
    away = replace(told, id="e4", page=uuid4(), places=frozenset({uuid4()}))
    assert await store.take_notion_event(away, database) == "elsewhere"
    assert await store.take_notion_event(away, next(iter(away.places))) == "look"
    kinds = await arrange.one("select array_agg(kind order by kind) from jobs")
    assert kinds == ["notion_row", "notion_row", "notion_talk"]


async def test_rows_take_turns(direct_store: Store, arrange: Arrange) -> None:
    """Those under way first; those that nobody has to do with never."""
    sending = await row(arrange, await started_mailout(direct_store, arrange, 1))
    draft = await row(arrange, await arrange.mailout("draft"))
    await row(arrange, changed_at="now() - interval '2 days'")
    await row(arrange, gone_at="now()")
    assert await direct_store.claim_notion_talks(1, 60) == [sending]
    assert await direct_store.claim_notion_talks(10, 60) == [draft]
    assert await direct_store.claim_notion_talks(10, 60) == []
    assert set(await direct_store.claim_notion_talks(10, 0)) == {sending, draft}


async def test_where_events_come_rows_are_looked_at_less(
    direct_store: Store, arrange: Arrange
) -> None:
    page = await row(arrange)
    looked = "update notion_talks set looked_at = now() - interval '90 seconds'"
    await direct_store.claim_notion_talks(10, 60)
    await arrange.sql.execute(looked.encode())
    assert await direct_store.claim_notion_talks(10, 60) == [page]
    await arrange.sql.execute(looked.encode())
    await arrange.sql.execute("insert into notion_events (id, type) values ('e', 'page.created')")
    assert await direct_store.claim_notion_talks(10, 60) == []


async def test_why_somebody_in_the_mailout(store: Store, arrange: Arrange) -> None:
    """By any spelling, and before they are queued, too."""
    ann = await arrange.subscriber("ann@example.com", created_at="2020-01-01")
    mailout = await arrange.mailout()
    before = await store.notion_why(mailout, "Ann@Example.com")
    assert (before["mail"], before["fits"], before["started_at"]) == (None, True, None)
    await start(store, mailout)
    found = await store.notion_why(mailout, "Ann@Example.com")
    assert found["subscriber"]["email"] == "ann@example.com"
    assert (found["mail"]["status"], found["queued"]) == ("queued", True)
    await arrange.sql.execute("update send_logs set is_test = true where subscriber_id = %s", [ann])
    assert (await store.notion_why(mailout, "ann@example.com"))["mail"] is None


async def test_why_somebody_is_not_in_it(direct_store: Store, arrange: Arrange) -> None:
    await arrange.subscriber("in@example.com", tags=["vip"], created_at="2020-01-01")
    await arrange.subscriber("out@example.com", tags=["new"], created_at="2020-01-01")
    mailout = await arrange.mailout(audience={"tags": ["vip"]})
    await start(direct_store, mailout)
    out = await direct_store.notion_why(mailout, "out@example.com")
    assert (out["mail"], out["fits"], out["subscriber"]["status"]) == (None, False, "active")
    await arrange.sql.execute("update subscribers set tags = '{vip}'")
    back = await direct_store.notion_why(mailout, "out@example.com")
    assert (back["fits"], back["then"]) == (True, {"status": "active", "fits": False})
    nobody = await direct_store.notion_why(mailout, "nobody@example.com")
    assert (nobody["subscriber"], nobody["erased"], nobody["fits"]) == (None, False, None)
    await direct_store.erase_subscriber("out@example.com", "owner")
    erased = await direct_store.notion_why(mailout, "OUT@example.com")
    assert (erased["subscriber"], erased["erased"]) == (None, True)


async def test_why_while_the_queue_is_being_filled(direct_store: Store, arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com", created_at="2020-01-01")
    mailout = await arrange.mailout()
    await claim_mailout(direct_store, mailout)
    found = await direct_store.notion_why(mailout, "ann@example.com")
    assert (found["mail"], found["fits"], found["queued"]) == (None, True, False)


@pytest.mark.parametrize("first", [True, False])
async def test_what_notion_says_to_comments_is_known(store: Store, first: bool) -> None:
    """Also before the first round has introduced us."""
    if not first:
        await store.tell_notion_integration(uuid4(), [uuid4()])
    await store.note_notion_comments(None)
    await store.note_notion_comments("Tick “Read comments”.")
    known = await store.notion_webhook()
    assert known["comments_refused"] == "Tick “Read comments”."
    assert known["refused_at"] is not None
    await store.note_notion_comments(None)
    known = await store.notion_webhook()
    assert (known["comments_refused"], known["refused_at"]) == (None, None)
