"""Files that come in and go out: no spreadsheet runs what we wrote, and no file that we read costs
more than its rows."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import tracemalloc
import unicodedata
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.database.postgres import PostgresDatabase
from app.domain.csv_cells import protect, restore
from app.errors import AppError
from app.services.lists.list_file import CsvRefused, ListFile
from app.store.jobs import JobStore
from tests.security.fortress import BEARER, Fortress
from tests.support.imports import import_file
from tests.support.lists import people as read_people
from tests.support.wide import examples

APP = Path(__file__).parents[3] / "app"


@pytest.fixture
async def jobs(fortress: Fortress) -> AsyncIterator[JobStore]:
    assert fortress.settings.database_url is not None
    database = PostgresDatabase(fortress.settings.database_url.get_secret_value())
    try:
        yield JobStore(database)
    finally:
        await database.close()


FORMULAS = [
    "=HYPERLINK(\"http://evil.test\",\"x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
    " =1", "\u3000=1", "\xa0=1", "\ufeff=1", "\u200b=1", "\u2060=1", "\xad=1", "\x0b=1", "\x0c=1",
    "\x1b=1", "＝1", "＋1", "－1", "＠1", "'=1", "''=1",
    "=cmd|'/c calc'!A1", "−1", "﹢1", "﹣1", "⁺1",
]  # fmt: skip
_STARTS = "=+-@\t\r\n"


def _looks_like_a_formula(cell: str) -> bool:
    """As a spreadsheet sees it, that trims, leaves out what can't be seen, and folds what is only
    written otherwise (NFKC)."""
    seen = "".join(c for c in cell if unicodedata.category(c) not in {"Cc", "Cf", "Zs", "Zl", "Zp"})
    return unicodedata.normalize("NFKC", seen)[:1] in tuple("=+-@−") or cell[:1] in tuple(_STARTS)


@pytest.mark.parametrize("text", FORMULAS)
def test_36_no_cell_is_a_formula(text: str) -> None:
    cell = protect(text)
    assert cell.startswith("'")
    assert restore(cell) == text


@pytest.mark.parametrize(
    "text",
    [
        "Bob;=1+1", "Bob; =1", "Bob\t=1", "Bob|=1", "Bob\n=1", "Bob\r\n@SUM(A1)", 'Bob;"=1"',
        "Bob;'=1", ";=1", ";\t=1", "a;;+1;-2", '";=1', "Bob;\u200b＝1", "=1;=2", "a\n\n'\t-1",
        "\n=1", "\t=1", " \r\n@SUM(A1)", "'\n=1", "\n'=1", "\u200b\n\n\"-1",
    ],
)  # fmt: skip
def test_36_no_cell_is_a_formula_where_another_separator_is_read(text: str) -> None:
    """As Excel reads where `;` separates, and LibreOffice by default: quotes in the middle are
    characters then, and each line is a row."""
    cell = protect(text)
    assert restore(cell) == text
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(["a@example.com", cell, ""])
    for seen in re.split(r"[;\t|\r\n]", out.getvalue()):
        assert not _looks_like_a_formula(seen.strip('"')) or seen == "", seen


def test_36_a_long_cell_takes_no_long_time() -> None:
    """Each character is looked at once; a square would take minutes."""
    text = "x" + "\t" * 100_000
    assert restore(protect(text)) == text


@given(st.text(st.sampled_from(";|\t\r\n'\"=-＝ \u200bab,"), max_size=12))
@settings(max_examples=examples(200), deadline=None)
def test_36_whatever_separators_hold_comes_back(text: str) -> None:
    assert restore(protect(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
@settings(max_examples=examples(100), deadline=None)
def test_36_whatever_is_written_is_no_formula_and_comes_back(text: str) -> None:
    cell = protect(text)
    assert not _looks_like_a_formula(cell)
    assert restore(cell) == text


def test_36_every_file_that_is_written_is_known() -> None:
    """Each writer of CSV protects its cells, or has none that came from outside."""
    found = {
        path.relative_to(APP).with_suffix("").as_posix()
        for path in APP.rglob("*.py")
        if "csv.writer" in (text := path.read_text("utf-8")) or "DictWriter" in text
    }
    assert found == {
        "domain/pacing/plan",  # numbers, and names of providers that the program gives
        "services/engagement/files",
        "services/imports/imports",
        "services/lists/export",
        "services/lists/statement",
        "services/readership/list_report",
    }


async def test_36_every_export_is_safe_and_the_list_comes_back(
    fortress: Fortress, jobs: JobStore
) -> None:
    """By HTTP, as a person downloads them: the list, refused rows, a mailout's statement and
    files."""
    texts = [text for text in FORMULAS if text.isprintable() and text.strip() == text]
    for number, text in enumerate(texts):
        made = await fortress.http.post(
            "/subscribers",
            json={
                "email": f"f{number}@example.com",
                "name": text,
                "tags": [text],
                "fields": {"note": text, "=title": text},
            },
            headers=BEARER,
        )
        assert made.status_code in {200, 201}, made.text
    exported = await fortress.http.get("/subscribers/export.csv", headers=BEARER)
    assert exported.status_code == 200
    assert exported.headers["content-type"].startswith("text/csv")
    assert exported.headers["x-content-type-options"] == "nosniff"
    assert exported.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(exported.text)))
    assert len(rows) == len(texts) + 1
    for row in rows:
        assert not any(_looks_like_a_formula(cell.lstrip("\ufeff")) for cell in row), row
    people = read_people(exported.content)
    for number, text in enumerate(texts):
        person = people[f"f{number}@example.com"]
        assert person.name == text
        assert person.fields["note"] == text
    store = fortress.services.store
    refused = await import_file(
        store, jobs, b"email,name,=cmd\nnonsense,=1+1,=2\n\t=nonsense,x,x\n"
    )
    rejected = await fortress.http.get(f"/imports/{refused['id']}/rejected.csv", headers=BEARER)
    assert rejected.status_code == 200, rejected.text
    for row in csv.reader(io.StringIO(rejected.text)):
        assert not any(_looks_like_a_formula(cell.lstrip("\ufeff")) for cell in row), row


async def test_36_tags_are_no_formulas_either(fortress: Fortress) -> None:
    tags = ["a", "=1+1", "b"]
    made = await fortress.http.post(
        "/subscribers", json={"email": "tags@example.com", "tags": tags}, headers=BEARER
    )
    assert made.is_success, made.text
    exported = await fortress.http.get("/subscribers/export.csv", headers=BEARER)
    assert ";=1+1" not in exported.text
    assert "=1+1" in exported.text
    assert set(read_people(exported.content)["tags@example.com"].tags) == set(tags)


# 37: what no list looks like


def _long_line() -> Iterator[bytes]:
    yield b"email,name\na@example.com,"
    for _ in range(500):
        yield b"x" * 40_000
    yield b"\nb@example.com,B\n"


class Stream(io.RawIOBase):
    """A file that is made as it is read, again from its beginning after seek(0)."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert (offset, whence) == (0, 0)
        self._parts = self._make()
        self._held = b""
        return 0

    def read(self, size: int = -1) -> bytes:
        while len(self._held) < size:
            part = next(self._parts, None)
            if part is None:
                break
            self._held += part
        found, self._held = self._held[:size], self._held[size:]
        return found


