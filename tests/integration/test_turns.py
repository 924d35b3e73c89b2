"""Mailouts that are sent side by side take turns."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from app.sandbox.server import SandboxServer
from app.services.sending import dispatch
from app.services.sending.send_batch import BULK_CALLS
from app.store import Store
from tests.support.factories import Arrange, start
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually


async def send_all(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, store: Store, mailouts: int, **more: str
) -> list[UUID]:
    """Side by side, one recipient a batch. Gives whose batches they were, in their order."""
    ids = [await arrange.mailout() for _ in range(mailouts)]
    for mailout in ids:
        await start(store, mailout)

    async def unsent() -> int:
        cursor = await arrange.sql.execute("select from mailouts where status <> 'sent'")
        return cursor.rowcount

    async with in_process(settings_for(dsn, sandbox.url, BATCH_SIZE="1", **more)):
        await eventually(unsent, until=lambda n: n == 0)
    cursor = await arrange.sql.execute("select mailout_id from send_batches order by token_at")
    return [row["mailout_id"] for row in await cursor.fetchall()]


@pytest.mark.parametrize("quick", [True, False])
async def test_of_many_one_whose_batches_are_soon_over_claims_several_at_once(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    quick: bool,
) -> None:
    """Of six each has two of the places. One whose batches take long never has more."""
    asked: list[int] = []
    claim = dispatch.Dispatcher._claim

    async def watched(
        self: dispatch.Dispatcher, mailout_id: UUID, attempts: list[UUID], *others: Any, **more: Any
    ) -> Any:
        asked.append(len(attempts))
        return await claim(self, mailout_id, attempts, *others, **more)

    monkeypatch.setattr(dispatch.Dispatcher, "_claim", watched)
    monkeypatch.setattr(dispatch, "QUICK_SECONDS", 60.0 if quick else 0.0)
    await arrange.subscribers(20)
    await send_all(dsn, sandbox, arrange, direct_store, 6)
    while_all_were_there = asked[: len(asked) // 2]
    if quick:
        assert BULK_CALLS // 6 < max(while_all_were_there) <= dispatch.CLAIMED_AT_ONCE
    else:
        assert max(while_all_were_there) <= BULK_CALLS // 6


@pytest.mark.parametrize("mailouts", [2, 3])
async def test_at_a_limit_each_gets_as_much_as_the_others(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    mailouts: int,
) -> None:
    """Whoever waited for tokens gets them, and after a look for new work the round goes on."""
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.03)
    await arrange.subscribers(50)
    order = await send_all(dsn, sandbox, arrange, direct_store, mailouts, RATE_LIMIT_PER_SEC="250")
    ids = set(order)
    begun = max(order.index(mailout) for mailout in ids)
    ended = min(len(order) - order[::-1].index(mailout) for mailout in ids)
    got = Counter(order[begun:ended])
    assert max(got.values()) - min(got.values()) <= dispatch.CLAIMED_AT_ONCE, got
