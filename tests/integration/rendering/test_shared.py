"""One fork server for all processes under a supervisor, whoever of them is killed.

Each script is a supervisor with processes that have something rendered: where that is told, it is
the id of the fork server that forked for it.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.service import runs
from tests.support.waiting import eventually

SETUP = """
import asyncio, os, signal, sys, time
import structlog
from app.processes import supervisor
from app.processes.supervisor import Role, Supervisor
from app.services.rendering import shared, spawning
from app.services.rendering.limits import Limits
from app.services.rendering.renderer import NotRendered, Renderer
from app.services.rendering.shared import SharedServer
from app.telemetry.counts import Board

supervisor.backoff_seconds = lambda failures, chance, cap: 0.01
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
renderer = Renderer()

def ask(task=os.getppid, *arguments):
    return asyncio.run(renderer.run(Limits(600, 600), task, *arguments))

def tell(*what):
    os.write(1, (" ".join(map(str, what)) + "\\n").encode())

def wait(begun):
    signal.sigwait({signal.SIGTERM})

def end():
    os.kill(os.getppid(), signal.SIGTERM)
    signal.sigwait({signal.SIGTERM})

def until_gone(pid):
    while os.path.exists(f"/proc/{pid}"): time.sleep(0.005)

def run(*works, modules=(), idle_seconds=60.0):
    roles = [Role(work.__name__, work) for work in works]
    server = SharedServer(modules, idle_seconds)
    renderer.share(server.requests)
    sys.exit(Supervisor(roles, Board([role.name for role in roles]), rendering=server).run())
"""


def supervised(script: str, code: int = 0, **env: str) -> list[str]:
    """What the processes of a supervisor told until its end with that code."""
    done = subprocess.run(
        [sys.executable, "-c", SETUP + script],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.returncode == code, done.stderr
    return done.stdout.split()


def test_it_is_started_once_for_all_who_ask_at_once() -> None:
    one, two, three = supervised("""
told, telling = os.pipe()
def ask_and_tell(begun):
    for _ in range(2): renderer.start()  # asks for nothing but the start
    os.write(telling, f"{ask()}\\n".encode())
    wait(begun)
def collect(begun):
    pids = b""
    while pids.count(b"\\n") < 2: pids += os.read(told, 100)
    tell(pids.decode(), ask())
    end()
def another(begun): ask_and_tell(begun)
run(ask_and_tell, another, collect)
""")
    assert one == two == three
    assert not runs(int(one))  # nothing is left of it


def test_it_is_started_again_when_it_was_killed() -> None:
    """Also while it is asked: nothing that a task does is done twice, so it may be asked again."""
    first, second, third = supervised("""
def work(begun):
    first = ask()
    os.kill(first, signal.SIGKILL)
    second = ask()
    os.kill(second, signal.SIGSTOP)
    pid = os.fork()
    if not pid:
        time.sleep(0.1)
        os.kill(second, signal.SIGKILL)
        os._exit(0)
    tell(first, second, ask())
    end()
run(work)
""")
    assert len({first, second, third}) == 3


def test_it_goes_on_when_who_asked_first_was_killed() -> None:
    first, again, other = supervised("""
def work(begun):
    tell(ask())
    if board.rows["work"].restarts: os.write(telling, b"x"); wait(begun)
    while board.rows["work"].pid != os.getpid(): time.sleep(0.001)  # noted after the fork
    os.kill(os.getpid(), signal.SIGKILL)
told, telling = os.pipe()
def other(begun):
    os.read(told, 1)
    tell(ask())
    end()
board = Board(["work", "other"])
server = SharedServer(())
renderer.share(server.requests)
sys.exit(Supervisor([Role("work", work), Role("other", other)], board, rendering=server).run())
""")
    assert first == again == other


def test_it_ends_without_work_and_is_started_for_the_next() -> None:
    """What takes longer than that isn't ended meanwhile."""
    first, second, slept = supervised("""
def work(begun):
    first = ask()
    until_gone(first)
    tell(first, ask(), ask(time.sleep, 0.3))
    end()
run(work, idle_seconds=0.05)
""")
    assert first != second
    assert slept == "None"


async def test_nothing_of_it_goes_on_when_all_are_killed() -> None:
    [server] = supervised(
        """
def work(begun):
    tell(ask())
    if not os.fork():
        os.kill(supervisor_pid, signal.SIGKILL)
        os._exit(0)
    wait(begun)
supervisor_pid = os.getpid()
run(work)
""",
        -signal.SIGKILL,
    )

    async def still_runs() -> bool:
        return runs(int(server))

    await eventually(still_runs, until=lambda runs: not runs)


@pytest.mark.parametrize(
    "trouble",
    [
        'run(work, modules=["no_such_module"])',
        "def refused(*_, **__): raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "spawning.spawn = refused\nrun(work)",
        # as one that gets no processor
        "shared.START_SECONDS = supervisor.LOOK_SECONDS = 0.01\nrun(work)",
    ],
    ids=["it can't begin", "there can be no process", "it takes too long"],
)
def test_who_asks_is_told_where_it_cannot_be_started(trouble: str) -> None:
    """And each who asks later has it tried again."""
    told = supervised(
        """
def work(begun):
    for _ in range(2):
        try: tell(ask())
        except NotRendered: tell("refused")
    end()
"""
        + trouble
    )
    assert told == ["refused", "refused"]


def test_it_has_neither_secrets_nor_what_its_supervisor_has_open() -> None:
    """Of sockets it has the one on which it is asked: not the port, and not the end for asking,
    which would keep it there for good."""
    secret, *links = supervised(
        """
import socket
def work(begun):
    server = ask()
    tell(ask(os.getenv, "AWS_SECRET_ACCESS_KEY"))
    there = f"/proc/{server}/fd"
    tell(*(os.readlink(f"{there}/{number}") for number in os.listdir(there)))
    end()
with socket.create_server(("127.0.0.1", 0)) as listener:
    run(work)
""",
        AWS_SECRET_ACCESS_KEY="AKIA",
    )
    assert secret == "None"
    assert len([link for link in links if link.startswith("socket:")]) == 1
