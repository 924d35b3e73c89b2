"""A mailout in the middle of which something breaks for real, and what is answered meanwhile.

Everything is a process of its own: the service, PostgreSQL, SES (the sandbox). While it breaks,
readers unsubscribe, SNS posts events and a monitor asks for the health, each twice a second.
"""

from __future__ import annotations

import asyncio
import csv
import io
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg.rows import DictRow, dict_row

from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.embedded_host import free_port
from app.sandbox.config import SandboxConfig
from tests.soak.judge import Accepted, Shown, Verdict, accepted_at, judge
from tests.soak.outside import PATIENCE_SECONDS, Outside, sns
from tests.soak.world import TREE, AcceptLog
from tests.support.service import (
    BEARER,
    Process,
    command,
    environment,
    process,
)
from tests.support.waiting import eventually

RATE = 100
BATCH = 20
LEASE_SECONDS = 10
LATENCY = (0.1, 0.3)
ANSWER_SECONDS = 10.0
"""Within this an answer has to be there, whatever is broken: SNS waits 15 s."""
GRACE_SECONDS = LEASE_SECONDS / 2 + LATENCY[1] + 1.5
"""What was claimed before a reader left may still be accepted so much later."""

Recipients = int
Produce = Callable[["Scene"], Awaitable[None]]


class Ses:
    """The sandbox on one port: killed, and started again with the same accept log."""

    def __init__(self, accept_log: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        config = SandboxConfig(
            max_send_rate=100_000, max_24h_send=-1, accept_log=accept_log, keep=100
        )
        self._command = [
            sys.executable, "-m", "app.sandbox", "127.0.0.1", str(self._port), config.to_json()
        ]  # fmt: skip

    def start(self) -> None:
        self._child = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, cwd=TREE)
        assert self._child.stdout is not None
        assert self._child.stdout.readline().startswith("sandbox ready")
        latency = {"latency": dict(zip(("min", "max"), LATENCY, strict=True))}
        httpx.put(f"{self.url}/sandbox/faults", json=latency, trust_env=False).raise_for_status()

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()


@dataclass
class Span:
    """One fault, unix seconds. accepted: recipients meanwhile. resumed: seconds after its end."""

    began: float
    ended: float
    accepted: Recipients
    resumed: float


