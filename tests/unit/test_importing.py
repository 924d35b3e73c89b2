"""What `serve` imports before it starts its processes."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, importlib, sys
from app.running.importing import UNUSED, importing

with importing():
    from app.processes import server
    import app.main, app.processes.http

print(*(name for name in (*UNUSED, "hpack", "pygal", "pygments") if name in sys.modules))
print(gc.isenabled(), gc.get_freeze_count() > 100_000)

# Supabase's client asks for HTTP/2, and help or another library may have use for the others.
import httpcore, httpx
with httpx.Client(http2=True, trust_env=False):
    from httpcore._async.http2 import AsyncHTTP2Connection
for name in UNUSED:
    importlib.import_module(name)
"""


def test_only_what_is_used_is_imported_and_the_rest_can_be_later() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["", "True True"]
