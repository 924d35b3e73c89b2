"""The socket that a process answers on."""

from __future__ import annotations

import socket

from app.errors import ConfigurationError

UNREAD_SECONDS = 30.0
"""After this long without a sign that a client takes what was sent, its connection is dropped."""


def listen(host: str, port: int, *, remedy: str) -> socket.socket:
    """Bound and listening. remedy: what to do when the place can't be had, a sentence.

    Raises ConfigurationError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as exc:  # the latter of what can't be a name
        why = str(getattr(exc, "strerror", "no name or address")).partition(" (while")[0]
        raise ConfigurationError(f"Can't listen on {host}:{port} ({why}). {remedy}") from exc
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux's; each connection that is taken inherits it
        milliseconds = round(UNREAD_SECONDS * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return listener
