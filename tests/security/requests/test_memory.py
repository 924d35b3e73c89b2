"""What strangers can make the service hold, measured on the process that answers them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.sandbox.server import SandboxServer
from tests.support.databases import DatabaseServer
from tests.support.ports import free_port
from tests.support.service import TOPIC, Process, client, environment, process
from tests.support.waiting import eventually

pytestmark = pytest.mark.short

MAX_GROWTH_MB = 60
"""The goal is 50; how the memory of a process is cut into pieces differs from run to run."""
SECONDS = 4.0


class Victim:
    """A service as it is run, and the memory of the process that answers."""

    def __init__(self, port: int, running: Process) -> None:
        self.port, self._running = port, running

    @property
    def _proc(self) -> Path:
        return Path(f"/proc/{self._running.pids['web']}")

    def forget_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")  # proc(5)

    def megabytes(self, name: str) -> float:
        """name: VmRSS is now, VmHWM the most since the peak was forgotten."""
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1_024
        raise LookupError(name)

    async def hold(self, opening: bytes, more: bytes = b"", pause: float = 0.0) -> None:
        """Send that over one connection, then `more` again and again, until it ends."""
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(opening)
                while more:
                    await writer.drain()
                    writer.write(more)
                    await asyncio.sleep(pause)
                await reader.read()
            finally:
                writer.transport.abort()


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


EVENT = ("/ses-events", f"X-Amz-Sns-Topic-Arn: {TOPIC}")
DEEP = b"[" * 140_000 + b"]" * 140_000
WIDE = b'{"Message": [' + b"{}," * 90_000 + b"0]}"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNK = b"1000\r\n" + b" " * 4_096 + b"\r\n"


def _whole(body: bytes, *lines: str) -> bytes:
    return head(*EVENT, *lines, f"Content-Length: {len(body)}") + body


def attacks() -> dict[str, tuple[int, bytes, bytes, float]]:
    """How many connections, what each sends, what then again and again, after how many seconds."""
    bomb = gzip.compress(b"a" * 200_000_000)
    return {
        "a header of 200 MB": (1, b"GET / HTTP/1.1\r\nX-A: ", b"a" * 1_000_000, 0),
        "400,000 headers": (5, b"GET / HTTP/1.1\r\n", b"X-A: a\r\n" * 10_000, 0),
        "events that don't end": (
            300, head(*EVENT, "Content-Length: 299999") + b" " * 290_000, b" ", 1,
        ),
        "SendGrid's that don't end": (
            300, head("/sendgrid-events", "Content-Length: 999999") + b" " * 990_000, b" ", 1,
        ),
        "chunks that don't end": (300, head(*EVENT, "Transfer-Encoding: chunked"), CHUNK, 0.1),
        "10 MB": (50, head(*EVENT, "Content-Length: 10000000"), b"a" * 100_000, 0),
        "idle": (1_200, b"", b"", 0),
        "dribbling": (1_200, b"GET / HTTP/1.1\r\nX-A: ", b"a", 1),
        "requests in a row": (50, GET * 1_000, GET * 1_000, 0),
        "deep JSON": (50, _whole(DEEP) * 10, b"", 0),
        "wide JSON": (50, _whole(WIDE) * 10, b"", 0),
        "gzip bombs": (50, _whole(bomb, "Content-Encoding: gzip") * 10, b"", 0),
    }  # fmt: skip


async def test_15_what_strangers_send_is_not_kept(
    postgres_server: DatabaseServer, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """All of it, one after the other, against one process, which answers others in between."""
    port = free_port()
    grown: dict[str, float] = {}
    with postgres_server.database() as database:
        variables = environment(
            postgres_server.dsn(database), sandbox.url, PORT=str(port), LOG_LEVEL="info"
        )
        with process(tmp_path, variables, "serve") as running:
            victim = Victim(port, running)
            async with client(f"http://127.0.0.1:{port}", timeout=60) as http:

                async def health() -> int:
                    with suppress(httpx.TransportError):
                        return (await http.get("/health")).status_code
                    return 0

                assert await eventually(health, until=lambda code: code == 200) == 200
                await _all([victim.hold(GET * 50) for _ in range(20)], 1)  # what it needs anyway
                before = victim.megabytes("VmRSS")
                for name, (connections, opening, more, pause) in attacks().items():
                    victim.forget_peak()
                    await _all(
                        [victim.hold(opening, more, pause) for _ in range(connections)], SECONDS
                    )
                    grown[name] = round(victim.megabytes("VmHWM") - before, 1)
                    assert (await http.get("/health/live")).status_code == 200, name
                grown["afterwards"] = round(victim.megabytes("VmRSS") - before, 1)
    assert max(grown.values()) <= MAX_GROWTH_MB, f"{before:.0f} MB, and more during: {grown}"


async def _all(attacks: list[Coroutine[object, object, None]], seconds: float) -> None:
    """At once, for so long."""
    tasks = [asyncio.create_task(attack) for attack in attacks]
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
