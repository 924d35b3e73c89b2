"""Rows are read, looked at and made many at once; here beside the same one by one, the model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.addresses import InvalidAddress, TypedAddresses, typed_address
from app.domain.lists.columns import read_columns
from app.domain.lists.people import Refused, Row, row_of
from app.domain.lists.questions import Survey
from app.domain.lists.rows import RowReader, RowRefused, kept
from app.errors import AppError
from app.services.imports import run_import
from app.services.imports.run_import import Chunk, chunks
from app.services.imports.seen import SeenAddresses
from app.services.lists import csv_reader
from app.services.lists.csv_reader import Record, Shape, read_batches, read_records
from app.services.lists.encoding import UTF_8, WINDOWS, Encoding
from app.services.lists.list_file import People
from tests.support.lists import SUBSCRIBER, exported, opened
from tests.support.wide import examples

ADDRESSES = [
    "ann@example.com", "Ann@Example.COM", "ANN@example.com", " bob@example.com ", "x.y+z@a.b.org",
    "zoë@example.com", "zoe@bücher.example", "zoe@BÜCHER.example", "a@xn--bcher-kva.example",
    "a@b。com", "\u200ba@example.com", "a\u200b@example.com", "a@b@example.com", "a.@b.com",
    ".a@b.com", "a..b@c.com", "a@b..com", "a@.com", "a@-b.com", "a@b.c-", "a@1.2.3.4", "a@b", "@",
    "=?utf-8?q?x?=@example.com", "a=?b@example.com", "x@example.com\n", "a@b.com,c@d.com",
    "Ann <ann@example.com>", "mailto:ann@example.com", "'ann@example.com", "", " ", "ann",
    "a" * 64 + "@example.com", "a" * 65 + "@example.com", "a@" + "b" * 63 + ".com",
    "a@" + "b" * 64 + ".com", "a@" + "b." * 130 + "com", "a@[1.2.3.4]", '"a"@example.com',
    "a\0@example.com", "a b@example.com", "a@b.com\x1c", "ann@example.com", "eve@example.com",
]  # fmt: skip
NAMES = [
    "Ann", "Ann Arber", "Arber", "ARBER", "arber", " ", "", "Zoë", "a\u200bb", "a\x07b", "a\nb",
    "x" * 200, "x" * 201, "'=1", "O'Neil", "'", "'  ", "\xa0", "von Arber",
]  # fmt: skip
TAGS = [
    "", "VIP", "VIP;Blog", '"VIP","Blog"', "[\"a\", \"b\"]", "a|a", ";", " ", "x" * 1001, "ä" * 501,
    ";".join(map(str, range(201))), ";".join(map(str, range(150))),
    ";".join(map(str, range(100, 250))), "'=tag",
]  # fmt: skip
STATES = ["", " ", "active", "Unsubscribed", "cleaned", "soft bounced", "spam", "yes", "no", "1"]
TIMES = [
    "", "2021-03-04 05:06:07", "2021-03-04", "2021-03-04T05:06:07+02:00", "20210304", "2021",
    "03/04/2021", "13/04/2021", "4.3.2021", "1969-01-01", "2101-01-01", "never", " 2021-03-04 ",
    "2021-03-04 05:06:07.5", "1614834367", "2021-W09-4", "2021-03-045", "soon", "Mar 4, 2021",
]  # fmt: skip
ZONES = [
    "",
    "Europe/Berlin",
    "europe/berlin",
    " Europe/Paris ",
    "Mars/Base",
    "Venus",
    "+01:00",
    "A",
]
JSONS = ["", "{}", '{"a": 1}', '{"a": 1, "a": 2}', "[1]", "5", "x", '"\\u0000"', '"\\ud800"', "NaN"]
FIELDS = ["", "x", " x ", "Unsubscribed", "yes", "'=1", "a\0b", "y" * 10_001, "Zoë", "\x85", "5"]
CELLS = {
    "email": ADDRESSES, "name": NAMES, "first name": NAMES, "last name": NAMES, "tags": TAGS,
    "groups": TAGS, "status": STATES, "opted_out": STATES, "unsubscribed at": TIMES,
    "created_at": TIMES, "timezone": ZONES, "city": FIELDS, "note": FIELDS, "extra": JSONS,
    "json.likes": JSONS, "consent": JSONS, "Email Address": ADDRESSES, "TAGS": TAGS,
    "OPTIN_TIME": TIMES, "MEMBER_RATING": FIELDS, "LEID": FIELDS, "UNSUB_TIME": TIMES,
}  # fmt: skip
MEANINGS = {"groups": "tags", "unsubscribed at": "left_at", "extra": "attributes"}
OWN = ["email", "name", "status", "tags", "timezone", "created_at", "consent"]

Table = tuple[list[str], list[tuple[str, str]], list[list[str]]]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A header, what a person said of it, and rows, some with too many cells or too few."""
    others = st.lists(st.sampled_from(sorted(CELLS)), unique=True, max_size=7)
    first = draw(st.sampled_from([["email"], OWN]))
    header = [*first, *(name for name in draw(others) if name not in first)]
    mapped = [(name, MEANINGS[name]) for name in header if name in MEANINGS and draw(st.booleans())]
    mapped += [(name, "field") for name in header if name == "Email Address"]
    rows = [
        [draw(st.sampled_from(CELLS[name])) for name in header]
        for _ in range(draw(st.integers(1, 8)))
    ]
    for row in rows:
        match draw(st.integers(0, 9)):
            case 0:
                del row[draw(st.integers(1, len(row))) :]
            case 1:
                row += draw(st.sampled_from([[""], [" "], ["", "x"], ["'"]]))
    return header, mapped, rows


