"""Subscribers in CSV files: every row is accounted for, whatever the file is like."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.services.lists.csv_file import CsvRefused
from app.services.lists.subscribers_csv import (
    CHUNK_ROWS,
    MAX_REFUSED_ROWS,
    ImportReport,
    import_csv,
)
from app.store import Store
from tests.support.factories import Arrange

STORED = 'select email, name, status, tags, fields from subscribers order by email collate "C"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "subscribers.csv"


async def imported(store: Store, file: Path, content: str | bytes) -> ImportReport:
    """Import a file with this content; the counts must add up."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    report = await import_csv(store, file)
    done = report.added + report.updated + report.unchanged
    assert report.rows == done + report.duplicates_in_file + report.refused
    assert len(report.refused_rows) == min(report.refused, MAX_REFUSED_ROWS)
    return report


async def stored(arrange: Arrange) -> list[dict[str, Any]]:
    return list(await (await arrange.sql.execute(STORED)).fetchall())


def reasons(report: ImportReport) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in report.refused_rows]


async def test_columns_become_name_tags_and_fields(
    store: Store, arrange: Arrange, file: Path
) -> None:
    report = await imported(
        store,
        file,
        " Email ,NAME,Tags,city,Zip\n"
        'Anna@Example.com,Anna,"news; vip",Berlin,01234\n'
        "\n"
        "bob@bücher.example,,,,\n",
    )
    assert (report.rows, report.added) == (2, 2)
    assert await stored(arrange) == [
        {
            "email": "Anna@example.com",
            "name": "Anna",
            "status": "active",
            "tags": ["news", "vip"],
            "fields": {"city": "Berlin", "Zip": "01234"},
        },
        {
            "email": "bob@xn--bcher-kva.example",
            "name": None,
            "status": "active",
            "tags": [],
            "fields": {},
        },
    ]


async def test_invisible_characters_around_an_address_are_dropped_and_named_within(
    direct_store: Store, arrange: Arrange, file: Path
) -> None:
    """As web pages and spreadsheets leave them, after as many byte order marks as there may be."""
    report = await imported(
        direct_store,
        file,
        "\ufeff\ufeffemail,name\n"
        "\u200banna@example.com\u202c,Anna\n"
        "\u202abob@example.com\u00a0,Bob\n"
        "ca\u00adrl@example.com,Carl\n"
        "hi@xn--i-7iq.ws,\n"
        "hi@r3---sn.example,\n",
    )
    assert (report.added, report.refused) == (4, 1)
    [(line, reason)] = reasons(report)
    assert line == 4
    assert "U+00AD SOFT HYPHEN" in reason
    assert [row["email"] for row in await stored(arrange)] == [
        "anna@example.com",
        "bob@example.com",
        "hi@r3---sn.example",
        "hi@xn--i-7iq.ws",
    ]


async def test_a_file_names_those_who_are_there_by_any_spelling(
    direct_store: Store, arrange: Arrange, file: Path
) -> None:
    """Of the file itself too: one mailbox is one subscriber."""
    await arrange.subscriber("Ann@Exämple.de", name="Ann")
    report = await imported(
        direct_store,
        file,
        "email,city\nANN@xn--exmple-cua.de,Ulm\nann@exämple.de,Bonn\n",
    )
    assert (report.updated, report.duplicates_in_file) == (1, 1)
    [row] = await stored(arrange)
    assert (row["email"], row["name"], row["fields"]) == ("Ann@Exämple.de", "Ann", {"city": "Ulm"})


async def test_importing_again_changes_nothing(store: Store, arrange: Arrange, file: Path) -> None:
    content = "email,name,tags,city\na@example.com,Anna,news,Berlin\nb@example.com,,,\n"
    await imported(store, file, content)
    before = await stored(arrange)
    report = await imported(store, file, content)
    assert (report.unchanged, report.added, report.updated) == (2, 0, 0)
    assert await stored(arrange) == before


async def test_an_import_adds_to_what_is_known(
    direct_store: Store, arrange: Arrange, file: Path
) -> None:
    """Tags and fields are added, an empty cell takes nothing away, upper and lower case are one."""
    await arrange.subscriber(
        "a@example.com", name="Anna", tags=["old"], fields={"city": "Bonn", "x": 1}
    )
    report = await imported(
        direct_store, file, "email,name,tags,city,y\nA@EXAMPLE.COM,,new,Berlin,2\n"
    )
    assert report.updated == 1
    (row,) = await stored(arrange)
    assert row["name"] == "Anna"
    assert sorted(row["tags"]) == ["new", "old"]
    assert row["fields"] == {"city": "Berlin", "x": 1, "y": "2"}


