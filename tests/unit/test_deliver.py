"""One batch against an SES of a few lines: how many calls, and what becomes of each recipient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.ses import Fence
from app.adapters.store import MailoutContent
from app.domain.batches import Batch, Recipient, Result
from app.domain.lanes import Lane, Mode
from app.domain.mail import MAX_TEMPLATE_DATA, BulkEntry, Envelope, Mail
from app.domain.render import Compiled
from app.domain.ses_answers import Answer, entry_answer, refused_call
from app.services.deliver import Deliver, Delivery, settle
from app.services.prepare import Prepared, prepare
from tests.support.service import settings_for

FENCE = Fence(60)
SENDER = "news@example.com"
UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1: "
)
BAD = refused_call("BadRequestException", 400, "Bad.", 2)


@cache
def prepared() -> Prepared:
    content = MailoutContent("Hi", None, "<p>{{ name }}</p>", None, None, SENDER, None, None, None)
    return prepare(settings_for("postgresql://nowhere", None), UUID(int=1), content)


class Ses:
    """refuse: why a bulk call with these ids is refused as a whole. entry: the verdict of one
    recipient of a call that isn't. Keeps the ids of each call."""

    def __init__(
        self,
        refuse: Callable[[list[int]], Answer | None] = lambda ids: None,
        entry: Callable[[int], Answer] = lambda i: Answer("sent", message_id=f"m{i}"),
    ) -> None:
        self._refuse = refuse
        self._entry = entry
        self.bulk: list[list[int]] = []
        self.single: list[int] = []
        self.accepted: Counter[int] = Counter()

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        ids = [entry.send_log_id for entry in entries]
        self.bulk.append(ids)
        refused = self._refuse(ids)
        if refused is not None:
            alone = len(ids) == 1 and refused.halt == "split"
            answer = Answer("failed", refused.code, refused.message) if alone else refused
            return [answer] * len(ids)
        return [self._judge(i) for i in ids]

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        self.single.append(mail.send_log_id)
        return self._judge(mail.send_log_id)

    def _judge(self, send_log_id: int) -> Answer:
        answer = self._entry(send_log_id)
        self.accepted[send_log_id] += answer.outcome == "sent"
        return answer


def mail(recipient: Recipient) -> Mail:
    return Mail(recipient.send_log_id, recipient.email, {"h0": "x"}, "https://example.com/u", ())


def deliver(
    ses: Ses,
    count: int = 50,
    *,
    build: Callable[[Recipient], Mail | Result] = mail,
    mode: Mode = "auto",
    lane: Lane = "bulk",
    attempts: int = 1,
    is_test: bool = False,
) -> Delivery:
    batch = Batch(
        uuid4(),
        UUID(int=1),
        tuple(Recipient(i, f"r{i}@example.com", attempts, None, None, {}) for i in range(count)),
        0.0,
        is_test,
    )
    with ThreadPoolExecutor(4) as singles:
        return Deliver(ses, mode)(prepared(), batch, build, lane, FENCE, singles)


def outcomes(delivery: Delivery) -> Counter[str]:
    return Counter(result.outcome for result in delivery.results)


def test_a_batch_is_one_call_and_everybody_gets_a_result() -> None:
    ses = Ses()
    delivery = deliver(ses)
    assert outcomes(delivery) == {"sent": 50}
    assert delivery.calls == len(ses.bulk) == 1
    assert delivery.answered
    assert not delivery.halts


# A call that SES refuses as a whole


@pytest.mark.parametrize("poison", [0, 24, 49])
def test_one_spoiler_is_found_with_few_calls(poison: int) -> None:
    ses = Ses(lambda ids: BAD if poison in ids else None)
    delivery = deliver(ses)
    assert outcomes(delivery) == {"sent": 49, "failed": 1}
    assert delivery.calls == len(ses.bulk) <= 1 + 12


def test_many_alike_refusals_are_not_asked_for_one_by_one() -> None:
    """Everybody's call is refused for the same reason: about half the batch tells it."""
    ses = Ses(lambda ids: BAD)
    delivery = deliver(ses)
    assert outcomes(delivery) == {"failed": 50}
    assert delivery.calls == len(ses.bulk) <= 30


@given(st.sets(st.integers(0, 49)), st.booleans())
def test_whoever_spoils_it_nobody_is_sent_twice_and_nobody_is_forgotten(
    poison: set[int], named: bool
) -> None:
    """named: SES says whom it refuses, so no two refusals are alike."""

    def refuse(ids: list[int]) -> Answer | None:
        first = next((i for i in ids if i in poison), None)
        if first is None:
            return None
        return refused_call("BadRequestException", 400, f"Bad: {first if named else '?'}", 2)

    ses = Ses(refuse)
    delivery = deliver(ses)
    found = {result.send_log_id: result.outcome for result in delivery.results}
    assert len(found) == len(delivery.results) == 50
    assert delivery.calls == len(ses.bulk)
    assert set(ses.accepted.values()) <= {1}
    assert {i for i, outcome in found.items() if outcome == "sent"} == set(ses.accepted)
    assert not poison & set(ses.accepted)
    if named:
        assert set(ses.accepted) == set(range(50)) - poison


