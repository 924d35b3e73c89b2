"""What each client reads from the disk, kept: a program makes a few clients, the tests many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import httpx
from botocore.loaders import JSONFileLoader
from httpx._transports import default


def read_once(set_attribute: Callable[[Any, str, Any], None]) -> None:
    """AWS's description of a service (0.1 s) and the certificates that are trusted (0.03 s)."""
    load = JSONFileLoader.load_file
    files: dict[str, Any] = {}

    def load_file(self: JSONFileLoader, path: str) -> Any:
        if path not in files:
            files[path] = load(self, path)
        return files[path]

    set_attribute(JSONFileLoader, "load_file", load_file)
    set_attribute(default, "create_ssl_context", functools.cache(httpx.create_ssl_context))
