"""The real parts of a run: PostgreSQL with fsync, a sandbox process, executors as processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import psycopg
from psycopg.rows import DictRow, dict_row

import app
from app.adapters.database.embedded import EmbeddedPostgres
from app.adapters.database.embedded_host import free_port
from app.adapters.database.migrations import migrate
from app.sandbox.config import SandboxConfig
from app.sandbox.server import Remote, SandboxServer
from tests.soak.plan import Plan
from tests.support.door import Door, door
from tests.support.service import BEARER, TOPIC, Process, environment, process
from tests.support.world import provider_variables

# Children run the same tree as this process, also when that is a patched copy (controls.py).
TREE = str(Path(app.__file__).parents[1])


@dataclass
class AcceptLog:
    """The sandbox's append-only log, followed. `lines`: one item per accepted recipient."""

    path: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    _offset: int = 0

    def read(self) -> int:
        """Take in what was added; gives how many recipients are accepted so far."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        self.lines += [orjson.loads(line) for line in whole.splitlines()]
        return len(self.lines)


class Executor:
    """One place for a process: `serve` or `worker`, started again after each death."""

    def __init__(self, folder: Path, variables: dict[str, str], command: str) -> None:
        self._folder, self._variables, self.command = folder, variables, command
        self._stack = ExitStack()
        self._ended_inside = 0
        self.start()

    def start(self) -> None:
        self.process: Process = self._stack.enter_context(
            process(self._folder, self._variables, self.command)
        )

    @property
    def label(self) -> str:
        """Its name in the table of executors."""
        pid = self.process.pids.get("work", self.process.child.pid)
        return f"{socket.gethostname()}:{pid}"

    @property
    def is_sending(self) -> bool:
        """It lives, and has recorded a batch: it takes part in the mailout."""
        return self.process.child.poll() is None and '"batch_sent"' in self.process.log

    @property
    def ended_inside(self) -> int:
        """Processes that its supervisors had to start again though nobody killed them, over all its
        lives."""
        ended = (line for line in self.process.log.splitlines() if '"process_ended"' in line)
        return self._ended_inside + sum('"SIGKILL"' not in line for line in ended)

    def kill_work(self) -> None:
        """SIGKILL to the process that sends; its supervisor starts another."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pids["work"], signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to all of it, and wait until it is gone. Harmless when it is."""
        self._ended_inside = self.ended_inside
        self._stack.close()


@dataclass
class World:
    plan: Plan
    folder: Path
    server: EmbeddedPostgres
    sandbox: SandboxServer
    doors: dict[str, Door]
    log: AcceptLog
    variables: dict[str, str]
    http: httpx.AsyncClient
    executors: list[Executor]

    @property
    def remotes(self) -> dict[str, Remote]:
        """The sandbox's side of each region."""
        return {self.plan.regions[0]: self.sandbox, **self.sandbox.regions}

    @property
    def dsn(self) -> str:
        return self.server.dsn()

    @asynccontextmanager
    async def sql(self) -> AsyncIterator[psycopg.AsyncConnection[DictRow]]:
        """The superuser's connection; waits for a server that is just starting."""
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self.dsn, autocommit=True, row_factory=dict_row, connect_timeout=5
                )
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
        async with connection:
            yield connection

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        """One request to the front; None while it is dead, stopped or without a database."""
        try:
            response = await self.http.request(method, path, json=body, headers=BEARER)
        except httpx.TransportError:
            return None
        return None if response.status_code == 503 else response

    async def show(self, mailout: UUID) -> dict[str, Any] | None:
        response = await self.ask("GET", f"/mailouts/{mailout}")
        return None if response is None else response.raise_for_status().json()

    def trouble(self, provider: str, fault: Mapping[str, Any]) -> None:
        """Its next call meets this. Blocks."""
        path = f"/sandbox/{provider}/faults"
        self.sandbox.control.put(path, json=fault).raise_for_status()

    def restart_postgres(self) -> None:
        """`pg_ctl stop -m immediate` (as a crash: recovery follows), then start. Blocks."""
        self.server._pg_ctl("stop", "-m", "immediate", "-w", check=True)
        self.server.stop()
        self.server.start()