def test_an_unverified_sender_is_the_configurations_fault_and_one_call() -> None:
    refusal = refused_call("MessageRejected", 400, UNVERIFIED + SENDER, 2)
    ses = Ses(lambda ids: refusal)
    delivery = deliver(ses)
    assert outcomes(delivery) == {"requeue": 50}
    assert delivery.calls == 1
    assert "configuration" in delivery.halts


def test_an_unverified_sender_in_each_entry_too() -> None:
    ses = Ses(entry=lambda i: entry_answer("MESSAGE_REJECTED", None, UNVERIFIED + SENDER))
    delivery = deliver(ses)
    assert outcomes(delivery) == {"requeue": 50}
    assert UNVERIFIED + SENDER in delivery.halts["configuration"]


# One recipient


def test_a_fault_while_one_mail_is_made_fails_only_that_one() -> None:
    def build(recipient: Recipient) -> Mail | Result:
        if recipient.send_log_id == 3:
            raise OverflowError("int too large to convert to float")
        if recipient.send_log_id == 4:
            return Result(4, "failed", code="invalid_address")
        return mail(recipient)

    delivery = deliver(Ses(), 10, build=build)
    codes = {r.send_log_id: r.code for r in delivery.results if r.outcome == "failed"}
    assert codes == {3: "render_error", 4: "invalid_address"}
    assert outcomes(delivery)["sent"] == 8


@pytest.mark.parametrize(("mode", "outcome"), [("auto", "sent"), ("bulk", "failed")])
def test_data_too_large_for_a_bulk_call_go_singly_where_they_may(mode: Mode, outcome: str) -> None:
    def build(recipient: Recipient) -> Mail:
        values = {"h0": "x" * MAX_TEMPLATE_DATA if recipient.send_log_id == 1 else "x"}
        return Mail(recipient.send_log_id, recipient.email, values, "https://example.com/u", ())

    ses = Ses()
    delivery = deliver(ses, 3, build=build, mode=mode)
    assert {r.send_log_id: r.outcome for r in delivery.results}[1] == outcome
    assert ses.bulk == [[0, 2]]
    assert ses.single == ([1] if mode == "auto" else [])


def test_the_single_lane_makes_a_call_for_each() -> None:
    ses = Ses(entry=lambda i: Answer("failed" if i == 2 else "sent", message_id=f"m{i}"))
    delivery = deliver(ses, 8, lane="single")
    assert (sorted(ses.single), delivery.calls) == (list(range(8)), 8)
    assert {r.send_log_id for r in delivery.results if r.outcome == "failed"} == {2}


# What the sender learns


def throttling(share: int) -> Ses:
    """Of 50 recipients, `share` are throttled."""
    throttled = entry_answer("ACCOUNT_THROTTLED", None, None)
    return Ses(entry=lambda i: throttled if i < share else Answer("sent", message_id=f"m{i}"))


def test_a_few_throttled_recipients_do_not_slow_the_lane() -> None:
    few, half = deliver(throttling(24)), deliver(throttling(25))
    assert "throttled" not in few.halts
    assert "throttled" in half.halts
    assert all(0 <= r.delay <= 1 for r in few.results)
    assert outcomes(few) == {"requeue": 24, "sent": 26}


def test_an_ses_that_cannot_be_reached_answered_nothing() -> None:
    lost = Answer("requeue", "not_connected", "SES can't be reached.", halt="unreachable")
    delivery = deliver(Ses(lambda ids: lost), attempts=1_000)
    assert not delivery.answered
    assert "unreachable" in delivery.halts
    assert outcomes(delivery) == {"requeue": 50}  # however often: nobody fails for it


def test_a_lost_lease_says_nothing_of_ses() -> None:
    delivery = deliver(Ses(lambda ids: Answer("requeue", "lease_lost", "Too late.")))
    assert not delivery.answered
    assert not delivery.halts


@pytest.mark.parametrize("status", ["ACCOUNT_SUSPENDED", "ACCOUNT_DAILY_QUOTA_EXCEEDED",
                                    "CONFIGURATION_SET_NOT_FOUND"])  # fmt: skip
def test_a_test_mail_does_not_wait_for_the_account(status: str) -> None:
    """A mailout is paused for it; nobody would resume a test."""
    refused = entry_answer(status, None, None)
    assert settle(1, refused, 1).outcome == "requeue"
    assert settle(1, refused, 1, is_test=True).outcome == "failed"


def test_a_throttled_test_mail_is_tried_again() -> None:
    assert settle(1, entry_answer("ACCOUNT_THROTTLED", None, None), 1, is_test=True).outcome == (
        "requeue"
    )


def test_what_ses_says_can_be_stored() -> None:
    """Without NUL, and not without end."""
    result = settle(1, Answer("failed", "X", "a\0b" + "c" * 10_000), 1)
    assert result.message is not None
    assert "\0" not in result.message
    assert len(result.message) <= 500
