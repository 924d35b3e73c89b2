"""One batch: render, call SES, and say for each recipient what became of it. Blocking."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.adapters.ses import Fence
from app.domain.backoff import MAX_ATTEMPTS, backoff_seconds
from app.domain.batches import Batch, Outcome, Recipient, Result
from app.domain.lanes import Lane, Mode
from app.domain.mail import BulkEntry, Envelope, Mail, bulk_entry, fits_bulk, split_by_size
from app.domain.render import Compiled
from app.domain.ses_answers import Answer, Halt, unless_sender_unverified
from app.services.prepare import Prepared

log = structlog.get_logger(__name__)

ALIKE = 8
"""So many entries refused for one and the same reason: none of them alone spoils the call."""
THROTTLED_SECONDS = 1.0
"""Before a recipient that SES throttled among others is tried again."""
MAX_MESSAGE = 500


class BulkSender(Protocol):
    """What delivering needs of SES. Nothing is raised: every way a call ends is an answer."""

    def send_bulk(
        self, head: bytes, entries: Sequence[BulkEntry], fence: Fence
    ) -> list[Answer]: ...

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer: ...


@dataclass(frozen=True)
class Delivery:
    """The outcome of a batch. halts: what the sender should react to, with SES's words.
    answered: SES was reached and said something."""

    results: tuple[Result, ...]
    halts: dict[Halt, str]
    calls: int
    answered: bool


class Deliver:
    def __init__(self, ses: BulkSender, mode: Mode) -> None:
        self._ses = ses
        self._mode = mode

    def __call__(
        self,
        prepared: Prepared,
        batch: Batch,
        build: Callable[[Recipient], Mail | Result],
        lane: Lane,
        fence: Fence,
        singles: Executor,
    ) -> Delivery:
        """build: makes the mail of one recipient, or says why it can't be sent. singles: where
        SendEmail calls of one batch run side by side."""
        results: list[Result] = []
        bulk: list[BulkEntry] = []
        single: list[Mail] = []
        for recipient in batch.recipients:
            built = _built(build, recipient)
            if isinstance(built, Result):
                results.append(built)
                continue
            entry = bulk_entry(built) if lane == "bulk" else None
            if entry is not None and fits_bulk(prepared.bulk_head, entry):
                bulk.append(entry)
            elif self._mode == "bulk":
                results.append(
                    Result(
                        built.send_log_id,
                        "failed",
                        code="too_large",
                        message="This recipient's data are too large for a bulk call.",
                    )
                )
            else:
                single.append(built)

        answers: dict[int, Answer] = {}
        calls = 0
        for group in split_by_size(prepared.bulk_head, bulk):
            calls += self._bulk(prepared, group, fence, answers)
        if single:
            calls += len(single)
            sent = singles.map(
                lambda mail: self._ses.send_single(
                    prepared.compiled, prepared.envelope, mail, fence
                ),
                single,
            )
            answers.update(zip((mail.send_log_id for mail in single), sent, strict=True))

        sender = prepared.envelope.from_address
        judged = {i: unless_sender_unverified(answer, sender) for i, answer in answers.items()}
        attempts = {r.send_log_id: r.attempts for r in batch.recipients}
        results += [
            settle(i, answer, attempts[i], is_test=batch.is_test) for i, answer in judged.items()
        ]
        return Delivery(
            tuple(results),
            _halts(judged),
            calls,
            answered=any(answer.from_ses for answer in judged.values()),
        )

    def _bulk(
        self,
        prepared: Prepared,
        entries: list[BulkEntry],
        fence: Fence,
        answers: dict[int, Answer],
    ) -> int:
        """Send a group; after a definite refusal of the whole call, halve it to find the cause.
        Gives the number of calls. Many alike refusals are taken as the rest's too."""
        given = self._ses.send_bulk(prepared.bulk_head, entries, fence)
        first = unless_sender_unverified(given[0], prepared.envelope.from_address)
        if first.halt != "split":
            answers.update(zip((entry.send_log_id for entry in entries), given, strict=True))
            return 1
        middle = len(entries) // 2
        calls = 1 + self._bulk(prepared, entries[:middle], fence, answers)
        same = {(answers[e.send_log_id].code, answers[e.send_log_id].message)
                for e in entries[:middle]} == {(first.code, first.message)}  # fmt: skip
        if not same or middle < ALIKE:
            return calls + self._bulk(prepared, entries[middle:], fence, answers)
        rest = self._ses.send_bulk(prepared.bulk_head, entries[middle:], fence)
        if rest[0].halt == "split" and rest[0].message != first.message:
            return calls + 1 + self._bulk(prepared, entries[middle:], fence, answers)
        answers.update(zip((entry.send_log_id for entry in entries[middle:]), rest, strict=True))
        return calls + 1


def _built(build: Callable[[Recipient], Mail | Result], recipient: Recipient) -> Mail | Result:
    """One recipient's odd data must not spoil the batch: a bug of ours is this one's failure."""
    try:
        return build(recipient)
    except Exception:
        log.exception("render_failed", send_log_id=recipient.send_log_id)
        return Result(
            recipient.send_log_id, "failed", code="render_error",
            message="The mail could not be made from this recipient's data.",
        )  # fmt: skip


def _halts(answers: dict[int, Answer]) -> dict[Halt, str]:
    """What the answers ask for. A few throttled recipients among others are simply tried again;
    only when SES throttles half of them does the sender slow down."""
    throttled = sum(1 for answer in answers.values() if answer.halt == "throttled")
    return {
        answer.halt: answer.message or ""
        for answer in answers.values()
        if answer.halt is not None and (answer.halt != "throttled" or throttled * 2 >= len(answers))
    }


def settle(send_log_id: int, answer: Answer, attempts: int, *, is_test: bool = False) -> Result:
    """An answer as a result: a retry gets its pause, and ends after MAX_ATTEMPTS."""
    outcome: Outcome = answer.outcome
    delay = 0.0
    if outcome == "retry":
        if attempts >= MAX_ATTEMPTS:
            outcome = "failed"
        else:
            delay = backoff_seconds(attempts, random.random())  # noqa: S311  jitter, no secret
    elif outcome == "requeue" and is_test and answer.halt in {"quota", "account", "configuration"}:
        outcome = "failed"  # a test mail waits for nothing
    elif answer.halt == "throttled":
        delay = THROTTLED_SECONDS * random.random()  # noqa: S311  jitter, no secret
    message = answer.message and answer.message.replace("\0", "")[:MAX_MESSAGE]
    return Result(send_log_id, outcome, answer.message_id, answer.code, message, delay)
