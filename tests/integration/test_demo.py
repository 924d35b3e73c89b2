"""`make demo` keeps to itself; the run as a whole is `make demo`."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.sandbox.config import SandboxConfig
from app.sandbox.tracking.readers import MIX
from examples import demo, telling
from tests.support.service import environment


@pytest.mark.short
def test_the_callers_configuration_stays_out(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its invented people must not come into the database that a `.env` names."""
    own = tmp_path / "demo"
    own.mkdir()
    (tmp_path / ".env").write_text("BATCH_SIZE=nonsense\n")
    monkeypatch.chdir(tmp_path)
    variables = demo.demo_environment(own, 8000, "http://127.0.0.1:8000", "http://127.0.0.1:8025")
    assert variables["DATA_DIR"] == str(own)
    needed = {"DATABASE_URL": environment(dsn, None)["DATABASE_URL"]}
    demo.command(variables | needed, "subscribers", "export", str(own / "all.csv"))
    assert (own / "all.csv").exists()


def test_its_sandbox_has_readers_that_are_slower_than_machines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whose kinds and times the command takes as they are given."""
    arguments = demo.sandbox_arguments("http://127.0.0.1:0", "http://127.0.0.1:8000")
    told: list[SandboxConfig] = []

    def run(listeners: list[socket.socket], config: SandboxConfig) -> None:
        for listener in listeners:
            listener.close()
        told.append(config)

    monkeypatch.setattr("app.sandbox.main.run", run)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    [config] = told
    assert config.readers == MIX
    least, most = config.reader_seconds
    assert 10 < least < most < demo.LONGEST_READING_SECONDS + 5


def test_it_ends_though_somebody_goes_on_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """And tells a range, with what was seen until then."""
    opened = 0

    def report(_request: httpx.Request) -> httpx.Response:
        nonlocal opened
        opened += 1
        return httpx.Response(200, json=engagement(opened))

    clock = iter(range(1000))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    http = httpx.Client(transport=httpx.MockTransport(report))
    assert demo.await_readers(http, "http://service/", {})["opens"]["human"] == opened


def test_its_table_is_a_range(capsys: pytest.CaptureFixture[str]) -> None:
    telling.show_engagement(engagement(40))
    shown = capsys.readouterr().out
    assert "for certain  perhaps  machines   people, of 100 delivered" in shown
    row = "opened it            40       20         5   between 40 and 60 people (40 to 60 %)"
    assert row in shown
    assert "      10  https://example.com/a" in shown
    with pytest.raises(telling.DemoFailed, match="no people"):
        telling.show_engagement(engagement(0))


def engagement(opened: int) -> dict[str, Any]:
    def span(low: int, high: int) -> dict[str, float]:
        return {"low": low, "high": high, "low_rate": low / 100, "high_rate": high / 100}

    return {
        "opens": {"human": opened, "unknown": 20, "machine": 5},
        "clicks": {"human": 10, "unknown": 0, "machine": 7},
        "range": {"opens": span(opened, opened + 20), "clicks": span(10, 10)},
        "links": [{"url": "https://example.com/a", "human": 10, "machine": 7, "unknown": 0}],
        "waiting": 0,
        "tracked": 100,
    }
