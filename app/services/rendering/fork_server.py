"""The program `python -m app.services.rendering.fork_server FD READY SECONDS MODULE …`: forks a
process for each piece of rendering.

It has one thread and no secrets in its environment, imports what rendering needs once, and does
none of it itself. For each request it gets one end of a connection and forks: the new process puts
itself under limits, reads the request, does the work, answers, and ends. So each piece begins with
a clean memory a few milliseconds after it was asked for, nothing it does outlives it, and whatever
it runs into ends it alone. It ends itself when all processes that it works for are gone.

FD: the connection on which the others come. READY: a descriptor, of which it says there that it
takes requests. SECONDS: without work, until it ends; 0: it doesn't. MODULE …: what to import
beforehand.
"""

from __future__ import annotations

import importlib
import os
import pickle
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

import orjson

from app.domain.limits import at_work
from app.errors import AppError, TemplateInvalid
from app.running.importing import importing
from app.services.rendering.limits import ANSWER_BYTES, confine

READY = b"\n"
"""What it writes once it takes requests."""


class ForkServer:
    def __init__(self, control: socket.socket, ready: int, idle_seconds: float) -> None:
        self._control = control
        self._ready = ready
        self._idle_seconds = idle_seconds
        self._running: dict[int, socket.socket] = {}  # by process id
        self._poll = select.poll()
        self._ended, wake = os.pipe()
        for end in (self._ended, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._ended, select.POLLIN)

    def run(self) -> None:
        """Until nobody has the other end of the control connection, and then nothing goes on; or
        until there was nothing to do for a while."""
        with suppress(ConnectionError):  # closed while this one was still starting
            self._serve()
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)

    def _serve(self) -> None:
        os.write(self._ready, READY)
        if self._ready != self._control.fileno():
            os.close(self._ready)
        while events := self._poll.poll(self._patience()):
            for descriptor, _ in events:
                if descriptor == self._ended:
                    os.read(self._ended, 4096)
                elif descriptor != self._control.fileno():
                    self._give_up(descriptor)
                elif not self._begin():
                    return
            self._reap()

    def _patience(self) -> float | None:
        """Milliseconds to wait for something to do; None: as long as it takes."""
        return None if self._running or not self._idle_seconds else self._idle_seconds * 1000

    def _begin(self) -> bool:
        """Fork for the next request; False: there will be none."""
        word, descriptors, *_ = socket.recv_fds(self._control, 1, 1)
        if not word:
            return False
        if not descriptors:  # somebody will ask soon
            return True
        connection = socket.socket(fileno=descriptors[0])
        try:
            pid = os.fork()
        except OSError as exc:  # no memory, or too many processes
            say(connection, {"not_started": exc.strerror})
            connection.close()
            return True
        if not pid:
            self._control.close()
            for other in self._running.values():
                other.close()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            do(connection)
        self._running[pid] = connection
        self._poll.register(connection, 0)  # tells when the asker is gone
        return True

    def _give_up(self, descriptor: int) -> None:
        for pid, connection in self._running.items():
            if connection.fileno() == descriptor:
                self._poll.unregister(connection)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            connection = self._running.pop(pid)
            with suppress(KeyError):
                self._poll.unregister(connection)
            if code := os.waitstatus_to_exitcode(status):
                say(connection, {"ended": code})
            connection.close()


def do(connection: socket.socket) -> NoReturn:
    """In the new process: the request that comes on a connection, and the end of the process."""
    try:
        with connection.makefile("rb") as requests:
            limits, task, arguments = pickle.load(requests)  # noqa: S301  from the process that started us
        confine(limits)
        at_work.tell = _Teller(connection).tell
        connection.sendall(_line(_answer(task, arguments)))
    except BaseException:  # noqa: BLE001  the process ends either way
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


class _Teller:
    """Tells which field is being read, whenever it is another one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._latest = ""

    def tell(self, field: str) -> None:
        if field != self._latest:
            self._latest = field
            self._connection.sendall(_line({"field": field}))


def _answer(task: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    try:
        return {"answer": task(*arguments)}
    except MemoryError:
        return {"limit": "memory"}
    except RecursionError:
        return {"limit": "depth"}
    except TemplateInvalid as exc:
        return {"invalid": exc.detail, "extra": exc.extra}
    except AppError as exc:
        return {"refused": exc.detail}
    except Exception as exc:  # noqa: BLE001  a parser that meets what nobody thought of
        traceback.print_exc()
        return {"failed": type(exc).__name__}


def _line(message: dict[str, Any]) -> bytes:
    line = orjson.dumps(message) + b"\n"
    return line if len(line) <= ANSWER_BYTES else orjson.dumps({"limit": "size"}) + b"\n"


def say(connection: socket.socket, message: dict[str, Any]) -> None:
    """Without waiting for whoever doesn't listen."""
    with suppress(OSError):
        connection.send(_line(message), socket.MSG_DONTWAIT)


def main() -> None:
    control, ready, idle_seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with importing():
        for module in sys.argv[4:]:
            importlib.import_module(module)
    ForkServer(socket.socket(fileno=control), ready, idle_seconds).run()


if __name__ == "__main__":
    main()
