"""Several workers and a database far away, one of them killed and one cut off beyond its lease."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.sending.send_batch import BULK_CALLS
from app.store import Store
from tests.soak.judge import fullest_second
from tests.soak.world import TREE, AcceptLog
from tests.support.distance import Line
from tests.support.factories import Arrange, start
from tests.support.service import Process, environment, process
from tests.support.waiting import eventually

RATE, BATCH, READERS = 200, 20, 1_000
KILLED, CUT_OFF = 0, 1


async def begin_far_away(
    stack: AsyncExitStack, dsn: str, folder: Path, sandbox: SandboxServer
) -> tuple[Process, Line]:
    """A worker whose calls and their answers take 10 ms."""
    address = urlsplit(dsn)
    assert address.hostname is not None
    assert address.port is not None
    line = Line(address.hostname, address.port, 0.005)
    port = await stack.enter_async_context(line.open())
    login = address.netloc.rpartition("@")[0]
    variables = environment(
        address._replace(netloc=f"{login}@127.0.0.1:{port}").geturl(),
        sandbox.url,
        LEASE_SECONDS="2",
        RATE_LIMIT_PER_SEC=str(RATE),
        BATCH_SIZE=str(BATCH),
        PYTHONPATH=TREE,
    )
    return stack.enter_context(process(folder, variables, "worker")), line


@pytest.mark.short
async def test_workers_far_from_their_database_carry_on_for_a_killed_and_a_cut_off_one(
    dsn: str, direct_store: Store, arrange: Arrange, tmp_path: Path
) -> None:
    """Nobody twice, nobody lost, the rate never above its limit, and unknown at most what the two
    had in flight."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    accepted = AcceptLog(tmp_path / "accepted.jsonl")
    config = SandboxConfig(max_send_rate=1e5, max_24h_send=-1, accept_log=accepted.path, keep=10)
    async with AsyncExitStack() as stack:
        sandbox = stack.enter_context(SandboxServer(config, process=True))
        sandbox.faults(latency={"min": 0.2, "max": 0.4})
        workers = [await begin_far_away(stack, dsn, tmp_path, sandbox) for _ in range(3)]

        async def living() -> int:
            return int(await arrange.one("select count(*) from executors e where is_alive(e)"))

        await eventually(living, until=lambda n: n == len(workers))
        gone = [await executor_of(arrange, workers[n][0]) for n in (KILLED, CUT_OFF)]
        await start(direct_store, mailout)

        async def in_flight() -> int:
            """How many of the two have calls in flight."""
            return int(
                await arrange.one(
                    "select count(distinct executor_id) from send_batches "
                    "where recorded_at is null and executor_id = any (%s)",
                    gone,
                )
            )

        await eventually(in_flight, until=lambda both: both == 2)
        workers[CUT_OFF][1].cut()
        workers[KILLED][0].signal(signal.SIGKILL)

        async def are_over() -> bool:
            """All calls of the two that were under way are called unknown."""
            return await living() == 1 and await in_flight() == 0

        await eventually(are_over, until=bool)
        workers[CUT_OFF][1].mend()

        async def counts() -> dict[str, int]:
            return await arrange.counts(mailout)

        ended = await eventually(counts, until=lambda now: now.keys() <= {"sent", "unknown"})
        accepted.read()

    mailed = Counter(line["to"] for line in accepted.lines)
    assert set(mailed.values()) == {1}, "twice"
    rows = await rows_of(arrange, mailout)
    assert len(rows) == READERS
    assert {row["email"] for row in rows if row["status"] == "sent"} <= mailed.keys(), "lost"
    unsure = [row for row in rows if row["status"] == "unknown"]
    assert {row["executor_id"] for row in unsure} <= set(gone)
    assert ended.get("unknown", 0) <= 2 * BULK_CALLS * BATCH
    assert fullest_second(await tokens(arrange)) <= RATE


async def executor_of(arrange: Arrange, worker: Process) -> UUID:
    found = await arrange.one(
        "select id from executors where label like %s", f"%:{worker.child.pid}"
    )
    assert isinstance(found, UUID)
    return found


async def rows_of(arrange: Arrange, mailout: UUID) -> list[dict[str, Any]]:
    found = await arrange.sql.execute(
        "select email, status, executor_id from send_logs join send_batches using (attempt_id) "
        "where send_logs.mailout_id = %s",
        [mailout],
    )
    return await found.fetchall()


async def tokens(arrange: Arrange) -> list[tuple[float, int]]:
    """Each token that was taken, with the instant at which it fell due."""
    found = await arrange.sql.execute(
        "select extract(epoch from token_at)::float8 - k::float8 / %s as at "
        "from send_batches, generate_series(0, cardinality(send_log_ids) - 1) k",
        [RATE],
    )
    # Neighbours are 1/RATE apart: what a float leaves out must not bring one into a second.
    return [(round(row["at"], 4), 1) for row in await found.fetchall()]
