"""Imports point inward, and each foreign library is known in few places."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What each room may import of this program, itself aside. Entrances (main, cli, processes, runtime)
# join everything and aren't named.
MAY_IMPORT = {
    "domain": {"errors"},
    "ports": {"domain", "errors"},
    "store": {"domain", "errors", "ports"},
    "adapters": {"domain", "errors", "outbound", "ports", "settings"},
    "running": {"domain", "errors"},
    "telemetry": {"domain", "errors", "ports", "running", "settings", "store"},
    "services": {
        "domain",
        "errors",
        "outbound",
        "ports",
        "running",
        "settings",
        "store",
        "telemetry",
    },
    "api": {"domain", "errors", "ports", "running", "services", "settings", "store", "telemetry"},
    "sandbox": {"domain", "errors", "listening", "running"},
}

# Who may import what of others. A room that isn't named may not.
FOREIGN = {
    "boto3": {"adapters/aws"},
    "botocore": {"adapters/aws", "outside", "sandbox"},
    "psycopg": {"adapters/database"},
    "psycopg_pool": {"adapters/database"},
    "supabase": {"adapters/database"},
    "postgrest": {"adapters/database"},
    "notion_client": {"adapters/notion"},
    "dns": {"adapters/dns"},
    "PIL": {"domain/assets"},
    "standardwebhooks": {"domain/hooks"},
    "fastapi": {"api", "main", "sandbox"},
    "starlette": {"api", "main", "processes", "sandbox"},
    "uvicorn": {"api/http", "api/strangers/proxies", "processes", "sandbox"},
    "typer": {"cli"},
}


def sources() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "app").rglob("*.py")):
        yield path.relative_to(ROOT / "app").with_suffix("").as_posix(), path


@functools.cache
def imported(path: Path) -> tuple[str, ...]:
    """The dotted names that a module imports, also where it does so late or for types alone."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            if node.module == "app":
                yield from (f"app.{alias.name}" for alias in node.names)


def test_imports_point_inward() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, path in sources()
        if (room := name.partition("/")[0]) in MAY_IMPORT
        for other in imported(path)
        if other.startswith("app.")
        and other.split(".")[1] not in MAY_IMPORT[room] | {room, "__version__"}
    ]
    assert wrong == []


@pytest.mark.parametrize("library", FOREIGN)
def test_a_foreign_library_is_known_in_few_places(library: str) -> None:
    wrong = [
        name
        for name, path in sources()
        if any(other.partition(".")[0] == library for other in imported(path))
        and not any(name == place or name.startswith(f"{place}/") for place in FOREIGN[library])
    ]
    assert wrong == []


def test_a_folder_holds_one_subject() -> None:
    """A folder that grows beyond this asks for rooms of its own."""
    full = {
        str(folder.relative_to(ROOT)): count
        for folder in [ROOT / "app", *(ROOT / "app").rglob("*/")]
        if (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > 14
    }
    assert full == {}
