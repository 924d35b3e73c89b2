"""Two versions of a text, put together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.writing.merging import MAX_LINES, both, pieces

TEXTS = st.lists(st.sampled_from("abcd"), max_size=8).map("\n".join)


@given(TEXTS, TEXTS)
def test_nothing_of_either_is_lost(mine: str, theirs: str) -> None:
    found = pieces(mine, theirs)
    assert [line for piece in found for line in piece.mine] == mine.split("\n")
    assert [line for piece in found for line in piece.theirs] == theirs.split("\n")
    merged = iter(both(found).split("\n"))
    assert all(line in merged for line in mine.split("\n"))  # in this order
    merged = iter(both(found).split("\n"))
    assert all(line in merged for line in theirs.split("\n"))


def test_what_both_have_stands_once() -> None:
    assert both(pieces("a\nb\nc", "a\nB\nc\nd")) == "a\nB\nb\nc\nd"
    assert both(pieces("a", "a")) == "a"


def test_very_long_texts_are_not_compared_line_by_line() -> None:
    long = "\n".join(str(n) for n in range(MAX_LINES))
    assert len(pieces(long, long + "x")) == 1
