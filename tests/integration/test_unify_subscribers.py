"""A database from before there were addresses is upgraded: one mailbox, one subscriber, and nothing
that was recorded is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from app.adapters.database.migration_files import Bundle, read_bundle
from app.adapters.database.migrations import migrate, print_script
from app.adapters.database.postgres import PostgresDatabase
from app.domain.sending.batches import Idle
from app.store import Store
from tests.support.databases import DatabaseServer
from tests.support.factories import (
    Arrange,
    all_sent,
    claim,
    living_sender,
    try_claim,
)

Sql = psycopg.AsyncConnection[DictRow]

# Of one mailbox: the old schema compared `lower(email)` and took all of them.
SPELLINGS = (
    "Ann@exämple.de",
    "ann@xn--exmple-cua.de",
    "ann@ex\u200bämple.de",
    "ann@exämple.de\u00ad",
)


def first_release() -> Bundle:
    """The tables as they were first, without functions, which any upgrade replaces."""
    bundle = read_bundle()
    [tables] = [file for file in bundle.numbered if file.name.startswith("0001_")]
    return replace(bundle, numbered=(tables,), functions=(), version=1)


@pytest.fixture
async def old(empty_dsn: str) -> AsyncIterator[Arrange]:
    """A database of the first release."""
    await migrate(empty_dsn, first_release())
    connection = await psycopg.AsyncConnection.connect(
        empty_dsn, autocommit=True, row_factory=dict_row
    )
    async with connection:
        yield Arrange(connection)


@pytest.fixture
async def upgraded(empty_dsn: str) -> AsyncIterator[Store]:
    """The program on that database; a test migrates it when it has put its rows."""
    database = PostgresDatabase(empty_dsn)
    yield Store(database)
    await database.close()


async def ledger(old: Arrange, mailout: UUID, subscriber: UUID, status: str, **columns: Any) -> int:
    row = {"mailout_id": mailout, "subscriber_id": subscriber, "email": "x@y.z", "status": status}
    await old._insert("send_logs", row | columns)
    number: int = await old.one("select max(id) from send_logs")
    return number


async def rows(old: Arrange, query: str, *values: Any) -> list[dict[str, Any]]:
    return list(await (await old.sql.execute(query.encode(), values)).fetchall())


async def four_of_one_mailbox(old: Arrange, **last: Any) -> list[UUID]:
    """The oldest first."""
    return [
        await old.subscriber(
            spelling,
            created_at=f"2025-0{number + 1}-01",
            updated_at=f"2025-0{number + 1}-01",
            **(last if number == 3 else {}),
        )
        for number, spelling in enumerate(SPELLINGS)
    ]


@pytest.mark.parametrize("pasted", [False, True], ids=["migrate", "pasted"])
async def test_spellings_of_a_mailbox_become_one_subscriber(
    empty_dsn: str, old: Arrange, pasted: bool
) -> None:
    """The oldest stays, with the tags and fields of all, and with the later word on each field."""
    ann = await old.subscriber(
        SPELLINGS[0],
        created_at="2025-01-01",
        updated_at="2025-06-01",
        name="Ann",
        tags=["a", "b"],
        fields={"city": "Ulm", "x": 1},
    )
    other = await old.subscriber(
        SPELLINGS[1],
        created_at="2025-02-01",
        updated_at="2025-03-01",
        name="Anna",
        tags=["b", "c"],
        timezone="Europe/Berlin",
        fields={"city": "Bonn", "y": 2},
    )
    bob = await old.subscriber("Bob@Example.com", updated_at="2025-01-01")
    if pasted:
        for _ in range(2):
            await old.sql.execute(print_script().encode())
        assert await migrate(empty_dsn) == []
    else:
        await migrate(empty_dsn)
    [left, bobs] = await rows(old, "select * from subscribers order by address")
    assert (left["id"], left["email"]) == (ann, "Ann@exämple.de")
    assert left["address"] == "ann@xn--exmple-cua.de"
    assert left["name"] == "Ann"
    assert left["timezone"] == "Europe/Berlin"
    assert sorted(left["tags"]) == ["a", "b", "c"]
    assert left["fields"] == {"city": "Ulm", "x": 1, "y": 2}
    assert left["created_at"].year == 2025
    assert (bobs["id"], bobs["address"]) == (bob, "bob@example.com")
    assert bobs["updated_at"].year == 2025, "an address is no change of the subscriber"
    [alias] = await rows(old, "select * from subscriber_aliases")
    assert (alias["id"], alias["subscriber_id"]) == (other, ann)
    assert (alias["was"]["email"], alias["was"]["fields"]["city"]) == (SPELLINGS[1], "Bonn")


async def test_what_the_migration_fills_is_what_the_trigger_would(
    empty_dsn: str, old: Arrange
) -> None:
    """It fills the plain ones by an expression of its own."""
    emails = [
        *("A.B+c@X-y.Example", "a.-b@x.de", "-a-@x.de", "o'brien@x.co.uk", "#!$%&*@x.de", "a@b.c"),
        *(
            "a@x-.de",
            "a@-x.de",
            "a@x..de",
            ".a@x.de",
            "a.@x.de",
            "a@x",
            "a@1.2",
            "a@x.de-",
            "@x.de",
        ),
        *("A" * 64 + "@x.de", "a" * 65 + "@x.de", "a@" + "x" * 63 + ".de", "a@" + "x" * 64 + ".de"),
        *("a@" + "x" * 59 + ".de", " a1@x.de", "a2@x.de\t", "ü@x.de", "a3@ü.de", "a4@x.de\u200b"),
    ]
    for email in emails:
        await old.subscriber(email)
    await migrate(empty_dsn)
    there = await rows(
        old, "select email, address, canonical_address(email) as is from subscribers"
    )
    assert len(there) == len(emails)
    assert [row for row in there if row["address"] != row["is"]] == []


async def test_a_turkish_database_had_two_of_one(postgres_server: DatabaseServer) -> None:
    """There lower('INFO') isn't info, so the old schema took both."""
    with postgres_server.turkish_database() as name:
        dsn = postgres_server.dsn(name)
        await migrate(dsn, first_release())
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row
        ) as sql:
            turkish = Arrange(sql)
            await turkish.subscriber("INFO@example.com", status="unsubscribed")
            await turkish.subscriber("info@example.com")
            await turkish.subscriber("ann@example.com")
            await migrate(dsn)
            left = await rows(turkish, "select address, status from subscribers order by 1")
    assert [(row["address"], row["status"]) for row in left] == [
        ("ann@example.com", "active"),
        ("info@example.com", "unsubscribed"),
    ]


