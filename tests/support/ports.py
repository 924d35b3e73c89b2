"""Ports that stay what a test takes them for, also beside other test runs on the machine."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range from which Linux gives out ports by itself, to clients and to servers on port 0
# (ip_local_port_range): nobody gets one of these between our look and the start of the program.
FIRST, COUNT = 20_000, 12_000
_numbers = itertools.count(os.getpid() * 61)  # other workers begin elsewhere


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens, for a program that is started later or never."""
    for number in itertools.islice(_numbers, COUNT):
        port = FIRST + number % COUNT
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
