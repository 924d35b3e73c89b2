"""Many events, doubled, reordered and delayed: do they end as the ordered ones do?

Two databases get the same mailout and the same events. In one each event comes once, in the order
of time, after SES's answers were recorded; in the other everything comes in any order.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson
import psycopg
import structlog
from psycopg.rows import DictRow

from app.domain.sending.batches import Batch, Result
from app.domain.ses.events import parse_ses_event, to_row
from app.services.watching.record_events import RecordEvents
from app.store import Store
from tests.soak.judge import Verdict
from tests.support.factories import Arrange, claim, living_sender, start

BATCH = 50
FRONTS = 3  # processes that take events at the same time
AT_ONCE = 600
EPOCH = datetime(2026, 11, 24, 12, tzinfo=UTC)

_TO: dict[str, Any] = {"emailAddress": "reader@example.com"}
_BOUNCE = {"bouncedRecipients": [_TO]}
HARD = {"bounce": {**_BOUNCE, "bounceType": "Permanent", "bounceSubType": "General"}}
SOFT = {"bounce": {**_BOUNCE, "bounceType": "Transient", "bounceSubType": "MailboxFull"}}
COMPLAINT = {"complaint": {"complainedRecipients": [_TO], "complaintFeedbackType": "abuse"}}
NOT_SPAM = {"complaint": {"complainedRecipients": [_TO], "complaintFeedbackType": "not-spam"}}
FATES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "read": [("Send", {}), ("Delivery", {}), ("Open", {}), ("Click", {}), ("Open", {})],
    "delayed": [("Send", {}), ("DeliveryDelay", {}), ("Delivery", {})],
    "full": [("Send", {}), ("DeliveryDelay", {}), ("Bounce", SOFT)],
    "out of office": [("Send", {}), ("Delivery", {}), ("Bounce", SOFT)],
    "hard": [("Send", {}), ("Bounce", HARD)],
    "late bounce": [("Send", {}), ("Delivery", {}), ("Bounce", HARD)],
    "complaint": [("Send", {}), ("Delivery", {}), ("Open", {}), ("Complaint", COMPLAINT)],
    "bounce and complaint": [("Send", {}), ("Bounce", HARD), ("Complaint", COMPLAINT)],
    "not spam": [("Send", {}), ("Delivery", {}), ("Complaint", NOT_SPAM)],
    "virus": [("Reject", {})],
    "rendering": [("Rendering Failure", {})],
}


@dataclass(frozen=True)
class Event:
    """One SES event of a mail. tagged: event publishing; else the older notifications."""

    sns_message_id: str
    email: str
    kind: str
    about: dict[str, Any]
    at: datetime
    tagged: bool


def drawn(dice: random.Random, count: int) -> list[Event]:
    """`count` events in the order of time; as many readers as they need."""
    events: list[Event] = []
    reader = 0
    while len(events) < count:
        reader += 1
        fate = dice.choices(list(FATES), [40, 5, 5, 5, 5, 5, 5, 2, 2, 2, 2])[0]
        started = EPOCH + timedelta(seconds=dice.uniform(0, 600))
        for step, (kind, about) in enumerate(FATES[fate][: count - len(events)]):
            events.append(
                Event(
                    sns_message_id=str(UUID(int=dice.getrandbits(128))),
                    email=f"reader{reader}@example.com",
                    kind=kind,
                    about=about,
                    at=started + timedelta(seconds=step * dice.uniform(1, 60)),
                    # Feedback notifications exist for these alone.
                    tagged=kind not in ("Delivery", "Bounce", "Complaint") or dice.random() < 0.7,
                )
            )
    return sorted(events, key=lambda event: event.at)


@dataclass(frozen=True)
class Sent:
    """A mailout in flight: its batches, claimed and not yet recorded."""

    store: Store
    mailout: UUID
    batches: list[Batch]

    def payloads(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """The rows that the endpoint would make of `events`."""
        rows = {r.email: (r.send_log_id, b.attempt_id) for b in self.batches for r in b.recipients}
        return [self._row(event, *rows[event.email]) for event in events]

    def _row(self, event: Event, send_log_id: int, attempt: UUID) -> dict[str, Any]:
        mail: dict[str, Any] = {
            "messageId": message_id(event.email),
            "destination": [event.email],
            "timestamp": event.at.isoformat(),
        }
        tags = {"mailout_id": self.mailout, "send_log_id": send_log_id, "attempt": attempt}
        if event.tagged:
            mail["tags"] = {name: [str(value)] for name, value in tags.items()}
        key: Literal["eventType", "notificationType"]
        key = "eventType" if event.tagged else "notificationType"
        payload = {key: event.kind, "mail": mail, **event.about}
        parsed = parse_ses_event(orjson.dumps(payload).decode(), published_at=event.at)
        assert parsed is not None
        return to_row(parsed, event.sns_message_id)

    async def record(self, batch: Batch) -> None:
        results = [
            Result(r.send_log_id, "sent", message_id=message_id(r.email)) for r in batch.recipients
        ]
        await self.store.record_results(batch.attempt_id, results)


def message_id(email: str) -> str:
    return f"0100-{email}"


async def in_flight(store: Store, arrange: Arrange, readers: int) -> Sent:
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    await start(store, mailout)
    sender = await living_sender(store, lease=3_600)
    batches = []
    for _ in range(-(-readers // BATCH)):
        batches.append(await claim(store, mailout, sender, BATCH))  # noqa: PERF401
    return Sent(store, mailout, batches)


async def in_order(sent: Sent, events: Sequence[Event]) -> None:
    """Answers recorded, then each event once, by time."""
    for batch in sent.batches:
        await sent.record(batch)
    rows = sent.payloads(events)
    for first in range(0, len(rows), 500):
        await sent.store.apply_ses_events(rows[first : first + 500])


async def in_disorder(sent: Sent, events: Sequence[Event], dice: random.Random) -> int:
    """Everything twice, shuffled, several fronts at once; answers recorded in between.

    Some copies have an SNS id of their own. Gives how many different SNS messages came.
    """
    rows = sent.payloads(events)
    copies = [
        row | {"sns_message_id": str(UUID(int=dice.getrandbits(128)))}
        if dice.random() < 0.1
        else row
        for row in rows
    ]
    fronts = [RecordEvents(sent.store) for _ in range(FRONTS)]
    steps: list[dict[str, Any] | Batch] = [*rows, *copies, *sent.batches]
    dice.shuffle(steps)
    todo = iter(steps)

    async def work(front: RecordEvents) -> None:
        for step in todo:
            await (sent.record(step) if isinstance(step, Batch) else front(step))

    with structlog.testing.capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(work(fronts[number % FRONTS]))
    assert {line["event"] for line in logs} == {"events_recorded"}, logs
    # An event and the record of its message id that committed side by side missed each other: the
    # sender's next round joins them.
    await sent.store.apply_parked_events()
    return len({row["sns_message_id"] for row in (*rows, *copies)})


@dataclass(frozen=True)
class Ending:
    """What a database says in the end. readers: (of the mail, of the subscriber) by address."""

    readers: dict[str, tuple[str, str]]
    events: int
    parked: int

    @classmethod
    async def read(cls, sql: psycopg.AsyncConnection[DictRow]) -> Ending:
        done = await sql.execute(
            "select l.email, l.status, s.status as subscriber from send_logs l "
            "join subscribers s on s.id = l.subscriber_id"
        )
        readers = {row["email"]: (row["status"], row["subscriber"]) async for row in done}
        arrange = Arrange(sql)
        return cls(
            readers,
            await arrange.one("select count(*) from ses_events"),
            await arrange.one("select count(*) from ses_events where parked is not null"),
        )


async def compare(
    ordered: tuple[Store, Arrange], disordered: tuple[Store, Arrange], *, seed: int, count: int
) -> Verdict:
    """Both runs over `count` events, and their verdict."""
    dice = random.Random(seed)
    events = drawn(dice, count)
    readers = len({event.email for event in events})
    first = await in_flight(*ordered, readers)
    await in_order(first, events)
    second = await in_flight(*disordered, readers)
    distinct = await in_disorder(second, events, dice)

    expected, found = await Ending.read(ordered[1].sql), await Ending.read(disordered[1].sql)
    statuses: defaultdict[str, int] = defaultdict(int)
    for status, _ in found.readers.values():
        statuses[status] += 1
    verdict = Verdict(
        {
            "run": "events",
            "seed": seed,
            "recipients": readers,
            "events, in order": count,
            "events, doubled, reordered and delayed": 2 * count,
            "recipients by status": dict(sorted(statuses.items())),
        }
    )
    differ = [email for email, state in found.readers.items() if expected.readers[email] != state]
    verdict.expect("recipients or subscribers that end otherwise", len(differ))
    verdict.expect("not every reader in both", abs(len(found.readers) - readers))
    verdict.expect("SNS messages stored twice or not at all", abs(found.events - distinct))
    verdict.expect("events never applied", expected.parked + found.parked)
    return verdict
