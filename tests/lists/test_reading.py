"""Files as they come: whatever they are, every row is accounted for or the file is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.lists.columns import ColumnsRefused
from app.domain.lists.people import Person, Refused
from app.services.lists.encoding import CsvRefused
from app.services.lists.list_file import ListFile, read_mapping
from tests.support.lists import opened, people, read
from tests.support.wide import examples

ENCODINGS = {
    "utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16", "cp1252": "Windows-1252",
}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_files_of_all_programs_are_read(encoding: str, delimiter: str, end: str) -> None:
    """Any usual encoding, delimiter and line end, with or without an end to the last line."""
    lines = [["email", "name"], ["a@example.com", "Zoë – née"], ["b@example.com", '"Bo; ,B"']]
    text = end.join(delimiter.join(line) for line in lines)
    listed = opened(text.encode(encoding))
    assert (listed.encoding, listed.delimiter) == (ENCODINGS[encoding], delimiter)
    assert listed.row_count == 2
    assert [row.name for row in listed.rows() if isinstance(row, Person)] == [
        "Zoë – née",
        "Bo; ,B",
    ]


def test_windows_1252_is_found_out_at_the_end_of_a_long_file() -> None:
    rows = "".join(f"reader{n}@example.com,Ann\n" for n in range(30_000))
    listed = opened(f"email,name\n{rows}".encode() + b"zoe@example.com,Zo\xeb\n")
    assert listed.encoding == "Windows-1252"
    assert "look whether names" in listed.warnings[0]
    *_, last = listed.rows()
    assert isinstance(last, Person) and last.name == "Zoë"


def test_several_byte_order_marks_and_blank_lines_come_before_the_header() -> None:
    assert list(people("\ufeff\ufeff\n,,\nemail,name\na@example.com,Anna\n")) == ["a@example.com"]


@pytest.mark.parametrize("said", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\n", "sep=|\n"])
def test_excels_line_names_the_delimiter(said: str) -> None:
    mark = "|" if "|" in said else ";"
    listed = opened(f"{said}email{mark}name\na@example.com{mark}Anna, B\nnobody{mark}x\n")
    assert listed.delimiter == mark
    first, second = listed.rows()
    assert isinstance(first, Person) and (first.name, first.line) == ("Anna, B", 3)
    assert second.line == 4


def test_blanks_around_quoted_cells_do_not_matter() -> None:
    found = people(
        'email,name,note\n "a@example.com"      ,"Ann"   ,"x" \n'
        '"b@example.com" , "Bo ""B"" " ,"two\nlines"  \nc@example.com,C,\n'
    )
    assert [person.name for person in found.values()] == ["Ann", 'Bo "B"', "C"]
    assert found["b@example.com"].fields == {"note": "two\nlines"}


def test_mixed_line_ends_and_lines_in_quotes_keep_the_count_of_lines() -> None:
    rows = read(
        'email,note\r\na@example.com,"two\r\nlines"\rbad one\n,,\n\nb@example.com, "x, y"\nbad two'
    )
    assert [row.line for row in rows if isinstance(row, Refused)] == [4, 8]
    assert [row.fields["note"] for row in rows if isinstance(row, Person)] == [
        "two\r\nlines",
        "x, y",
    ]


def test_reading_goes_on_after_the_rows_that_were_done() -> None:
    listed = opened("email\n" + "\n".join(f"reader{n}@example.com" for n in range(9)))
    assert [row.line for row in listed.rows(skip=6)] == [8, 9, 10]
    assert len(list(listed.rows())) == 9


HEADER = "email,name,city\n"
SWALLOWED = "b@example.com,Bo,Ulm\n"


@pytest.mark.parametrize(
    "rows",
    [
        f'a@example.com,"Ann,Ulm\n{SWALLOWED}',
        f'a@example.com,"Ann,Ulm\n{SWALLOWED}c@example.com,"Cy",Ulm\n',
        f'a@example.com,"Ann,Ulm\n{SWALLOWED}c@example.com,Cy,"Ulm"\n{SWALLOWED}',
        'a@example.com,"Ann,Ulm\n"b@example.com",Bo,Ulm\n',
        'a@example.com,"Ann,Ulm\nb@example.com,Bo,Ulm "\n',
        f'a@example.com,"Ann\n{SWALLOWED * 10}",Ulm\n',
        f'a@example.com,"Ann,Ulm\n{SWALLOWED * 9_000}c@example.com,"Cy",Ulm\n',
        f'a@example.com,"Ann,Ulm\n{"x" * 100_000}\n{SWALLOWED}c@example.com,"Cy",Ulm\n',
        'a@example.com,"Ann\nb@example.com,Bo\nc@example.com,"Cy"\n',
        'a@example.com,"Ann\nb@example.com,Bo\n"\n',
        'a@example.com,"' + "line\n" * 100_000,
    ],
)
def test_a_stray_quote_that_swallows_rows_is_named_with_its_line(rows: str) -> None:
    """Wherever it closes, if it does: nobody is lost within another's name."""
    with pytest.raises(CsvRefused, match=r"quote that begins on line 3 ") as told:
        opened(f"{HEADER}z@example.com,Z,Ulm\n{rows}")
    assert "example.com" not in told.value.detail