def _million_columns() -> Iterator[bytes]:
    yield b"email"
    for _ in range(1_000):
        yield b",c" * 1_000
    yield b"\na@example.com\n"


def _open_quote() -> Iterator[bytes]:
    yield b'email,name\na@example.com,"never closed\n'
    for _ in range(20):
        yield b"one line after another\n" * 2_000


def _no_lines() -> Iterator[bytes]:
    for _ in range(200):
        yield b"x" * 100_000


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_million_columns, "longer than 100,000"),
        (_open_quote, "line 2 is never closed"),
        (_no_lines, "longer than 100,000"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_37_a_file_beyond_all_measure_is_refused_in_flat_memory(make: Any, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CsvRefused, match=words):
            list(ListFile(Stream(make)).rows())  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_37_a_line_beyond_all_measure_is_refused_alone() -> None:
    tracemalloc.start()
    try:
        rows = list(ListFile(Stream(_long_line)).rows())  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    refused, person = rows
    assert (refused.line, person.line) == (2, 3)
    assert "longer than 100,000" in refused.reason  # type: ignore[union-attr]


def _columns(count: int) -> bytes:
    return ("email," + ",".join(f"c{n}" for n in range(count)) + "\na@example.com\n").encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_columns(1_001), "1,000"),
        (b"email,name\na@example.com,\xc3\xa9\xc3\xa9\nb@example.com,\xff\n", "Line 3"),
        ("email,name\na@example.com,Ä\n".encode("utf-32"), "UTF-32"),
        ("email,name\na@example.com,Ä\n".encode("utf-32-le"), "no text"),
        ("email,name\na@example.com,Ä\n".encode("utf-32-be"), "no text"),
        (b"\xff\xfe\x00\x00", "UTF-32"),
        (b"email,name\0\na@example.com,x\n", "no text"),
        (b"\xff\xfee\x00m\x00a\x00i", "UTF-16|no rows|name"),
        (b"\0" * 5_000, "no text"),
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
    ],
)  # fmt: skip
def test_37_what_is_no_list_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(AppError, match=words) as refused:
        list(ListFile(io.BytesIO(content)).rows())
    assert refused.value.status == 422
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_37_what_is_a_list_is_read(codec: str, end: str) -> None:
    content = f"email,name{end}a@example.com,Ä{end}b@example.com,B\n".encode(codec)
    assert [person.name for person in read_people(content).values()] == ["Ä", "B"]


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/sheet1.xml", bytes(3_000_000))
    return out.getvalue()


