"""Our commands as processes of their own, without the second that Python takes to import them.

Each is forked from a server that has imported the program: a process with its own group, signals,
environment, folder and output as any other. Tests of the start itself run Python anew.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_PRELOADED = ["tests.support.preloaded"]


class Fork:
    """Like subprocess.Popen, as far as the tests use it."""

    def __init__(
        self, arguments: tuple[str, ...], env: dict[str, str], folder: Path, out: Path, err: Path
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        self._process: ForkServerProcess = context.Process(
            target=_run, args=(arguments, env, str(folder), str(out), str(err))
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("amazonsender", timeout or 0.0)
        return code


def _run(arguments: tuple[str, ...], env: dict[str, str], folder: str, out: str, err: str) -> None:
    os.setsid()
    os.chdir(folder)
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["amazonsender", *arguments]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    from app.cli.main import main
    from tests.support.forked_rendering import fork_rendering

    fork_rendering(env)
    os.environ.clear()
    os.environ.update(env)

    main()
