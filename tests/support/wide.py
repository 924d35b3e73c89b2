"""Tests of many variants or examples: the suite tries some, `make soak SHORT=1` the others."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from typing import Any, Protocol

import pytest

ALL_EXAMPLES = os.environ.get("PYTEST_EXAMPLES") == "all"


def examples(many: int) -> int:
    """How many of its examples a property is tried with: each run of the suite tries a quarter,
    others than the last one did, `make soak SHORT=1` all of them. Those took 40 s of the suite."""
    return many if ALL_EXAMPLES else max(5, many // 4)


def wide(variants: Iterable[Any], kept: int = 2) -> list[Any]:
    """Parameters of a test. kept: how many of the variants, spread evenly, the suite tries; tuples
    are several parameters each."""
    found = list(variants)
    in_suite = _spread(len(found), kept)
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else (one,)),
            marks=[] if place in in_suite else [pytest.mark.short],
        )
        for place, one in enumerate(found)
    ]


def go_one_way(items: Iterable[pytest.Item]) -> None:
    """A test that goes by both ways to the database does so in the suite where the ways are what is
    tested (tests/contract); of the others one in four does, and the rest by the direct connection.
    All call the same functions of the database, so the second way was 30 s of mostly the same."""
    for item in items:
        spec: _Parameters | None = getattr(item, "callspec", None)
        if spec is None or spec.params.get("database") != "supabase":
            continue
        name = item.nodeid.partition("[")[0]
        if "contract" not in item.path.parts and zlib.crc32(name.encode()) % 4:
            item.add_marker(pytest.mark.short)


def thin(items: Iterable[pytest.Item]) -> None:
    """The same for tests marked `few_variants(kept)`, whose parameters stand in several decorators
    or fixtures; each variant that stays goes by both ways to the database where the test does."""
    functions: dict[str, dict[tuple[tuple[str, int], ...], list[pytest.Item]]] = {}
    kept: dict[str, int] = {}
    for item in items:
        spec: _Parameters | None = getattr(item, "callspec", None)
        few = item.get_closest_marker("few_variants")
        if spec is None or few is None or item.get_closest_marker("short"):
            continue
        name = item.nodeid.partition("[")[0]
        variant = tuple(sorted((key, n) for key, n in spec.indices.items() if key != "database"))
        functions.setdefault(name, {}).setdefault(variant, []).append(item)
        kept[name] = few.args[0]
    for name, variants in functions.items():
        in_suite = _spread(len(variants), kept[name])
        for place, same in enumerate(variants.values()):
            if place not in in_suite:
                for item in same:
                    item.add_marker(pytest.mark.short)


class _Parameters(Protocol):
    """What pytest keeps of a test's parameters: each name's value, and which one it is."""

    params: dict[str, object]
    indices: dict[str, int]


def _spread(many: int, kept: int) -> set[int]:
    return {round(n * many / kept) for n in range(kept)}


__all__ = ["examples", "go_one_way", "thin", "wide"]
