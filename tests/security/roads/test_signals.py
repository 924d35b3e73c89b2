"""What strangers can make the service say of itself, in its log and in /health."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from subprocess import run

import pytest
import structlog
from structlog.testing import LogCapture

from app.services.watching.watchdog import Watchdog
from app.telemetry.log_bounds import OF_A_KIND, BoundedLines
from tests.security.fortress import Fortress
from tests.support.service import TOPIC
from tests.support.sns import SnsSigner, body_of, headers_of

FOREIGN = TOPIC.replace("123456789012", "666666666666")


@pytest.fixture
async def health(fortress: Fortress) -> AsyncIterator[None]:
    """It says the same afterwards, and so does what is told to the owner."""
    watchdog: Watchdog = fortress.services.watchdog
    before = await watchdog.findings()
    assert before == []
    yield
    assert await watchdog.findings() == []
    report = (await fortress.service.health())["checks"]
    assert report["events"] == {"status": "ok", "findings": []}


async def test_refused_messages_turn_no_signal(fortress: Fortress, health: None) -> None:
    """Neither in the database, so that another process would tell."""
    stranger = SnsSigner()
    async with fortress.untouched():
        for topic in (FOREIGN, TOPIC):
            envelope = stranger.notification(
                "{}", TopicArn=topic, SigningCertURL="https://evil.test/x.pem"
            )
            for _ in range(20):
                answer = await fortress.http.post(
                    "/ses-events", content=body_of(envelope), headers=headers_of(envelope)
                )
                assert answer.status_code == 403
        for path in ("/sendgrid-events", "/mailgun-events", "/notion-events"):
            assert (await fortress.http.post(path, content=b"{}")).status_code in {401, 403, 406}
        await fortress.services.watchdog.findings()
        await fortress.services.watchdog.look()


@contextmanager
def bounded() -> Iterator[tuple[BoundedLines, LogCapture]]:
    """The log as the service writes it, as far as its bounds go."""
    processors = structlog.get_config()["processors"]
    before, bounds, lines = list(processors), BoundedLines(), LogCapture()
    processors[:] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        bounds,
        lines,
    ]
    try:
        yield bounds, lines
    finally:
        processors[:] = before


JUNK = [
    ("POST", "/ses-events", b"{}"),
    ("POST", "/ses-events", b"junk"),
    ("POST", "/sendgrid-events", b"junk"),
    ("POST", "/mailgun-events", b"junk"),
    ("POST", "/notion-events", b"junk"),
    ("POST", "/send-mailout", b"junk"),
    ("GET", "/unsubscribe?token=x", b""),
    ("GET", "/confirm?token=x", b""),
    ("GET", "/dashboard/mailouts", b""),
    ("GET", "/dashboard/login", b""),
    ("GET", "/mailouts", b""),
    ("GET", "/nowhere", b""),
    ("PURGE", "/nowhere", b""),
    ("DELETE", "/ses-events", b""),
]


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bounds, reached sooner."""
    monkeypatch.setattr("app.telemetry.log_bounds.OF_A_KIND", 5)
    monkeypatch.setattr("app.telemetry.log_bounds.OF_REFUSALS", 40)


async def test_junk_of_every_kind_writes_a_bounded_number_of_lines(
    fortress: Fortress, tight: None
) -> None:
    """And the rest is counted, so that nobody is fooled about how much it was."""
    times = 8
    with bounded() as (bounds, log):
        for _ in range(times):
            await asyncio.gather(
                *(fortress.http.request(method, path, content=body) for method, path, body in JUNK)
            )
        kinds = Counter(
            (line["event"], line.get("code"), line.get("method"), line.get("path"),
             line.get("status")) for line in log.entries
        )  # fmt: skip
        assert max(kinds.values()) <= 5
        refused = [line for line in log.entries if not 200 <= line.get("status", 0) < 300]
        assert len(refused) <= 40
        written = sum(line["event"] == "request" for line in log.entries)
        log.entries.clear()
        await bounds.tell()
        assert {line["event"] for line in log.entries} == {"lines_left_out"}
        told = sum(line["lines"] for line in log.entries if line["of"] == "request")
        assert written + told == times * len(JUNK)
        assert len(log.entries) < 60

        log.entries.clear()
        await fortress.http.post("/ses-events", content=b"junk")
        assert [line["event"] for line in log.entries][-1] == "request", "a new window"
        await bounds.tell()
        assert "lines_left_out" not in [line["event"] for line in log.entries]


async def test_methods_that_somebody_invents_are_one_kind(fortress: Fortress, tight: None) -> None:
    with bounded() as (_, log):
        for number in range(10):
            method = "X" + chr(ord("A") + number)
            await fortress.raw(
                f"{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
            )
        assert len(log.entries) <= 5


PROGRAM = """
import structlog
from app.logs import configure_logging
from app.settings import load_settings

configure_logging(load_settings(None, log_format="json"))
log = structlog.get_logger("app.test")
for _ in range(1_000):
    log.warning("connection_refused", code="malformed_http")
    with structlog.contextvars.bound_contextvars(request_id="1"):
        log.info("request", status=401)
    log.info("sent")
"""


@pytest.mark.short
def test_the_log_of_the_service_has_these_bounds() -> None:
    """What no request causes is written in full."""
    done = run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    lines = Counter(line.split('"event": "')[1].split('"')[0] for line in done.stderr.splitlines())
    assert lines == {"connection_refused": OF_A_KIND, "request": OF_A_KIND, "sent": 1_000}
