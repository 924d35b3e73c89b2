"""Whatever a page asks the database is measured beside ten million people (bench/pages.py)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from bench.pages_calls import COMPUTED, NOT_PAGES, PAGES, SLICES

ROOT = Path(__file__).parents[2]


def calls(tree: ast.AST) -> Iterator[str]:
    """Names of the functions that a part of the store calls."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("_call", "_transition")
        ):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)
            else:  # within `_transition`, which gives on what it got
                assert isinstance(name, ast.Name)
                assert name.id == "function"


CALLED = {
    name
    for file in (ROOT / "app/store").rglob("*.py")
    for name in calls(ast.parse(file.read_text()))
}


def test_every_function_that_the_store_calls_is_measured_or_said_to_be_no_page() -> None:
    assert len(CALLED) > 200
    assert CALLED - set(PAGES) - NOT_PAGES - SLICES == set(), "add it to bench/pages_calls.py"
    assert (set(PAGES) | NOT_PAGES | SLICES) - CALLED == set(), "nothing calls it any more"
    assert not set(PAGES) & (NOT_PAGES | SLICES)
    assert set(PAGES) >= COMPUTED
    assert all(PAGES.values())


def test_what_is_said_to_be_no_page_writes() -> None:
    """A function that only reads is a page's, or named as work in the background."""
    sql = "\n".join(file.read_text() for file in (ROOT / "migrations/functions").rglob("*.sql"))
    reads = {
        found[1]
        for found in re.finditer(
            r"create or replace function (\w+)\s*\((?:(?!create or replace).)*?"
            r"language \w+ (\w+)?.*?as \$",
            sql,
            re.DOTALL,
        )
        if found[2] in ("stable", "immutable")
    }
    assert {"show_mailout", "subscribers_page", "sender_work"} <= reads
    assert reads & NOT_PAGES == set()
