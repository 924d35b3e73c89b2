"""`python -m app.sandbox HOST PORT CONFIG_JSON`: a sandbox in a process of its own."""

from __future__ import annotations

import sys

from app.running.leaving import leave
from app.sandbox.config import SandboxConfig
from app.sandbox.main import listen, run

if __name__ == "__main__":
    _, host, port, config = sys.argv
    run(listen(host, int(port)), SandboxConfig.from_json(config))
    leave(0)
