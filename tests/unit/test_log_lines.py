"""A line of the log that can't be written is lost, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys, structlog
from app.logs import configure_logging
from app.settings import load_settings

configure_logging(load_settings(None, log_format=sys.argv[1]))
log = structlog.get_logger("app.test")
log.info("whole")
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 2)
log.error("lost", text="\\ud800")
print("went on")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_full_disk_stops_nothing(log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "went on\n"
    assert "whole" in done.stderr
    assert "lost" not in done.stderr