async def test_who_left_stays_away(direct_store: Store, arrange: Arrange, file: Path) -> None:
    """Nor does a column `status` bring anybody back, or become a field."""
    await arrange.subscriber("a@example.com", status="unsubscribed")
    await imported(
        direct_store, file, "email,status\na@example.com,active\nb@example.com,bounced\n"
    )
    assert [(row["status"], row["fields"]) for row in await stored(arrange)] == [
        ("unsubscribed", {}),
        ("active", {}),
    ]


async def test_of_an_address_that_is_there_twice_the_first_row_counts(
    direct_store: Store, arrange: Arrange, file: Path
) -> None:
    report = await imported(
        direct_store, file, "email,name\na@example.com,First\n A@Example.COM ,Second\n"
    )
    assert (report.added, report.duplicates_in_file) == (1, 1)
    assert [row["name"] for row in await stored(arrange)] == ["First"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_the_files_of_all_programs_are_read(
    direct_store: Store, arrange: Arrange, file: Path, delimiter: str, end: str, encoding: str
) -> None:
    """Any usual delimiter, line end and encoding, with or without an end to the last line."""
    lines = [["email", "name"], ["a@example.com", "Zoë"], ["b@example.com", '"Bo"']]
    text = end.join(delimiter.join(line) for line in lines)
    report = await imported(direct_store, file, text.encode(encoding))
    assert report.added == 2
    assert [row["name"] for row in await stored(arrange)] == ["Zoë", "Bo"]


async def test_mixed_line_ends_and_lines_in_quotes_keep_the_count_of_lines(
    direct_store: Store, arrange: Arrange, file: Path
) -> None:
    report = await imported(
        direct_store,
        file,
        'email,note\r\na@example.com,"two\r\nlines"\rbad one\n,,\n\nb@example.com, "x, y"\nbad two',
    )
    assert [line for line, _ in reasons(report)] == [4, 8]
    assert [row["fields"]["note"] for row in await stored(arrange)] == ["two\r\nlines", "x, y"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Anna", "no address"),
        ("anna,Anna", "an @"),
        ("a@example.com b@example.com,Anna", "more than one address"),
        ("a@example.com,Anna,x,y", "more cells than columns"),
        ("a@example.com,Anna,in a nameless column", "column without a name"),
        ("a@example.com,An\0na", "NUL"),
        ('a@example.com,"An\nna"', "line break"),
        ("a@example.com," + "n" * 201, "longer than 200"),
        ("a@example.com," + "n" * 10_001, "longer than 10,000"),
        ("a@example.com," + "n" * 100_000, "longer than 100,000"),
        ("a@example.com" + "," * 1_000_000, "longer than 100,000"),
        ('a@example.com,"' + "line\n" * 30_000 + '"', "longer than 100,000"),
        ('a@example.com,"quoted"not', "closing quote"),
    ],
)
async def test_a_bad_row_is_refused_alone(
    direct_store: Store, arrange: Arrange, file: Path, row: str, reason: str
) -> None:
    """Its line and the reason are told, never its address; the rows around it are imported."""
    report = await imported(
        direct_store, file, f"email,name,\nbefore@example.com,B\n{row}\nafter@example.com,A,\n"
    )
    assert (report.rows, report.added, report.refused) == (3, 2, 1)
    ((line, told),) = reasons(report)
    assert line == 3
    assert reason in told
    assert "example.com" not in told
    assert [r["email"] for r in await stored(arrange)] == [
        "after@example.com",
        "before@example.com",
    ]


async def test_refused_rows_are_counted_beyond_those_listed(
    direct_store: Store, file: Path
) -> None:
    report = await imported(direct_store, file, "email\n" + "nobody\n" * 1_500)
    assert (report.refused, len(report.refused_rows)) == (1_500, MAX_REFUSED_ROWS)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "0" * 1_000_000)
    return buffer.getvalue()


