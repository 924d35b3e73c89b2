"""The server that the program forks its rendering from (app/services/rendering/fork_server.py),
without the second of the processor that Python takes to import it anew for each program.

Before a forked program begins, when it has neither threads nor secrets, one more process is forked
that waits; whenever the program wants its server, that process forks it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app.services.rendering import spawning
from app.services.rendering.fork_server import ForkServer

_PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans of its descendants are its children then, as the server is of who starts it."""


def fork_rendering(env: Mapping[str, str]) -> None:
    """In a new process that becomes the program: its renderer will have its server forked.

    env: the program's variables.
    """
    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        _wait_for_requests(theirs, env)
    theirs.close()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def spawn(
        control: int, ready: int, modules: Sequence[str], *, idle_seconds: float = 0
    ) -> subprocess.Popen[bytes]:
        socket.send_fds(ours, [str(idle_seconds).encode()], [control, ready])
        return _Forked(int(ours.recv(16)))

    spawning.spawn = spawn


def _wait_for_requests(requests: socket.socket, env: Mapping[str, str]) -> NoReturn:
    os.setsid()
    os.environ.clear()
    os.environ.update({name: env[name] for name in spawning.INHERITED if name in env})
    while True:
        idle_seconds, descriptors, *_ = socket.recv_fds(requests, 16, 2)
        if not descriptors:  # the program has gone
            os._exit(0)
        if not (child := os.fork()):
            if not os.fork():  # the program's own, as soon as its parent has ended
                requests.sendall(str(os.getpid()).encode())
                requests.close()
                control, ready = descriptors
                ForkServer(socket.socket(fileno=control), ready, float(idle_seconds)).run()
            os._exit(0)
        os.waitpid(child, 0)
        for descriptor in descriptors:
            os.close(descriptor)


class _Forked(subprocess.Popen[bytes]):
    """What the renderer uses of it: somebody else's child."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode = 0

    def __del__(self) -> None:
        """Nothing is left of it."""

    def poll(self) -> int | None:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return 0 if state in "ZX" else None

    def wait(self, timeout: float | None = None) -> int:
        last = time.monotonic() + (timeout or 60.0)
        while self.poll() is None:
            if time.monotonic() > last:
                raise subprocess.TimeoutExpired("rendering", timeout or 60.0)
            time.sleep(0.005)
        return 0

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
