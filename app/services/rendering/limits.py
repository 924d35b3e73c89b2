"""What one piece of rendering may take, enforced by the kernel in the process that does it."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CPU_SECONDS = 2.0
CPU_SECONDS_PER_MB = 8.0
CPU_SECONDS_PER_TAG = 0.001
MOST_TAGS = 5_000
"""Further ones are given no time. Of what an author wrote: a megabyte of text takes 2 s, a thousand
outputs and tags half a second, both on a busy machine; a newsletter has 0.1 MB and fifty."""
CPU_SECONDS_EACH = 0.01
"""A recipient, of which most take less than a thousandth."""
MOST_CPU_SECONDS = 20.0
"""Whatever the size: others wait for their turn."""
WALL_FACTOR, WALL_SECONDS = 4.0, 10.0
"""On a machine that is busy with other things it may take this much longer."""
MEMORY_BYTES = 384_000_000
"""Beside what the process has at its beginning. Preparing 1 MB of HTML takes 70 MB."""
ANSWER_BYTES = 32_000_000


@dataclass(frozen=True)
class Limits:
    """cpu_seconds: of the process's own time. wall_seconds: from its beginning to its end."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int = MEMORY_BYTES


def limits_for(size: int, tags: int = 0, recipients: int = 1) -> Limits:
    """size, tags: characters, and Liquid tags and outputs, of what an author wrote. recipients:
    how many are rendered."""
    cpu = CPU_SECONDS + CPU_SECONDS_PER_MB * size / 1_000_000
    cpu = min(cpu + CPU_SECONDS_PER_TAG * min(tags, MOST_TAGS), MOST_CPU_SECONDS)
    cpu += recipients * CPU_SECONDS_EACH
    return Limits(cpu, cpu * WALL_FACTOR + WALL_SECONDS)


def confine(limits: Limits) -> None:
    """Put this process under the limits: past them the kernel ends it, whatever it is in.

    SIGPROF then says that it took too much of the processor, SIGALRM that it took too long; past
    the memory's limit Python raises MemoryError, and what isn't Python ends with SIGABRT.
    """
    for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGXCPU, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    seconds = int(limits.cpu_seconds) + 2  # where a timer should ever fail
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    most = _address_space() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)  # sending comes first
    # Where memory runs out, the kernel is to end this process, not the one that sends.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _address_space() -> int:
    """Bytes that this process has mapped now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # no Linux
        return 1_000_000_000
    return pages * resource.getpagesize()
