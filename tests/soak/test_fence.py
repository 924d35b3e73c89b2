"""A process that was only stopped wakes up with a lease it has lost: it may not send with it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psycopg

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.soak.world import TREE
from tests.support.factories import Arrange, living_sender, start
from tests.support.service import environment, process
from tests.support.waiting import eventually

LEASE = 2.0
READERS = 10


async def test_a_sender_stopped_beyond_its_lease_sends_nothing_with_it(
    dsn: str, direct_store: Store, arrange: Arrange, tmp_path: Path
) -> None:
    """Stopped while its claim commits, before the request leaves.

    What it had claimed was called unknown meanwhile, so a person may have sent it again.
    """
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    judge = await living_sender(direct_store, lease=3_600)
    await arrange.sql.execute("update executors set alive_since = now() - interval '2 hours'")

    async def rows(query: str) -> Any:
        return await arrange.one(query)

    with SandboxServer(SandboxConfig(max_send_rate=1e5, max_24h_send=-1)) as sandbox:
        variables = environment(dsn, sandbox.url, LEASE_SECONDS=str(LEASE), PYTHONPATH=TREE)
        async with await psycopg.AsyncConnection.connect(dsn) as holder:
            await holder.execute("lock table send_batches in share mode")  # holds the claim up
            with process(tmp_path, variables, "worker") as worker:
                await eventually(
                    lambda: rows(
                        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
                        "and query like '%%claim_recipients%%'"
                    ),
                    until=bool,
                )
                worker.signal(signal.SIGSTOP)
                await holder.commit()
                await eventually(
                    lambda: rows(
                        "select count(*) from send_batches "
                        f"where claimed_at < clock_timestamp() - interval '{LEASE + 0.5} s'"
                    ),
                    until=bool,
                )
                lost = await arrange.one("select attempt_id::text from send_batches")
                assert await direct_store.recover_lost(judge) == READERS
                worker.signal(signal.SIGCONT)
                # What it certainly did not send is queued again; once the mailout is over, it is
                # left to a person (`failed`).
                counts = await eventually(
                    lambda: arrange.counts(mailout), until=lambda c: c.keys() <= {"sent", "failed"}
                )
        accepted = sandbox.accepted()
    assert len(accepted) == counts.get("sent", 0)
    sent_by = {line["tags"]["attempt"] for line in accepted}
    assert lost not in sent_by, "it sent with a lease that it had lost"
