"""Which field of a mailout is being read, for whoever has to say where it takes too long.

The process that renders untrusted content sets `tell` (services/rendering); elsewhere nobody asks.
"""

from __future__ import annotations

from collections.abc import Callable


def _nobody(_field: str) -> None: ...


tell: Callable[[str], None] = _nobody


def working_on(field: str) -> None:
    """From now on, until it is called again."""
    tell(field)
