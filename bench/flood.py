"""Does a stranger's flood slow sending? The rate at the sink without and with one, in two processes
and in one.

`python -m bench.flood PORT KIND SECONDS` is the stranger.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from bench.load import post_all
from bench.parts import command, fill, ready_mailout, sink, start_directly, wait_for, wait_until_up
from tests.support.ports import free_port

RATE = 200.0
SECONDS = 10.0
CONNECTIONS = 50

_COSTLY = b'{"Type": "Notification", "Message": [' + b'{"a": [1]},' * 20_000 + b"0]}"
KINDS = {
    "/health": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "/ses-events": b"POST /ses-events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_COSTLY), _COSTLY),
}


def flooded(dsn: str) -> Iterator[tuple[str, str, str, str]]:
    for arguments, name in (([], "two processes"), (["--one-process"], "one process")):
        for kind in (None, *KINDS):
            rate, answered = rate_at_the_sink(dsn, arguments, kind)
            flood = f"flood of {kind}: {answered:,.0f} requests/s" if kind else "no flood"
            yield (
                f"sending at {RATE:g}/s, {name}, {flood}", f"{rate:.0f} mails/s",
                "the rate" if not arguments else "", "",
            )  # fmt: skip


def rate_at_the_sink(dsn: str, arguments: list[str], kind: str | None) -> tuple[float, float]:
    """Mails a second while the flood lasts, and how many of its requests were answered a second."""
    fill(dsn, int(RATE * (SECONDS + 15)))
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with (
        sink() as target,
        command(
            dsn, target.url, "serve", *arguments, PORT=str(port), APP_BASE_URL=base,
            RATE_LIMIT_PER_SEC=str(RATE),
        ),
    ):  # fmt: skip
        wait_for(dsn, "select count(*) from send_rates where rate is not null", 1)
        wait_until_up(base)
        start_directly(dsn, ready_mailout(dsn))
        while not target.stats()["first"]:
            time.sleep(0.05)
        answered = 0.0
        begun, before = time.monotonic(), target.stats()["mails"]
        if kind is None:
            time.sleep(SECONDS)
        else:
            stranger = [sys.executable, "-m", "bench.flood", str(port), kind, str(SECONDS)]
            done = subprocess.run(stranger, capture_output=True, text=True, check=True)
            answered = float(done.stdout)
        sent = target.stats()["mails"] - before
        return sent / (time.monotonic() - begun), answered


def lasting(request: bytes, seconds: float) -> Iterator[bytes]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield request


if __name__ == "__main__":
    answers, took = post_all(
        int(sys.argv[1]), lasting(KINDS[sys.argv[2]], float(sys.argv[3])), CONNECTIONS
    )
    print(len(answers.latencies) / took)
