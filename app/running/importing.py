"""Importing what stays until the process ends."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = (
    *("rich", "httpx._main", "lxml", "chardet", "charset_normalizer", "soupsieve", "h2"),
    *("email_validator", "pydantic.v1"),
)
"""What libraries import where it happens to be installed, and nobody here uses: structlog rich;
httpx its command line, which brings pygments; Beautiful Soup lxml, what guesses encodings, and
soupsieve, its selectors; httpcore h2; FastAPI email_validator and what pydantic once was."""


@contextmanager
def importing() -> Iterator[None]:
    """Nobody looks for garbage in what is imported meanwhile, now (a tenth of the time that an
    import takes) nor later: each look would write to it, and so copy what processes share. Nor is
    anything of UNUSED imported: 11 MB at rest, and 0.2 s of each start."""
    gc.disable()
    try:
        with unused_hidden():
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def unused_hidden() -> Iterator[None]:
    """Let nothing of UNUSED be imported meanwhile."""
    hidden = [name for name in UNUSED if name not in sys.modules]
    # As an import statement understands None (its reference says so): there is no such module.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The soupsieve package is not installed")
            yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def models_made_late() -> Iterator[None]:
    """pydantic makes the validators of models that are defined meanwhile when they are first used,
    most of them (FastAPI's of OpenAPI) never: 0.06 s of each start, and 2.7 MB."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
