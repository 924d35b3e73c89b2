"""A call that SES refuses as a whole: whose fault that is, and how few calls it takes to know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sending.lanes import Lane
from app.domain.ses.answers import Answer, entry_answer, refused_call
from tests.support.deliveries import BAD, SENDER, Sequel, Ses, deliver, outcomes

UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1: "
)


@pytest.mark.parametrize("poison", [0, 24, 49])
def test_one_spoiler_is_found_with_few_calls(poison: int) -> None:
    ses = Ses(lambda ids: BAD if poison in ids else None)
    delivery = deliver(ses)
    assert outcomes(delivery) == {"sent": 49, "failed": 1}
    assert delivery.calls == len(ses.bulk) <= 1 + 12


def test_what_everybody_is_refused_for_is_found_in_a_few_calls_and_fails_nobody() -> None:
    """The first alone, and one from the middle and the end: then the rest isn't asked."""
    ses = Ses(lambda ids: BAD)
    delivery = deliver(ses)
    assert outcomes(delivery) == {"requeue": 50}
    assert delivery.halts == {"refused": "Bad."}
    assert delivery.calls == len(ses.bulk) <= 10


@pytest.mark.parametrize("good", [25, 49])
def test_one_who_passes_from_the_middle_or_the_end_shows_that_the_others_are_at_fault(
    good: int,
) -> None:
    delivery = deliver(Ses(lambda ids: None if ids == [good] else BAD))
    assert outcomes(delivery) == {"sent": 1, "failed": 49}
    assert not delivery.halts


@pytest.mark.parametrize("lane", ["bulk", "single"])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_few_recipients_who_are_all_refused_alike_fail_neither(count: int, lane: Lane) -> None:
    def refuse(ids: list[int]) -> Answer:
        return refused_call("MessageRejected", 400, "Nothing of this.", len(ids))

    ses = Ses(refuse, entry=lambda i: refuse([i]))
    delivery = deliver(ses, count, lane=lane)
    assert outcomes(delivery) == {"requeue": count}
    assert delivery.halts == {"refused": "Nothing of this."}


@pytest.mark.parametrize("lane", ["bulk", "single"])
def test_a_bad_address_beside_good_ones_fails_alone(lane: Lane) -> None:
    def refuse(ids: list[int]) -> Answer | None:
        return refused_call("BadRequestException", 400, "Bad.", len(ids)) if 1 in ids else None

    good = Answer("sent", message_id="m")
    ses = Ses(refuse, entry=lambda i: refuse([i]) or good)
    delivery = deliver(ses, 8, lane=lane)
    assert {r.send_log_id for r in delivery.results if r.outcome == "failed"} == {1}
    assert not delivery.halts


@pytest.mark.parametrize("status", ["MESSAGE_REJECTED", "INVALID_PARAMETER"])
def test_entries_that_are_all_refused_alike_fail_nobody(status: str) -> None:
    delivery = deliver(Ses(entry=lambda i: entry_answer(status, None, "Illegal header.")))
    assert outcomes(delivery) == {"requeue": 50}
    assert delivery.halts == {"refused": "Illegal header."}


def test_entries_with_a_status_that_nobody_knows_stop_the_mailout() -> None:
    """Whether it was accepted can't be told, so nobody is sent again; nobody else is tried."""
    delivery = deliver(Ses(entry=lambda i: entry_answer("BRAND_NEW", None, None)))
    assert outcomes(delivery) == {"unknown": 50}
    assert delivery.halts == {"unknown_status": "BRAND_NEW"}


def test_when_nobody_passes_even_words_of_their_own_are_no_ones_own_fault() -> None:
    delivery = deliver(Ses(entry=lambda i: entry_answer("MESSAGE_REJECTED", None, f"No {i}!")))
    assert outcomes(delivery) == {"requeue": 50}
    few = deliver(Ses(entry=lambda i: entry_answer("MESSAGE_REJECTED", None, f"No {i}!")), 5)
    assert outcomes(few) == {"failed": 5}


def test_a_lone_recipient_who_is_refused_waits_until_others_were_tried() -> None:
    """A batch of one tells nothing of whose fault it is."""
    bad = Sequel(poison={0})
    assert outcomes(bad.deliver(0)) == {"requeue": 1}
    assert bad.last.results[0].delay > 0
    assert not bad.last.halts
    assert outcomes(bad.deliver(1)) == {"sent": 1}
    assert outcomes(bad.deliver(0)) == {"failed": 1}, "others passed since"


def test_lone_recipients_who_are_all_refused_pause_the_mailout_and_none_fails() -> None:
    shared = Sequel(poison=set(range(9)))
    assert [outcomes(shared.deliver(i)) for i in range(3)] == [{"requeue": 1}] * 3
    assert shared.last.halts == {"refused": "Bad."}


