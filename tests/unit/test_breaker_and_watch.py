"""The breaker, the question for the account and the careful batch: what each may tell the others.

Only an answer of SES to a mail closes the breaker. An answer to GetAccount ends a spell early, if
that question had gone unanswered, too: else it says nothing new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.content.render import Compiled
from app.domain.mailouts import MailoutContent
from app.domain.sending.backoff import Breaker
from app.domain.sending.batches import Account, Batch, Recipient, Result
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, Envelope, Mail
from app.domain.states import MailoutStatus
from app.errors import DatabaseUnavailable, TemplateInvalid, Unavailable
from app.running.stopping import Stopping
from app.services.sending.account import AccountMonitor
from app.services.sending.pausing import Pausing
from app.services.sending.send_batch import SendBatch
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.support.factories import REGION, an_account
from tests.support.service import settings_for

CONTENT = MailoutContent("Hi", None, "<p>{{ name }}</p>", None, None, None, None, None, None)


class Database(Store):
    """The few functions that a batch and the account need. content: what reading it gives."""

    def __init__(self, content: MailoutContent | Exception = CONTENT) -> None:
        self._content = content
        self.recorded: list[Result] = []
        self.notes: list[str | None] = []

    async def snapshot_content(self, mailout_id: UUID) -> tuple[MailoutContent, str]:
        if isinstance(self._content, Exception):
            raise self._content
        return self._content, "hash"

    async def record_batches(
        self, batches: Sequence[tuple[UUID, Sequence[Result]]]
    ) -> dict[UUID, MailoutStatus]:
        self.recorded += [result for _, results in batches for result in results]
        return {}

    async def note_waiting(self, reason: str | None, *, kept_to: str | None = None) -> None:
        self.notes.append(reason)

    async def pause_mailout(self, *_: Any, by: str | None = None) -> Any:
        return type("Change", (), {"changed": False})

    async def record_account(self, region: str, account: Account) -> float | None:
        return 1.0

    async def resume_waiting_mailouts(self, region: str | None = None) -> list[UUID]:
        return []


class Ses:
    """Gives one and the same answer to everybody."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        return [self._answer] * len(entries)

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        return self._answer


SENT = Answer("sent", message_id="m")
LATE = Answer("requeue", "lease_lost", "Too late.")
THROTTLED = Answer("requeue", "Throttling", "Slow down.", halt="throttled")
REFUSED = Answer("failed", "MESSAGE_REJECTED", "No.")
SILENT = Answer("unknown", "no_answer", "The connection ended.", halt="unreachable")


def probing(breaker: Breaker) -> Breaker:
    """Open, and its spell is over: the next call is the probe."""
    for _ in range(breaker.threshold):
        breaker.failed(time.monotonic() - 60)
    assert breaker.probing
    assert breaker.wait(time.monotonic()) == 0
    return breaker


async def send(answer: Answer, database: Database) -> SendBatch:
    """A batch of one, as the probe."""
    settings = settings_for("postgresql://x", None)
    pausing = Pausing(database, REGION)
    sender = SendBatch(database, Ses(answer), settings, Stopping(), Metrics(), pausing)
    probing(sender.breaker)
    batch = Batch(
        uuid4(), uuid4(), (Recipient(1, "r@example.com", 1, uuid4().bytes, "R", {}),), 0.0
    )
    await sender(batch, "bulk", Fence(60))
    sender.close()
    assert [result.send_log_id for result in database.recorded] == [1]
    return sender


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("answer", [SENT, THROTTLED, REFUSED], ids=["sent", "throttled", "refused"])
async def test_whatever_ses_answers_to_the_probe_closes_the_breaker(answer: Answer) -> None:
    database = Database()
    sender = await send(answer, database)
    assert not sender.breaker.probing
    assert database.notes == [None], "the mailouts no longer say that they wait for SES"


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (LATE, CONTENT),
        (SENT, DatabaseUnavailable("gone")),
        (SENT, TemplateInvalid("The footer is broken.", field="body_html")),
        (SENT, RuntimeError("a bug")),
    ],
    ids=["lease lost", "no content", "unusable content", "a bug"],
)
async def test_a_probe_that_never_reached_ses_leaves_the_breaker_as_it_is(
    answer: Answer, content: MailoutContent | Exception
) -> None:
    """Neither closed, so that nobody is sent into the silence, nor open for longer."""
    database = Database(content)
    sender = await send(answer, database)
    assert sender.breaker.probing
    assert sender.breaker.wait(time.monotonic()) == 0, "the next probe may go"
    assert database.notes == []


async def test_a_probe_without_an_answer_begins_another_spell_and_says_so() -> None:
    database = Database()
    sender = await send(SILENT, database)
    assert sender.breaker.state(time.monotonic()) == "open"
    [note] = database.notes
    assert note is not None
    assert "does not answer" in note


# The question for the account


class Source:
    """An SES that answers for the account, or doesn't."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def get_account(self) -> Account:
        if self.error:
            raise self.error
        return an_account()


def monitor(breaker: Breaker) -> tuple[AccountMonitor, Source]:
    source = Source()
    return AccountMonitor(Database(), source, REGION, lambda: None, breaker), source


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(breaker.threshold):
        breaker.failed(time.monotonic())
    return breaker


async def test_an_account_that_answered_all_along_ends_no_spell() -> None:
    """SES fails with mails and answers for the account: that one is no proof for the other."""
    breaker = opened()
    account, _ = monitor(breaker)
    for _ in range(3):
        await account.refresh()
    assert breaker.state(time.monotonic()) == "open"


async def test_the_first_answer_after_silence_lets_a_probe_go_the_next_ones_nothing() -> None:
    breaker = opened()
    account, source = monitor(breaker)
    source.error = Unavailable("SES did not answer")
    with pytest.raises(Unavailable):
        await account.refresh()
    assert breaker.state(time.monotonic()) == "open"
    source.error = None
    await account.refresh()
    assert breaker.state(time.monotonic()) == "half_open"
    breaker.failed(time.monotonic())  # the probe
    await account.refresh()
    assert breaker.state(time.monotonic()) == "open"
