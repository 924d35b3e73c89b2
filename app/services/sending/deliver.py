"""One batch: render, call SES, and say for each recipient what became of it. Blocking."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog

from app.domain.sending.backoff import MAX_ATTEMPTS, backoff_seconds
from app.domain.sending.batches import Batch, Outcome, Recipient, Result
from app.domain.sending.blame import Blame, alike
from app.domain.sending.fence import Fence
from app.domain.sending.lanes import Lane, Mode
from app.domain.ses.answers import (
    NOT_ASKED,
    Answer,
    Halt,
    shared_refusal,
    unless_sender_unverified,
)
from app.domain.ses.mail import BulkEntry, Mail, SesWriting
from app.domain.untrusted import MAX_CHARS, plain
from app.ports import BulkSender, BulkWriting
from app.services.sending.prepare import Prepared

log = structlog.get_logger(__name__)

SAMPLE_SIZE = 3
"""When the call of a batch is refused, so many of its recipients, from the start, the middle and
the end, are asked for alone. If SES refuses all of them alike, the rest isn't asked for."""
LATER_SECONDS = 5.0
"""How long a recipient waits who was refused while nobody passed: others are tried first, to see
whether these pass."""
THROTTLED_SECONDS = 1.0
"""How long a recipient waits, at most, whom SES throttled while it took others of the call."""
MAKING_SECONDS = 2.0
"""How long the mails of one batch are made, before those that are ready are sent."""
MAKING_CHARS = 8_000_000
"""Of what stands in their holes: as many as one batch has in memory, but for its last mail."""
SHARED_RENDER_FAULTS = frozenset({"render_error", "too_large"})
"""Codes of failures before any call that everybody may share."""


@dataclass(frozen=True)
class Delivery:
    """The outcome of a batch. halts: what the sender should react to, with SES's words.
    answered: SES was reached and said something."""

    results: tuple[Result, ...]
    halts: dict[Halt, str]
    calls: int
    answered: bool


class Deliver:
    """Remembers who was refused in earlier batches; several threads may deliver at once.

    ses: or who sends in its place, and then `writing`: a mailout in the words of that one.
    """

    def __init__(
        self,
        ses: BulkSender,
        mode: Mode,
        writing: Callable[[Prepared], BulkWriting] = lambda one: SesWriting(one.bulk_head),
    ) -> None:
        self._ses = ses
        self._mode = mode
        self._writing = writing
        self._rendering = Blame()
        self._refusing = Blame()
        self._lock = threading.Lock()

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
        began = time.monotonic()
        writing = self._writing(prepared)
        unsendable: list[Result] = []
        bulk: list[BulkEntry] = []
        single: list[Mail] = []
        mails, put_off = _mails(prepared, batch, build)
        for built in mails:
            if isinstance(built, Result):
                unsendable.append(built)
                continue
            entry = writing.entry(built) if lane == "bulk" else None
            if entry is not None:
                bulk.append(entry)
            elif self._mode == "bulk":
                unsendable.append(
                    Result(
                        built.send_log_id,
                        "failed",
                        code="too_large",
                        message="This recipient's data are too large for a bulk call.",
                    )
                )
            else:
                single.append(built)

        asking = _Asking(self._ses, prepared, writing.head, fence)
        asking.bulk(writing.split(bulk))
        asking.single(single, singles)

        attempts = {r.send_log_id: r.attempts for r in batch.recipients}
        results = [
            settle(i, answer, attempts[i], is_test=batch.is_test)
            for i, answer in asking.answers.items()
        ]
        halts = _halts(asking.answers)
        if not batch.is_test:  # a test mail waits for nothing, and tells nothing of the others
            unsendable = self._judge_rendering(batch, unsendable, asking.answers, began, halts)
            results = self._judge_refusals(batch, results, asking.answers, began, halts)
        return Delivery(
            tuple(unsendable + results + put_off),
            halts,
            asking.calls,
            answered=any(answer.from_ses for answer in asking.answers.values()),
        )

    def _judge_rendering(
        self,
        batch: Batch,
        unsendable: list[Result],
        answers: dict[int, Answer],
        began: float,
        halts: dict[Halt, str],
    ) -> list[Result]:
        """A fault of the template that everybody shares fails nobody."""
        faults = [result for result in unsendable if result.code in SHARED_RENDER_FAULTS]
        with self._lock:
            verdicts = self._rendering.judge(
                batch.mailout_id,
                # Compared by code alone: the message names what each one's own data made of the
                # fault, so it differs although the cause is one.
                {result.send_log_id: result.code or "" for result in faults},
                answers,
                began=began,
                now=time.monotonic(),
            )
        return [
            _judged(result, verdicts.get(result.send_log_id), "template", halts)
            for result in unsendable
        ]

    def _judge_refusals(
        self,
        batch: Batch,
        results: list[Result],
        answers: dict[int, Answer],
        began: float,
        halts: dict[Halt, str],
    ) -> list[Result]:
        """What SES refuses everybody alike is nobody's own fault."""
        refused = [result for result in results if _is_refusal(result, answers)]
        with self._lock:
            verdicts = self._refusing.judge(
                batch.mailout_id,
                {r.send_log_id: alike(r.code, r.message) for r in refused},
                [result.send_log_id for result in results if result.outcome == "sent"],
                began=began,
                now=time.monotonic(),
            )
        if not verdicts:
            return results
        return [
            _judged(
                result,
                verdicts.get(result.send_log_id),
                shared_refusal(result.code, result.message, result.outcome),
                halts,
            )
            for result in results
        ]


