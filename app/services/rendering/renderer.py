"""Has untrusted content rendered in processes of its own (fork_server.py), which the kernel ends
when they take more than their limits.

One per program (shared.py where that has several processes): it is started when it is needed, or
ahead of that, and ends when nothing was to be rendered for a minute, since it takes a third of the
memory of a service at rest.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pickle
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from signal import SIGALRM, SIGPROF, SIGXCPU
from typing import Any, TypeVar

import orjson
import structlog

from app.domain.mailouts import MailoutContent
from app.errors import TemplateInvalid, Unavailable
from app.services.rendering import spawning
from app.services.rendering.limits import ANSWER_BYTES, Limits, limits_for
from app.services.sending.mail_settings import MailSettings, for_rendering

log = structlog.get_logger(__name__)

T = TypeVar("T")

AT_ONCE = 2
"""Pieces of rendering that run at the same time; further ones wait for their turn."""
MAX_WAITING = 32
REQUEST = b"\n"
"""What is written to the fork server, with one end of a connection; without, to have it started."""
START_SECONDS = 30.0
"""For the fork server to import what it needs: half a second, on a busy machine more."""
IDLE_SECONDS = 60.0
"""After this long without work the fork server ends. To start it again takes half a second."""


def limits_of(content: MailoutContent, recipients: int = 1) -> Limits:
    """recipients: how many are rendered."""
    texts = list(_texts(astuple(content)))
    tags = sum(text.count("{%") + text.count("{{") for text in texts)
    return limits_for(sum(map(len, texts)), tags, recipients)


def _texts(value: object) -> Iterator[str]:
    """All that are in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


class NotRendered(Unavailable):
    """No process could be started, or none in time. Nothing is known of the content."""

    code, title = "rendering_unavailable", "The content can't be rendered at the moment"


