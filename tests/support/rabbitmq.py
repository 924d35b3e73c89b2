"""A real RabbitMQ, Debian's, in a folder and on ports of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, PASSWORD = "sender", "rabbit-p4ss/w@rd"
READER = "reader"
"""May read what is there, and make or write nothing."""
START_SECONDS = 90.0


class Rabbit:
    """The broker of a session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        ports = free_port(), free_port()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(ports[0]),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_PORT": str(ports[1]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        (folder / "plugins").write_text("[].")
        (folder / "definitions.json").write_text(json.dumps(_definitions()))
        (folder / "rabbitmq.conf").write_text(
            f"load_definitions = {folder / 'definitions.json'}\nlog.console = true\n"
        )
        self._child: subprocess.Popen[bytes] | None = None

    def url(self, user: str = USER, password: str = PASSWORD, port: int | None = None) -> str:
        spelt = password.replace("/", "%2F").replace("@", "%40")
        return f"amqp://{user}:{spelt}@127.0.0.1:{port or self.port}/?heartbeat=1"

    def start(self) -> None:
        """Return when it takes connections."""
        with (self._folder / "out.log").open("ab") as out:
            self._child = subprocess.Popen(
                [PROGRAM],
                env=self._environment,
                cwd=self._folder,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            log = (self._folder / "out.log").read_text(errors="replace")[-3000:]
            assert self._child.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                connection.settimeout(2)
                return bool(connection.recv(1))
        except OSError:
            return False

    def cut_power(self) -> None:
        """Not within a second of a queue's making: RabbitMQ writes the names of its quorum queues
        down every half second, and one that it has no name of doesn't come back."""
        time.sleep(1)
        self.kill()

    def kill(self) -> None:
        """Harmless when it doesn't run."""
        if self._child is not None:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._child = None

    def close(self) -> None:
        self.kill()
        # Erlang's name server is a daemon of its own, which the broker starts.
        subprocess.run(
            ["epmd", "-kill"], env=self._environment, check=False, capture_output=True, timeout=30
        )


@contextmanager
def rabbitmq() -> Iterator[Rabbit]:
    """Skips where Debian's rabbitmq-server isn't installed."""
    if not PROGRAM.exists():
        pytest.skip("needs Debian's rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="amazonsender-rabbit-"))
    rabbit = Rabbit(folder)
    try:
        rabbit.start()
        yield rabbit
    finally:
        rabbit.close()
        shutil.rmtree(folder, ignore_errors=True)


def _definitions() -> dict[str, object]:
    everything, nothing = ".*", "^$"
    return {
        "vhosts": [{"name": "/"}],
        "users": [_user(USER), _user(READER)],
        "permissions": [
            _may(USER, everything, everything, everything),
            _may(READER, nothing, nothing, everything),
        ],
    }


def _user(name: str) -> dict[str, object]:
    """https://www.rabbitmq.com/docs/passwords#computing-password-hash"""
    salt = b"salt"
    digest = hashlib.sha256(salt + PASSWORD.encode()).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }


def _may(user: str, configure: str, write: str, read: str) -> dict[str, str]:
    return {"user": user, "vhost": "/", "configure": configure, "write": write, "read": read}
