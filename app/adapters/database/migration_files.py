"""The SQL files of this program, and the stamp that gives them a version."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.adapters.database.signatures import signatures
from app.errors import ConfigurationError

_NUMBERED = re.compile(r"\d{4}_\w+\.sql")


@dataclass(frozen=True)
class SqlFile:
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Bundle:
    """All SQL of this program.

    version: grows with every change of a file. min_code: the lowest version whose program can
    still work on a database of this one.
    """

    numbered: tuple[SqlFile, ...]
    functions: tuple[SqlFile, ...]
    version: int
    min_code: int

    @cached_property
    def signatures(self) -> tuple[str, ...]:
        """Of all functions; what else has one of their names is left over from another version."""
        return tuple(each for file in self.functions for each in signatures(file.text))

    @cached_property
    def digest(self) -> str:
        files = (*self.numbered, *self.functions)
        lines = "".join(f"{file.name} {file.checksum}\n" for file in files)
        return hashlib.sha256(lines.encode()).hexdigest()


def migrations_folder() -> Path:
    """`migrations/` of the source tree, or its copy inside an installed wheel."""
    app = Path(__file__).resolve().parents[2]
    for folder in (app.parent / "migrations", app / "_migrations"):
        if (folder / "schema.json").is_file():
            return folder
    raise ConfigurationError("The folder `migrations` is missing: install AmazonSender again")


def read_bundle(folder: Path | None = None) -> Bundle:
    """The files in `folder`, by default this program's. Raises ConfigurationError for a misnamed
    one.
    """
    folder = folder or migrations_folder()
    numbered = _read_in_order(folder.glob("*.sql"))
    for file in numbered:
        if not _NUMBERED.fullmatch(file.name):
            raise ConfigurationError(f"Not a migration's name (NNNN_name.sql): {file.name}")
    functions = _read_in_order((folder / "functions").rglob("*.sql"))
    for one, next_one in pairwise(functions):
        if one.name == next_one.name:
            raise ConfigurationError(f"Two files in migrations/functions are called {one.name}")
    stamped = _read_stamp(folder)
    return Bundle(numbered, functions, stamped["version"], stamped["min_code"])


def is_stamped(folder: Path | None = None) -> bool:
    """Whether schema.json was written for the files as they are now."""
    folder = folder or migrations_folder()
    return bool(_read_stamp(folder)["digest"] == read_bundle(folder).digest)


def stamp(folder: Path | None = None) -> int:
    """Give the files the next version when they changed since the last stamp; give the version."""
    folder = folder or migrations_folder()
    bundle = read_bundle(folder)
    if is_stamped(folder):
        return bundle.version
    fields = {
        "version": bundle.version + 1,
        "min_code": bundle.min_code,
        "digest": bundle.digest,
    }
    (folder / "schema.json").write_text(json.dumps(fields, indent=2) + "\n", "utf-8")
    return bundle.version + 1


def _read_in_order(paths: Iterable[Path]) -> tuple[SqlFile, ...]:
    """By file name, whatever folder a file is in: so that `zz_grants.sql` is the last one, and
    moving a file to another folder changes no version.
    """
    ordered = sorted(paths, key=lambda path: path.name)
    return tuple(SqlFile(path.name, path.read_text("utf-8")) for path in ordered)


def _read_stamp(folder: Path) -> dict[str, Any]:
    stamped: dict[str, Any] = json.loads((folder / "schema.json").read_text("utf-8"))
    return stamped
