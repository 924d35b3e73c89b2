"""The database's share of a mail: queue, claim and record over one connection, as a sender does.

CPU moves with whatever else the machine does; the WAL and the calls of a mail do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from bench.parts import fill, ready_mailout, start_directly

Row = tuple[str, str, str, str]
REGION = "us-east-1"
ACCOUNT = {
    "max_send_rate": 1e6, "max_24h_send": -1, "sent_last_24h": 0, "sending_enabled": True,
    "enforcement_status": "HEALTHY", "production_access": True,
}  # fmt: skip
BATCH = 50
CLAIMED_AT_ONCE = 8


@dataclass
class Meter:
    """What the process behind a connection used of the CPU, and the server wrote of WAL."""

    sql: psycopg.Connection[Any]
    cpu: float = 0.0
    wal: int = 0
    calls: int = 0

    def _now(self) -> tuple[float, int]:
        row = self.sql.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        used = Path(f"/proc/{self.sql.info.backend_pid}/schedstat").read_text().split()[0]
        return int(used) / 1e9, int(row[0])

    def call(self, query: str, *values: Any) -> Any:
        cpu, wal = self._now()
        row = self.sql.execute(query.encode(), values).fetchone()
        assert row is not None
        cpu_after, wal_after = self._now()
        self.cpu, self.wal, self.calls = (
            self.cpu + cpu_after - cpu, self.wal + wal_after - wal, self.calls + 1
        )  # fmt: skip
        return row[0]

    def row(self, what: str, mails: int) -> Row:
        return (
            f"database: {what}", f"{self.cpu / mails * 1e6:.1f} CPU-s per million",
            "45 s in all", f"{self.wal / mails:,.0f} bytes of WAL a mail, "
            f"{self.calls / mails * 1000:.1f} calls per 1,000",
        )  # fmt: skip


def ledger(dsn: str, recipients: int = 50_000, group: int = CLAIMED_AT_ONCE) -> Iterable[Row]:
    """group: batches that are recorded in one call."""
    fill(dsn, recipients)
    mailout = ready_mailout(dsn)
    start_directly(dsn, mailout)
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as sql:
        queue, claims, records = Meter(sql), Meter(sql), Meter(sql)
        while not queue.call("select queue_recipients(%s, 20000)", mailout)["done"]:
            pass
        sender = str(uuid4())
        sql.execute("select record_account(%s, %s)", [REGION, json.dumps(ACCOUNT)])
        sql.execute("select heartbeat(%s, %s, 'bench', 600, 1e6)", [sender, REGION])
        after = sent = 0
        while True:
            attempts = json.dumps([str(uuid4()) for _ in range(CLAIMED_AT_ONCE)])
            claim = claims.call(
                "select claim_recipients(%s, %s, %s, %s, %s, false, 0.05, 0.001, %s)",
                mailout, sender, REGION, BATCH, attempts, after,
            )  # fmt: skip
            if claim.get("reason") == "wait":
                continue
            if "reason" in claim:
                break
            after, sent = claim["ids"][-1], sent + len(claim["ids"])
            told, at = [], 0
            for attempt, size in zip(claim["attempts"], claim["sizes"], strict=True):
                ids, at = claim["ids"][at : at + size], at + size
                messages = [f"0100{uuid4()}-{uuid4()}"[:60] for _ in ids]
                told.append(
                    {"attempt": attempt, "ids": ids, "message_ids": messages, "rest": []}
                )  # fmt: skip
            for first in range(0, len(told), group):
                records.call("select record_batches(%s)", json.dumps(told[first : first + group]))
    yield queue.row("queue a recipient", recipients)
    yield claims.row(f"claim, {CLAIMED_AT_ONCE} batches at once", sent)
    yield records.row(f"record, groups of {group}", sent)