@pytest.mark.parametrize(
    "row",
    [
        'a@example.com,Ann,"Cheers,\nann@example.com"',
        'a@example.com,Ann,"first\n, second, third\nlast, one"',
        '"a@example.com",Ann,"one, two\nthree@example.com, four\n"',
    ],
)
def test_text_of_several_lines_is_no_stray_quote(row: str) -> None:
    assert list(people(f"{HEADER}{row}\nb@example.com,Bo,Ulm\n")) == [
        "a@example.com",
        "b@example.com",
    ]


def test_a_stray_quote_in_the_first_line_is_named_too() -> None:
    with pytest.raises(CsvRefused, match="begins on line 1 swallows"):
        opened('email,"name\na@example.com,Ann\n"\nb@example.com,Bo\n')


def test_a_quoted_text_may_come_before_the_address() -> None:
    assert list(people('note,email\n"line 1\nline 2",a@example.com\n')) == ["a@example.com"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Anna", "no address"),
        ("anna,Anna", "an @"),
        ("a@example.com b@example.com,Anna", "more than one address"),
        ("ca\u00adrl@example.com,C", "U+00AD SOFT HYPHEN"),
        ("a..b@docomo.ne.jp,A", "dots in places that mail doesn't allow"),
        ("a@example.com,Anna,x,y,z", "more cells than columns"),
        ("a@example.com,An\0na", "NUL"),
        ('a@example.com,"An\nna"', "line break"),
        ("a@example.com," + "n" * 201, "longer than 200"),
        ("a@example.com," + "n" * 10_001, "longer than 10,000"),
        ("a@example.com," + "n" * 1_000_000, "longer than 100,000"),
        ("a@example.com" + "," * 1_000_000, "longer than 100,000"),
        ('a@example.com,"' + "line\n" * 30_000 + '"', "longer than 100,000"),
        ('a@example.com,"quoted"not', "closing quote"),
    ],
)
def test_a_bad_row_is_refused_alone(row: str, reason: str) -> None:
    """Its line and the reason are told, never its address; the rows around it are read."""
    rows = read(f"email,name,city,\nb@example.com,B\n{row}\nc@example.com,C,\n")
    assert [type(each) for each in rows] == [Person, Refused, Person]
    bad = rows[1]
    assert isinstance(bad, Refused)
    assert bad.line == 3
    assert reason in bad.reason
    assert "example.com" not in bad.reason
    assert sum(map(len, bad.cells)) < 100_000


def test_tags_beyond_what_an_index_takes_refuse_their_row_alone() -> None:
    tags = ("x" * 1_001, ",".join(map(str, range(201))), "ä" * 500, "fine")
    rows = read(
        "email,tags\n" + "".join(f'r{n}@example.com,"{tag}"\n' for n, tag in enumerate(tags))
    )
    assert [type(row) for row in rows] == [Refused, Refused, Person, Person]


def test_a_refused_row_keeps_its_cells() -> None:
    assert [row.cells for row in read("email,name\nnobody,Ann\n") if isinstance(row, Refused)] == [
        ["nobody", "Ann"]
    ]


def test_the_file_of_refused_rows_is_put_right_and_imported() -> None:
    """What it says of each row is no field."""
    found = people("line,reason,email,name,city\n3,no address,a@example.com,Ann,Ulm\n")
    assert found["a@example.com"].fields == {"city": "Ulm"}


