"""A warm-up's caps hold to the mail, whoever claims at once and whatever becomes of the mails."""

from __future__ import annotations

import asyncio
import random

import pytest

from app.domain.sending.batches import Batch, Idle, Outcome, Result
from app.store import Store
from tests.pacing.conftest import a_mailout_to, a_warmup, claim_on, sender_on, used
from tests.support.factories import Arrange

CAP, GMAIL = 60, 17
NOT_SENT: list[Outcome] = ["requeue", "retry", "failed"]
MAYBE_SENT: list[Outcome] = ["sent", "unknown"]


def results(batch: Batch, chance: random.Random) -> list[Result]:
    told = []
    for recipient in batch.recipients:
        outcome = chance.choice(NOT_SENT if chance.random() < 0.3 else MAYBE_SENT)
        message = f"m{recipient.send_log_id}" if outcome == "sent" else None
        told.append(Result(recipient.send_log_id, outcome, message_id=message))
    return told


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("seed", range(4))
async def test_of_a_day_no_mail_too_many_is_claimed(
    store: Store, arrange: Arrange, seed: int
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=120, example=120)
    senders = [await sender_on(store), await sender_on(store)]
    await a_warmup(store, [{"total": CAP, "providers": {"Gmail": GMAIL}}])

    async def work(own: random.Random) -> None:
        idle = 0
        while idle < 3:
            claimed = await claim_on(
                store, mailout, own.choice(senders), limit=own.randint(1, 20),
                batches=own.randint(1, 3),
            )  # fmt: skip
            if isinstance(claimed, Idle):
                idle += claimed.reason == "limits"
                continue
            await check()
            for batch in claimed:
                if own.random() < 0.2:
                    await store.release_batches([batch.attempt_id])
                else:
                    await store.record_results(batch.attempt_id, results(batch, own))

    async def check() -> None:
        """Who may have been mailed is never more than what was counted, and that never too much."""
        done = await arrange.sql.execute(
            "select d.used, (d.used_by ->> 'Gmail')::int as gmail, count(l.id) as mailed, "
            "count(l.id) filter (where l.email like '%%@gmail.com') as mailed_gmail "
            "from warmup_days d left join send_logs l on l.mailout_id = %s "
            "and l.status in ('sending', 'sent', 'unknown') group by d.used, d.used_by",
            [mailout],
        )
        row = await done.fetchone()
        assert row is not None
        assert row["mailed"] == row["used"] <= CAP
        assert row["mailed_gmail"] == row["gmail"] <= GMAIL

    await asyncio.gather(*(work(random.Random(seed * 10 + n)) for n in range(4)))
    await check()
    assert await used(arrange) == (CAP, {"Gmail": GMAIL}), "and none too few"
