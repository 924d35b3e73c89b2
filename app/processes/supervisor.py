"""Starts the processes of a service, starts again what ends unasked, and ends with them.

They are forked from this one, which has imported everything and has no thread: so they share its
memory, and start within milliseconds. It never does their work, and asks nobody anything: whatever
hangs, hangs in them.
"""

from __future__ import annotations

import gc
import os
import random
import select
import signal
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
from app.telemetry.counts import Board

log = structlog.get_logger(__name__)

KILL_SECONDS = 9.7
"""After a stop was asked for: a process that still runs is killed."""
ORPHAN_SECONDS = 9.5
"""The same, for a process whose supervisor is gone."""
RESTART_CAP_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that ran this long before it ended has had no trouble starting."""

_STOP = (signal.SIGTERM, signal.SIGINT)
_NOTICED = (*_STOP, signal.SIGCHLD)
_BEGUN, _REFUSED = b"+", b"-"  # what a process says to its supervisor, the latter with the reason


@dataclass(frozen=True)
class Role:
    """What one of the processes is there for.

    work: runs in that process until SIGTERM or SIGINT, and calls what it is given as soon as it has
    begun. An AppError before that is one that doesn't pass by itself.
    """

    name: str
    work: Callable[[Callable[[], None]], None]


@dataclass(frozen=True)
class Chore:
    """Something small that the supervisor does every so many seconds, and once more at its end."""

    seconds: float
    do: Callable[[], None]


@dataclass
class _Post:
    """A role and who has it. Times are seconds, monotonic."""

    role: Role
    pid: int = 0
    report: int = -1  # where we read what the process says
    started_at: float = 0.0
    due_at: float | None = None  # when it is started, where nobody has the role
    restarts: int = 0
    failures: int = 0  # ends in a row, each soon after its start
    has_begun: bool = False  # at least once


class Supervisor:
    """board: has a row for each role."""

    def __init__(self, roles: Sequence[Role], board: Board, chore: Chore | None = None) -> None:
        self._posts = [_Post(role, due_at=0.0) for role in roles]
        self._board = board
        self._chore = chore
        self._chore_at = time.monotonic() + chore.seconds if chore else float("inf")
        self._kill_at: float | None = None  # set once all are to end
        self._refusal: str | None = None
        self._cut_off = False
        self._alive = (-1, -1)  # a pipe whose writing end only the supervisor has

    def run(self) -> int:
        """Until SIGTERM or SIGINT. Gives the exit code: 0 when each process ended in good order.

        Raises ConfigurationError when one can't begin for a reason that doesn't pass by itself.
        """
        gc.collect()
        gc.freeze()  # else a collection in a process would write to, and so copy, what is shared
        self._alive = os.pipe()
        with _Signals() as signals:
            while self._kill_at is None or any(post.pid for post in self._posts):
                for post in self._posts:
                    if post.due_at is not None and post.due_at <= time.monotonic():
                        self._start(post, signals)
                signals.wait(self._patience())
                if signals.stop_asked:  # first: then those that end were asked to, too
                    self._stop()
                self._reap()
                if self._kill_at is not None and time.monotonic() >= self._kill_at:
                    self._kill()
                self._do_chore(last=False)
        self._do_chore(last=True)
        if self._refusal is not None:
            raise ConfigurationError(self._refusal)
        return int(self._cut_off)

    def _patience(self) -> float:
        """Seconds until there is something to do, unless a signal comes."""
        times = [post.due_at for post in self._posts if post.due_at is not None]
        times += [self._chore_at] if self._kill_at is None else [self._kill_at]
        return max(0.0, min(times) - time.monotonic())

    def _do_chore(self, *, last: bool) -> None:
        if self._chore is None or not (last or time.monotonic() >= self._chore_at):
            return
        self._chore_at = time.monotonic() + self._chore.seconds
        try:
            self._chore.do()
        except Exception:  # nothing of it may end those who work
            log.exception("chore_failed")

    # Starting

    def _start(self, post: _Post, signals: _Signals) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        report, words = os.pipe()
        os.set_blocking(report, False)
        with _held():
            try:
                pid = os.fork()
            except OSError as error:  # no memory, or too many processes
                os.close(report)
                os.close(words)
                log.warning(
                    "process_not_started",
                    process=post.role.name,
                    error=error.strerror,
                    again_in_seconds=self._try_later(post),
                )
                return
            if not pid:
                signals.forget()
                ours = [self._alive[1], report, *(p.report for p in self._posts if p.pid)]
                for descriptor in ours:
                    os.close(descriptor)
        if not pid:
            _become(post.role, self._alive[0], words, begun=post.has_begun)
        os.close(words)
        post.pid, post.report, post.due_at = pid, report, None
        post.started_at = time.monotonic()
        self._board.rows[post.role.name].began(pid, post.restarts)
        log.info("process_started", process=post.role.name, pid=pid, restarts=post.restarts)

    # Ending

    def _reap(self) -> None:
        """Whoever ended; as process 1 of a container, also other people's orphans."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for post in self._posts:
                if post.pid == pid:
                    cpu_seconds = usage.ru_utime + usage.ru_stime
                    self._ended(post, os.waitstatus_to_exitcode(status), cpu_seconds)

    def _ended(self, post: _Post, code: int, cpu_seconds: float) -> None:
        """code: negative, the signal that killed it."""
        name, now = post.role.name, time.monotonic()
        words = _read(post.report)
        os.close(post.report)
        post.pid, post.report = 0, -1
        post.has_begun = post.has_begun or words.startswith(_BEGUN)
        self._board.rows[name].ended(cpu_seconds)
        how = {"signal": signal.Signals(-code).name} if code < 0 else {"code": code}
        if self._kill_at is not None:
            # SIGTERM may have come before it could be minded: then nothing was under way.
            self._cut_off = self._cut_off or code not in (0, -signal.SIGTERM)
            return
        _, refused, reason = words.partition(_REFUSED)
        if refused:
            self._refusal = reason.decode()
            self._stop()
            return
        if now - post.started_at >= STEADY_SECONDS:
            post.failures = 0
        post.restarts += 1
        pause = self._try_later(post)
        log.error("process_ended", process=name, again_in_seconds=pause, **how)

    def _try_later(self, post: _Post) -> float:
        """Gives the seconds until then."""
        post.failures += 1
        pause = backoff_seconds(post.failures, random.random(), cap=RESTART_CAP_SECONDS)  # noqa: S311
        post.due_at = time.monotonic() + pause
        return round(pause, 2)

    def _stop(self) -> None:
        if self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + KILL_SECONDS
        for post in self._posts:
            post.due_at = None
            if post.pid:
                os.kill(post.pid, signal.SIGTERM)

    def _kill(self) -> None:
        self._kill_at = float("inf")
        for post in self._posts:
            if post.pid:
                os.kill(post.pid, signal.SIGKILL)
                log.error("process_killed", process=post.role.name, because="it did not stop")


