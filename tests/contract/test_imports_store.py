"""Imports over each way to the database: what a row does, that nothing is done twice, and undo."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.errors import Unavailable
from app.ports import Database
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import Arrange
from tests.support.imports import add, begun, counts, imported, shown, taken_back
from tests.support.waiting import eventually


@pytest.fixture
def jobs(database: Database) -> JobStore:
    return JobStore(database)


async def person(arrange: Arrange, email: str) -> dict[str, Any] | None:
    done = await arrange.sql.execute(
        "select name, status, bounce_type, tags, fields, timezone from subscribers "
        "where address = canonical_address(%s)",
        [email],
    )
    return await done.fetchone()


async def test_upsert_adds_and_takes_nothing_away(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    await arrange.subscriber(
        "Ann@example.com", name="Ann", tags=["old"], fields={"city": "Rom", "vip": True}
    )
    await arrange.subscriber("same@example.com", name="Same")
    done = await imported(
        store,
        jobs,
        {"email": "ann@EXAMPLE.com", "tags": ["b"], "fields": {"age": "9", "vip": "true"}},
        {
            "email": "bob@example.com", "name": "Bob", "tags": ["b", "all"],
            "timezone": "Asia/Tokyo", "created_at": "2099-01-01T00:00:00+00:00",
        },
        {"email": "same@example.com", "name": "Same", "tags": ["all"]},
        tags=["all"],
    )  # fmt: skip
    assert (done["state"], counts(done)) == ("done", {"added": 1, "updated": 2})
    assert await person(arrange, "ann@example.com") == {
        "name": "Ann", "status": "active", "bounce_type": None, "tags": ["old", "b", "all"],
        "fields": {"city": "Rom", "vip": True, "age": "9"}, "timezone": None,
    }  # fmt: skip
    bob = await person(arrange, "bob@example.com")
    assert bob is not None
    assert (sorted(bob["tags"]), bob["timezone"]) == (["all", "b"], "Asia/Tokyo")
    consent = await arrange.one("select consent from subscribers where email = 'bob@example.com'")
    assert consent == {
        "source": "import", "import_id": done["id"], "at": "2099-01-01T00:00:00+00:00",
    }  # fmt: skip
    # Somebody from the future would be in no mailout of today.
    assert await arrange.one("select bool_and(created_at <= now()) from subscribers")
    again = await imported(store, jobs, {"email": "bob@example.com", "name": "Bob"})
    assert counts(again) == {"unchanged": 1}


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("mode", "became", "count"),
    [
        ("upsert", ("New", "unsubscribed", ["t"]), "lowered"),
        ("insert", (None, "unsubscribed", []), "lowered"),
        ("skip", (None, "active", []), "unchanged"),
    ],
)
async def test_what_each_mode_does_to_people_who_are_known(
    store: Store, jobs: JobStore, arrange: Arrange, mode: str, became: tuple[Any, ...], count: str
) -> None:
    await arrange.subscriber("ann@example.com")
    row = {"email": "ann@example.com", "name": "New", "tags": ["t"], "status": "unsubscribed"}
    other = {"email": "new@example.com", "status": "bounced"}
    done = await imported(store, jobs, row, other, mode=mode)
    found = await person(arrange, "ann@example.com")
    assert found is not None
    assert (found["name"], found["status"], found["tags"]) == became
    assert counts(done) == {count: 1, "added": 1}
    new = await person(arrange, "new@example.com")
    assert new is not None
    assert (new["status"], new["bounce_type"]) == ("bounced", "Permanent")


async def test_a_row_that_comes_again_counts_only_by_a_stricter_status(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    await arrange.subscriber("known@example.com")
    done = await imported(
        store,
        jobs,
        {"email": "ann@example.com", "name": "Ann"},
        repeated=[
            {"email": "ANN@example.com", "status": "unsubscribed"},
            {"email": "ann@example.com", "status": "active"},
            {"email": "known@example.com", "status": "complained"},
        ],
        mode="skip",
    )
    assert counts(done) == {"added": 1, "repeated": 3}
    ann = await person(arrange, "ann@example.com")
    known = await person(arrange, "known@example.com")
    assert ann is not None
    assert known is not None
    assert (ann["name"], ann["status"], known["status"]) == ("Ann", "unsubscribed", "active")


async def test_a_dry_run_counts_the_same_and_changes_nothing(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", tags=["old"])
    rows: list[dict[str, Any]] = [
        {"email": "ann@example.com", "tags": ["new"]},
        {"email": "bob@example.com", "status": "pending"},
    ]
    refused = [{"line": 9, "reason": "no address", "cells": ["", "x"]}]
    tried = await imported(store, jobs, *rows, refused=refused, dry_run=True)
    assert counts(tried) == {"added": 1, "updated": 1, "refused": 1}
    assert [(row["kind"], row["email"], row["tags"]) for row in tried["preview"]] == [
        ("updated", "ann@example.com", ["old", "new"]),
        ("added", "bob@example.com", []),
    ]
    assert await arrange.one("select count(*) from subscribers") == 1
    ann = await person(arrange, "ann@example.com")
    assert ann is not None
    assert ann["tags"] == ["old"]
    # Done for good afterwards, with the file that is still there.
    started = await store.start_import(UUID(tried["id"]), by="owner", dry_run=False)
    assert started is not None
    job = await jobs.claim_job(["import"], 60)
    assert job is not None
    await add(store, UUID(tried["id"]), job, rows, refused=refused)
    await store.end_import(UUID(tried["id"]))
    done = await shown(store, UUID(tried["id"]))
    assert counts(done) == counts(tried)
    assert (done["preview"], done["has_file"]) == ([], False)
    assert await store.list_import_refusals(UUID(tried["id"]), -1, 9) == (None, refused)


async def test_the_same_rows_are_never_done_twice_or_by_one_who_lost_the_job(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    import_id, job = await begun(store, jobs)
    rows = [{"email": f"a{n}@example.com"} for n in range(3)]
    assert await add(store, import_id, job, rows) == 3
    assert await add(store, import_id, job, rows) == 3  # the answer was lost, so it asks again
    await arrange.sql.execute("update jobs set lease_until = now() - interval '1 second'")
    other = await jobs.claim_job(["import"], 60)
    assert other is not None
    more = [{"email": "b@example.com"}]
    assert await add(store, import_id, job, more, done=3) is None
    assert await add(store, import_id, other, more, done=3) == 4
    assert counts(await shown(store, import_id)) == {"added": 4}
    assert await jobs.cancel_job(job.id)
    assert await add(store, import_id, other, [{"email": "c@example.com"}], done=4) is None
    assert (await shown(store, import_id))["state"] == "failed"


async def test_rows_count_only_behind_the_rows_before(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    """Two chunks are written side by side; the first is held up by somebody else's transaction."""
    await arrange.subscriber("a0@example.com")
    import_id, job = await begun(store, jobs, tags=["t"])
    first, second = (
        [{"email": f"{letter}{n}@example.com"} for n in range(3)] for letter in ("a", "b")
    )
    with pytest.raises(Unavailable):
        await add(store, import_id, job, second, done=3, before=0)  # nobody writes the first
    assert await arrange.one("select count(*) from subscribers") == 1

    waiting = "select count(*) from pg_locks where not granted and pid <> pg_backend_pid()"
    async with arrange.sql.transaction():
        await arrange.sql.execute("select from subscribers where address like 'a0%' for update")
        earlier = asyncio.create_task(add(store, import_id, job, first))
        await eventually(lambda: arrange.one(waiting), until=lambda found: found == 1)
        later = asyncio.create_task(add(store, import_id, job, second, done=3, before=0))
        await eventually(lambda: arrange.one(waiting), until=lambda found: found == 2)
    assert (await earlier, await later) == (3, 6)
    assert counts(await shown(store, import_id)) == {"added": 5, "updated": 1}


