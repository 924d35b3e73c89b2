"""`python -m app.sandbox HOST PORT CONFIG_JSON`: a sandbox in a process of its own. Its further
regions have the ports after that; with port 0 each has a free one."""

from __future__ import annotations

import sys

from app.running.leaving import leave
from app.sandbox.config import SandboxConfig
from app.sandbox.main import listen, run

if __name__ == "__main__":
    _, host, port, config = sys.argv
    told = SandboxConfig.from_json(config)
    ports = [int(port) + number if int(port) else 0 for number in range(1 + len(told.regions))]
    run([listen(host, each) for each in ports], told)
    leave(0)
