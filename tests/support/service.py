"""The service with its sender: in this process over ASGI, or as real processes over HTTP."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from app.api.http.deps import Services
from app.main import create_app, running
from app.settings import Settings, load_settings
from tests.support.forks import Fork
from tests.support.waiting import eventually

SECRET = "caller-EnCWTevqr2rNnDzMOQbkO4wgX1UTl0hJ"
OTHER_SECRET = "caller-5cB3sGZ1WkqRy8pFhVtLmXu0dNaJ7eTo"
UNSUBSCRIBE_SECRET = "unsubscribe-JbV0xYw6LkqzR3tMdG8fHsCnP1oZ"
TOPIC = "arn:aws:sns:us-east-1:123456789012:amazonsender"
BEARER = {"Authorization": f"Bearer {SECRET}"}

DEFAULTS: dict[str, str] = {
    "EXECUTOR_SHARED_SECRET": SECRET,
    "UNSUBSCRIBE_SECRET": UNSUBSCRIBE_SECRET,
    "APP_BASE_URL": "http://localhost:8000",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "test-secret-key",
    "SES_FROM_EMAIL": "news@example.com",
    "SES_CONFIGURATION_SET": "sandbox",
    "ORG_NAME": "Example Org",
    "ORG_ADDRESS": "1 Street, Town",
    "SNS_ALLOWED_TOPIC_ARNS": TOPIC,
    "TEST_EMAILS": "me@example.com, you@example.com",
    "RATE_LIMIT_PER_SEC": "100000",
}


def environment(dsn: str, sandbox_url: str | None, **changes: str | None) -> dict[str, str]:
    """The variables of a complete configuration; a change to None removes one."""
    values: dict[str, str | None] = {**DEFAULTS, "DATABASE_URL": dsn}
    if sandbox_url is not None:
        values |= {"AWS_ENDPOINT_URL_SESV2": sandbox_url, "AWS_ENDPOINT_URL_SNS": sandbox_url}
    values |= changes
    return {name: value for name, value in values.items() if value is not None}


def settings_for(dsn: str, sandbox_url: str | None, **changes: str | None) -> Settings:
    values = environment(dsn, sandbox_url, **changes)
    # Not pytest's own, which has another value in every test.
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return _settings(frozenset(values.items()), frozenset(outer.items()))


@functools.cache
def _settings(values: frozenset[tuple[str, str]], _outer: frozenset[tuple[str, str]]) -> Settings:
    """Reading them takes 0.03 s, and most tests have the same."""
    return load_settings(None, **{name.lower(): value for name, value in values})


class Service:
    """A running service and a client for it."""

    def __init__(self, services: Services, http: httpx.AsyncClient) -> None:
        self.services = services
        self.http = http

    async def send(self, mailout_id: object, **body: Any) -> httpx.Response:
        return await self.http.post(
            "/send-mailout", json={"mailout_id": str(mailout_id), **body}, headers=BEARER
        )

    async def show(self, mailout_id: object) -> dict[str, Any]:
        found: dict[str, Any] = (
            (await self.http.get(f"/mailouts/{mailout_id}", headers=BEARER))
            .raise_for_status()
            .json()
        )
        return found

    async def health(self) -> dict[str, Any]:
        """What `/health` says, with its `code`."""
        answer = await self.http.get("/health")
        report: dict[str, Any] = answer.json()
        return report | {"code": answer.status_code}

    async def healthy(self) -> dict[str, Any]:
        """The same, once the sender has reported and the answer is 200."""
        return await eventually(self.health, until=lambda report: report["code"] == 200)


@asynccontextmanager
async def in_process(settings: Settings, *, with_sender: bool = True) -> AsyncIterator[Service]:
    """The service in this event loop."""
    async with running(settings, with_sender=with_sender) as services:
        transport = httpx.ASGITransport(create_app(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
            yield Service(services, http)


def client(base_url: str | httpx.URL, **settings: Any) -> httpx.AsyncClient:
    """A client of a program that runs. It keeps no connection: the program ends one that was idle
    for five seconds, perhaps just when it is used again."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=base_url, limits=limits, trust_env=False, **settings)


class Process:
    """One of our commands as a process of its own, its log in a file."""

    def __init__(self, child: subprocess.Popen[bytes] | Fork, log: Path) -> None:
        self.child = child
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def pids(self) -> dict[str, int]:
        """The processes that its supervisor started last, by role; empty without a supervisor."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.endswith("}"))
        started = [line for line in lines if line.get("event") == "process_started"]
        return {line["process"]: line["pid"] for line in started}

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.child.pid, number)

    def kill(self) -> None:
        """SIGKILL to all of it, and wait until they are gone. Harmless when they are."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.child.wait()
        while any(map(runs, self.pids.values())):
            time.sleep(0.01)

    def stop(self) -> float:
        """SIGTERM; gives the seconds until it was gone."""
        started = time.monotonic()
        self.signal(signal.SIGTERM)
        self.child.wait(30)
        return time.monotonic() - started


@contextmanager
def process(folder: Path, variables: dict[str, str], *arguments: str) -> Iterator[Process]:
    """`amazonsender …` in the background; killed at the end if it still runs."""
    log = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
    log.touch()
    child = started(folder, variables, arguments, log, log)
    running = Process(child, log)
    try:
        yield running
    finally:
        running.kill()


def runs(pid: int) -> bool:
    """Whether it lives, and not only waits for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command(
    folder: Path, variables: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """`amazonsender …` to its end."""
    out, err = (folder / f"{name}-{time.monotonic_ns()}" for name in ("out", "err"))
    code = started(folder, variables, arguments, out, err).wait()
    said, complaint = (file.read_text(encoding="utf-8") for file in (out, err))
    out.unlink()
    err.unlink()
    return subprocess.CompletedProcess(arguments, code, said, complaint)


def started(
    folder: Path, variables: dict[str, str], arguments: tuple[str, ...], out: Path, err: Path
) -> subprocess.Popen[bytes] | Fork:
    """The program, its output in two files or in one. Python is started anew where it is another
    tree's program, by PYTHONPATH or because it lies in `folder`."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    if "PYTHONPATH" not in variables and not (folder / "app").exists():
        return Fork(arguments, env, folder, out, err)
    with out.open("ab") as to, err.open("ab") as complaints:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            env=env,
            cwd=folder,
            stdout=to,
            stderr=complaints,
            start_new_session=True,
        )
