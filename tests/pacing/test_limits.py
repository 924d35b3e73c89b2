"""What a route may send to each provider is kept in the claim, and holds up nobody else."""

from __future__ import annotations

from uuid import UUID, uuid4

from app.domain.sending.batches import Batch, Idle, Result
from app.store import Store
from tests.pacing.conftest import (
    OTHER,
    a_mailout_to,
    a_pace,
    a_warmup,
    all_domains,
    claim_on,
    domains,
    sender_on,
    used,
)
from tests.support.factories import REGION, Arrange, all_sent


async def finish(store: Store, claimed: tuple[Batch, ...] | Idle) -> None:
    assert not isinstance(claimed, Idle), claimed
    for batch in claimed:
        await store.record_results(batch.attempt_id, all_sent(batch))


async def test_a_slowed_provider_waits_and_the_others_go_on(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=60, example=60)
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=0.001)
    got, why = await all_domains(store, mailout, sender)
    assert got == {"gmail.com": 1, "example.com": 60}
    assert why.reason == "limits"
    assert await arrange.counts(mailout) == {"queued": 59, "sending": 61}, "nobody is lost"
    assert await store.finish_mailout(mailout) == "sending"


async def test_a_batch_is_filled_with_others_in_place_of_those_who_wait(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=100, example=100)
    await a_pace(arrange, "Gmail", rate=0.001)
    first = await claim_on(store, mailout, await sender_on(store))
    assert domains(first) == {"gmail.com": 1, "example.com": 49}


async def test_whoever_was_set_aside_comes_when_there_is_room_again(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=40, example=10)
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=5)
    got, _ = await all_domains(store, mailout, sender)
    assert got["example.com"] == 10 and got["gmail.com"] < 40
    await arrange.sql.execute("update provider_paces set next_at = now() - interval '1 hour'")
    claimed = await claim_on(store, mailout, sender)
    assert domains(claimed) == {"gmail.com": 10}, "what fell due in two seconds, and no more"
    await arrange.sql.execute("delete from provider_paces")
    rest, why = await all_domains(store, mailout, sender)
    assert got["gmail.com"] + 10 + rest["gmail.com"] == 40 and why.reason == "empty"


async def test_a_pace_that_nobody_renews_ends(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=5)
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=0.001)
    await all_domains(store, mailout, sender)
    await arrange.sql.execute("update provider_paces set until = now() - interval '1 second'")
    assert (await all_domains(store, mailout, sender))[0] == {"gmail.com": 4}


async def test_a_route_that_has_room_takes_whom_another_set_aside(
    store: Store, arrange: Arrange
) -> None:
    # They are queued in a random order: so many at Gmail that five are among the first twenty.
    mailout = await a_mailout_to(store, arrange, gmail=100, example=30)
    here, there = await sender_on(store), await sender_on(store, OTHER)
    await a_warmup(store, [{"total": 20, "providers": {"Gmail": 5}}])
    got, why = await all_domains(store, mailout, here)
    assert got == {"gmail.com": 5, "example.com": 15} and why.reason == "limits"
    got, why = await all_domains(store, mailout, there, OTHER)
    assert got == {"gmail.com": 95, "example.com": 15} and why.reason == "empty"
    assert await used(arrange) == (20, {"Gmail": 5})


async def test_with_a_day_used_up_nobody_is_touched(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, example=30)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 10}])
    got, why = await all_domains(store, mailout, sender, limit=7)
    assert got == {"example.com": 10} and why.reason == "limits"
    aside = await arrange.one("select count(*) from send_logs where aside is not null")
    assert aside == 0, "the rest is in the common queue, for every route"


async def test_a_day_that_nobody_opened_allows_nothing(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, example=3)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 10}])
    await arrange.sql.execute("update warmup_days set ends_at = now() - interval '1 second'")
    assert (await all_domains(store, mailout, sender))[1].reason == "limits"