@given(tables(), st.booleans())
@settings(max_examples=examples(600), deadline=None)
def test_people_are_the_same_column_by_column(table: Table, day_first: bool) -> None:
    header, mapped, rows = table
    try:
        columns = read_columns(header, mapped)
    except AppError:
        return
    lines = [7 * n for n in range(len(rows))]
    reader = RowReader(columns, day_first=day_first)
    model = RowReader(columns, day_first=day_first)
    for _ in range(2):  # what is remembered is the same
        assert [*map(_ordered, reader.read(lines, rows))] == [
            _ordered(_one(model, line, row)) for line, row in zip(lines, rows, strict=True)
        ]


def _one(reader: RowReader, line: int, cells: list[str]) -> Row | Refused:
    try:
        return row_of(reader.person(line, cells))
    except RowRefused as exc:
        return Refused(line, str(exc), kept(cells))


def _ordered(row: Row | Refused) -> object:
    """Fields in their order, as the database's preview may have them."""
    if isinstance(row, Refused):
        return row
    return [*row.items()], [*row.get("fields", {}).items()]


def test_a_plain_row_is_not_read_one_by_one() -> None:
    """Else all of this would be in vain."""
    header = ["Email Address", "First Name", "Last Name", "OPTIN_TIME", "TAGS", "City"]
    row = ["Ann@Example.com", "Ann", "Arber", "2021-03-04 05:06:07", '"VIP","Blog"', "Ulm"]
    reader = RowReader(read_columns(header))
    with patch.object(RowReader, "person", side_effect=AssertionError):
        [made] = reader.read([2], [row])
    assert made == row_of(reader.person(2, row))


@given(st.lists(st.sampled_from(ADDRESSES) | st.text("aB.@-=?\n é", max_size=12), max_size=5))
@settings(max_examples=examples(600), deadline=None)
def test_addresses_are_the_same_many_at_once(texts: list[str]) -> None:
    def one(text: str) -> str | None:
        try:
            return typed_address(text)
        except InvalidAddress:
            return None

    assert TypedAddresses().read(texts) == [*map(one, texts)]


@pytest.mark.parametrize("text", ADDRESSES)
def test_each_address_is_the_same_beside_plain_ones(text: str) -> None:
    addresses = TypedAddresses()
    addresses.read(["ann@example.com"])
    alone = TypedAddresses().read([text])
    assert addresses.read([text, "a@example.com"]) == [*alone, "a@example.com"]


@pytest.mark.short
@given(tables())
@settings(max_examples=examples(600), deadline=None)
def test_a_survey_finds_the_same_however_many_rows_it_is_shown(table: Table) -> None:
    header, mapped, rows = table
    try:
        columns = read_columns(header[1:] if len(rows) % 3 == 0 else header, mapped)
    except AppError:
        return
    together, one_by_one = Survey(columns), Survey(columns)
    together.look_at(rows[:3])
    together.look_at(rows[3:]) if rows[3:] else None
    for row in rows:
        one_by_one.look_at([row])
    for found in (Survey.questions, Survey.warnings, Survey.columns_of_addresses):
        assert found(together) == found(one_by_one)
    assert together.day_first(",") == one_by_one.day_first(",")


def _read(records: Iterator[Record]) -> list[Record] | str:
    try:
        return list(records)
    except AppError as exc:
        return exc.detail


def _in_batches(
    data: bytes, encoding: Encoding, shape: Shape | None, skip: int
) -> Iterator[Record]:
    batches = read_batches(io.BytesIO(data), encoding, ",", skip_lines=skip, shape=shape)
    for batch in batches:
        assert batch.problem is None or len(batch.rows) == 1
        for line, cells in zip(batch.lines, batch.rows, strict=True):
            yield Record(line, cells, batch.problem)


