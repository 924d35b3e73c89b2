"""docs/security.md names the test of each input, and each is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = (HERE.parents[1] / "docs" / "security.md").read_text("utf-8")
NUMBERED = re.findall(r"^\| (\d+) \|.*\| ((?:`[^`|]+`(?:, )?)+) \|$", TABLE, re.MULTILINE)
ROADS = re.findall(r"`((?:\w+/)+test_\w+\.py)`", TABLE)


def names_in(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_input_has_its_row() -> None:
    assert [int(number) for number, _ in NUMBERED] == list(range(1, 60))


@pytest.mark.parametrize(("number", "files"), NUMBERED, ids=[n for n, _ in NUMBERED])
def test_an_input_has_a_test_of_its_number(number: str, files: str) -> None:
    for file in re.findall(r"`([^`]+)`", files):
        named = f"test_{int(number):02}_"
        assert any(name.startswith(named) for name in names_in(HERE / file)), f"{named}… in {file}"


@pytest.mark.parametrize("file", sorted(set(ROADS)))
def test_a_file_that_the_page_names_is_there(file: str) -> None:
    assert (HERE / file).is_file() or (HERE.parent / file).is_file()
