"""Importing what stays until the process ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Nobody looks for garbage in what is imported meanwhile, now (a tenth of the time that an
    import takes) nor later: each look would write to it, and so copy what processes share."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