@contextmanager
def durable_postgres(
    settings: Mapping[str, str] | None = None, *, disk: Path | None = None
) -> Iterator[EmbeddedPostgres]:
    """A migrated server on a real disk that flushes what it commits.

    disk: the folder of its data's folder; None: a temporary one.
    """
    folder = Path(tempfile.mkdtemp(prefix="amazonsender-soak-", dir=disk))
    folder.chmod(0o711)  # as root the server runs as another account, which must get in
    settings = {"restart_after_crash": "on", **(settings or {})}
    try:
        with EmbeddedPostgres(folder / "data", settings=settings) as server:
            asyncio.run(migrate(server.dsn()))
            yield server
    finally:
        shutil.rmtree(folder)


def _by_region(plan: Plan, doors: Mapping[str, Door]) -> dict[str, str | None]:
    """What the service is told of its regions."""
    home = plan.regions[0]
    assert TOPIC.split(":")[3] == home
    endpoints = {
        f"AWS_ENDPOINT_URL_SESV2_{name.upper().replace('-', '_')}": each.url
        for name, each in doors.items()
    }
    topics = ",".join(TOPIC.replace(home, name) for name in plan.regions)
    return {
        **endpoints,
        "AWS_REGION": None,
        "SES_REGIONS": ",".join(plan.regions),
        "SNS_ALLOWED_TOPIC_ARNS": topics,
    }


def _by_provider(plan: Plan, url: str) -> dict[str, str | None]:
    if not plan.providers:
        return {}
    return {
        **provider_variables(url),
        "FALLBACK_PROVIDERS": ",".join(plan.providers),
        "FALLBACK_AFTER_SECONDS": str(plan.fallback_after),
        "FALLBACK_RATE_PER_SEC": str(plan.rate),
    }


@asynccontextmanager
async def world(plan: Plan, folder: Path) -> AsyncIterator[World]:
    """All of it, the executors running and the readers subscribed."""
    async with AsyncExitStack() as stack:
        opened = durable_postgres()
        server = await asyncio.to_thread(opened.__enter__)
        stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        port, accept_log = free_port(), folder / "accepted.jsonl"
        front = f"http://127.0.0.1:{port}"
        config = SandboxConfig(
            max_send_rate=100_000,
            max_24h_send=-1,
            event_endpoint=f"{front}/ses-events",
            topic_arn=TOPIC,
            regions=plan.regions[1:],
            sendgrid="sendgrid" in plan.providers,
            mailgun="mailgun" in plan.providers,
            provider_events=front,
            event_delay=(0.0, 0.5),
            signature_version="2",
            accept_log=accept_log,
            keep=100,
            seed=plan.seed,
        )
        sandbox = stack.enter_context(SandboxServer(config, process=True))
        remotes = {plan.regions[0]: sandbox, **sandbox.regions}
        doors = {}
        for name, remote in remotes.items():
            if plan.hold_events:
                remote.control.post("/sandbox/events/hold")
            remote.faults(next=plan.calls(name), event_duplicate=0.1)
            doors[name] = await stack.enter_async_context(door(remote.url))
        variables = environment(
            server.dsn(),
            sandbox.url,
            **_by_region(plan, doors),
            **_by_provider(plan, sandbox.url),
            PORT=str(port),
            APP_BASE_URL=front,
            LEASE_SECONDS=str(plan.lease),
            RATE_LIMIT_PER_SEC=str(plan.rate),
            BATCH_SIZE=str(plan.batch),
            PYTHONPATH=TREE,
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=front, timeout=5, trust_env=False)
        )
        executors = []
        for number in range(plan.executors):
            executor = Executor(folder, variables, "worker" if number else "serve")
            stack.callback(executor.kill)
            executors.append(executor)
        running = World(
            plan, folder, server, sandbox, doors, AcceptLog(accept_log), variables, http, executors
        )
        async with running.sql() as sql:
            await sql.execute(
                "insert into subscribers (email, name, created_at) "
                "select 'reader' || n || '@example.com', 'Reader ' || n, now() - interval '1 day' "
                "from generate_series(1, %s) n",
                [plan.recipients],
            )
        yield running
