"""Starts the program of fork_server.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import app

INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TZDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Of the environment. What isn't there, such as secrets, nothing that is rendered can reveal."""


def spawn(
    control: int, ready: int, modules: Sequence[str], *, idle_seconds: float = 0
) -> subprocess.Popen[bytes]:
    """control, ready, modules, idle_seconds: as fork_server.py takes them. Raises OSError."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment["PYTHONPATH"] = str(Path(app.__file__).parents[1])
    return subprocess.Popen(  # noqa: S603
        [
            sys.executable,
            "-m",
            "app.services.rendering.fork_server",
            str(control),
            str(ready),
            str(idle_seconds),
            *modules,
        ],
        env=environment,
        pass_fds={control, ready},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the process that starts it
    )