ROW = b"email,name\na@example.com,Anna\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"\n\n", ["empty"]),
        (b"\xef\xbb\xbf", ["empty"]),
        (b"Mail,name\na@example.com,Anna\n", ["email", "'Mail', 'name'"]),
        (b"a@example.com,Anna\n", ["no header"]),
        (b"email,Email\n", ["'email'", "twice"]),
        (b"email,city,city\n", ["'city'", "columns 2 and 3"]),
        (b"email,city,fields.city\n", ["'city'", "twice"]),
        (b"email" + b",x" * 200 + b"\n", ["201 columns"]),
        (b"email," + b"x" * 201 + b"\n", ["200 characters"]),
        (b"email," + b"x" * 100_000 + b"\n", ["first line"]),
        (b'"email"x,name\n', ["first line", "quotes"]),
        (_zip(), ["Excel", "save it as CSV"]),
        (gzip.compress(ROW, mtime=0), ["gzip", "save it as CSV"]),
        (b"%PDF-1.7\n", ["PDF", "save it as CSV"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ["Excel"]),
        ("email,name\n".encode("utf-16-le"), ["no text"]),
        (b"em\0ail,name\n", ["no text"]),
        (ROW + b"b@example.com,Zo\xeb\n", ["Line 3", "UTF-8"]),
        (ROW + b"b@example.com," + b"x" * 150_000 + b"\xff\n", ["Line 3", "UTF-8"]),
        (ROW.decode().encode("utf-16") + b"\x00", ["UTF-16"]),
        (ROW + b'b@example.com,"Bob\nc@example.com,C\n', ["line 3", "never closed"]),
        (ROW + b'"' + b"line\n" * 100_000, ["line 3", "never closed"]),
    ],
)
async def test_a_file_that_is_spoilt_as_a_whole_changes_nothing(
    direct_store: Store, arrange: Arrange, file: Path, content: bytes, words: Sequence[str]
) -> None:
    """The message names the place and what to do, and repeats no address."""
    with pytest.raises(CsvRefused) as refused:
        await imported(direct_store, file, content)
    for word in words:
        assert word in refused.value.detail
    assert "example.com" not in refused.value.detail
    assert await stored(arrange) == []


async def test_what_is_no_file_is_refused(direct_store: Store, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(CsvRefused, match="not a file"):
            await import_csv(direct_store, path)


async def test_progress_is_told_chunk_by_chunk(direct_store: Store, file: Path) -> None:
    rows = CHUNK_ROWS + 500
    file.write_text("email\n" + "".join(f"reader{n}@example.com\n" for n in range(rows)))
    told: list[int] = []
    report = await import_csv(direct_store, file, on_progress=told.append)
    assert told == [CHUNK_ROWS, rows]
    assert report.summary() == (
        "1500 rows: 1500 added, 0 updated, 0 unchanged, 0 repeated in the file, 0 refused"
    )


TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("'=+-@\t\r\n,;|\" "),
    max_size=12,
)
WORD = st.text("abcÄ=-_ ;.", min_size=1, max_size=8).map(str.strip).filter(bool)
PROPERTY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


ADDRESS = st.sampled_from(
    ["a@example.com", "A@example.com", "b@example.com", " c@Example.COM ", "nobody", "", "x@y"]
)
ROWS = st.lists(st.tuples(ADDRESS, WORD | st.just("n" * 201), TEXT), max_size=12)


@PROPERTY
@given(rows=ROWS, delimiter=st.sampled_from(",;\t"), quoting=st.sampled_from([0, 1]))
async def test_an_import_does_what_a_simple_model_says(
    direct_store: Store,
    arrange: Arrange,
    file: Path,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    quoting: Any,
) -> None:
    """Whatever is in the cells: each row is added, repeated, refused or blank."""
    await arrange.sql.execute("delete from subscribers")
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)
    writer.writerows([("email", "name", "note"), *((a, f"'{n}", f"'{t}") for a, n, t in rows)])

    expected: dict[str, str] = {}
    repeated = refused = 0
    for address, name, _ in rows:
        key = address.strip().lower()
        if not key.endswith("@example.com") or len(name) > 200:
            refused += 1
        elif key in expected:
            repeated += 1
        else:
            expected[key] = address.strip().split("@")[0] + "@example.com"

    report = await imported(direct_store, file, out.getvalue())
    assert (report.added, report.duplicates_in_file, report.refused) == (
        len(expected),
        repeated,
        refused,
    )
    assert [row["email"] for row in await stored(arrange)] == sorted(expected.values())


@PROPERTY
@given(body=st.text(st.sampled_from("\",;\t\r\n'=a@\0é"), max_size=60) | st.binary(max_size=40))
async def test_any_file_is_accounted_for_or_refused(
    direct_store: Store, file: Path, body: str | bytes
) -> None:
    """However its quotes, line ends and bytes are."""
    rest = body.encode() if isinstance(body, str) else body
    with contextlib.suppress(CsvRefused):
        report = await imported(direct_store, file, b"email,name\nz@example.com,Z\n" + rest)
        assert report.added + report.unchanged >= 1


async def test_long_rows_go_to_the_database_in_smaller_chunks(
    direct_store: Store, file: Path
) -> None:
    """So neither memory nor a call grows with what is in a file."""
    names = ",".join(f"field{n}" for n in range(10))
    cells = ",".join(["x" * 9_000] * 10)
    rows = "".join(f"reader{n}@example.com,{cells}\n" for n in range(30))
    file.write_text(f"email,{names}\n{rows}")
    told: list[int] = []
    await import_csv(direct_store, file, on_progress=told.append)
    assert told == [12, 24, 30]
