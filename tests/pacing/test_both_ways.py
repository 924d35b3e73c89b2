"""Each call about pacing and warm-ups, over either way to the database."""

from __future__ import annotations

from app.domain.pacing.mailboxes import described
from app.domain.sending.batches import Idle, Result
from app.ports import Database
from app.store import Store
from tests.pacing.conftest import a_mailout_to, a_pace, a_warmup, claim_on, domains, sender_on, used
from tests.support.factories import REGION, Arrange


async def test_a_day_of_a_warmup_and_a_pace(database: Database, arrange: Arrange) -> None:
    store = Store(database)
    mailout = await a_mailout_to(store, arrange, gmail=5, example=5)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 4, "providers": {"Gmail": 2}}])
    await a_pace(arrange, "Gmail", rate=0.001)
    claimed = await claim_on(store, mailout, sender)
    assert domains(claimed) == {"gmail.com": 1, "example.com": 3}
    again = await claim_on(store, mailout, sender)
    assert isinstance(again, Idle) and again.reason == "limits"
    overview = await store.pacing_overview(mailout)
    assert overview["waiting"] == [{"key": "Gmail", "recipients": 4}]
    assert overview["warmups"][0]["today"]["used"] == 4
    assert not isinstance(claimed, Idle)
    [batch] = claimed
    results = [Result(r.send_log_id, "requeue") for r in batch.recipients]
    await store.record_results(batch.attempt_id, results)
    assert await used(arrange) == (0, {"Gmail": 0})

    turn = await store.pacing_turn(every_seconds=60, window_seconds=600, mailboxes=described())
    assert turn is not None and [pace["key"] for pace in turn["paces"]] == ["Gmail"]
    assert (
        await store.pacing_turn(every_seconds=60, window_seconds=600, mailboxes=described()) is None
    ), "one of several senders looks"
    await store.keep_paces([])
    assert (await store.pacing_overview())["paces"] == []
    await store.note_warmups(
        [{"region": REGION, "reason": "Waiting for the warm-up", "until": "1"}]
    )
    assert await arrange.one("select status_reason from mailouts") == "Waiting for the warm-up"
    [running] = await store.running_warmups()
    assert running["day"]["cap"] == 4
    assert await store.stop_warmup(REGION, by="test")
    assert [w["state"] for w in await store.list_warmups()] == ["stopped"]
