"""One batch against an SES of a few lines: how many calls, and what becomes of each recipient."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.sending.backoff import MAX_ATTEMPTS
from app.domain.sending.batches import Recipient, Result
from app.domain.sending.lanes import Mode
from app.domain.ses.answers import NOT_ASKED, Answer, entry_answer
from app.domain.ses.mail import MAX_TEMPLATE_DATA, Mail
from app.services.sending.deliver import _halts, settle
from tests.support.deliveries import Ses, deliver, mail, outcomes, prepared


def test_a_batch_is_one_call_and_everybody_gets_a_result() -> None:
    ses = Ses()
    delivery = deliver(ses)
    assert outcomes(delivery) == {"sent": 50}
    assert delivery.calls == len(ses.bulk) == 1
    assert delivery.answered
    assert not delivery.halts


# One recipient


def test_a_fault_while_one_mail_is_made_fails_only_that_one() -> None:
    def build(recipient: Recipient) -> Mail | Result:
        if recipient.send_log_id == 3:
            raise OverflowError("int too large to convert to float")
        if recipient.send_log_id == 4:
            return Result(4, "failed", code="invalid_address")
        return mail(recipient)

    delivery = deliver(Ses(), 10, build=build)
    assert not delivery.halts
    codes = {r.send_log_id: r.code for r in delivery.results if r.outcome == "failed"}
    assert codes == {3: "render_error", 4: "invalid_address"}
    assert outcomes(delivery)["sent"] == 8


def test_a_mail_that_can_be_made_for_nobody_pauses_the_mailout() -> None:
    """Whatever each one's data make of the template's fault."""

    def build(recipient: Recipient) -> Mail | Result:
        fault = f"{recipient.email} can't be compared"
        return Result(recipient.send_log_id, "failed", code="render_error", message=fault)

    ses = Ses()
    delivery = deliver(ses, 10, build=build)
    assert outcomes(delivery) == {"requeue": 10}
    assert "can't be compared" in delivery.halts["template"]
    assert not ses.bulk
    assert not delivery.answered


def test_a_bug_of_ours_in_every_mail_pauses_the_mailout() -> None:
    def build(recipient: Recipient) -> Mail:
        raise OverflowError("int too large to convert to float")

    delivery = deliver(Ses(), 10, build=build)
    assert outcomes(delivery) == {"requeue": 10}
    assert "template" in delivery.halts


def test_addresses_that_cannot_be_mailed_fail_however_many() -> None:
    """They are each one's own."""

    def build(recipient: Recipient) -> Result:
        return Result(recipient.send_log_id, "failed", code="invalid_address", message="No.")

    assert outcomes(deliver(Ses(), 10, build=build)) == {"failed": 10}


def test_a_test_mail_of_a_faulty_template_fails() -> None:
    def build(recipient: Recipient) -> Result:
        return Result(recipient.send_log_id, "failed", code="render_error", message="No.")

    assert outcomes(deliver(Ses(), 2, build=build, is_test=True)) == {"failed": 2}


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


def test_who_was_not_asked_does_not_count_among_those_who_were_taken() -> None:
    """A few sizes too large for one call, the first of which is throttled as a whole."""
    throttled = Answer("requeue", "TooManyRequestsException", "Slow down.", halt="throttled")
    answers = dict.fromkeys(range(3), throttled) | {
        i: Answer("requeue", NOT_ASKED) for i in range(3, 9)
    }
    assert _halts(answers) == {"throttled": "Slow down."}


def test_each_retry_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    answer = Answer("retry", "TRANSIENT_FAILURE", "Later.")
    delays = [settle(1, answer, attempts).delay for attempts in range(1, MAX_ATTEMPTS)]
    assert delays == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("status", ["TRANSIENT_FAILURE", "ACCOUNT_THROTTLED"])
def test_who_is_tried_again_is_not_tried_together_and_not_at_once(status: str) -> None:
    delivery = deliver(Ses(entry=lambda i: entry_answer(status, None, None)))
    delays = {result.delay for result in delivery.results}
    assert len(delays) > 40
    assert all(0 <= delay <= 1 for delay in delays)


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


# Mails that take long to make


def test_mails_that_are_large_together_leave_in_several_calls() -> None:
    """Who is put off was not asked for, and nothing counts against them."""

    def build(recipient: Recipient) -> Mail | Result:
        return mail(recipient)._replace(values={"h0": "x" * 3_000_000})

    delivery = deliver(Ses(), build=build)
    assert outcomes(delivery) == {"sent": 3, "requeue": 47}
    assert not delivery.halts
    assert {r.code for r in delivery.results if r.outcome == "requeue"} == {NOT_ASKED}


def test_mails_that_take_long_leave_in_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.sending.deliver.MAKING_SECONDS", -1.0)
    assert outcomes(deliver(Ses())) == {"sent": 1, "requeue": 49}
    assert outcomes(deliver(Ses(), is_test=True)) == {"sent": 50}


def test_one_thread_at_a_time_makes_a_mailouts_mails() -> None:
    """Others would make none sooner, and take the processor from other mailouts."""
    making, most, same = [0], [0], prepared()

    def build(recipient: Recipient) -> Mail | Result:
        making[0] += 1
        most[0] = max(most[0], making[0])
        time.sleep(0)  # another thread may go on
        making[0] -= 1
        return mail(recipient)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(deliver, Ses(), build=build, of=same) for _ in range(4)]:
            assert outcomes(done.result()) == {"sent": 50}
    assert most == [1]