@pytest.mark.short
@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("statuses", "left"),
    [
        (("active", "unsubscribed"), "unsubscribed"),
        (("unsubscribed", "active"), "unsubscribed"),
        (("bounced", "unsubscribed"), "unsubscribed"),
        (("unsubscribed", "bounced"), "unsubscribed"),
        (("bounced", "active"), "bounced"),
        (("active", "bounced", "complained", "unsubscribed"), "complained"),
        (("active", "active"), "active"),
    ],
)
async def test_the_strictest_status_wins(
    empty_dsn: str, old: Arrange, statuses: tuple[str, ...], left: str
) -> None:
    """Whoever left by one spelling gets nothing by another."""
    for spelling, status in zip(SPELLINGS, statuses, strict=False):
        await old.subscriber(
            spelling,
            status=status,
            bounce_type="Permanent" if status == "bounced" else None,
        )
    await migrate(empty_dsn)
    [row] = await rows(old, "select status, bounce_type from subscribers")
    assert row["status"] == left
    if left == "bounced":
        assert row["bounce_type"] == "Permanent"


@pytest.mark.short
async def test_links_of_merged_subscribers_still_unsubscribe(
    empty_dsn: str, old: Arrange, upgraded: Store
) -> None:
    """They are signed with the old id; the one who is left is unsubscribed, once."""
    four = await four_of_one_mailbox(old)
    mailout = await old.mailout("sent", started_at="2025-07-01")
    for subscriber in four[:2]:
        await ledger(old, mailout, subscriber, "sent")
    await migrate(empty_dsn)
    found = await upgraded.find_subscriber(four[3])
    assert found is not None
    assert found["id"] == str(four[0])
    for subscriber in four[1:3]:
        done = await upgraded.unsubscribe(subscriber, mailout)
        assert done is not None
        assert (done["email"], done["status"]) == (SPELLINGS[0], "unsubscribed")
    marked = await rows(
        old, "select subscriber_id from send_logs where unsubscribed_at is not null"
    )
    assert {row["subscriber_id"] for row in marked} == {four[1], four[0]}


