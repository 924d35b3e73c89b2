"""What a stranger's flood does to sending, to genuine events and to `/health`, and what sending at
full speed does to genuine events.

`python -m bench.floods` measures all; `python -m bench.floods PORT KIND SECONDS` is the stranger:
50 connections, each of which asks as soon as it was answered, and comes again when it was closed.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.events import certificate_host, request
from bench.load import length_of, post_all
from bench.parts import fill, ready_mailout, running, sink, start_directly, wait_for, wait_until_up
from tests.support.ports import free_port
from tests.support.service import TOPIC, environment

RATE = 200.0
SECONDS = 5.0
CONNECTIONS = 50
EVENTS_PER_SECOND = 100
EVENTS_MEANWHILE = 3_000


_STRANGER = "X-Forwarded-For: 198.51.100.7"
"""They come by a proxy, as does nobody else here."""


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def _post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Length: {len(body)}",
        _STRANGER,
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


_COSTLY = b'{"Type": "Notification", "Message": [' + b"{}," * 74_000 + b"0]}"
_FORM = "Content-Type: application/x-www-form-urlencoded"
KINDS = {
    "events, 74,000 objects": _post("/ses-events", _COSTLY),
    "the same, naming the topic": _post("/ses-events", _COSTLY, f"X-Amz-Sns-Topic-Arn: {TOPIC}"),
    "/send-mailout with 990 KB": _post("/send-mailout", b"[" + b"{}," * 330_000 + b"{}]"),
    "/send-mailout, a wrong secret in it": _post(
        "/send-mailout", b'{"auth_token": "wrong", "a": [' + b"{}," * 5_000 + b"0]}"
    ),
    "wrong keys": _get("/mailouts", _STRANGER, "X-Auth-Token: as_" + "x" * 43),
    "wrong sign-ins": _post("/dashboard/login", b"secret=wrong", _FORM, "Origin: http://127.0.0.1"),
    "wrong links": _post(f"/unsubscribe?token={'A' * 44}.{'A' * 43}", b""),
    "sign-ups": _post("/subscribe", b"email=somebody@example.com", _FORM),
    "junk": _get("/.env", _STRANGER),
}


@dataclass
class Probe:
    """Looks at the service every tenth of a second, and brings genuine events meanwhile; its
    figures are seconds. lost: whatever of it wasn't answered with 200."""

    port: int
    events: Iterator[bytes]
    health: list[float] = field(default_factory=list)
    live: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    lost: int = 0

    async def run(self, over: threading.Event) -> None:
        """Until it is over."""
        await asyncio.gather(
            self._repeat(over, 0.1, self.health, lambda: _get("/health")),
            self._repeat(over, 0.1, self.live, lambda: _get("/health/live")),
            *(
                self._repeat(over, 4 / EVENTS_PER_SECOND, self.taken, lambda: next(self.events))
                for _ in range(4)
            ),
        )

    async def _repeat(
        self, over: threading.Event, pause: float, figures: list[float], make: Callable[[], bytes]
    ) -> None:
        while not over.is_set():
            asked, begun = make(), time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(asked)
            status = await reader.readline()
            figures.append(time.monotonic() - begun)
            writer.transport.abort()
            if b" 200 " not in status:
                self.lost += 1
            await asyncio.sleep(pause)

    @property
    def words(self) -> str:
        return (
            f"/health at most {max(self.health):.2f} s, /health/live {max(self.live):.2f} s; "
            f"{len(self.taken) / SECONDS:.0f} genuine events/s, 99th percentile "
            f"{_p99(self.taken) * 1000:.0f} ms, {self.lost} not taken"
        )


def _p99(figures: list[float]) -> float:
    return statistics.quantiles(figures, n=100)[98]


def flooded(dsn: str) -> Iterator[tuple[str, str, str, str]]:
    with certificate_host() as (signer, sns_url):
        events = iter([request(signer, sns_url, row) for row in range(1, 16_000)])
        for kind in KINDS:
            before, rate, answered, probe, log_bytes = under(dsn, sns_url, events, kind)
            yield (
                f"sending at {RATE:g}/s, flood: {kind}, {answered:,.0f} answers/s",
                f"{rate:.0f} mails/s, before {before:.0f}; {probe.words}",
                "90 % of the rate, /health in 2 s, no event lost",
                f"log {log_bytes / SECONDS / 1000:,.0f} KB/s",
            )
        yield at_full_speed(dsn, sns_url, events)


