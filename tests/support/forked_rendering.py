"""The server that the program forks its rendering from (app/services/rendering/fork_server.py),
without the second of the processor that Python takes to import it anew for each program.

Before a forked program begins, when it has neither threads nor secrets, one more process is forked
that waits; whenever the program wants its server, that process forks it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app.services.rendering import renderer
from app.services.rendering.fork_server import ForkServer


def fork_rendering(env: Mapping[str, str]) -> None:
    """In a new process that becomes the program: its renderer will have its server forked.

    env: the program's variables.
    """
    ours, theirs = socket.socketpair()
    if not os.fork():
        ours.close()
        _wait_for_requests(theirs, env)
    theirs.close()

    def started(self: renderer.Renderer) -> renderer._Server:
        control, its_end = socket.socketpair()
        with its_end:
            socket.send_fds(ours, [b"\n"], [its_end.fileno()])
        said = b""
        while not said.endswith(b"\n"):
            said += control.recv(1)
        return renderer._Server(_Forked(int(said)), control)

    renderer.Renderer._started = started  # type: ignore[method-assign]


def _wait_for_requests(requests: socket.socket, env: Mapping[str, str]) -> NoReturn:
    os.setsid()
    os.environ.clear()
    os.environ.update({name: env[name] for name in renderer._INHERITED if name in env})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that end
    while True:
        _, descriptors, *_ = socket.recv_fds(requests, 1, 1)
        if not descriptors:  # the program has gone
            os._exit(0)
        control = socket.socket(fileno=descriptors[0])
        if not os.fork():
            requests.close()
            control.sendall(str(os.getpid()).encode())  # the server itself ends the line
            ForkServer(control).run()
            os._exit(0)
        control.close()


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
