"""What an export writes, a file's reader reads as the same people."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.lists.people import Person
from app.services.lists.list_file import ListFile
from tests.support.lists import SUBSCRIBER, cells, exported
from tests.support.wide import examples

FORMULAS = ('=HYPERLINK("http://x.test")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "'=1")


def subscriber(email: str, **columns: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "name": None, "status": "active", "tags": [], "timezone": None, "consent": None,
        "created_at": "2024-01-01T00:00:00+00:00", "fields": {}, "address": email.lower(),
    }  # fmt: skip
    return {"email": email, **empty, **columns}


def read_back(text: str) -> list[Person]:
    listed = ListFile(io.BytesIO(text.encode()))
    assert (listed.preset, listed.questions, listed.warnings) == ("AmazonSender", (), ())
    rows = list(listed.rows())
    assert all(isinstance(row, Person) for row in rows), rows
    return [row for row in rows if isinstance(row, Person)]


@settings(max_examples=examples(50), deadline=None)
@given(subscribers=st.lists(SUBSCRIBER, min_size=1, max_size=5))
def test_an_export_is_read_as_the_same_people(subscribers: list[dict[str, Any]]) -> None:
    """Fields of any name and of any JSON type, states, tags, times, consent."""
    people = [subscriber(f"Reader{n}@example.com", **one) for n, one in enumerate(subscribers)]
    for was, now in zip(people, read_back(exported(people)), strict=True):
        for key in ("email", "name", "status", "tags", "timezone", "created_at", "consent"):
            assert getattr(now, key) == was[key], key
        assert now.fields == was["fields"]
        for name, value in was["fields"].items():
            assert type(now.fields[name]) is type(value)


def test_no_cell_begins_like_a_formula() -> None:
    """RELIABILITY 3.36: a spreadsheet runs nothing that somebody put into their name."""
    fields = {f"f{n}": text for n, text in enumerate(FORMULAS)} | {"=1+1": "x", " y": "z", "n": -5}
    person = subscriber("+a@example.com", name="=1+1", tags=["-x"], fields=fields)
    text = exported([person])
    for row in cells(text):
        assert not any(cell.startswith(tuple("=+-@\t\r＝")) for cell in row)
    [found] = read_back(text)
    assert (found.email, found.name, found.tags) == ("+a@example.com", "=1+1", ["-x"])
    assert found.fields == fields


def test_columns_are_plain_where_they_can_be() -> None:
    fields = {"city": "Ulm", "Name": "x", "newsletter": "no", "age": 5}
    header, row = cells(exported([subscriber("a@example.com", fields=fields)]))
    assert header[:7] == ["email", "name", "status", "tags", "timezone", "created_at", "consent"]
    assert header[7:] == ["fields.Name", "city", "fields.newsletter", "json.age"]
    assert row[7:] == ["x", "Ulm", "no", "5"]


def test_nobody_is_lost_for_what_was_written_into_the_database() -> None:
    """Names and addresses that no import would take."""
    odd = subscriber("an\u00adn@Example.com", name="An\nn" * 100, address="ann@example.com")
    [found] = read_back(exported([odd]))
    assert found.email == "ann@example.com"
    assert found.name is not None and found.name.startswith("An nAn nAn n")


def test_it_opens_in_excel() -> None:
    """A byte order mark says that it is UTF-8 (PowerShell and Excel take it for 1252 otherwise)."""
    assert (
        exported([subscriber("zoe@example.com", name="Zoë")]).encode().startswith(b"\xef\xbb\xbf")
    )
