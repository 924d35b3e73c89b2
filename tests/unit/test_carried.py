"""What the process that sends carries: each library is memory that every worker has."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.short
def test_who_sends_carries_neither_http_nor_what_decodes_pictures() -> None:
    asked = "import sys, app.processes.server; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not {"PIL", "fastapi", "uvicorn"} & set(done.stdout.split())
