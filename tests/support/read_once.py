"""What each client reads from the disk, kept: a program makes a few clients, the tests many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import botocore.session
import httpx
from httpx._transports import default


def read_once(set_attribute: Callable[[Any, str, Any], None]) -> None:
    """AWS's descriptions of its services (0.1 s) and the certificates that are trusted (0.03 s)."""
    loader = functools.cache(botocore.session.create_loader)
    set_attribute(botocore.session, "create_loader", loader)
    set_attribute(default, "create_ssl_context", functools.cache(httpx.create_ssl_context))