class _Asking:
    """The calls of one batch, and what came of each recipient."""

    def __init__(self, ses: BulkSender, prepared: Prepared, head: bytes, fence: Fence) -> None:
        self._ses = ses
        self._prepared = prepared
        self._head = head
        self._fence = fence
        self.answers: dict[int, Answer] = {}
        self.calls = 0
        self._alone: list[tuple[str | None, str | None]] = []  # code and words of each refusal
        self._stopped = False

    def bulk(self, groups: Iterable[list[BulkEntry]]) -> None:
        """Send groups; after a definite refusal of a whole call, halve it to find the cause. Nobody
        fails for a call that they shared. When the first who are asked alone, and others from the
        middle and the end, are all refused alike, or no call can succeed now, the rest isn't asked.
        """
        waiting = list(groups)[::-1]  # the next one is the last
        while waiting:
            group = waiting.pop()
            if self._is_hopeless():
                self._leave(group)
                continue
            answers = [self._judge(answer) for answer in self._call_bulk(group)]
            first = answers[0]
            if first.halt == "split" and len(group) > 1:
                middle = len(group) // 2
                waiting += [group[middle:], group[:middle]]
                continue
            self.answers.update(zip((e.send_log_id for e in group), answers, strict=True))
            self._stopped = first.halt is not None and {a.halt for a in answers} == {first.halt}
            if len(group) == 1 and first.outcome == "failed":
                self._alone.append((first.code, first.message))
                if len(self._alone) == 1 and not self._any_passed():
                    waiting += _taken_out(waiting)

    def single(self, mails: list[Mail], executor: Executor) -> None:
        """A call for each, several at once."""
        compiled, envelope = self._prepared.compiled, self._prepared.envelope
        sent = executor.map(
            lambda mail: self._ses.send_single(compiled, envelope, mail, self._fence), mails
        )
        for mail, answer in zip(mails, sent, strict=True):
            self.answers[mail.send_log_id] = self._judge(answer)
        self.calls += len(mails)

    def _call_bulk(self, group: list[BulkEntry]) -> list[Answer]:
        self.calls += 1
        return self._ses.send_bulk(self._head, group, self._fence)

    def _judge(self, answer: Answer) -> Answer:
        return unless_sender_unverified(answer, self._prepared.envelope.from_address)

    def _any_passed(self) -> bool:
        return any(answer.outcome == "sent" for answer in self.answers.values())

    def _is_hopeless(self) -> bool:
        """Whether the next call would end like the last one, or like all before."""
        all_alike = len(self._alone) >= SAMPLE_SIZE and len(set(self._alone)) == 1
        return self._stopped or (all_alike and not self._any_passed())

    def _leave(self, group: list[BulkEntry]) -> None:
        left = Answer("requeue", NOT_ASKED, "Not asked: calls for others of this batch failed.")
        self.answers.update(dict.fromkeys((entry.send_log_id for entry in group), left))