@dataclass
class _Server:
    process: subprocess.Popen[bytes]
    control: socket.socket

    def close(self) -> None:
        """It ends when this connection does."""
        self.control.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Renderer:
    def __init__(self, *modules: str, idle_seconds: float = IDLE_SECONDS) -> None:
        """modules: have the tasks, and are imported beforehand. idle_seconds: without work, until
        what was started for it ends."""
        self.modules = modules
        self._idle_seconds = idle_seconds
        self._shared: socket.socket | None = None
        self._begin()
        os.register_at_fork(after_in_child=self._begin)  # a fork has no threads of ours
        atexit.register(self.close)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._asking = 0
        """Pieces that the fork server has, or is about to get; with `_server` under the lock."""
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rendering")
        self._waiting = 0
        self._end: asyncio.TimerHandle | None = None

    def share(self, requests: socket.socket) -> None:
        """Have the supervisor start the fork server, for all of its processes: SharedServer."""
        self._shared = requests

    def start(self) -> None:
        """Begin to start the fork server, so that the first request needn't wait for it. In an
        event loop."""
        if self._shared is not None:
            with suppress(OSError):
                self._shared.send(REQUEST, socket.MSG_DONTWAIT)
            return
        starting = asyncio.wrap_future(self._pool.submit(self._try_to_start))
        starting.add_done_callback(lambda _: self._end_when_idle())

    def close(self) -> None:
        with self._lock:
            if self._server is not None:
                self._server.close()
            self._server = None

    async def __call__(
        self,
        task: Callable[..., T],
        settings: MailSettings,
        content: MailoutContent,
        *arguments: Any,
        recipients: int = 1,
    ) -> T:
        """What a task of tasks.py gives for some content, under the limits for its size.

        recipients: how many are rendered. Raises as `run`.
        """
        limits = limits_of(content, recipients)
        return await self.run(limits, task, for_rendering(settings), content, *arguments)

    async def run(self, limits: Limits, task: Callable[..., T], *arguments: Any) -> T:
        """What the task gives, which is JSON.

        Raises TemplateInvalid when the task does, and when it takes more than the limits: then
        `extra` has the `field` that it was at and which `limit`. Raises NotRendered.
        """
        if self._waiting >= MAX_WAITING:
            raise NotRendered("Too many mails are being rendered just now; try again in a moment.")
        self._waiting += 1
        try:
            work = self._pool.submit(self._run, limits, task, arguments)
            return await asyncio.wrap_future(work)
        finally:
            self._waiting -= 1
            if self._shared is None:
                self._end_when_idle()

    def _end_when_idle(self) -> None:
        """Have the fork server end in `idle_seconds`, unless there is work again."""
        if self._end is not None:
            self._end.cancel()
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(self._idle_seconds, self._pool.submit, self._close_if_idle)

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._server is not None and not (self._asking or self._waiting):
                self._server.close()
                self._server = None

    def _run(self, limits: Limits, task: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        request = pickle.dumps((limits, task, arguments))
        heard = self._ask(request, limits)
        if not heard:  # the fork server had just ended; nothing that a task does is done twice
            heard = self._ask(request, limits)
        if heard and "answer" in heard[-1]:
            answer: T = heard[-1]["answer"]
            return answer
        raise _refusal(heard, limits)

    def _ask(self, request: bytes, limits: Limits) -> list[dict[str, Any]]:
        """All that is heard of a new process: fields that it was at, and how it ended."""
        with self._requests() as requests:
            ours, theirs = socket.socketpair()
            with ours, suppress(OSError):  # what came back, if anything, says why
                with theirs:
                    socket.send_fds(requests, [REQUEST], [theirs.fileno()])
                starting = START_SECONDS if self._shared is not None else 0.0
                ours.settimeout(starting + limits.wall_seconds + 5)
                with suppress(BrokenPipeError, ConnectionResetError):
                    ours.sendall(request)
                return list(_messages(ours))
        return []

    def _try_to_start(self) -> None:
        # What stops it is in the log; who needs it is told.
        with suppress(NotRendered), self._requests():
            pass

    @contextmanager
    def _requests(self) -> Iterator[socket.socket]:
        """Where a fork server takes requests. One of this process's own isn't ended meanwhile for
        being idle."""
        if self._shared is not None:
            yield self._shared
            return
        with self._lock:
            if self._server is None or self._server.process.poll() is not None:
                if self._server is not None:
                    self._server.close()
                self._server = None
                self._server = self._started()
            server = self._server
            self._asking += 1
        try:
            yield server.control
        finally:
            with self._lock:
                self._asking -= 1

    def _started(self) -> _Server:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = spawning.spawn(theirs.fileno(), theirs.fileno(), self.modules)
            except OSError as exc:
                ours.close()
                raise _not_started(str(exc)) from exc
        server = _Server(process, ours)
        ours.settimeout(START_SECONDS)
        try:
            is_ready = bool(ours.recv(1))
        except OSError:
            is_ready = False
        if not is_ready:
            server.close()
            raise _not_started(f"it ended with {process.returncode}")
        ours.settimeout(None)
        return server


def _messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    with suppress(OSError), connection.makefile("rb") as lines:  # it was silent for too long
        while line := lines.readline(ANSWER_BYTES + 1):
            yield orjson.loads(line) if line.endswith(b"\n") else {"limit": "size"}


def _not_started(why: str) -> NotRendered:
    log.error(
        "rendering_not_started",
        error=why,
        remedy="The service must be allowed to start processes: look at the limits of its "
        "container or unit (processes, memory).",
    )
    return NotRendered(
        "The process that renders mails can't be started, so nothing was changed. The log says "
        "why: look at the limits for processes and memory of the machine or container."
    )


def _refusal(heard: list[dict[str, Any]], limits: Limits) -> Exception:
    """Why there is no answer."""
    fields = [message["field"] for message in heard if "field" in message]
    end = next((message for message in heard if "field" not in message), None)
    if end is None:
        return NotRendered("The process that renders mails gave no answer; try again in a moment.")
    if "invalid" in end:
        extra = end["extra"]
        invalid = TemplateInvalid(end["invalid"], field=extra["field"], line=extra.get("line"))
        invalid.extra.update(extra)
        return invalid
    if "refused" in end:
        return Unavailable(end["refused"])
    if "not_started" in end:
        return _not_started(end["not_started"])
    if "failed" in end:
        field = fields[-1] if fields else "content"
        what = f"{field}: it can't be prepared ({end['failed']}). Something in it can't be read; "
        return TemplateInvalid(
            f"{what}leave out what was added last. The log says more.", field=field
        )
    code = end.get("ended")
    if code == -SIGALRM:
        return NotRendered("The machine is too busy to render the mail; try again in a moment.")
    limit = end.get("limit") or ("time" if code in (-SIGPROF, -SIGXCPU) else None)
    if limit is None and code in (None, 1):
        return RuntimeError(f"rendering failed: {end}")
    limit = limit or "memory"  # whatever isn't Python ends itself when it gets none
    field = fields[-1] if fields else "content"
    past = TemplateInvalid(
        f"{field}: {_LIMITS[limit].format(seconds=limits.cpu_seconds)} "
        "Make loops shorter and repeated text smaller.",
        field=field,
    )
    past.extra["limit"] = limit
    return past


_LIMITS = {
    "time": "it takes more than {seconds:.1f} seconds to prepare, which is the limit.",
    "memory": "it takes more memory than one mail may have.",
    "size": "what comes out is larger than one mail may be.",
    "depth": "it is nested too deeply.",
}


RENDERER = Renderer(
    "app.services.rendering.tasks",
    "app.services.preview.mail",
    "app.domain.templates.checking",
    "app.services.assets.tasks",
    "app.domain.assets.pictures",
    "app.services.rendering.beforehand",
)
"""This program's."""
