"""Numbers that no database keeps are found wherever they stand, and looked for only where one may
be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.given import strict_json
from app.domain.given.strict_json import NotStrictJson, read_strict

_SPACE = st.text(" \t\r\n", max_size=2)
_DIGITS = st.text("0123456789", min_size=1, max_size=22)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    whole = draw(_DIGITS).lstrip("0") or "0"
    fraction = draw(st.just("") | _DIGITS.map(".{}".format))
    exponent = draw(st.sampled_from(["", "e5", "E+400", "e-400", "e999", "E0"]))
    return draw(st.sampled_from(["", "-"])) + whole + fraction + exponent


_TEXTS = st.sampled_from(['"1e999"', '"0018c1e9"', '": 9999999999999999999"', "true", "null"])


def _within(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spaced = st.tuples(_SPACE, values, _SPACE).map("".join)
    members = st.lists(spaced, min_size=1, max_size=3)
    return members.map(lambda found: f"[{','.join(found)}]") | members.map(
        lambda found: "{" + ",".join(f'"{n}":{each}' for n, each in enumerate(found)) + "}"
    )


def _looked_through(text: str) -> Any:
    """The model: whatever stands there, every value is looked at."""
    value = jiter.from_json(text.encode(), allow_inf_nan=False, catch_duplicate_keys=True)
    if found := next(strict_json._oddities(value), None):
        raise found
    return value


def _said(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except NotStrictJson as refusal:
        return f"refused: {refusal}"


@given(st.recursive(numbers() | _TEXTS, _within, max_leaves=6))
def test_it_finds_what_looking_at_every_value_finds(text: str) -> None:
    assert _said(read_strict, text) == _said(_looked_through, text)


def test_an_event_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ids are full of digits before an `e`; to look at every value took longer than the rest of
    the request."""
    looked: list[object] = []

    def noted(value: object) -> Iterator[NotStrictJson]:
        looked.append(value)
        return iter(())

    monkeypatch.setattr(strict_json, "_oddities", noted)
    for file in Path("tests/payloads/ses").glob("*.json"):
        assert read_strict(file.read_bytes())
    assert looked == []
    read_strict('{"id": "0018c1e9", "at": [ -1E5]}')
    assert looked == [{"id": "0018c1e9", "at": [-100_000.0]}]