def _taken_out(groups: list[list[BulkEntry]]) -> list[list[BulkEntry]]:
    """One from the middle and one from the end of those who wait, each as a group by itself; they
    are no longer in `groups`."""
    order = [entry.send_log_id for group in reversed(groups) for entry in group]
    chosen = {order[len(order) // 2], order[-1]} if order else set()
    taken = [[entry] for group in groups for entry in group if entry.send_log_id in chosen]
    groups[:] = [
        rest for group in groups if (rest := [e for e in group if e.send_log_id not in chosen])
    ]
    return taken


def _mails(
    prepared: Prepared, batch: Batch, build: Callable[[Recipient], Mail | Result]
) -> tuple[list[Mail | Result], list[Result]]:
    """What is made of each recipient, and who is put off, since those before them took so long or
    are so large: whatever one mail takes, a call is made in time, and memory is bounded."""
    mails: list[Mail | Result] = []
    with prepared.turn:
        ends, chars = time.monotonic() + MAKING_SECONDS, 0
        for recipient in batch.recipients:
            if not batch.is_test and mails and (chars > MAKING_CHARS or time.monotonic() > ends):
                break
            built = _built(build, recipient)
            mails.append(built)
            if isinstance(built, Mail):
                chars += sum(map(len, built.values.values()))
    left = "Not asked: the mails of others in this batch took too long to make, or are too large."
    return mails, [
        Result(recipient.send_log_id, "requeue", code=NOT_ASKED, message=left)
        for recipient in batch.recipients[len(mails) :]
    ]


def _built(build: Callable[[Recipient], Mail | Result], recipient: Recipient) -> Mail | Result:
    """One recipient's odd data must not spoil the batch."""
    try:
        return build(recipient)
    except Exception:
        log.exception("render_failed", send_log_id=recipient.send_log_id)
        return Result(
            recipient.send_log_id, "failed", code="render_error",
            message="The mail could not be made from this recipient's data.",
        )  # fmt: skip


def _is_refusal(result: Result, answers: dict[int, Answer]) -> bool:
    """Whether SES refused this recipient in a way of which it matters whose fault it is: for good,
    at the last attempt, or with a status that this program doesn't know."""
    unknown_status = result.outcome == "unknown" and answers[result.send_log_id].halt is None
    return result.outcome == "failed" or unknown_status


def _judged(result: Result, verdict: str | None, halt: Halt, halts: dict[Halt, str]) -> Result:
    """The result that a verdict leaves. Notes in `halts` why the mailout has to pause."""
    if verdict in {None, "own"}:
        return result
    if verdict == "shared":
        halts.setdefault(halt, result.message or result.code or "")
    if result.outcome == "unknown":
        return result  # nobody can say, so it is never sent again by itself
    return result._replace(outcome="requeue", delay=LATER_SECONDS if verdict == "later" else 0.0)


def _halts(answers: dict[int, Answer]) -> dict[Halt, str]:
    """What the answers ask for. A few throttled recipients among others are simply tried again;
    only when SES throttles half of them does the sender slow down."""
    throttled = sum(1 for answer in answers.values() if answer.halt == "throttled")
    asked = sum(1 for answer in answers.values() if answer.code != NOT_ASKED)
    return {
        answer.halt: answer.message or ""
        for answer in answers.values()
        if answer.halt not in {None, "split"}
        and (answer.halt != "throttled" or throttled * 2 >= asked)
    }


def settle(send_log_id: int, answer: Answer, attempts: int, *, is_test: bool = False) -> Result:
    """An answer as a result: a retry gets its pause, and ends after MAX_ATTEMPTS."""
    outcome: Outcome = answer.outcome
    if outcome == "sent":
        return Result(send_log_id, outcome, answer.message_id)
    delay = 0.0
    if outcome == "retry":
        if attempts >= MAX_ATTEMPTS:
            outcome = "failed"
        else:
            delay = backoff_seconds(attempts, random.random())  # noqa: S311  jitter, no secret
    elif outcome == "requeue" and is_test and answer.halt in _NOT_FOR_TESTS:
        outcome = "failed"  # a test mail waits for nothing
    elif answer.halt == "throttled":
        delay = THROTTLED_SECONDS * random.random()  # noqa: S311  jitter, no secret
    message = answer.message and plain(answer.message, MAX_CHARS)
    return Result(send_log_id, outcome, answer.message_id, answer.code, message, delay)


_NOT_FOR_TESTS = frozenset({"quota", "account", "configuration", "not_ses"})
