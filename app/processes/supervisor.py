"""Starts the processes of a service, starts one again that ends without being asked to, and ends
when all have ended.

The supervisor imports what all of the processes need, starts no thread and then forks them: so
they share its memory and start within milliseconds (the one for HTTP imports the rest first). It
does none of their work and calls neither the database nor AWS, so nothing that hangs can make it
hang. A process that hangs it ends, too. Whoever of them first has something to be rendered, it
starts for all of them what renders.
"""

from __future__ import annotations

import gc
import os
import random
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn, Self

import structlog

from app.domain.sending.backoff import backoff_seconds
from app.errors import AppError, ConfigurationError
from app.services.rendering.shared import SharedServer
from app.telemetry.counts import Board

log = structlog.get_logger(__name__)

KILL_SECONDS = 9.7
"""This long after a stop was asked for, the supervisor kills each process that still runs."""
ORPHAN_SECONDS = 9.5
"""A process whose supervisor is gone stops, and ends itself after this long if it still runs."""
RESTART_CAP_SECONDS = 30.0
LOOK_SECONDS = 10.0
HUNG_LOOKS = 30
"""A process that said nothing between so many looks hangs: nothing in it takes the event loop five
minutes. Looks are counted, not seconds, as a machine that sleeps and wakes up has skipped those for
everybody. It is asked to stop, so that one that goes on after all still records what it did; at the
next look it is killed. Its rows in `sending` become `unknown`, as after any crash."""
STEADY_SECONDS = 60.0
"""A process that ran this long before it ended has had no trouble starting."""

_STOP = (signal.SIGTERM, signal.SIGINT)
_NOTICED = (*_STOP, signal.SIGCHLD)
# what a process writes into its pipe to the supervisor; a reason follows _REFUSED
_BEGUN, _REFUSED = b"+", b"-"


@dataclass(frozen=True)
class Role:
    """What one of the processes is there for.

    work: runs in that process until SIGTERM or SIGINT. It calls its argument once it has started
    properly. An AppError before that call means that starting it again wouldn't help.
    """

    name: str
    work: Callable[[Callable[[], None]], None]


@dataclass(frozen=True)
class Chore:
    """Something small that the supervisor does every so many seconds, and once more at its end."""

    seconds: float
    do: Callable[[], None]


@dataclass
class _Child:
    """A role and the process that has it now, if any. Times are seconds on the monotonic clock."""

    role: Role
    pid: int = 0
    report: int = -1  # reading end of the pipe into which the process writes
    started_at: float = 0.0
    due_at: float | None = None  # when to start it; None: it runs, or is not to be started again
    restarts: int = 0
    failures: int = 0  # times in a row that it ended soon after its start
    beats: int = 0  # what the board told at the last look
    silent_looks: int = 0  # looks in a row at which that was the same
    has_begun: bool = False  # whether one with this role ever started properly


