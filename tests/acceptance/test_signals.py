"""SIGTERM ends every command: as process 1 of a container too, whatever its threads wait for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.service import environment
from tests.support.waiting import eventually

WITHIN_SECONDS = 10.0
# Port 53 can't be chosen, so each process that runs tests has an address of its own.
NAME_SERVER = f"127.66.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


def _may_unshare() -> bool:
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False
    )
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not _may_unshare(), reason="may not make namespaces here"
)


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[socket.socket]:
    """A name server that takes questions and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, 53))
        server.settimeout(30)
        (tmp_path / "resolv.conf").write_text(
            f"nameserver {NAME_SERVER}\noptions timeout:30 attempts:3\n"
        )
        yield server


@contextmanager
def as_process_one(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`amazonsender …` as process 1 of its own, for whom `mute` is the name server."""
    hide = f"mount --bind {folder}/resolv.conf /etc/resolv.conf"
    variables = environment(
        "postgresql://user:pw@db.example.com/x", "http://127.0.0.1:1", PORT=str(free_port())
    )
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
             f'{hide} && exec "$@"', "sh", sys.executable, "-m", "app.cli", *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **variables},
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def first_process(unshare: subprocess.Popen[bytes]) -> int:
    """The number by which we know process 1 of the new namespace."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")

    async def listed() -> list[str]:
        return children.read_text().split()

    return int((await eventually(listed, until=bool))[0])


async def stopped(unshare: subprocess.Popen[bytes]) -> int:
    """The exit code after SIGTERM; raises TimeoutExpired."""
    os.kill(await first_process(unshare), signal.SIGTERM)
    return await asyncio.to_thread(unshare.wait, WITHIN_SECONDS)


@pytest.mark.short
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("serve", 0),
        pytest.param("serve --one-process", 0, marks=pytest.mark.short),
        pytest.param("worker", 0, marks=pytest.mark.short),
        pytest.param("migrate", 143, marks=pytest.mark.short),
        pytest.param("doctor", 143, marks=pytest.mark.short),
        pytest.param("mailouts list", 143, marks=pytest.mark.short),
        ("sandbox --port 0 --events http://service.example.com/ses-events", 0),
    ],
)
async def test_a_mute_name_server_holds_nobody_back(
    tmp_path: Path, mute: socket.socket, command: str, code: int
) -> None:
    """A look-up can't be cancelled, and goes on for half a minute."""
    with as_process_one(tmp_path, *command.split()) as unshare:
        await asyncio.to_thread(mute.recvfrom, 1_000)
        assert await stopped(unshare) == code
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_process_one_ends_while_it_is_loading(tmp_path: Path) -> None:
    """The kernel drops a signal that process 1 doesn't mind yet; soon after its start it does."""
    (tmp_path / "resolv.conf").touch()
    with as_process_one(tmp_path, "serve") as unshare:
        minds = 1 << (signal.SIGTERM - 1)
        status = Path(f"/proc/{await first_process(unshare)}/status")

        async def caught() -> int:
            [line] = [line for line in status.read_text().splitlines() if "SigCgt" in line]
            return int(line.split()[1], 16)

        await eventually(caught, until=lambda mask: bool(mask & minds))
        assert await stopped(unshare) in {0, 143}
    assert "Traceback" not in (tmp_path / "log").read_text()
