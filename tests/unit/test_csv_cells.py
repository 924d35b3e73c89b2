"""What is written into a cell is read back, and no spreadsheet takes it for a formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.csv_cells import protect, read_tags, restore, write_tags

# Cell beginnings that spreadsheets act on, and apostrophes, which are how they are kept from it.
TEXTS = st.text(st.sampled_from("'=+-@\t\r\n ＝＋－＠ab1"), max_size=6) | st.text(max_size=20)


@given(TEXTS)
def test_what_is_protected_is_restored(text: str) -> None:
    assert restore(protect(text)) == text


@given(TEXTS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not protect(text).startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert not protect(text).lstrip(" ").startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://x.test","y")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", " =1"],
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert protect(text) == "'" + text


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
