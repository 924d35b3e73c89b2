"""Numbers that no database keeps are found wherever they stand, and looked for only where one may
be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jiter
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.given import strict_json
from app.domain.given.strict_json import DoubledKey, NotStrictJson, read_posted, read_strict
from app.domain.untrusted import read_oddities

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


def _read_slowly(text: str) -> Any:
    """The model of read_posted: strictly, else mended; a doubled key is refused by both."""
    try:
        return read_strict(text)
    except DoubledKey:
        raise
    except NotStrictJson:
        return read_oddities(text, object_pairs_hook=strict_json.once_each)


def _outcome(read: Callable[[str], Any], text: str) -> str:
    try:
        return repr(read(text))  # tells 1 from 1.0 and True, and 0.0 from -0.0
    except (ValueError, RecursionError) as refusal:
        return type(refusal).__name__


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


def _as_orjson_writes(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@given(st.recursive(numbers() | _TEXTS, _within, max_leaves=6) | _JSON.map(_as_orjson_writes))
@example('{"a":{"b":1,"b":2}}')
@example('{"a":1,"\\u0061":2}')
@example('{"a":"\\ud800"}')
@example("[-0]")
@example("[-0.0,1e-7,1.5]")
@example("[9007199254740993,18446744073709551615]")
@example("[123456789012345678901234567890]")
@example("[1e999]")
@example("[NaN]")
@example('\ufeff{"a":1}')
@example('{"a":1}\n')
@example('{"a":1}\x0b')
@example('{"a":1} {"a":1}')
@example("[" * 199 + "]" * 199)
@example("[" * 230 + "]" * 230)
@example("[" * 260 + "]" * 260)
@example("[" * 5000 + "]" * 5000)
def test_what_is_posted_is_read_as_slowly(text: str) -> None:
    """The short way takes only what the other reads just so."""
    assert _outcome(read_posted, text) == _outcome(_read_slowly, text)


@pytest.mark.parametrize("end", ["", "\n"])
def test_an_event_as_ses_writes_it_takes_the_short_way(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compact, perhaps with a line's end."""
    monkeypatch.delattr(strict_json, "read_strict")
    for file in Path("tests/payloads/ses").glob("*.json"):
        event = orjson.loads(file.read_bytes())
        assert read_posted(_as_orjson_writes(event) + end) == event
