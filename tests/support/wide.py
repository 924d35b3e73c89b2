"""Tests of many variants: the suite tries some of them, `make soak SHORT=1` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def wide(variants: Iterable[Any], kept: int = 2) -> list[Any]:
    """Parameters of a test. kept: how many of the variants, spread evenly, the suite tries; tuples
    are several parameters each."""
    found = list(variants)
    in_suite = {round(n * len(found) / kept) for n in range(kept)}
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else (one,)),
            marks=[] if place in in_suite else [pytest.mark.short],
        )
        for place, one in enumerate(found)
    ]


__all__ = ["wide"]
