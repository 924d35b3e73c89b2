"""However many wait for a provider, a claim reads no more for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from app.store import Store
from tests.pacing.conftest import a_mailout_to, a_pace, a_warmup, sender_on
from tests.support.factories import REGION, Arrange
from tests.support.reads import reader

WAITING = 3_000
BATCH = 50


async def test_those_who_wait_are_read_once(store: Store, arrange: Arrange, dsn: str) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=WAITING, example=BATCH)
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=0.001)
    async with reader(dsn) as own:

        async def claim(after: int = 0) -> tuple[Any, int]:
            return await own.call(
                "claim_recipients", p_mailout=mailout, p_executor=sender, p_region=REGION,
                p_limit=BATCH, p_attempts=[str(uuid4())], p_after=after,
            )  # fmt: skip

        answers = []
        for _ in range(WAITING):  # until all are set aside
            answer, rows = await claim()
            answers.append(rows)
            if answer.get("reason") == "limits":
                break
        assert await arrange.one("select count(*) from send_logs where aside = 'Gmail'") > 2_900
        assert len(answers) <= 5
        assert max(answers) <= 8 * 3 * 500, "three looks at 500 each"
        await arrange.sql.execute("vacuum send_logs")
        assert (await claim())[1] <= 60, "with no room nobody is read"
        await arrange.sql.execute("delete from provider_paces")
        answer, rows = await claim()
        assert len(answer["ids"]) == BATCH and rows <= 8 * BATCH


async def test_a_used_up_day_reads_nobody(store: Store, arrange: Arrange, dsn: str) -> None:
    mailout: UUID = await a_mailout_to(store, arrange, example=WAITING)
    sender = await sender_on(store)
    await a_warmup(store, [{"total": 1}])
    await arrange.sql.execute("update warmup_days set used = 1")
    async with reader(dsn) as own:
        answer, rows = await own.call(
            "claim_recipients", p_mailout=mailout, p_executor=sender, p_region=REGION,
            p_limit=BATCH, p_attempts=[str(uuid4())],
        )  # fmt: skip
    assert answer["reason"] == "limits" and rows <= 40
