"""A mailout's start: who may claim it, with what content, and who is queued."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from app.store import Store
from tests.support.factories import (
    Arrange,
    claim_mailout,
    start,
)


async def test_of_two_simultaneous_claims_one_wins(store: Store, arrange: Arrange) -> None:
    """A mailout is claimed once, whoever asks."""
    await arrange.subscriber()
    mailout = await arrange.mailout()
    found = await store.find_mailout(mailout)
    assert found is not None
    claims = await asyncio.gather(
        *(
            store.claim_mailout(mailout, found.content_hash, request_key=None, request_hash=None)
            for _ in range(8)
        )
    )
    assert sorted(c.outcome for c in claims) == ["claimed"] + ["not_ready"] * 7


async def test_an_edit_between_compiling_and_claiming_claims_nothing(
    store: Store, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    found = await store.find_mailout(mailout)
    assert found is not None
    await arrange.sql.execute("update mailouts set subject = 'Edited' where id = %s", [mailout])
    late = await store.claim_mailout(
        mailout, found.content_hash, request_key=None, request_hash=None
    )
    assert late.outcome == "changed"
    assert await arrange.one("select status from mailouts where id = %s", mailout) == "ready"


async def test_an_edit_after_the_start_is_not_sent(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await start(store, mailout)
    await arrange.sql.execute("update mailouts set subject = 'Edited' where id = %s", [mailout])
    content, _ = await store.snapshot_content(mailout)
    assert content.subject == "Hello"


async def test_equal_requests_that_race_get_the_same_answer(store: Store, arrange: Arrange) -> None:
    """A repeat is answered as before, also when it comes while the first is under way."""
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    found = await store.find_mailout(mailout)
    assert found is not None
    claims = await asyncio.gather(
        *(
            store.claim_mailout(mailout, found.content_hash, request_key="k", request_hash="b")
            for _ in range(5)
        )
    )
    assert sorted(c.outcome for c in claims) == ["claimed"] + ["repeat"] * 4
    assert {c.response["recipients"] for c in claims if c.response} == {3}
    other = await store.claim_mailout(
        mailout, found.content_hash, request_key="k", request_hash="other"
    )
    assert other.outcome == "key_reused"


async def test_a_notion_page_is_found_with_dashes_or_without(
    store: Store, arrange: Arrange
) -> None:
    page = uuid4()
    with_dashes = await arrange.mailout(notion_page_id=str(page).upper())
    found = await store.find_mailout(notion_page=page.hex)
    assert found is not None
    assert found.id == with_dashes


async def test_queueing_takes_the_active_in_slices_once(store: Store, arrange: Arrange) -> None:
    """Who is not active gets no row; a slice asked for twice adds nobody twice."""
    await arrange.subscribers(25)
    for status in ("unsubscribed", "bounced", "complained"):
        await arrange.subscriber(status=status)
    mailout = await arrange.mailout()
    claimed = await claim_mailout(store, mailout)
    assert claimed.response is not None
    assert claimed.response["recipients"] == 25
    rounds = [await store.queue_recipients(mailout, 10) for _ in range(4)]
    assert [done for _, done in rounds] == [False, False, True, True]
    assert await arrange.counts(mailout) == {"queued": 25}


async def test_an_audience_by_tag(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber("a@example.com", tags=["news", "x"])
    await arrange.subscriber("b@example.com", tags=["other"])
    await arrange.subscriber("c@example.com")
    mailout = await arrange.mailout(audience={"tags": ["news"]})
    await start(store, mailout)
    assert await arrange.one("select email from send_logs") == "a@example.com"
    assert await arrange.counts(mailout) == {"queued": 1}


async def test_who_joins_after_the_start_is_not_mailed(store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(2)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    await arrange.subscriber("late@example.com")
    await store.queue_recipients(mailout, 100)
    assert await arrange.counts(mailout) == {"queued": 2}


async def test_who_leaves_before_their_slice_is_skipped_and_accounted_for(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where email = 'reader1@example.com'"
    )
    await store.queue_recipients(mailout, 100)
    assert await arrange.counts(mailout) == {"queued": 2, "skipped": 1}


async def test_the_first_recipients_are_of_the_audience_and_active(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscriber("a@example.com", tags=["vip"], fields={"n": "1"})
    await arrange.subscriber("b@example.com", tags=["vip"], status="bounced")
    await arrange.subscriber("c@example.com", tags=["other"])
    await arrange.subscriber("d@example.com", tags=["vip"])
    mailout = await arrange.mailout(audience={"tags": ["vip"]})
    rows = await store.first_recipients(mailout, 10)
    assert {row["email"] for row in rows} == {"a@example.com", "d@example.com"}
    assert {row["email"]: row["fields"] for row in rows}["a@example.com"] == {"n": "1"}
    assert len(await store.first_recipients(mailout, 1)) == 1
    everybody = await arrange.mailout()
    assert len(await store.first_recipients(everybody, 10)) == 3