@pytest.mark.short
async def test_the_ledger_is_kept_and_points_to_who_is_left(
    empty_dsn: str, old: Arrange, upgraded: Store
) -> None:
    """Of a mailout that reached both, the one that says more is theirs; no row is lost."""
    first, second, third, _ = await four_of_one_mailbox(old)
    only_second = await old.mailout("sent", started_at="2025-07-01")
    both = await old.mailout("sent", started_at="2025-07-02")
    three = await old.mailout("sent", started_at="2025-07-03")
    alone = await ledger(old, only_second, second, "delivered")
    skipped = await ledger(old, both, first, "skipped")
    delivered = await ledger(old, both, second, "delivered", message_id="m1")
    numbers = [await ledger(old, three, who, "sent") for who in (first, second, third)]
    await migrate(empty_dsn)
    owners = {
        row["id"]: row["subscriber_id"]
        for row in await rows(old, "select id, subscriber_id from send_logs")
    }
    assert owners == {
        alone: first,
        skipped: second,
        delivered: first,
        **dict(zip(numbers, (first, second, third), strict=True)),
    }
    event = {
        "sns_message_id": "s1",
        "type": "complaint",
        "message_id": "m1",
        "suppresses": "complained",
        "payload": {},
        "occurred_at": "2025-07-03T00:00:00Z",
    }
    await upgraded.apply_ses_events([event])
    assert await old.one("select status from subscribers") == "complained"
    # Also by the row that kept the id of one who was merged.
    await old.bring_back_everybody()
    await old.sql.execute("update send_logs set message_id = 'm2' where id = %s", [numbers[2]])
    await upgraded.apply_ses_events([event | {"sns_message_id": "s2", "message_id": "m2"}])
    assert await old.one("select status from subscribers") == "complained"
    shown = await upgraded.list_recipients(three, UUID(int=0), 10)
    assert len(shown) == 3


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("there", "left"),
    [
        (("queued", "queued"), ["queued", "skipped"]),
        (("sent", "queued"), ["sent", "skipped"]),
        (("queued", "sent"), ["sent", "skipped"]),
        (("unknown", "queued"), ["skipped", "unknown"]),
        (("failed", "queued"), ["failed", "queued"]),
        (("skipped", "queued"), ["queued", "skipped"]),
    ],
)
async def test_a_running_mailout_reaches_the_mailbox_once(
    empty_dsn: str, old: Arrange, upgraded: Store, there: tuple[str, ...], left: list[str]
) -> None:
    """Those who wait by two spellings get one mail; those who had it get no second."""
    four = await four_of_one_mailbox(old)
    mailout = await old.mailout("sending", started_at="2025-07-01")
    await old.sql.execute(
        "insert into mailout_queues (mailout_id, done_at) values (%s, now())", [mailout]
    )
    for subscriber, status in zip(four, there, strict=False):
        await ledger(old, mailout, subscriber, status)
    await migrate(empty_dsn)
    now = await rows(old, "select status, error_code, subscriber_id from send_logs order by status")
    assert [row["status"] for row in now] == left
    sender = await living_sender(upgraded)
    batch = await try_claim(upgraded, mailout, sender)
    if "queued" in left:
        assert not isinstance(batch, Idle)
        assert [r.subscriber_id for r in batch.recipients] == [four[0].bytes]
        await upgraded.record_results(batch.attempt_id, all_sent(batch))
    assert isinstance(await try_claim(upgraded, mailout, sender), Idle)


@pytest.mark.short
async def test_a_mailout_being_queued_reaches_whom_the_merge_brings_in(
    empty_dsn: str, old: Arrange, upgraded: Store
) -> None:
    """The tag came from a row that the queue hadn't come to, the id from one that it had passed."""
    low, high = UUID(int=1), UUID(int=2)
    await old.subscriber(SPELLINGS[0], id=low, created_at="2025-01-01")
    await old.subscriber(SPELLINGS[1], id=high, created_at="2025-02-01", tags=["news"])
    mailout = await old.mailout("sending", started_at="2025-07-01", audience={"tags": ["news"]})
    await old.sql.execute(
        "insert into mailout_queues (mailout_id, cursor) values (%s, %s)", [mailout, low]
    )
    await migrate(empty_dsn)
    assert (await upgraded.queue_recipients(mailout, 100))[1]
    batch = await claim(upgraded, mailout, await living_sender(upgraded))
    assert [r.subscriber_id for r in batch.recipients] == [low.bytes]


