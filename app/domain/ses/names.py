"""What SES lets things be called. Pure."""

from __future__ import annotations

import re

_CONFIGURATION_SET = re.compile(r"[A-Za-z0-9_-]{1,64}")


def require_configuration_set(name: str) -> str:
    """The name. The database takes no other either (mailout_triggers.sql). Raises ValueError."""
    if not _CONFIGURATION_SET.fullmatch(name):
        raise ValueError("SES's names have 1 to 64 letters, digits, - and _")
    return name
