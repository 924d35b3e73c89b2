"""The database did it, and its answer got lost: nobody may assume that it was rolled back."""

from __future__ import annotations

from typing import Any

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.errors import DatabaseUnavailable
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually

READERS = 30


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "function",
    [
        "claim_recipients",
        "record_batches",
        "queue_recipients",
        "heartbeat",
        "sender_work",
    ],
)
async def test_a_mailout_ends_although_answers_of_the_database_are_lost(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
) -> None:
    """The first answer of one function is lost after its commit."""
    left = 0
    call = PostgresDatabase.call

    async def losing(self: PostgresDatabase, name: str, /, **arguments: Any) -> Any:
        nonlocal left
        answer = await call(self, name, **arguments)
        if name == function and left and answer:
            left -= 1
            raise DatabaseUnavailable("The connection broke after the commit.")
        return answer

    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url, BATCH_SIZE="10", LEASE_SECONDS="2")
    monkeypatch.setattr(PostgresDatabase, "call", losing)
    async with in_process(settings) as service:
        left = 1
        assert (await service.send(mailout)).status_code == 202
        shown = await eventually(
            lambda: service.show(mailout), until=lambda s: s["status"] == "sent", seconds=30
        )
        assert left == 0
    accepted = [line["to"] for line in sandbox.accepted()]
    assert len(accepted) == len(set(accepted)) == shown["counts"]["sent"]
    assert shown["counts"]["sent"] + shown["counts"]["unknown"] == READERS
