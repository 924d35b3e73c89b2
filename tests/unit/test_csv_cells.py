"""What is written into a cell is read back, and no spreadsheet takes it for a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.csv_cells import (
    CELL_START,
    has_doubtful,
    protect,
    protect_all,
    read_tags,
    restore,
    rows_of_columns,
    write_tags,
)

# Cell beginnings that spreadsheets act on, and apostrophes, which are how they are kept from it.
TEXTS = st.text(st.sampled_from("'=+-@\t\r\n ＝＋－＠ab1"), max_size=6) | st.text(max_size=20)


@given(TEXTS)
def test_what_is_protected_is_restored(text: str) -> None:
    assert restore(protect(text)) == text


CELLS = st.lists(
    (
        st.text(st.sampled_from("'\"=+-@;|\t\r\n\u200b ＝ab1,"), max_size=6) | st.text(max_size=20)
    ).map(lambda text: text.replace(CELL_START, "")),
    min_size=3,
    max_size=3,
)


@given(CELLS)
@example(["a;", "=1", ""])
@example(["''", "'=", "x;'\"=1"])
@example(['"\r=1', "'\"\t=1", '";=1'])
def test_cells_are_protected_together_as_one_by_one(texts: list[str]) -> None:
    protected = [protect(text) for text in texts]
    assert protect_all(texts) == protected
    one_by_one = [has_doubtful(CELL_START + text) for text in texts]
    assert one_by_one == [now != was for now, was in zip(protected, texts, strict=True)]
    assert has_doubtful("".join(CELL_START + text for text in texts)) >= any(one_by_one)


@given(st.lists(CELLS, min_size=2, max_size=4))
def test_columns_are_written_as_csv_writes_their_rows(columns: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(zip(*columns, strict=True))
    assert rows_of_columns(columns) == out.getvalue()


@given(TEXTS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not protect(text).startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert not protect(text).lstrip(" ").startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://x.test","y")', "+1", "-1", "@SUM(A1)", "＝1", " =1", "\t1", "\r1"],
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert protect(text) == "'" + text


@pytest.mark.parametrize("break_", ["\t", "\r", "\n", " \r\n"])
def test_behind_a_break_that_it_begins_with_a_formula_gets_one_too(break_: str) -> None:
    """With another separator the second one begins a row, or a cell. Files of before, which had
    none there, are read as they were meant."""
    assert protect(f"{break_}=1") == f"'{break_}'=1"
    assert restore(f"'{break_}=1") == f"{break_}=1"


@pytest.mark.parametrize("text", ["", "Anna", "1-2", "o'Neil", "'quoted'", "''"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert protect(text) == restore(text) == text


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("", []),
        ("news", ["news"]),
        (" a ; b|c, d ,;", ["a", "b", "c", "d"]),
        ("b;a;b", ["b", "a"]),
        ('["a;b", "c", "c"]', ["a;b", "c"]),
        ("[a]", ["[a]"]),
        ("[1]", ["[1]"]),
        ("[" * 5000, ["[" * 5000]),
    ],
)
def test_tags_are_read_as_written(cell: str, tags: list[str]) -> None:
    assert read_tags(cell) == tags


@given(st.lists(st.text(min_size=1).filter(lambda tag: tag == tag.strip()), unique=True))
def test_every_tag_can_be_written(tags: list[str]) -> None:
    assert read_tags(write_tags(tags)) == tags
