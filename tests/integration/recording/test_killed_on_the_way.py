"""A sender is killed (-9) while groups of results are on their way to the database, which commits
what it has got, or gives it up: nobody is mailed twice, whoever SES accepted is `sent` or
`unknown`, and nobody is lost."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from app.sandbox.server import SandboxServer
from app.services.sending.send_batch import FAST_BULK_CALLS
from app.store import Store
from tests.support.factories import Arrange, living_sender, start
from tests.support.service import environment, process
from tests.support.waiting import eventually

SIZE = 5
"""Of a batch."""
MAILED = FAST_BULK_CALLS * SIZE
"""Before the kill: as many as may be under way without a result that is recorded."""
READERS = MAILED + 4 * SIZE
GATE = 17
"""The advisory lock behind which all records wait, with the locks of their batches."""

HELD_UP = (
    "create function hold_up() returns trigger language plpgsql as $$ begin"
    "  if current_query() like '%record_batches%' then"
    f"    perform pg_advisory_xact_lock_shared({GATE});"
    "  end if;"
    "  return new; end $$;"
    "create trigger hold_up before update of recorded_at on send_batches"
    "  for each row execute function hold_up()"
)
WAITING = (
    "from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
    " and query like '%%record_batches%%'"
)
NOT_ON_THEIR_WAY = (
    "select count(*) from (select from send_batches where recorded_at is null"
    " for update skip locked) free"
)


@pytest.mark.short
@pytest.mark.parametrize("cut_off", ["none", "one", "all"])
async def test_a_sender_killed_while_groups_of_results_are_on_their_way(
    dsn: str,
    direct_store: Store,
    sandbox: SandboxServer,
    arrange: Arrange,
    tmp_path: Path,
    cut_off: str,
) -> None:
    """cut_off: how many of its calls the database gives up; the others are committed, though
    nobody is there any more to hear of it."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    judge = await living_sender(direct_store, lease=3_600)
    await arrange.sql.execute("update executors set alive_since = now() - interval '2 hours'")
    await arrange.sql.execute(HELD_UP.encode())
    variables = environment(dsn, sandbox.url, BATCH_SIZE=str(SIZE))

    async def calls() -> int:
        return int(await arrange.one(f"select count(*) {WAITING}"))

    async def on_their_way() -> bool:
        return len(sandbox.accepted()) == MAILED and not await arrange.one(NOT_ON_THEIR_WAY)

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as gate:
        await gate.execute(f"select pg_advisory_lock({GATE})".encode())
        with process(tmp_path, variables, "worker") as worker:
            await eventually(on_their_way, until=bool)
            worker.kill()
        under_way = await calls()
        assert 1 < under_way < FAST_BULK_CALLS, "no batches went together"
        # Its lease runs out.
        await arrange.sql.execute(
            "update executors set lease_seconds = 0.01 where id <> %s", [judge]
        )
        assert await direct_store.recover_lost(judge) == 0, "of a call that may yet be committed"
        if cut_off != "none":
            limit = "" if cut_off == "all" else "order by pid limit 1"
            await arrange.sql.execute(
                f"select pg_terminate_backend(pid, 10000) {WAITING} {limit}".encode()
            )
    await eventually(calls, until=lambda n: n == 0)
    unknown = await direct_store.recover_lost(judge)
    assert {"none": unknown == 0, "one": 0 < unknown < MAILED, "all": unknown == MAILED}[cut_off]

    before = {line["to"] for line in sandbox.accepted()}
    told = await arrange.sql.execute(
        "select email from send_logs where status in ('sent', 'unknown')"
    )
    assert {row["email"] for row in await told.fetchall()} == before, "SES accepted just those"
    with process(tmp_path, variables, "worker"):
        await eventually(
            lambda: arrange.one("select status from mailouts where id = %s", mailout),
            until=lambda status: status == "sent",
        )
    to = [line["to"] for line in sandbox.accepted()]
    assert len(to) == len(set(to)) == READERS
    counts = await arrange.counts(mailout)
    assert counts == {"sent": READERS - unknown} | ({"unknown": unknown} if unknown else {})
    taken = await arrange.one(
        "select sum(accepted)::integer from route_counts where mailout_id = %s", mailout
    )
    assert taken == counts["sent"], "nobody is counted twice"
