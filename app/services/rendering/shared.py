"""One fork server for all processes of a service.

They write their requests into one socket, and the supervisor, which made that before it forked
them, starts the server when something waits there, as inetd did: whoever of them asks first, it is
started once, and when it was killed the next request has it started again. It ends by itself.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from app.services.rendering import spawning
from app.services.rendering.fork_server import say
from app.services.rendering.renderer import IDLE_SECONDS, START_SECONDS

END_SECONDS = 1.0


class SharedServer:
    """requests: what the others write into. modules: have the tasks. idle_seconds: without work,
    until it ends."""

    def __init__(self, modules: Sequence[str], idle_seconds: float = IDLE_SECONDS) -> None:
        self.requests, self._control = socket.socketpair()
        self.requests.setblocking(False)  # hundreds fit in; further ones are refused
        self._modules = modules
        self._idle_seconds = idle_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._ready = -1
        """Where it says that it takes requests."""
        self._said_so = False

    def awaited(self) -> list[socket.socket]:
        """What becomes readable when it is to be started."""
        return [] if self._process else [self._control]

    def start_if_asked(self) -> None:
        if self._process is not None or not self._is_asked():
            return
        self._ready, words = os.pipe()
        os.set_blocking(self._ready, False)
        try:
            self._process = spawning.spawn(
                self._control.fileno(), words, self._modules, idle_seconds=self._idle_seconds
            )
            self._started_at, self._said_so = time.monotonic(), False
        except OSError as exc:
            os.close(self._ready)
            self._refuse(str(exc))
        finally:
            os.close(words)

    def ended(self, pid: int, code: int) -> None:
        """A process of this one's has ended, and this one has collected it."""
        if self._process is None or pid != self._process.pid:
            return
        self._process.returncode = code  # else it would be waited for
        self._process = None
        # One that began was killed or had no work: what waits by now is for the next one.
        if not self._has_begun():
            self._refuse(f"it ended with {code}")
        os.close(self._ready)

    def look(self) -> None:
        """Kill it if it takes too long to start."""
        late = time.monotonic() - self._started_at > START_SECONDS
        if self._process is not None and late and not self._has_begun():
            os.kill(self._process.pid, signal.SIGKILL)

    def forget(self) -> None:
        """In a new process, which may only ask."""
        self._control.close()
        if self._process is not None:
            os.close(self._ready)

    def close(self) -> None:
        """It ends when nobody is there who could ask."""
        self.requests.close()
        self._control.close()
        if self._process is not None:
            os.close(self._ready)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _has_begun(self) -> bool:
        with suppress(BlockingIOError):
            self._said_so = self._said_so or bool(os.read(self._ready, 1))
        return self._said_so

    def _refuse(self, why: str) -> None:
        """Tell all who ask at the moment."""
        while self._is_asked():
            _, descriptors, *_ = socket.recv_fds(self._control, 1, 1)
            for descriptor in descriptors:
                with socket.socket(fileno=descriptor) as connection:
                    say(connection, {"not_started": why})

    def _is_asked(self) -> bool:
        return bool(select.select([self._control], [], [], 0)[0])
