"""Writing and listing mailouts, the same on each way to the database."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.mailouts import Edited
from app.errors import MailoutNotFound, NotionPageTaken
from app.store import Store
from tests.support.factories import Arrange

LETTER: dict[str, Any] = {
    "subject": "June", "preheader": "Soon", "body_html": "<p>Hi</p>", "from_name": "Ann",
    "audience": {"tags": ["a"]}, "canary": {"share": 0.1, "wait": "5m"}, "tracking": True,
}  # fmt: skip
NOWHERE = UUID(int=7)


async def test_what_is_written_is_read(store: Store) -> None:
    made = await store.add_mailout(LETTER, by="owner")
    assert made.version == 1
    shown = await store.show_mailout(made.id)
    assert shown | LETTER == shown
    assert (shown["status"], shown["version"], shown["body_text"]) == ("draft", 1, None)
    edited = await store.edit_mailout(
        made.id, 1, {"preheader": None, "audience": None, "subject": "July"}, by="owner"
    )
    assert edited == Edited(True, "draft", 2)
    shown = await store.show_mailout(made.id)
    assert (shown["preheader"], shown["audience"], shown["subject"]) == (None, None, "July")
    assert (shown["from_name"], shown["canary"]) == ("Ann", LETTER["canary"])
    assert await store.edit_mailout(made.id, 1, {"subject": "x"}) == Edited(False, "draft", 2)
    assert await store.edit_mailout(made.id, 2, {"subject": "July"}) == Edited(True, "draft", 2)


async def test_of_many_edits_of_one_version_one_is_written(store: Store) -> None:
    made = await store.add_mailout(LETTER)
    edits = await asyncio.gather(
        *(store.edit_mailout(made.id, 1, {"subject": f"By {n}"}) for n in range(8))
    )
    assert sorted(edit.changed for edit in edits) == [*[False] * 7, True]
    assert {edit.version for edit in edits} == {2}
    winner = next(n for n, edit in enumerate(edits) if edit.changed)
    assert (await store.show_mailout(made.id))["subject"] == f"By {winner}"


async def test_of_two_mailouts_for_one_page_the_second_is_refused(store: Store) -> None:
    """Also when both come at once."""
    page = uuid4()
    columns = [LETTER | {"notion_page_id": text} for text in (str(page), page.hex)]
    made = await asyncio.gather(*map(store.add_mailout, columns), return_exceptions=True)
    [taken] = [one for one in made if isinstance(one, NotionPageTaken)]
    [first] = [one for one in made if not isinstance(one, BaseException)]
    assert taken.extra["mailout_id"] == str(first.id)
    other = await store.add_mailout(LETTER)
    with pytest.raises(NotionPageTaken, match=str(first.id)):
        await store.edit_mailout(other.id, 1, columns[0])


async def test_a_release_and_a_deletion_hold_for_the_version_that_was_read(store: Store) -> None:
    made = (await store.add_mailout(LETTER)).id
    await store.edit_mailout(made, 1, {"subject": "x"})
    assert not (await store.release_mailout(made, 1)).changed
    assert not (await store.delete_mailout(made, 1)).changed
    assert (await store.release_mailout(made, 2)).status == "ready"
    assert not (await store.delete_mailout(made)).changed
    assert not (await store.unready_mailout(made, 2)).changed
    back = await store.unready_mailout(made, 3, reason="Nobody is in it.")
    assert (back.changed, back.status, back.status_reason) == (True, "draft", "Nobody is in it.")
    copy = await store.duplicate_mailout(made)
    assert (await store.delete_mailout(made)).changed
    shown = await store.show_mailout(copy)
    assert shown | LETTER | {"subject": "x"} == shown


async def test_what_is_not_there_is_said(store: Store) -> None:
    for call in (
        store.edit_mailout(NOWHERE, 1, {"subject": "x"}),
        store.release_mailout(NOWHERE),
        store.unready_mailout(NOWHERE),
        store.duplicate_mailout(NOWHERE),
        store.delete_mailout(NOWHERE),
    ):
        with pytest.raises(MailoutNotFound):
            await call


async def test_lists_and_recipients(store: Store, arrange: Arrange) -> None:
    assert await store.sample_reader() is None
    await arrange.subscriber(status="bounced", name="Gone")
    ann = await arrange.subscriber("ann@example.com", name="Ann", fields={"n": 1})
    assert await store.sample_reader() == {"name": "Ann", "fields": {"n": 1}}
    made = [(await store.add_mailout(LETTER | {"subject": f"No. {n}"})).id for n in range(3)]
    rows = await store.list_mailouts(2, wanted={"q": "no.", "statuses": ["draft", "sent"]})
    assert [row["id"] for row in rows] == [str(made[2]), str(made[1])]
    before = (rows[-1]["created_at"], rows[-1]["id"])
    rest = await store.list_mailouts(2, status="draft", before=before)
    assert [row["id"] for row in rest] == [str(made[0])]
    mailout = made[0]
    for person, email, status in (
        (ann, "ann@example.com", "delivered"),
        (uuid4(), "bob@example.com", "bounced"),
        (uuid4(), "eve@example.com", "bounced"),
    ):
        await arrange._insert(
            "send_logs",
            {"mailout_id": mailout, "subscriber_id": person, "email": email, "status": status},
        )
    found, after = [], None
    while True:
        page, after = await store.recipients_page(
            mailout, 1, reach=1, statuses=["bounced"], after=after
        )
        found += [row["email"] for row in page]
        if after is None:
            break
    assert sorted(found) == ["bob@example.com", "eve@example.com"]
    [row], onward = await store.recipients_page(mailout, 5, reach=10, q="ANN@example.com")
    assert (row["name"], row["status"], onward) == ("Ann", "delivered", None)