def _zip(name: str = "xl/workbook.xml") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "0" * 1_000)
    return buffer.getvalue()


ROW = b"email,name\na@example.com,Anna\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"\n\n", ["empty"]),
        (b"\xef\xbb\xbf", ["empty"]),
        (b"email,name\n", ["no rows"]),
        (b"email,name\n\n,\n", ["no rows"]),
        (b"Mail No,name\nx,Anna\n", ["email", "'Mail No', 'name'", "no other one holds"]),
        (b"a@example.com,Anna\nb@example.com,Bo\n", ["no header"]),
        (b"email,E-mail\n", ["'email'", "'E-mail'", "map"]),
        (b"email,city,fields.city\n", ["'city'", "twice"]),
        (b"email" + b",x" * 1_000 + b"\n", ["1,001 columns"]),
        (b"email" + b",x" * 1_000_000 + b"\n", ["line 1", "100,000 characters"]),
        (b"email," + b"x" * 201 + b"\n", ["200 characters"]),
        (b'"email"x,name\n', ["first line", "quote"]),
        (_zip(), ["Excel", "save it as CSV"]),
        (_zip("subscribed.csv"), ["zip", "unpack"]),
        (gzip.compress(ROW, mtime=0), ["gzip", "unpack"]),
        (b"%PDF-1.7\n", ["PDF", "save it as CSV"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ["Excel"]),
        (b"\n<!DOCTYPE html><html>", ["web page"]),
        (b'"email,name"\n"a@example.com,Ann"\n', ["in quotes as a whole", "save it as CSV"]),
        (b"em\0ail,name\n", ["no text"]),
        (ROW + "zo\u00eb@example.com,Zo\u00eb\n".encode() + b",Zo\xeb\n", ["Line 4", "UTF-8"]),
        (ROW + b"b@example.com,Zo\x81\n", ["Line 3", "Windows-1252"]),
        (ROW.decode().encode("utf-16") + b"\x00", ["UTF-16"]),
    ],
)
def test_a_file_that_is_spoilt_as_a_whole_is_refused(content: bytes, words: list[str]) -> None:
    """The message names the place and what to do, and repeats no address."""
    with pytest.raises((CsvRefused, ColumnsRefused)) as told:
        opened(content)
    for word in words:
        assert word in told.value.detail
    assert "example.com" not in told.value.detail


class Endless(io.RawIOBase):
    """A file that is made up while it is read: head, then `size` times the same byte, then tail."""

    def __init__(self, head: bytes, size: int, tail: bytes, byte: bytes) -> None:
        self._parts, self._byte = (head, size, tail), byte
        self.seek(0)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        assert (offset, whence) == (0, 0)
        self._at = 0
        return 0

    def read(self, size: int = -1, /) -> bytes:
        head, filling, tail = self._parts
        begin, self._at = self._at, min(self._at + size, len(head) + filling + len(tail))
        out = head[begin : self._at]
        inside = min(self._at, len(head) + filling) - max(begin, len(head))
        out += self._byte * max(inside, 0)
        return (
            out + tail[max(begin - len(head) - filling, 0) : max(self._at - len(head) - filling, 0)]
        )


@pytest.mark.parametrize(
    ("head", "byte"),
    [(b"email,name\na@example.com,", b"x"), (b'email,name\na@example.com,"', b",")],
)
def test_a_line_without_end_takes_no_memory(head: bytes, byte: bytes) -> None:
    """Half a gigabyte of it would take no more than these megabytes do."""
    tail = b'"' * (byte != b"x") + b"\nb@example.com,Bo\n"
    tracemalloc.start()
    try:
        file: Any = Endless(head, 8_000_000, tail, byte)
        rows = list(ListFile(file).rows())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000
    assert [type(row) for row in rows] == [Refused, Person]
    assert rows[0].line == 2


def test_what_is_kept_as_text() -> None:
    """Markup in a name is nothing but text, and a formula comes back as it was."""
    found = people("email,name,note\na@example.com,<b>Ann</b> & Co,'=1+1\n")
    assert found["a@example.com"].name == "<b>Ann</b> & Co"
    assert found["a@example.com"].fields == {"note": "=1+1"}