PACKED = {
    "gzip": gzip.compress(bytes(10_000_000)),
    "zip": _zip(),
    "bzip2": bz2.compress(bytes(1_000_000)),
    "xz": lzma.compress(bytes(1_000_000)),
    "lzma": lzma.compress(bytes(1_000_000), lzma.FORMAT_ALONE),
    "zstd": b"(\xb5/\xfd\x04\x58" + bytes(100),
    "lz4": b"\x04\x22\x4d\x18\x64\x40\xa7" + bytes(100),
    "compress": b"\x1f\x9d\x90" + bytes(100),
    "lzip": b"LZIP\x01" + bytes(100),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(100),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(100),
    "tar": b"people.csv".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(40),
    "gif": b"GIF89a\x01\x00\x01\x00,a@example.com\n",
    "webp": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(40),
    "tiff": b"II*\x00\x08\x00\x00\x00" + bytes(40),
    "ico": b"\x00\x00\x01\x00\x01\x00" + bytes(40),
    "elf": b"\x7fELF\x02\x01\x01" + bytes(40),
    "exe": b"MZ\x90\x00\x03\x00\x00\x00" + bytes(40),
    "sqlite": b"SQLite format 3\x00" + bytes(40),
    "html": b"<!DOCTYPE html><table><tr><td>email</td></tr></table>",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'>",
    "rtf": rb"{\rtf1 email,name}",
    "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
    "json": b'[{"email": "a@example.com"}]',
}


@pytest.mark.parametrize("kind", PACKED)
def test_38_what_is_packed_or_no_text_is_refused_by_its_content(kind: str) -> None:
    """And never unpacked: so no bomb goes off."""
    tracemalloc.start()
    try:
        with pytest.raises(CsvRefused) as refused:
            list(ListFile(io.BytesIO(PACKED[kind])).rows())
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert refused.value.detail.isprintable()


async def test_38_nothing_is_imported_of_it(fortress: Fortress, jobs: JobStore) -> None:
    store = fortress.services.store
    before = await fortress.rows()
    for kind in ("gzip", "zip", "jpeg"):
        failed = await import_file(store, jobs, PACKED[kind])
        assert (failed["state"], failed["rows"], failed["has_file"]) == ("failed", 0, False), kind
    after = await fortress.rows()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"imports", "jobs", "audit_log"}  # that it was tried
