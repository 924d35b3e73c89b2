"""One batch: render, call SES, and say for each recipient what became of it. Blocking."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from app.adapters.ses import Fence
from app.domain.backoff import MAX_ATTEMPTS, backoff_seconds
from app.domain.batches import Batch, Outcome, Recipient, Result
from app.domain.lanes import Lane, Mode
from app.domain.mail import (
    BulkEntry,
    Envelope,
    Mail,
    bulk_entry,
    fits_bulk,
    split_by_size,
)
from app.domain.render import Compiled
from app.domain.ses_answers import Answer, Halt
from app.services.prepare import Prepared


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
    """The outcome of a batch. halts: what the sender should react to, with SES's words."""

    results: tuple[Result, ...]
    halts: dict[Halt, str]
    calls: int


class Deliver:
    """build: makes the mail of one recipient, or says why it can't be sent."""

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
        """singles: where SendEmail calls of one batch run side by side."""
        answers: dict[int, Answer] = {}
        results: list[Result] = []
        bulk: list[BulkEntry] = []
        single: list[Mail] = []
        for recipient in batch.recipients:
            built = build(recipient)
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

        attempts = {r.send_log_id: r.attempts for r in batch.recipients}
        results += [settle(i, answer, attempts[i]) for i, answer in answers.items()]
        halts = {a.halt: a.message or "" for a in answers.values() if a.halt is not None}
        return Delivery(tuple(results), halts, calls)

    def _bulk(
        self,
        prepared: Prepared,
        entries: list[BulkEntry],
        fence: Fence,
        answers: dict[int, Answer],
    ) -> int:
        """Send a group; after a definite refusal of the whole call, halve it to find the cause."""
        given = self._ses.send_bulk(prepared.bulk_head, entries, fence)
        if given[0].halt == "split":
            middle = len(entries) // 2
            return (
                1
                + self._bulk(prepared, entries[:middle], fence, answers)
                + self._bulk(prepared, entries[middle:], fence, answers)
            )
        answers.update(zip((entry.send_log_id for entry in entries), given, strict=True))
        return 1


def settle(send_log_id: int, answer: Answer, attempts: int) -> Result:
    """An answer as a result: a retry gets its pause, and ends after MAX_ATTEMPTS."""
    outcome: Outcome = answer.outcome
    delay = 0.0
    if outcome == "retry":
        if attempts >= MAX_ATTEMPTS:
            outcome = "failed"
        else:
            delay = backoff_seconds(attempts, random.random())  # noqa: S311  jitter, no secret
    return Result(send_log_id, outcome, answer.message_id, answer.code, answer.message, delay)