def under(
    dsn: str, sns_url: str, events: Iterator[bytes], kind: str
) -> tuple[float, float, float, Probe, int]:
    """Mails a second before and while the flood lasts, how many of its requests were answered a
    second, what was seen meanwhile, and bytes of the log."""
    fill(dsn, int(RATE * (2 * SECONDS + 25)))
    port = free_port()
    with sink() as target, tempfile.NamedTemporaryFile() as log:
        variables = environment(
            dsn, target.url, AWS_ENDPOINT_URL_SNS=sns_url, LOG_LEVEL="info", PORT=str(port),
            APP_BASE_URL=f"http://127.0.0.1:{port}", RATE_LIMIT_PER_SEC=str(RATE), SIGNUP="true",
        )  # fmt: skip
        with running(["serve"], variables, log):
            wait_for(dsn, "select count(*) from send_rates where rate is not null", 1)
            wait_until_up(f"http://127.0.0.1:{port}")
            start_directly(dsn, ready_mailout(dsn))
            while target.stats()["mails"] < RATE:
                time.sleep(0.1)

            def sent() -> tuple[float, float]:
                return target.stats()["mails"], time.monotonic()

            over, probe = threading.Event(), Probe(port, events)
            looks = threading.Thread(target=lambda: asyncio.run(probe.run(over)))
            looks.start()
            first = sent()
            time.sleep(SECONDS)
            second, size = sent(), Path(log.name).stat().st_size
            for figures in (probe.health, probe.live, probe.taken):
                figures.clear()
            stranger = [sys.executable, "-m", "bench.floods", str(port), kind, str(SECONDS)]
            done = subprocess.run(stranger, stdout=subprocess.PIPE, text=True, check=True)
            third, written = sent(), Path(log.name).stat().st_size - size
            over.set()
            looks.join()
    before, during = ((b[0] - a[0]) / (b[1] - a[1]) for a, b in ((first, second), (second, third)))
    return before, during, float(done.stdout), probe, written


def at_full_speed(dsn: str, sns_url: str, events: Iterator[bytes]) -> tuple[str, str, str, str]:
    """The other way round: genuine events while as much is sent as can be."""
    fill(dsn, 60_000)
    port = free_port()
    with sink() as target, tempfile.TemporaryFile() as log:
        variables = environment(
            dsn, target.url, AWS_ENDPOINT_URL_SNS=sns_url, LOG_LEVEL="info", PORT=str(port),
            APP_BASE_URL=f"http://127.0.0.1:{port}", RATE_LIMIT_PER_SEC="1000000",
        )  # fmt: skip
        with running(["serve"], variables, log):
            wait_for(dsn, "select count(*) from send_rates where rate is not null", 1)
            wait_until_up(f"http://127.0.0.1:{port}")
            start_directly(dsn, ready_mailout(dsn))
            while not target.stats()["first"]:
                time.sleep(0.05)
            before = target.stats()["mails"]
            wanted = [next(events) for _ in range(EVENTS_MEANWHILE)]
            answers, took = post_all(port, wanted, CONNECTIONS)
            sent = target.stats()["mails"] - before
    return (
        f"genuine events over {CONNECTIONS} connections while sending at full speed",
        f"{len(wanted) / took:,.0f} events/s, 99th percentile {_p99(answers.latencies) * 1000:.0f} "
        f"ms, {answers.refused} refused; {sent / took:,.0f} mails/s beside it",
        "no event refused", "",
    )  # fmt: skip


async def _stranger(port: int, asked: bytes, until: float) -> int:
    """How many answers one connection after the other got."""
    answers = 0
    while time.monotonic() < until:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while time.monotonic() < until:
                    writer.write(asked)
                    head = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(length_of(head))
                    answers += 1
            finally:
                writer.transport.abort()
    return answers


async def _strangers(port: int, asked: bytes, seconds: float) -> int:
    until = time.monotonic() + seconds
    found = [_stranger(port, asked, until) for _ in range(CONNECTIONS)]
    return sum(await asyncio.gather(*found))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        from bench.run import main  # which knows us

        main(["flood"])
    else:
        lasting = float(sys.argv[3])
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_strangers(int(sys.argv[1]), KINDS[sys.argv[2]], lasting))
        print(found / lasting)
