"""Importing what stays until the process ends."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = ("rich", "httpx._main", "lxml", "chardet", "soupsieve", "h2")
"""What libraries import where it happens to be installed, and nobody here uses: structlog rich;
httpx its command line, which brings pygments; Beautiful Soup lxml, chardet and soupsieve, its
selectors; httpcore h2."""


@contextmanager
def importing() -> Iterator[None]:
    """Nobody looks for garbage in what is imported meanwhile, now (a tenth of the time that an
    import takes) nor later: each look would write to it, and so copy what processes share. Nor is
    anything of UNUSED imported: 8 MB at rest, and 0.1 s of each start."""
    hidden = [name for name in UNUSED if name not in sys.modules]
    gc.disable()
    # As an import statement understands None (its reference says so): there is no such module.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The soupsieve package is not installed")
            yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