async def test_what_was_certainly_not_sent_is_given_back_once(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=4, example=4)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 8, "providers": {"Gmail": 4}}])
    claimed = await claim_on(store, mailout, sender)
    assert not isinstance(claimed, Idle)
    [batch] = claimed
    gmail = [r.send_log_id for r in batch.recipients if r.email.endswith("@gmail.com")]
    others = [r.send_log_id for r in batch.recipients if r.send_log_id not in gmail]
    results = [
        Result(gmail[0], "requeue"),
        Result(gmail[1], "failed", code="refused"),
        Result(gmail[2], "unknown"),
        Result(gmail[3], "sent", message_id="m"),
        Result(others[0], "retry", delay=60.0),
        *(Result(i, "sent", message_id=f"m{i}") for i in others[1:]),
    ]
    await store.record_results(batch.attempt_id, results)
    assert await used(arrange) == (5, {"Gmail": 2})
    await store.record_results(batch.attempt_id, results)
    assert await used(arrange) == (5, {"Gmail": 2}), "told twice, given back once"


async def test_a_claim_that_nobody_got_an_answer_to_costs_nothing(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=5)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 5, "providers": {"Gmail": 5}}])
    claimed = await claim_on(store, mailout, sender)
    assert not isinstance(claimed, Idle)
    await store.release_batches([batch.attempt_id for batch in claimed])
    assert await used(arrange) == (0, {"Gmail": 0})
    assert (await all_domains(store, mailout, sender))[0] == {"gmail.com": 5}


async def test_who_has_left_meanwhile_is_not_counted(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, example=6)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 4}])
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where email like 'reader1@%%' "
        "or email like 'reader3@%%'"
    )
    got, _ = await all_domains(store, mailout, sender, limit=2)
    assert got == {"example.com": 4} and await used(arrange) == (4, {})


async def test_a_mailout_ends_though_the_day_is_used_up(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=3)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 3, "providers": {"Gmail": 3}}])
    await finish(store, await claim_on(store, mailout, sender))
    assert await store.finish_mailout(mailout) == "sent"


async def test_cancelling_reaches_those_who_were_set_aside(store: Store, arrange: Arrange) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=8, example=2)
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=0.001)
    await all_domains(store, mailout, sender)
    await store.cancel_mailout(mailout)
    while await store.cancel_recipients(mailout, 3):
        pass
    assert await arrange.counts(mailout) == {"cancelled": 7, "sending": 3}


async def test_test_mails_wait_for_no_limit(store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft")
    await arrange.sql.execute(
        "insert into mailout_tests (mailout_id, content, content_hash) values (%s, '{}', 'x')",
        [mailout],
    )
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, email, is_test) values (%s, 'me@gmail.com', true)",
        [mailout],
    )
    await a_warmup(store, [{"total": 1, "providers": {"Gmail": 0}}])
    sender = await sender_on(store)
    claimed = await store.claim_batches(
        mailout, sender, attempts=[UUID(int=7)], region=REGION, limit=5, test=True
    )
    assert domains(claimed) == {"gmail.com": 1} and (await used(arrange))[0] == 0


async def test_a_paced_provider_under_a_cap_has_the_smaller_of_both(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=10)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 10, "providers": {"Gmail": 6}}])
    await a_pace(arrange, "Gmail", rate=0.001)
    assert (await all_domains(store, mailout, sender))[0] == {"gmail.com": 1}
    await arrange.sql.execute("delete from provider_paces")
    assert (await all_domains(store, mailout, sender))[0] == {"gmail.com": 5}


async def test_a_mailout_says_that_it_waits_for_the_warm_up_when_others_cannot_send_it(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, example=1)
    await sender_on(store)
    other = await sender_on(store, OTHER)
    waits = [{"region": REGION, "reason": "Waiting for the warm-up", "until": "1"}]

    async def said() -> str | None:
        await store.note_warmups(waits)
        reason: str | None = await arrange.one("select status_reason from mailouts")
        return reason

    assert await said() is None, "the other region sends"
    await store.tell_executor_state(other, uuid4(), {"routes": {OTHER: {"breaker": "open"}}})
    assert await said() == "Waiting for the warm-up", "the other doesn't answer"
    await store.tell_executor_state(other, uuid4(), {"routes": {OTHER: {"breaker": "closed"}}})
    assert await said() is None
    blocked = await store.block_route(mailout, OTHER, "quota", "used up", routes=[REGION, OTHER])
    assert blocked.status == "sending"
    assert await said() == "Waiting for the warm-up", "the other's quota is used up"
