"""A mailout whose results are recorded in groups, while the database is away, refuses one of a
group or takes a group and loses its answer: nobody twice, and whoever's result can be written has
it written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.errors import DatabaseUnavailable
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually

READERS = 40
SIZE = 5
"""Of a batch."""


class Between:
    """Stands before record_batches: the first call waits until everybody was mailed, so that all
    other batches are in one group. fails: what that group meets, and whether it was committed."""

    def __init__(self, sandbox: SandboxServer, patch: pytest.MonkeyPatch) -> None:
        self.fails: tuple[Exception, bool] | None = None
        self.groups: list[list[str]] = []  # the attempts of each call
        self._sandbox = sandbox
        self._call = PostgresDatabase.call
        between = self

        async def standing(database: PostgresDatabase, name: str, /, **arguments: Any) -> Any:
            if name != "record_batches":
                return await between._call(database, name, **arguments)
            return await between._record(database, arguments)

        patch.setattr(PostgresDatabase, "call", standing)

    async def _record(self, database: PostgresDatabase, arguments: dict[str, Any]) -> Any:
        group = [batch["attempt"] for batch in arguments["p_batches"]]
        self.groups.append(group)
        if len(self.groups) == 1:
            await eventually(self._mailed, until=lambda mails: mails == READERS)
        if len(group) > 1 and self.fails:
            (error, committed), self.fails = self.fails, None
            if committed:
                await self._call(database, "record_batches", **arguments)
            raise error
        return await self._call(database, "record_batches", **arguments)

    async def _mailed(self) -> int:
        return len(self._sandbox.accepted())


async def sent(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> tuple[UUID, dict[str, int]]:
    """A mailout to everybody; gives how many ended how."""
    monkeypatch.setattr("app.services.sending.recording.groups.BLOCKED_SECONDS", 30.0)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url, BATCH_SIZE=str(SIZE), RATE_LIMIT_PER_SEC="10000")
    async with in_process(settings) as service:
        assert (await service.send(mailout)).status_code == 202
        shown = await eventually(
            lambda: service.show(mailout), until=lambda s: s["status"] == "sent", seconds=30
        )
    to = [line["to"] for line in sandbox.accepted()]
    assert len(to) == len(set(to)) == READERS
    return mailout, {status: n for status, n in shown["counts"].items() if n}


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("committed", [False, True], ids=["away", "answer lost"])
async def test_a_group_that_meets_an_outage_is_recorded_afterwards(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    between = Between(sandbox, monkeypatch)
    between.fails = DatabaseUnavailable("The connection broke."), committed
    await arrange.subscribers(READERS)
    mailout, counts = await sent(dsn, sandbox, arrange, monkeypatch)
    assert counts == {"sent": READERS}
    assert any(len(group) > 1 for group in between.groups)
    taken = await arrange.one(
        "select sum(accepted) from route_counts where mailout_id = %s", mailout
    )
    assert taken == READERS, "nobody is counted twice"


async def test_one_of_a_group_that_is_refused_costs_only_itself(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something in the database refuses one recipient's answer: their batch ends as unknown, all
    others as what they are, and nobody is mailed again."""
    monkeypatch.setattr("app.services.sending.recording.record.RECORD_TRIES", 2)
    between = Between(sandbox, monkeypatch)
    await arrange.subscribers(READERS)
    poison = await arrange.one("select email from subscribers order by id desc limit 1")
    await arrange.sql.execute(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'no'; end $$"
    )
    await arrange.sql.execute(
        "create trigger refuse before update on send_logs for each row when (new.message_id is "
        f"not null and new.email = '{poison}') execute function refuse()".encode()
    )
    _, counts = await sent(dsn, sandbox, arrange, monkeypatch)
    assert counts == {"sent": READERS - SIZE, "unknown": SIZE}
    assert any(len(group) > 1 for group in between.groups)
    unknown = await arrange.one(
        "select attempt_id::text from send_logs where status = 'unknown' and email = %s", poison
    )
    with_others = [group for group in between.groups if unknown in group and len(group) > 1]
    assert len(with_others) <= 1, "it came again alone"
