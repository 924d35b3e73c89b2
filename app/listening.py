"""The socket that a process answers on."""

from __future__ import annotations

import socket

from app.errors import ConfigurationError


def listen(host: str, port: int, *, remedy: str) -> socket.socket:
    """Bound and listening. remedy: what to do when the place can't be had, a sentence.

    Raises ConfigurationError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        why = str(exc.strerror).partition(" (while")[0]
        raise ConfigurationError(f"Can't listen on {host}:{port} ({why}). {remedy}") from exc
