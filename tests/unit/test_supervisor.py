"""The supervisor with processes that do nothing but what a test is about."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys

import pytest

from app.processes import server
from app.processes.member import Member
from app.processes.supervisor import HUNG_LOOKS, Role, Supervisor
from app.telemetry.counts import Board
from tests.support.service import settings_for

SETUP = """
import os, signal, sys, time
from app.processes import supervisor
from app.telemetry.counts import Board
from app.errors import ConfigurationError
from app.logs import configure_logging
from app.settings import load_settings
from app.processes.supervisor import Chore, Role, Supervisor

configure_logging(load_settings(None))
supervisor.backoff_seconds = lambda failures, chance, cap: min(cap, 0.01 * failures)

def wait(begun):
    begun()
    signal.sigwait({signal.SIGTERM})

def end(begun=None):
    os.kill(os.getppid(), signal.SIGTERM)
    signal.sigwait({signal.SIGTERM})

def life(name):
    # which start of its role this process is; the first is 0
    while board.rows[name].pid != os.getpid(): time.sleep(0.001)  # noted after the fork
    return board.rows[name].restarts

def run(*works, **more):
    roles = [Role(work.__name__, work) for work in works]
    sys.exit(Supervisor(roles, Board([role.name for role in roles]), **more).run())
"""


def supervised(script: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    """A supervisor to its end, and the lines of its log."""
    done = subprocess.run(
        [sys.executable, "-c", SETUP + script],
        env={"LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return done, lines


def test_what_cannot_begin_ends_everything_with_its_reason() -> None:
    done, lines = supervised("""
def refuse(begun): raise ConfigurationError("Set THIS to that.")
try: run(refuse, wait)
except ConfigurationError as error: print(error.detail)
""")
    assert done.stdout == "Set THIS to that.\n"
    assert [line["event"] for line in lines] == ["process_started", "process_started"]


def test_what_has_begun_once_is_started_again_whatever_ends_it() -> None:
    """A refusal then may be for a moment: a database that is being restored, for example."""
    done, lines = supervised("""
def work(begun):
    now = life("work")
    if now == 0: begun(); raise ConfigurationError("no")
    if now == 1: raise ConfigurationError("not yet")
    if now == 2: raise ValueError("a fault")
    if now == 3: os._exit(0)
    end()
board = Board(["work"])
sys.exit(Supervisor([Role("work", work)], board).run())
""")
    assert done.returncode == 0, done.stderr
    told = [line for line in lines if line["event"] == "process_ended"]
    assert [(line["level"], line["code"]) for line in told] == [
        ("error", 1), ("error", 1), ("error", 1), ("error", 0),
    ]  # fmt: skip
    refused = [line["error"] for line in lines if line["event"] == "process_refused"]
    assert refused == ["no", "not yet"]
    [crashed] = [line for line in lines if line["event"] == "crashed"]
    assert "ValueError: a fault" in str(crashed["exception"])
    assert crashed["process"] == "work"


def test_who_dies_again_and_again_is_started_ever_more_seldom_but_for_ever() -> None:
    done, lines = supervised("""
supervisor.RESTART_CAP_SECONDS = 0.04
def die(begun):
    if life("die") == 7: end()
    os.kill(os.getpid(), signal.SIGSEGV)
board = Board(["die"])
sys.exit(Supervisor([Role("die", die)], board).run())
""")
    assert done.returncode == 0, done.stderr
    told = [line for line in lines if line["event"] == "process_ended"]
    assert [line["again_in_seconds"] for line in told] == [0.01, 0.02, 0.03, *[0.04] * 4]
    assert {line["signal"] for line in told} == {"SIGSEGV"}


def test_who_ran_well_for_long_before_it_died_is_started_at_once() -> None:
    done, lines = supervised("""
supervisor.STEADY_SECONDS = 0
def die(begun):
    if life("die") == 3: end()
    os._exit(1)
board = Board(["die"])
sys.exit(Supervisor([Role("die", die)], board).run())
""")
    assert done.returncode == 0, done.stderr
    told = [line for line in lines if line["event"] == "process_ended"]
    assert [line["again_in_seconds"] for line in told] == [0.01] * 3


def test_a_process_that_cannot_be_started_now_is_started_later() -> None:
    done, lines = supervised("""