@dataclass
class Scene:
    """A running mailout. unsure: calls whose answer SES can't have given (it was killed)."""

    folder: Path
    variables: dict[str, str]
    server: EmbeddedPostgres
    ses: Ses
    service: Process
    log: AcceptLog
    outside: Outside
    asking: asyncio.Task[None]
    http: httpx.AsyncClient
    mailout: UUID
    recipients: Recipients
    spans: list[Span] = field(default_factory=list)
    unsure: int = 0

    @asynccontextmanager
    async def sql(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        connection = await psycopg.AsyncConnection.connect(
            self.server.dsn(), autocommit=True, row_factory=dict_row, connect_timeout=5
        )
        async with connection:
            yield connection

    async def query(self, query: str) -> list[DictRow]:
        async with self.sql() as sql:
            return await (await sql.execute(query.encode())).fetchall()

    def stop_postgres(self, mode: str) -> None:
        """`pg_ctl stop -m MODE`. Blocks."""
        self.server._pg_ctl("stop", "-m", mode, "-w")
        self.server.stop()

    async def show(self) -> dict[str, Any]:
        answer = await self.http.get(f"/mailouts/{self.mailout}", headers=BEARER)
        shown: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return shown

    async def progress(self, point: Recipients) -> None:
        await self.until(lambda: self.log.read() >= point, f"{point} accepted")

    async def until(self, look: Callable[[], object], what: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, f"never came: {what}\n{self.service.log[-3000:]}"
            await asyncio.sleep(0.02)

    async def endure(self, produce: Produce) -> None:
        """Let `produce` break something and mend it, and wait until SES accepts recipients."""
        before, began = self.log.read(), time.time()
        await produce(self)
        ended = time.time()

        def later() -> list[float]:
            self.log.read()
            return [at for line in self.log.lines[before:] if (at := accepted_at(line)) >= ended]

        await self.until(later, "a recipient accepted after the fault")
        first = later()[0]
        meanwhile = sum(accepted_at(line) < ended for line in self.log.lines[before:])
        self.spans.append(Span(began, ended, meanwhile, first - ended))


@asynccontextmanager
async def scene(
    folder: Path, server: EmbeddedPostgres, recipients: Recipients, *, worker: bool = False
) -> AsyncIterator[Scene]:
    """A mailout under way on a migrated `server`. worker: a second sender beside the service."""
    async with AsyncExitStack() as stack:
        log = AcceptLog(folder / "accepted.jsonl")
        ses = Ses(log.path)
        ses.start()
        stack.callback(ses.kill)
        signer, sns_url = stack.enter_context(sns())
        port = free_port()
        front = f"http://127.0.0.1:{port}"
        variables = environment(
            server.dsn(),
            ses.url,
            AWS_ENDPOINT_URL_SNS=sns_url,
            PORT=str(port),
            APP_BASE_URL=front,
            LEASE_SECONDS=str(LEASE_SECONDS),
            RATE_LIMIT_PER_SEC=str(RATE),
            BATCH_SIZE=str(BATCH),
            PYTHONPATH=TREE,
        )
        async with await psycopg.AsyncConnection.connect(server.dsn()) as sql:
            await sql.execute(
                "insert into subscribers (email, name, created_at) "
                "select 'reader' || n || '@example.com', 'Reader ' || n, now() - interval '1 day' "
                "from generate_series(1, %s) n",
                [recipients],
            )
            made = await sql.execute(
                "insert into mailouts (subject, body_html, status) "
                "values ('Hello {{ name }}', '<p>Hi {{ name }}</p>', 'ready') returning id"
            )
            [(mailout,)] = await made.fetchall()
            found = await sql.execute("select email, id from subscribers order by id desc")
            readers = await found.fetchall()
        service = stack.enter_context(process(folder, variables, "serve"))
        if worker:
            stack.enter_context(process(folder, variables, "worker"))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=front, timeout=PATIENCE_SECONDS, trust_env=False)
        )
        outside = Outside(http, signer, sns_url, log)
        outside.readers = readers[: recipients // 3]
        await eventually(lambda: _started(http, mailout), until=bool, seconds=60)
        asking = asyncio.create_task(outside.ask_on(mailout))
        try:
            yield Scene(
                folder, variables, server, ses, service, log, outside, asking, http, mailout,
                recipients,
            )  # fmt: skip
        finally:
            await _ended(asking)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _started(http: httpx.AsyncClient, mailout: UUID) -> bool:
    try:
        answer = await http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
    except httpx.TransportError:
        return False
    return answer.status_code == 202


@dataclass
class Report:
    """What one fault did. health, answers: how often what was answered while it lasted."""

    fault: str
    how: str
    span: float
    health: Counter[str]
    answers: dict[str, Counter[str]]
    slowest: float
    accepted: Recipients
    resumed: float
    verdict: Verdict

    HEAD = (
        "| fault | how | it lasted | `/health` meanwhile | unsubscribe / event answers meanwhile | "
        "slowest answer | sending resumed after | twice / lost / unknown |\n"
        "|---|---|---|---|---|---|---|---|"
    )

    def row(self) -> str:
        said = "; ".join(f"{text} ×{n}" for text, n in self.health.most_common())
        codes = " / ".join(
            ", ".join(f"{code} ×{n}" for code, n in sorted(self.answers[kind].items()))
            for kind in ("unsubscribe", "event")
        )
        figures = self.verdict.figures
        outcome = " / ".join(
            str(figures[name]).partition(" ")[0]
            for name in (
                "accepted twice (D), after the events",
                "lost (L), after the events",
                "unknown",
            )
        )
        return (
            f"| {self.fault} | {self.how} | {self.span:.1f} s | {said} | {codes} | "
            f"{self.slowest:.1f} s | {self.resumed:.1f} s | {outcome} |"
        )


async def judged(one: Scene, fault: str, how: str, part: str | None) -> Report:
    """Wait for the mailout's end and judge.

    part: the check of `/health` that has to name the fault; None: it is too short to be asked.
    """
    verdict = Verdict({"recipients": one.recipients})

    async def over() -> bool:
        return (await one.show()).get("status") in {"sent", "failed"}

    await eventually(over, until=bool, seconds=600)
    await _ended(one.asking)
    unknown = (await one.show())["counts"]["unknown"]
    await one.outside.finish(one.mailout)
    during = [
        answer
        for answer in one.outside.answers
        if any(span.began <= answer.at <= span.ended for span in one.spans)
    ]
    health = Counter(a.health if a.code else "no answer" for a in during if a.kind == "health")
    answers = {
        kind: Counter(str(a.code or "none") for a in during if a.kind == kind)
        for kind in ("unsubscribe", "event")
    }
    verdict.figures["status"] = (await one.show())["status"]
    verdict.expect("the service ended", int(one.service.child.poll() is not None))
    verdict.expect("its processes ended", one.service.log.count('"process_ended"'))
    if part is not None:
        named = sum(n for text, n in health.items() if part in text)
        verdict.expect(f"{part} not named by /health", int(named == 0))
    strange = [a for a in one.outside.answers if a.code not in {200, 503}]
    verdict.expect("answers other than 200 and 503, and missing ones", len(strange))
    slow = [a for a in one.outside.answers if a.seconds > ANSWER_SECONDS]
    verdict.expect(f"answers later than {ANSWER_SECONDS:.0f} s", len(slow))

    one.log.read()
    accepted = Accepted.read(one.log.lines, str(one.mailout))
    gone = {row["email"] for row in await one.query(
        "select email from subscribers where status = 'unsubscribed'")}  # fmt: skip
    stored = {row["sns_message_id"] for row in await one.query(
        "select sns_message_id from ses_events")}  # fmt: skip
    verdict.expect("unsubscribes that were confirmed and lost", len(one.outside.left.keys() - gone))
    verdict.expect("events that were confirmed and lost", len(one.outside.kept - stored))
    mailed = [
        address
        for address, at in one.outside.left.items()
        if max(accepted.times.get(address, [0.0])) > at + GRACE_SECONDS
    ]
    verdict.expect("mailed after they left", len(mailed))
    verdict.expect("unknown", unknown, at_most=BATCH * one.unsure)
    readers = [f"reader{n}@example.com" for n in range(1, one.recipients + 1)]
    judge(verdict, readers, accepted, await _shown(one), final=True)
    if verdict.figures["status"] != "sent":
        verdict.wrong.append(f"the mailout is {verdict.figures['status']}")
    return Report(
        fault,
        how,
        max(span.ended - span.began for span in one.spans),
        health,
        answers,
        max((a.seconds for a in during), default=0.0),
        sum(span.accepted for span in one.spans),
        max(span.resumed for span in one.spans),
        verdict,
    )


async def _shown(one: Scene) -> Shown:
    done = await asyncio.to_thread(
        command, one.folder, one.variables, "statement", str(one.mailout)
    )
    assert done.returncode == 0, done.stderr
    return Shown.read(list(csv.DictReader(io.StringIO(done.stdout))), await one.show())
