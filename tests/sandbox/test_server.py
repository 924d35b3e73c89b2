"""Starting it: in a process of its own, with all settings, on a port that is free."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.main import listen, local_url
from app.sandbox.server import SandboxServer
from tests.sandbox.support import ses_client, single


def test_a_process_of_its_own_serves_and_stops(tmp_path: Path) -> None:
    log = tmp_path / "accepted.jsonl"
    with SandboxServer(SandboxConfig(accept_log=log), process=True) as server:
        ses_client(server.url).send_email(**single())
        assert server.stats()["accepted"] == 1
    assert len(log.read_text().splitlines()) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=1)


def test_settings_survive_the_way_to_a_process() -> None:
    config = SandboxConfig(
        verified=frozenset({"example.com"}),
        event_delay=(0.1, 0.2),
        accept_log=Path("log"),
        credentials={"key": "secret"},
    )
    assert SandboxConfig.from_json(config.to_json()) == config


def test_a_taken_port_is_an_error() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.short
def test_the_command_names_the_remedy_for_a_taken_port() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "sandbox", "--port", port],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_open_address_is_reached_locally() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert local_url(listener).startswith("http://127.0.0.1:")