@pytest.mark.short
async def test_who_cannot_be_mailed_is_kept_named_and_failed_in_each_mailout(
    empty_dsn: str, old: Arrange, upgraded: Store
) -> None:
    """The upgrade goes through, nobody is lost, and each statement says why."""
    await old.subscriber("good@example.com")
    for email in ("ann at example.com", "zoë@example.com", "x@a\u30fbb.example"):
        await old.subscriber(email)
    await migrate(empty_dsn)
    unusable = await rows(old, "select * from unusable_addresses()")
    assert [row["email"] for row in unusable] == [
        "ann at example.com",
        "x@a\u30fbb.example",
        "zoë@example.com",
    ]
    assert unusable[0]["problem"] == "it needs a name, an @ and a domain"
    assert "write it in ASCII" in unusable[1]["problem"]
    assert len((await upgraded.subscribers_page({}, 10)).items) == 4
    found = await upgraded.find_subscriber(email="zoë@example.com")
    assert found is not None
    assert found["address"] is None

    mailout = await old.mailout()
    content = await upgraded.find_mailout(mailout)
    assert content is not None
    await upgraded.claim_mailout(mailout, content.content_hash, request_key=None, request_hash=None)
    await upgraded.queue_recipients(mailout, 100)
    sender = await living_sender(upgraded)
    batch = await claim(upgraded, mailout, sender)
    assert [r.email for r in batch.recipients] == ["good@example.com"]
    await upgraded.record_results(batch.attempt_id, all_sent(batch))
    assert await old.counts(mailout) == {"sent": 1, "failed": 3}
    failed = await rows(
        old, "select error_code, error_message from send_logs where status = 'failed'"
    )
    assert {row["error_code"] for row in failed} == {"invalid_address"}
    assert all(row["error_message"].startswith("The address can't be mailed: ") for row in failed)
    # A person's resend doesn't get past it either, whatever the program makes of the text.
    await upgraded.resend_mailout(mailout, ["failed"], force=True)
    again = await try_claim(upgraded, mailout, sender)
    assert isinstance(again, Idle)
    assert await old.counts(mailout) == {"sent": 1, "skipped": 3}

    await old.sql.execute(
        "update subscribers set email = 'ann@example.com' where email like 'ann at%'"
    )
    assert await old.one("select count(*) from unusable_addresses()") == 2


@pytest.mark.short
async def test_a_later_upgrade_takes_in_what_it_can_read(
    empty_dsn: str, old: Arrange, upgraded: Store
) -> None:
    """Rows that were put aside are looked at with each new set of functions."""
    await migrate(empty_dsn)
    ann = await old.subscriber("ann@example.com")
    late = await old.unusable_subscriber("ANN@example.com", status="unsubscribed")
    assert await old.one("select unify_subscribers()") == {"read": 0, "merged": 1, "unusable": 0}
    [row] = await rows(old, "select id, status from subscribers")
    assert (row["id"], row["status"]) == (ann, "unsubscribed")
    found = await upgraded.find_subscriber(late)
    assert found is not None
    assert found["id"] == str(ann)


@pytest.mark.short
async def test_a_merged_subscriber_who_is_merged_again_is_still_found(
    empty_dsn: str, old: Arrange, upgraded: Store
) -> None:
    await migrate(empty_dsn)
    a, b, c = [await old.subscriber(f"{name}@example.com") for name in "abc"]
    await old.sql.execute("select merge_subscribers(%s, %s)", [a, b])
    await old.sql.execute("select merge_subscribers(%s, %s)", [b, c])
    for subscriber in (a, b, c):
        found = await upgraded.find_subscriber(subscriber)
        assert found is not None
        assert found["id"] == str(c)
    await old.sql.execute("delete from subscribers")
    assert await upgraded.unsubscribe(a, None) is None
    assert await old.one("select count(*) from subscriber_aliases") == 0
