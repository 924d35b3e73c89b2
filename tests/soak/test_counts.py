"""Everybody at once on one database, for some seconds: claims, results, events before, beside and
after them, people who leave, and one who pauses. Afterwards nobody was accepted twice, and each
count that is kept says what the rows say."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.domain.sending.batches import Batch, Idle, Outcome, Result
from app.store import Store
from tests.support.factories import REGION, Arrange, claim_mailout, living_sender
from tests.support.waiting import eventually

READERS = 4_000
OUTCOMES: dict[Outcome, int] = {"sent": 90, "failed": 1, "retry": 3, "requeue": 3, "unknown": 3}
# What may be said of a mail, and whether it takes the reader off the list.
EVENTS = {
    ("send", None): None,
    ("delivery", None): None,
    ("bounce", "Transient"): None,
    ("bounce", "Permanent"): "bounced",
    ("complaint", None): "complained",
}
EVENT_WEIGHTS = (10, 80, 5, 5, 3)

Told = tuple[UUID, list[Result]]

# Kept counts beside the rows; each row of an answer is one that is wrong.
WRONG = {
    "recipients by status": """
        select mailout_id, status, sum(n) from (
            select mailout_id, status, recipients as n from recipient_counts
            union all select mailout_id, status, -1 from send_logs) x
         group by 1, 2 having sum(n) <> 0""",
    "subscribers by status": """
        select status, sum(n) from (
            select status, subscribers as n from subscriber_counts
            union all select status, -1 from subscribers) x
         group by 1 having sum(n) <> 0""",
    "accepted by route": """
        select mailout_id, sum(n) from (
            select mailout_id, accepted as n from route_counts
            union all select mailout_id, -1 from send_logs where is_accepted(status)) x
         group by 1 having sum(n) <> 0""",
    "accepted by ten seconds": """
        select mailout_id, sum(n) from (
            select mailout_id, accepted as n from accepted_counts
            union all select mailout_id, -accepted from send_batches) x
         group by 1 having sum(n) <> 0""",
    "what the guards judge by": """
        select mailout_id, sum(o), sum(b), sum(c) from (
            select mailout_id, outcomes as o, bounces as b, complaints as c from guard_figures
            union all select mailout_id, -has_outcome(l)::int, -counts_as_bounce(l)::int,
                             -counts_as_complaint(l)::int from send_logs l) x
         group by 1 having (sum(o), sum(b), sum(c)) <> (0, 0, 0)""",
    "attempts that are still open": "select attempt_id from send_batches where recorded_at is null",
    "events that wait for their row": "select id from ses_events where parked is not null",
    "recipients who still wait": """
        select id from send_logs where status in ('queued', 'sending')""",
}


class Crowd:
    def __init__(self, stores: list[Store], arrange: Arrange, dice: random.Random) -> None:
        self.stores, self.arrange, self.dice = stores, arrange, dice
        self.mailouts: list[UUID] = []
        self.senders: list[UUID] = []
        self.in_flight: list[Batch] = []
        self.told: list[Told] = []
        self.mailout_of: dict[int, UUID] = {}
        self.accepted = Counter[int]()
        self.over = False

    @property
    def store(self) -> Store:
        return self.dice.choice(self.stores)

    async def begin(self) -> None:
        await self.arrange.subscribers(READERS)
        self.senders = [await living_sender(store, lease=3_600) for store in self.stores]
        for _ in range(3):
            self.mailouts.append(await self.arrange.mailout())
            assert (await claim_mailout(self.store, self.mailouts[-1])).outcome == "claimed"

    async def again_and_again(self, act: Callable[[], Awaitable[object]], pause: float) -> None:
        while not self.over:
            if not await act():
                await asyncio.sleep(pause)

    # What each of them does; true: at once again

    async def queue(self) -> bool:
        done = [(await self.store.queue_recipients(each, 300))[1] for each in self.mailouts]
        return not all(done)

    async def claim(self) -> bool:
        number, mailout = self.dice.randrange(len(self.stores)), self.dice.choice(self.mailouts)
        found = await self.stores[number].claim_batches(
            mailout,
            self.senders[number],
            attempts=[uuid4() for _ in range(8)],
            region=REGION,
            limit=self.dice.choice([5, 50]),
        )
        if isinstance(found, Idle):
            if found.reason == "empty":
                await self.store.finish_mailout(mailout)
            return False
        self.in_flight += found
        for batch in found:
            self.mailout_of |= dict.fromkeys((r.send_log_id for r in batch.recipients), mailout)
        return True

    async def record(self) -> bool:
        if not self.in_flight:
            return False
        self.dice.shuffle(self.in_flight)
        size = self.dice.randint(1, 12)
        group, self.in_flight = self.in_flight[:size], self.in_flight[size:]
        if self.dice.random() < 0.05:
            await self.store.release_batches([batch.attempt_id for batch in group])
            return True
        told = [self._results(batch) for batch in group]
        ways: list[Callable[[], Awaitable[object]]] = [
            lambda: self.store.record_batches(told),
            lambda: self._apply_events(told),
        ]
        match self.dice.choice(["beside", "before", "after", "after", "twice"]):
            case "beside":
                await asyncio.gather(*(way() for way in ways))
            case "before":
                await ways[1]()
                await ways[0]()
            case "after":
                await ways[0]()
            case "twice":
                await ways[0]()
                await ways[0]()
        self.told += told
        return True

    def _results(self, batch: Batch) -> Told:
        results = []
        for recipient in batch.recipients:
            [outcome] = self.dice.choices(list(OUTCOMES), list(OUTCOMES.values()))
            message_id = f"0100-{batch.attempt_id}-{recipient.send_log_id}"
            results.append(
                Result(
                    recipient.send_log_id, outcome, message_id if outcome == "sent" else None,
                    delay=0.05 if outcome == "retry" else 0.0,
                )
            )  # fmt: skip
            self.accepted[recipient.send_log_id] += outcome == "sent"
        return batch.attempt_id, results

    async def events(self) -> bool:
        if self.told:
            await self._apply_events([self.dice.choice(self.told)])
        return bool(self.told)

    async def _apply_events(self, told: list[Told]) -> None:
        """About half of them, in any order, some doubled."""
        events = [
            self._event(attempt, result)
            for attempt, results in told
            for result in results
            if result.outcome == "sent" and self.dice.random() < 0.5
        ]
        self.dice.shuffle(events)
        for first in range(0, len(events), 100):
            group = events[first : first + 100]
            await self.store.apply_ses_events(group + group[:3])

    def _event(self, attempt: UUID, result: Result) -> dict[str, Any]:
        [(kind, bounce)] = self.dice.choices(list(EVENTS), EVENT_WEIGHTS)
        event: dict[str, Any] = {
            "sns_message_id": str(uuid4()),
            "type": kind,
            "message_id": result.message_id,
            "occurred_at": "2026-11-24T12:00:00+00:00",
            "bounce_type": bounce,
            "suppresses": EVENTS[kind, bounce],
            "payload": {},
        }
        if self.dice.random() < 0.8:  # the others are as the older notifications, without tags
            event |= {
                "mailout_id": str(self.mailout_of[result.send_log_id]),
                "send_log_id": str(result.send_log_id),
                "attempt": str(attempt),
            }
        return event

    async def leave(self) -> None:
        email = f"reader{self.dice.randint(1, READERS)}@example.com"
        reader = await self.store.find_subscriber(email=email)
        assert reader is not None
        await self.store.unsubscribe(UUID(reader["id"]), self.dice.choice(self.mailouts))

    async def pause(self) -> None:
        mailout = self.dice.choice(self.mailouts)
        await self.store.pause_mailout(mailout, "person", "wait")
        await asyncio.sleep(0.05)
        await self.store.resume_mailout(mailout)

    async def look_around(self) -> None:
        await self.store.apply_parked_events()
        await self.store.sender_work()
        assert await self.store.recover_lost(self.senders[0]) == 0

    async def all_over(self) -> bool:
        ended = "select count(*) from mailouts where status = 'sent'"
        return not self.in_flight and await self.arrange.one(ended) == len(self.mailouts)


@pytest.fixture
async def stores(dsn: str) -> AsyncIterator[list[Store]]:
    databases = [PostgresDatabase(dsn) for _ in range(3)]
    yield [Store(database) for database in databases]
    for database in databases:
        await database.close()


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(1, marks=pytest.mark.short),
        *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 12)),
    ],
)
async def test_whatever_happens_at_once_the_counts_say_what_the_rows_say(
    stores: list[Store], arrange: Arrange, seed: int
) -> None:
    crowd = Crowd(stores, arrange, random.Random(seed))
    await crowd.begin()
    everybody = [
        (crowd.queue, 0.01), *[(crowd.claim, 0.01)] * 3, *[(crowd.record, 0.01)] * 4,
        *[(crowd.events, 0.01)] * 2, (crowd.leave, 0.02), (crowd.pause, 0.2),
        (crowd.look_around, 0.1),
    ]  # fmt: skip
    async with asyncio.TaskGroup() as group:
        for act, pause in everybody:
            group.create_task(crowd.again_and_again(act, pause))
        await eventually(crowd.all_over, until=bool, seconds=100)
        crowd.over = True
    await stores[0].apply_parked_events()
    assert max(crowd.accepted.values()) == 1
    wrong = {}
    for what, query in WRONG.items():
        done = await arrange.sql.execute(query.encode())
        if rows := await done.fetchall():
            wrong[what] = rows[:3]
    assert not wrong