import errno
fork, refusals = os.fork, iter([OSError(errno.EAGAIN, "Resource temporarily unavailable")] * 2)
def full():
    for refusal in refusals: raise refusal
    return fork()
os.fork = full
def work(begun): end()
run(work)
""")
    assert done.returncode == 0, done.stderr
    told = [line for line in lines if line["event"] == "process_not_started"]
    assert [line["error"] for line in told] == ["Resource temporarily unavailable"] * 2


def test_who_does_not_stop_is_killed() -> None:
    done, lines = supervised("""
supervisor.KILL_SECONDS = 0.3
def deaf(begun):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(os.getppid(), signal.SIGTERM)
    while True: time.sleep(1)
run(deaf, wait)
""")
    assert done.returncode == 1
    assert [line["process"] for line in lines if line["event"] == "process_killed"] == ["deaf"]


def test_who_hangs_is_asked_to_stop_then_killed_and_started_again() -> None:
    done, lines = supervised("""
supervisor.LOOK_SECONDS, supervisor.HUNG_LOOKS = 0.2, 2
def hang(begun):
    if life("hang"): end()
    signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"asked"))
    while True: time.sleep(1)
board = Board(["hang"])
sys.exit(Supervisor([Role("hang", hang)], board).run())
""")
    assert done.returncode == 0, done.stderr
    told = [line["event"] for line in lines if "hang" in (line.get("process"), line["event"])]
    assert told[:5] == [
        "process_started", "process_hangs", "process_killed", "process_ended", "process_started",
    ]  # fmt: skip
    [killed, *_] = [line["signal"] for line in lines if line["event"] == "process_ended"]
    assert killed == "SIGKILL"


class Looks:
    """A supervisor's looks at one process, and the signals that it sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.board = Board(["work"])
        self._supervisor = Supervisor([Role("work", lambda _: None)], self.board)
        self._supervisor._children[0].pid = 4711
        self._sent: list[signal.Signals] = []
        monkeypatch.setattr("os.kill", lambda _pid, number: self._sent.append(number))

    def look(self, times: int) -> list[signal.Signals]:
        self._sent.clear()
        for _ in range(times):
            self._supervisor._look()
        return list(self._sent)


def test_one_word_between_many_looks_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch)
    for _ in range(3):
        looks.board.rows["work"].beat()
        assert looks.look(HUNG_LOOKS) == []


def test_who_goes_on_after_being_asked_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was only slow, and is stopping: its results get recorded."""
    looks = Looks(monkeypatch)
    looks.board.rows["work"].beat()
    assert looks.look(HUNG_LOOKS + 1) == [signal.SIGTERM]
    looks.board.rows["work"].beat()
    assert looks.look(1) == []
    assert looks.look(HUNG_LOOKS + 1) == [signal.SIGTERM, signal.SIGKILL]


async def test_the_work_beats(dsn: str) -> None:
    member = Member(board=Board(["web", "work"]), role="work")
    settings = settings_for(dsn, None, AWS_REGION=None)
    begun = asyncio.Event()
    task = asyncio.create_task(server.work(settings, member=member, begun=begun.set))
    await begun.wait()
    assert member.board.rows["work"].beats >= 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_chore_is_done_now_and_then_and_after_the_last_process_ended() -> None:
    done, _ = supervised("""
def work(begun):
    time.sleep(0.2)
    os.write(1, b"work ends\\n")
    end()
run(work, chore=Chore(0.01, lambda: os.write(1, b"chore\\n")))
""")
    assert done.returncode == 0, done.stderr
    before, _, after = done.stdout.partition("work ends\n")
    assert before.count("chore") > 1
    assert after.endswith("chore\n")


@pytest.mark.short
def test_the_program_has_no_thread_before_its_processes_are_started() -> None:
    """A thread's locks would be copied as they happen to be, and never be released."""
    script = "import os, app.processes.server; print(len(os.listdir('/proc/self/task')))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