class Supervisor:
    """board: has a row for each role."""

    def __init__(
        self,
        roles: Sequence[Role],
        board: Board,
        chore: Chore | None = None,
        rendering: SharedServer | None = None,
    ) -> None:
        self._children = [_Child(role, due_at=0.0) for role in roles]
        self._board = board
        self._rendering = rendering
        self._chore = chore
        self._chore_at = time.monotonic() + chore.seconds if chore else float("inf")
        # when to kill what still runs; None: nobody asked for a stop
        self._kill_at: float | None = None
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._refusal: str | None = None
        self._cut_off = False
        self._alive = (-1, -1)  # a pipe whose writing end only the supervisor has

    def run(self) -> int:
        """Until SIGTERM or SIGINT. Gives the exit code: 0 when each process ended in good order.

        Raises ConfigurationError when one can't begin for a reason that doesn't pass by itself.
        """
        # Else a collection in a process would write to, and so copy, what is shared. No collection
        # before it: that takes longer than a process takes to start, for half a megabyte.
        gc.freeze()
        self._alive = os.pipe()
        with _Signals() as signals:
            while self._kill_at is None or any(child.pid for child in self._children):
                for child in self._children:
                    if child.due_at is not None and child.due_at <= time.monotonic():
                        self._start(child, signals)
                awaited = self._rendering.awaited() if self._rendering else []
                signals.wait(self._seconds_until_due(), awaited)
                # before _reap: a process that the same signal ended isn't started again
                if signals.stop_asked:
                    self._stop()
                self._reap()
                if self._rendering:
                    self._rendering.start_if_asked()
                if self._kill_at is not None and time.monotonic() >= self._kill_at:
                    self._kill()
                if self._kill_at is None and time.monotonic() >= self._look_at:
                    self._look()
                self._do_chore(last=False)
        self._do_chore(last=True)
        if self._rendering:
            self._rendering.close()
        if self._refusal is not None:
            raise ConfigurationError(self._refusal)
        return int(self._cut_off)

    def _seconds_until_due(self) -> float:
        """Seconds until there is something to do, unless a signal comes."""
        times = [child.due_at for child in self._children if child.due_at is not None]
        times += [self._look_at, self._chore_at] if self._kill_at is None else [self._kill_at]
        return max(0.0, min(times) - time.monotonic())

    def _do_chore(self, *, last: bool) -> None:
        if self._chore is None or not (last or time.monotonic() >= self._chore_at):
            return
        self._chore_at = time.monotonic() + self._chore.seconds
        try:
            self._chore.do()
        except Exception:  # an error in the chore must not end the processes
            log.exception("chore_failed")

    # Starting

    def _start(self, child: _Child, signals: _Signals) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        report, words = os.pipe()
        os.set_blocking(report, False)
        with _signals_blocked():
            try:
                pid = os.fork()
            except OSError as error:  # no memory, or too many processes
                os.close(report)
                os.close(words)
                log.warning(
                    "process_not_started",
                    process=child.role.name,
                    error=error.strerror,
                    again_in_seconds=self._try_later(child),
                )
                return
            if not pid:
                signals.forget()
                ours = [self._alive[1], report, *(p.report for p in self._children if p.pid)]
                for descriptor in ours:
                    os.close(descriptor)
                if self._rendering:
                    self._rendering.forget()
        if not pid:
            _run_child(child.role, self._alive[0], words, begun=child.has_begun)
        os.close(words)
        child.pid, child.report, child.due_at = pid, report, None
        child.started_at, child.silent_looks = time.monotonic(), 0
        self._board.rows[child.role.name].began(pid, child.restarts)
        log.info("process_started", process=child.role.name, pid=pid, restarts=child.restarts)

    # Ending

    def _reap(self) -> None:
        """Collect every process that ended. As process 1 of a container the supervisor also gets
        orphans that it didn't start.
        """
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            for child in self._children:
                if child.pid == pid:
                    self._ended(child, code, usage.ru_utime + usage.ru_stime)
            if self._rendering:
                self._rendering.ended(pid, code)

    def _ended(self, child: _Child, code: int, cpu_seconds: float) -> None:
        """code: the exit code, or the negative number of the signal that killed the process."""
        name, now = child.role.name, time.monotonic()
        words = _read(child.report)
        os.close(child.report)
        child.pid, child.report = 0, -1
        child.has_begun = child.has_begun or words.startswith(_BEGUN)
        self._board.rows[name].ended(cpu_seconds)
        how = {"signal": signal.Signals(-code).name} if code < 0 else {"code": code}
        if self._kill_at is not None:
            # A process that SIGTERM killed had not set its handler yet, so it had begun nothing.
            self._cut_off = self._cut_off or code not in (0, -signal.SIGTERM)
            return
        _, refused, reason = words.partition(_REFUSED)
        if refused:
            self._refusal = reason.decode()
            self._stop()
            return
        if now - child.started_at >= STEADY_SECONDS:
            child.failures = 0
        child.restarts += 1
        pause = self._try_later(child)
        log.error("process_ended", process=name, again_in_seconds=pause, **how)

    def _try_later(self, child: _Child) -> float:
        """Set when to start it again, later after each failure; give the seconds until then."""
        child.failures += 1
        jitter = random.random()  # noqa: S311
        pause = backoff_seconds(child.failures, jitter, cap=RESTART_CAP_SECONDS)
        child.due_at = time.monotonic() + pause
        return round(pause, 2)

    def _look(self) -> None:
        """End each process that hangs (HUNG_LOOKS)."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        if self._rendering:
            self._rendering.look()
        for child in self._children:
            beats = self._board.rows[child.role.name].beats
            child.silent_looks = 0 if beats != child.beats else child.silent_looks + 1
            child.beats = beats
            if not child.pid or child.silent_looks < HUNG_LOOKS:
                continue
            if child.silent_looks == HUNG_LOOKS:
                log.error("process_hangs", process=child.role.name, pid=child.pid)
                os.kill(child.pid, signal.SIGTERM)
            else:
                os.kill(child.pid, signal.SIGKILL)
                log.error("process_killed", process=child.role.name, because="it hangs")

    def _stop(self) -> None:
        if self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + KILL_SECONDS
        for child in self._children:
            child.due_at = None
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)

    def _kill(self) -> None:
        self._kill_at = float("inf")
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
                log.error("process_killed", process=child.role.name, because="it did not stop")


def _read(report: int) -> bytes:
    """All that a process wrote into its pipe before it ended."""
    try:
        return os.read(report, 65_536)
    except BlockingIOError:  # it wrote nothing, and a process of its own still holds the other end
        return b""


def _run_child(role: Role, supervisor: int, words: int, *, begun: bool) -> NoReturn:
    """Do the role's work in the new process, and end the process with it.

    supervisor: a pipe that breaks when the supervisor is gone. words: the pipe to write into.
    begun: whether a process with this role ever started properly.
    """
    code = 1

    def note_begin() -> None:
        nonlocal begun
        begun = True
        _say(words, _BEGUN)

    try:
        structlog.contextvars.bind_contextvars(process=role.name)
        threading.Thread(target=_end_when_orphaned, args=(supervisor,), daemon=True).start()
        role.work(note_begin)
        code = 0
    except AppError as error:
        if begun:
            log.warning("process_refused", error=error.detail)
        else:
            _say(words, _REFUSED + error.detail.encode())
    except Exception:
        log.critical("crashed", exc_info=True)
    finally:
        # os._exit doesn't wait for threads, one of which may be in a call that SES never answers.
        # All results are recorded by now.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _say(words: int, what: bytes) -> None:
    with suppress(OSError):  # the supervisor is gone
        os.write(words, what)


def _end_when_orphaned(supervisor: int) -> None:
    """When the supervisor was killed: ask this process to stop, and end it after ORPHAN_SECONDS."""
    # nobody writes into this pipe: the read returns when the supervisor is gone
    os.read(supervisor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


class _Signals:
    """Wakes the supervisor up when a signal comes, and remembers whether one asked for a stop."""

    def __init__(self) -> None:
        self.stop_asked = False
        self._ends = (-1, -1)
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        self._ends = os.pipe()
        for end in self._ends:
            os.set_blocking(end, False)
            self._undo.callback(os.close, end)
        signal.set_wakeup_fd(self._ends[1], warn_on_full_buffer=False)
        self._undo.callback(signal.set_wakeup_fd, -1)
        for number in _NOTICED:
            self._undo.callback(signal.signal, number, signal.signal(number, self._note))
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.stop_asked = self.stop_asked or number in _STOP

    def wait(self, seconds: float, others: Sequence[socket.socket] = ()) -> None:
        """others: sockets that wake it, too, when something comes."""
        most = None if seconds == float("inf") else seconds
        select.select([self._ends[0], *(other.fileno() for other in others)], [], [], most)
        with suppress(BlockingIOError):
            os.read(self._ends[0], 4096)

    def forget(self) -> None:
        """In a new process: put the default handlers back and close the pipe."""
        signal.set_wakeup_fd(-1)
        for number in _NOTICED:
            signal.signal(number, signal.SIG_DFL)
        for end in self._ends:
            os.close(end)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block signals while the supervisor forks: a signal in between would reach the handler in both
    processes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _NOTICED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOTICED)