LINES = [
    "a@b.example,x", "a@b.example,", ",", "", " ", '"a","b"', '"a\nb",c', '"a\r\nb",c', '"a" ,b',
    '"a"b,c', '"', "\ufeffa", 'a"b,c', "é,x", "a\0,b", "\x85", "x\x1cy\u2028z", '"a\n"x,y',
    '"\na@b.example,x\n"', "a" * 60, "b," * 40, '"' + "c" * 60 + '\n",d', "a,b,c,d",
]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(["\n", "\r\n", "\r", "\r\r\n"]))),
    st.sampled_from(["", "\n", "\r\n"]),
    st.booleans(),
    st.integers(1, 45),
    st.sampled_from([None, Shape(2, 0)]),
    st.integers(0, 1),
)
@settings(max_examples=examples(1_500), deadline=None)
def test_records_are_the_same_many_at_once(
    lines: list[tuple[str, str]], end: str, mixed: bool, block: int, shape: Shape | None, skip: int
) -> None:
    """With blocks and rows as short as lines, so that they end anywhere."""
    text = "".join(line + (each if mixed else end or "\n") for line, each in lines)
    text = "sep=,\n" * skip + (text if mixed or end else text[:-1])
    with (
        patch.object(csv_reader, "BLOCK_CHARS", block),
        patch.object(csv_reader, "MAX_ROW_CHARS", 50),
    ):
        for encoding, data in (
            (UTF_8, text.encode()),
            (UTF_8, text.encode().replace(b"\xc3", b"")),
            (WINDOWS, text.encode("cp1252", "replace")),
            (Encoding("UTF-16", "utf-16"), text.encode("utf-16") + b"x" * skip),
        ):
            one_by_one = read_records(io.BytesIO(data), encoding, ",", skip_lines=skip, shape=shape)
            expected = _read(one_by_one)
            assert _read(_in_batches(data, encoding, shape, skip)) == expected


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=30), st.data())
@settings(max_examples=examples(300), deadline=None)
def test_chunks_are_the_same_however_rows_come(
    whose: list[str | None], data: st.DataObject
) -> None:
    """No row is left out, and who comes again is known, whatever was done before."""
    rows: list[Row | Refused] = [
        {"line": n, "email": f"{name}@example.com", "status": "active"} if name
        else Refused(n, "no address", ["x"])
        for n, name in enumerate(whose)
    ]  # fmt: skip
    sizes = data.draw(st.lists(st.integers(1, 7), min_size=30, max_size=30))
    skip = data.draw(st.integers(0, len(rows)))

    def people() -> Iterator[People]:
        at = 0
        for size in sizes:
            if rows[at : at + size]:
                yield People(rows[at : at + size], 10)
            at += size

    with patch.object(run_import, "CHUNK_ROWS", 4), patch.object(run_import, "CHUNK_CHARS", 25):
        made = list(chunks(people(), skip))
    assert all(0 < chunk.count <= 4 for chunk in made)
    assert sum(chunk.count for chunk in made) == len(rows) - skip
    seen: set[str] = set()
    expected = Chunk()
    for number, row in enumerate(rows):
        is_new = not isinstance(row, Refused) and row["email"] not in seen
        if not isinstance(row, Refused):
            seen.add(row["email"])
        if number >= skip:
            expected.add([row], [is_new])
    assert [row for chunk in made for row in chunk.rows] == expected.rows
    assert [row for chunk in made for row in chunk.refused] == expected.refused
    assert sum(row["times"] for chunk in made for row in chunk.repeated) == sum(
        row["times"] for row in expected.repeated
    )


@given(st.lists(st.lists(st.integers(0, 4_000).map(str), max_size=200), max_size=40))
@settings(max_examples=examples(50), deadline=None)
def test_seen_addresses_are_the_same_many_at_once(batches: list[list[str]]) -> None:
    many, model = SeenAddresses(), SeenAddresses()
    for batch in batches:
        assert many.add_all(batch) == [model.add(address) for address in batch]


def test_seen_addresses_grow() -> None:
    seen = SeenAddresses()
    addresses = [f"reader{n}@example.com" for n in range(20_000)]
    assert all(seen.add_all(addresses[:9_000])) and all(seen.add_all(addresses[9_000:]))
    assert not any(seen.add_all(addresses))


def test_short_rows_of_many_columns_are_few_at_once() -> None:
    """Else a small file would be gigabytes of blank cells."""
    header = ",".join(["email", *(f"c{n}" for n in range(999))])
    listed = opened(f"{header}\n" + "a@b.example\n" * 2_000 + "," * 60_000 + "\nx" + "," * 60_000)
    sizes = [len(people.made) for people in listed.people()]
    assert sum(sizes) == listed.row_count == 2_001
    assert max(sizes) <= 100


@given(st.lists(SUBSCRIBER, min_size=1, max_size=4))
@settings(max_examples=examples(200), deadline=None)
def test_our_own_export_is_read_the_same(subscribers: list[dict[str, object]]) -> None:
    people = [
        {"email": f"p{n}@example.com", "address": f"p{n}@example.com", **each}
        for n, each in enumerate(subscribers)
    ]
    text = exported(people)
    listed = opened(text)
    if listed.questions:
        return
    header, *rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    model = RowReader(read_columns(header))
    made = [row for each in listed.people() for row in each.made]
    lines = [row.line if isinstance(row, Refused) else row["line"] for row in made]
    assert made == [_one(model, line, row) for line, row in zip(lines, rows, strict=True)]