def test_a_mailout_to_one_who_is_refused_pauses() -> None:
    """There is nobody to compare with; SES's words are for a person to read."""
    one = Sequel(poison={0})
    one.deliver(0)
    assert outcomes(one.deliver(0)) == {"requeue": 1}
    assert one.last.halts == {"refused": "Bad."}


def test_the_last_of_a_mailout_may_be_refused_alone_and_fails() -> None:
    last = Sequel(poison={5})
    last.deliver(*range(5))
    last.deliver(5)
    assert outcomes(last.deliver(5)) == {"failed": 1}


def test_after_a_resume_others_go_first_so_that_a_few_bad_ones_do_not_block_the_rest() -> None:
    """Two at the head of a mailout are really bad. The person who resumes is helped."""
    head = Sequel(poison={0, 1})
    head.deliver(0, 1)
    assert "refused" in head.last.halts
    assert outcomes(head.deliver(0, 1)) == {"requeue": 2}
    assert not head.last.halts
    assert all(result.delay > 0 for result in head.last.results)
    head.deliver(2, 3, 4)
    assert outcomes(head.deliver(0, 1)) == {"failed": 2}


def test_a_fault_that_is_not_mended_pauses_again_after_a_resume() -> None:
    """However often: nobody fails, and few calls are made each time."""
    shared = Sequel(poison=set(range(99)))
    shared.deliver(*range(10))
    for n in range(1, 4):
        assert outcomes(shared.deliver(*range(10))) == {"requeue": 10}
        assert outcomes(shared.deliver(*range(10 * n, 10 * n + 10))) == {"requeue": 10}
        assert "refused" in shared.last.halts


def test_one_mailouts_refusals_say_nothing_of_another() -> None:
    one = Sequel(poison={0})
    one.deliver(0)
    one.deliver(1, mailout=2)
    assert outcomes(one.deliver(0)) == {"requeue": 1}
    assert "refused" in one.last.halts


def test_a_call_that_is_lost_is_the_last_of_its_batch() -> None:
    """The others would wait as long, and be lost as well."""
    lost = Answer("unknown", "no_answer", "Lost.", halt="unreachable")
    ses = Ses(lambda ids: BAD if len(ids) == 50 else lost)
    delivery = deliver(ses)
    assert outcomes(delivery) == {"unknown": 25, "requeue": 25}
    assert len(ses.bulk) == 2


def test_a_retry_that_everybody_has_used_up_pauses_instead_of_burning_the_list() -> None:
    ses = Ses(entry=lambda i: entry_answer("TRANSIENT_FAILURE", None, "Try later."))
    delivery = deliver(ses, attempts=8)
    assert outcomes(delivery) == {"requeue": 50}
    assert delivery.halts == {"account": "Try later."}


def test_one_recipients_used_up_retries_fail_that_one() -> None:
    weak = entry_answer("TRANSIENT_FAILURE", None, None)
    ses = Ses(entry=lambda i: weak if i == 7 else Answer("sent", message_id="m"))
    assert outcomes(deliver(ses, attempts=8)) == {"failed": 1, "sent": 49}


def test_a_call_too_large_for_a_proxy_is_sent_in_parts() -> None:
    def refuse(ids: list[int]) -> Answer | None:
        large = len(ids) > 12
        return refused_call("413", 413, "<html>Too large", len(ids)) if large else None

    ses = Ses(refuse)
    assert outcomes(deliver(ses)) == {"sent": 50}
    assert set(ses.accepted.values()) == {1}


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 405, 407, 411, 414, 418, 451])
@pytest.mark.parametrize("lane", ["bulk", "single"])
def test_what_a_proxy_refuses_is_nobodys_fault_and_one_call_in_bulk(
    status: int, lane: Lane
) -> None:
    def refuse(ids: list[int]) -> Answer:
        return refused_call(str(status), status, "Blocked.", len(ids))

    ses = Ses(refuse, entry=lambda i: refuse([i]))
    delivery = deliver(ses, 8, lane=lane)
    assert outcomes(delivery) == {"requeue": 8}
    assert delivery.halts == {"not_ses": f"HTTP {status}. Blocked."}
    assert not delivery.answered, "SES itself said nothing"
    assert len(ses.bulk) == (lane == "bulk")


@pytest.mark.parametrize("other", [25, 31, 49])
def test_another_reason_in_the_second_half_costs_only_those_it_is_about(other: int) -> None:
    """The first half is refused for one reason; in the second, one recipient spoils the call for
    another. All others of that half get their mail."""

    def refuse(ids: list[int]) -> Answer | None:
        if ids[0] < 25:
            return BAD
        return refused_call("BadRequestException", 400, "Other.", 2) if other in ids else None

    ses = Ses(refuse)
    delivery = deliver(ses)
    assert set(ses.accepted) == set(range(25, 50)) - {other}
    assert outcomes(delivery) == {"failed": 26, "sent": 24}


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