def test_addresses_as_address_books_write_them() -> None:
    found = people(
        "email\nNea Nord <NEA@EXAMPLE.COM>\nmailto:olle@example.com\n\u200bx@example.com\n"
    )
    assert {email: person.name for email, person in found.items()} == {
        "NEA@example.com": "Nea Nord",
        "olle@example.com": None,
        "x@example.com": None,
    }


def test_headers_as_they_come() -> None:
    """Blank and doubled titles, rows with fewer cells, an unusual name of the address."""
    listed = opened(
        "Correo electrónico *:;Ciudad;;Ciudad;Vorname\n"
        "a@example.com;Ulm;x;Bonn;Ann\nb@example.com\n"
    )
    assert listed.header == ["Correo electrónico *:", "Ciudad", "Column 3", "Ciudad (2)", "Vorname"]
    assert any("same title" in warning for warning in listed.warnings)
    ann, bob = listed.rows()
    assert isinstance(ann, Person)
    assert ann.fields == {
        "Ciudad": "Ulm", "Column 3": "x", "Ciudad (2)": "Bonn", "first_name": "Ann",
    }  # fmt: skip
    assert isinstance(bob, Person) and bob.fields == {}


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2024-01-02", "2024-01-02T00:00:00+00:00"),
        ("2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678000+00:00"),
        ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02 03:04:05 +0200", "2024-01-02T03:04:05+02:00"),
        ("2.1.2024", "2024-01-02T00:00:00+00:00"),
        ("January 2, 2024", "2024-01-02T00:00:00+00:00"),
        ("Jan 2, 2024 3:04 PM", "2024-01-02T15:04:00+00:00"),
        ("01/02/2024 3:04 PM", "2024-01-02T15:04:00+00:00"),
        ("13/02/2024", "2024-02-13T00:00:00+00:00"),
        ("1704164645", "2024-01-02T03:04:05+00:00"),
    ],
)
def test_dates_in_the_forms_that_tools_write(cell: str, time: str) -> None:
    [person] = people(f'email,created_at\na@example.com,"{cell}"\n').values()
    assert person.created_at == time


def test_one_date_tells_the_order_of_all() -> None:
    found = people("email,created_at\na@example.com,03/04/2024\nb@example.com,25/12/2023\n")
    assert found["a@example.com"].created_at == "2024-04-03T00:00:00+00:00"


def test_what_cannot_be_read_as_date_or_zone_is_kept_as_a_field() -> None:
    """And the report says so."""
    content = "email,timezone,created_at\na@example.com,Mars/Olympus,long ago\n"
    [person] = people(content).values()
    assert (person.timezone, person.created_at) == (None, None)
    assert person.fields == {"timezone": "Mars/Olympus", "created_at": "long ago"}
    dates, zones = opened(content).warnings
    assert "1 of the dates in 'created_at' can't be read" in dates
    assert "Mars/Olympus" in zones
    listed = opened("email,timezone\na@example.com,europe/kiev\n")
    assert [row.timezone for row in listed.rows() if isinstance(row, Person)] == ["Europe/Kiev"]
    assert listed.warnings == ()


def test_how_a_mapping_is_written() -> None:
    assert read_mapping("a=b = email", "=") == ("a=b", "email")
    assert read_mapping("Status:Paused:pending", ":") == ("Status:Paused", "pending")
    for text in ("email", "=email", "x="):
        with pytest.raises(ColumnsRefused, match="COLUMN=MEANING"):
            read_mapping(text, "=")


def test_a_path_is_opened_by_the_caller(tmp_path: Path) -> None:
    """The file stays open: it is read again for its rows."""
    path = tmp_path / "list.csv"
    path.write_bytes(ROW)
    with path.open("rb") as file:
        listed = ListFile(file)
        assert len(list(listed.rows())) == 1
        assert not file.closed


@settings(max_examples=examples(50), deadline=None)
@given(body=st.text(st.sampled_from("\",;\t\r\n'=a@\0é."), max_size=60) | st.binary(max_size=40))
def test_any_file_is_accounted_for_or_refused(body: str | bytes) -> None:
    """However its quotes, line ends and bytes are."""
    rest = body.encode() if isinstance(body, str) else body
    with contextlib.suppress(CsvRefused, ColumnsRefused):
        listed = opened(b"email,name\nz@example.com,Z\n" + rest)
        rows = list(listed.rows())
        assert len(rows) == listed.row_count >= 1
        assert isinstance(rows[0], Person)