def _read(report: int) -> bytes:
    """All that a process said before it ended."""
    try:
        return os.read(report, 65_536)
    except BlockingIOError:  # nothing, and a child of its own still has the other end
        return b""


def _become(role: Role, supervisor: int, words: int, *, begun: bool) -> NoReturn:
    """The rest of a new process's life. supervisor: a pipe that breaks when that is gone. begun:
    whether one with this role ever has."""
    code = 1

    def note_begin() -> None:
        nonlocal begun
        begun = True
        _say(words, _BEGUN)

    try:
        structlog.contextvars.bind_contextvars(process=role.name)
        threading.Thread(target=_end_with, args=(supervisor,), daemon=True).start()
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
        # Without waiting for threads in a call that SES never answers: all is recorded.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _say(words: int, what: bytes) -> None:
    with suppress(OSError):  # the supervisor is gone
        os.write(words, what)


def _end_with(supervisor: int) -> None:
    """End in good order when the supervisor was killed; however things stand, in time."""
    os.read(supervisor, 1)  # nobody ever writes: it returns when the last who could is gone
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


class _Signals:
    """Wakes the supervisor up when a signal comes, and remembers whether it asked for a stop."""

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

    def wait(self, seconds: float) -> None:
        select.select([self._ends[0]], [], [], None if seconds == float("inf") else seconds)
        with suppress(BlockingIOError):
            os.read(self._ends[0], 4096)

    def forget(self) -> None:
        """In a new process: as if this had never been."""
        signal.set_wakeup_fd(-1)
        for number in _NOTICED:
            signal.signal(number, signal.SIG_DFL)
        for end in self._ends:
            os.close(end)


@contextmanager
def _held() -> Iterator[None]:
    """Around a fork: a signal comes before or after it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _NOTICED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOTICED)