async def test_imports_at_once_are_harmless(store: Store, jobs: JobStore, arrange: Arrange) -> None:
    rows = [{"email": f"a{n}@example.com", "tags": ["t"]} for n in range(40)]
    ours = [await begun(store, jobs) for _ in range(3)]
    await asyncio.gather(
        *(
            add(store, *one, order)
            for one, order in zip(ours, (rows, rows[::-1], rows[20:]), strict=True)
        )
    )
    found = [counts(await shown(store, import_id)) for import_id, _ in ours]
    assert sum(one.get("added", 0) for one in found) == 40
    assert sum(one.get("unchanged", 0) for one in found) == 60


async def test_erased_people_stay_erased_and_nothing_of_their_row_is_kept(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    await arrange.sql.execute(
        "insert into erased (address_hash) values (erased_hash('gone@example.com'))"
    )
    rows = [{"email": "Gone@example.com", "name": "G"}, {"email": "ann@example.com"}]
    tried = await imported(store, jobs, *rows, dry_run=True)
    done = await imported(store, jobs, *rows)
    assert counts(done) == counts(tried) == {"added": 1, "refused": 1}
    assert await person(arrange, "gone@example.com") is None
    _, [refused] = await store.list_import_refusals(UUID(done["id"]), -1, 9)
    assert (refused["line"], refused["cells"]) == (2, None)
    assert "erased" in refused["reason"]


async def test_beside_an_erased_person_who_signs_up_again_the_others_are_added(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    """Until they confirm, they are known and erased at once."""
    await arrange.sql.execute("select set_config('amazonsender.signed_up', 'on', false)")
    await arrange.subscriber("back@example.com", status="pending")
    await arrange.sql.execute(
        "insert into erased (address_hash) values (erased_hash('back@example.com'))"
    )
    rows = [{"email": "back@example.com"}, {"email": "new@example.com"}]
    tried = await imported(store, jobs, *rows, dry_run=True)
    done = await imported(store, jobs, *rows)
    assert counts(done) == counts(tried) == {"added": 1, "unchanged": 1}
    back, new = await person(arrange, "back@example.com"), await person(arrange, "new@example.com")
    assert back is not None
    assert new is not None
    assert (back["status"], new["status"]) == ("pending", "active")


async def test_somebody_whose_email_the_database_could_not_read_is_found_again(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    left = await arrange.unusable_subscriber("ann@éxämple.test", status="unsubscribed")
    twice = await arrange.unusable_subscriber("bob@ñandú.test", status="complained")
    kept = await arrange.subscriber("bob@xn--and-6ma2c.test")
    rows = await store.unread_emails(None, 9)
    assert {row["id"] for row in rows} == {str(left), str(twice)}
    await store.settle_email(str(left), "ann@éxämple.test", "ann@xn--xmple-gra7a.test")
    await store.settle_email(str(twice), "bob@ñandú.test", "bob@xn--and-6ma2c.test")
    await store.settle_email(str(left), "ann@éxämple.test", "other@example.com")  # it has changed
    done = await imported(store, jobs, {"email": "ann@xn--xmple-gra7a.test"})
    assert counts(done) == {"unchanged": 1}
    statuses = await arrange.sql.execute("select id, status from subscribers")
    assert {row["id"]: row["status"] async for row in statuses} == {
        left: "unsubscribed", kept: "complained",
    }  # fmt: skip


async def test_an_import_is_taken_back(store: Store, jobs: JobStore, arrange: Arrange) -> None:
    for n, status in enumerate(["active", "bounced"]):
        await arrange.subscriber(
            f"known{n}@example.com", status=status, name="Old", tags=["a"], fields={"city": "Rom"},
            bounce_type="Permanent" if status == "bounced" else None,
        )  # fmt: skip
    before = [await person(arrange, f"known{n}@example.com") for n in range(2)]
    done = await imported(
        store,
        jobs,
        *(
            {
                "email": f"known{n}@example.com", "name": "New", "tags": ["b"], "timezone": "UTC",
                "fields": {"city": "Bari", "age": "9"}, "status": "unsubscribed",
            }
            for n in range(2)
        ),
        *({"email": f"new{n}@example.com"} for n in range(5)),
        repeated=[{"email": "new0@example.com", "status": "unsubscribed"}],
    )  # fmt: skip
    assert counts(done) == {"added": 5, "lowered": 2, "repeated": 1}
    undo = await taken_back(store, jobs, done["id"])
    assert (undo["deleted"], undo["restored"], undo["left"]) == (5, 2, {})
    assert [await person(arrange, f"known{n}@example.com") for n in range(2)] == before
    assert await arrange.one("select count(*) from subscribers") == 2
    assert await store.begin_undo_import(UUID(done["id"]), "owner") is None
    by = await arrange.one(
        "select array_agg(distinct by) from subscriber_changes where reason = 'import taken back'"
    )
    assert by == ["owner"]
    acts = await arrange.one("select array_agg(action order by id) from audit_log")
    assert acts == ["import.start", "import.undo"]


async def test_what_happened_since_stays(store: Store, jobs: JobStore, arrange: Arrange) -> None:
    _, clicked, _ = [
        await arrange.subscriber(f"{name}@example.com", name="Old", tags=["a"])
        for name in ("lowered", "clicked", "edited")
    ]
    done = await imported(
        store,
        jobs,
        {"email": "lowered@example.com", "status": "unsubscribed"},
        {"email": "clicked@example.com", "status": "unsubscribed", "name": "New"},
        {"email": "edited@example.com", "name": "New", "tags": ["b"], "fields": {"x": "1"}},
        *({"email": f"{name}@example.com"} for name in ("mailed", "left", "renamed", "nothing")),
    )
    mailout = await arrange.mailout(status="sending")
    await arrange.sql.execute("update mailouts set started_at = now() where id = %s", [mailout])
    ids = {
        name: await arrange.one(
            "select id from subscribers where email = %s", f"{name}@example.com"
        )
        for name in ("mailed", "left")
    }
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) "
        "select %s, id, email, 'sent' from subscribers where id = any(%s)",
        [mailout, [clicked, ids["mailed"]]],
    )
    await store.unsubscribe(clicked, mailout)  # as low already: only the ledger tells
    await store.unsubscribe(ids["left"], None)
    await arrange.sql.execute(
        "update subscribers set name = 'Mine', fields = '{\"x\": \"2\"}' "
        "where email in ('edited@example.com', 'renamed@example.com')"
    )
    undo = await taken_back(store, jobs, done["id"])
    assert (undo["deleted"], undo["restored"]) == (1, 3)
    assert undo["left"] == {"mailed": 1, "changed": 3, "left": 1}
    people = {row["email"].partition("@")[0]: row["why"] for row in undo["people"]}
    assert people == {
        "mailed": "mailed", "left": "changed", "renamed": "changed", "edited": "changed",
        "clicked": "left",
    }  # fmt: skip
    rows = await arrange.sql.execute(
        "select split_part(email, '@', 1) as name, status, name as called, tags, fields "
        "from subscribers"
    )
    found = {row.pop("name"): tuple(row.values()) async for row in rows}
    assert found == {
        "lowered": ("active", "Old", ["a"], {}),
        "clicked": ("unsubscribed", "Old", ["a"], {}),
        "edited": ("active", "Mine", ["a"], {"x": "2"}),
        "mailed": ("active", None, [], {}),
        "left": ("unsubscribed", None, [], {}),
        "renamed": ("active", "Mine", [], {"x": "2"}),
    }


async def test_a_question_keeps_the_file_until_it_is_answered(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    import_id, job = await begun(store, jobs)
    await store.note_import(import_id, {"preset": "Ghost", "encoding": "UTF-8", "delimiter": ";"})
    await store.end_import(import_id, question=[{"column": "Left", "text": "Who left?"}])
    await jobs.settle_job(job, "done")
    asked = await shown(store, import_id)
    assert (asked["state"], asked["preset"], asked["has_file"]) == ("question", "Ghost", True)
    assert asked["question"][0]["column"] == "Left"
    assert await store.begin_undo_import(import_id, "owner") is None
    answered = await store.start_import(import_id, by="owner", mapping={"Left": "ignored"})
    assert answered is not None
    assert (answered["state"], answered["map"]) == ("running", {"Left": "ignored"})
    order = await store.import_order(import_id)
    assert order is not None
    assert (order["mapping"], order["rows"]) == ({"Left": "ignored"}, 0)
    assert await store.start_import(import_id, by="owner") is None
    assert await store.start_import(uuid4(), by="owner") is None


async def test_the_list_is_newest_first_and_without_uploads_under_way(
    store: Store, jobs: JobStore
) -> None:
    ids = [(await imported(store, jobs, {"email": f"a{n}@example.com"}))["id"] for n in range(3)]
    await store.begin_import(
        by="cli", mode="skip", dry_run=False, tags=[], mapping={}, file_name=None
    )
    page = await store.list_imports(2)
    assert [one["id"] for one in page] == ids[:0:-1]
    rest = await store.list_imports(2, before=(page[-1]["created_at"], page[-1]["id"]))
    assert [one["id"] for one in rest] == ids[:1]


async def test_what_nobody_needs_any_more_is_dropped(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    tried = await imported(
        store, jobs, refused=[{"line": 2, "reason": "no address", "cells": []}], dry_run=True
    )
    assert tried["has_file"]
    left = await store.begin_import(
        by="cli", mode="skip", dry_run=False, tags=[], mapping={}, file_name=None
    )
    await store.store_import_chunk(left, 0, b"packed", 6)
    await arrange.sql.execute(
        "update imports set created_at = now() - interval '31 days', "
        "finished_at = finished_at - interval '31 days'"
    )
    await store.keep_house()  # whether or not anybody uploads again
    assert await store.show_import(left) is None
    assert not (await shown(store, UUID(tried["id"])))["has_file"]
    assert (await store.list_import_refusals(UUID(tried["id"]), -1, 9))[1] == []
    assert await arrange.one("select count(*) from import_chunks") == 0


async def test_who_is_erased_is_named_by_no_import(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    await imported(store, jobs, {"email": "ann@example.com"}, dry_run=True)
    refused = [{"line": 9, "reason": "there are more cells", "cells": ["Ann@example.com", "x"]}]
    done = await imported(store, jobs, {"email": "ann@example.com"}, refused=refused)
    await arrange.sql.execute("update subscribers set name = 'Ann'")
    assert (await taken_back(store, jobs, done["id"]))["left"] == {"changed": 1}
    await arrange.sql.execute("select erase_subscriber('ann@example.com', 'owner')")
    for table in ("imports", "import_refusals"):
        found = f"select count(*) from {table} t where lower(t::text) like '%%ann@example.com%%'"
        assert await arrange.one(found) == 0, table


async def test_who_is_imported_while_a_mailout_is_being_queued_is_not_in_it(
    store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    """Though the file has an older date: it goes to those who were there when it started."""
    await arrange.subscriber("ann@example.com", created_at="2020-01-01")
    mailout = await store.find_mailout(await arrange.mailout())
    assert mailout is not None
    await store.claim_mailout(mailout.id, mailout.content_hash, request_key=None, request_hash=None)
    await imported(
        store, jobs, {"email": "bob@example.com", "created_at": "2020-01-01T00:00:00+00:00"}
    )
    while not (await store.queue_recipients(mailout.id, 1_000))[1]:
        pass
    assert await arrange.counts(mailout.id) == {"queued": 1}
    await imported(
        store, jobs, {"email": "eve@example.com", "created_at": "2020-01-01T00:00:00+00:00"}
    )
    year = "select extract(year from created_at)::int from subscribers where email = %s"
    assert await arrange.one(year, "eve@example.com") == 2020
