"""Whatever the other side says can be stored, logged and shown."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.given.lines import in_one_line
from app.domain.untrusted import page_words, plain, read_json

ANYTHING = st.text(alphabet=st.characters()) | st.text(
    alphabet=st.sampled_from("a<>\0\n\x7f\ud800\udfff\u2028& ")
)


@given(ANYTHING | st.integers() | st.none() | st.lists(st.text()) | st.binary())
def test_it_can_be_stored(value: object) -> None:
    for text in (plain(value), page_words(value), plain(value, 3)):
        assert "\0" not in text
        assert len(text.splitlines()) <= 1
        assert orjson.loads(orjson.dumps(text)) == text
        assert len(text) <= 500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("Email address is not verified.", "Email address is not verified."),
        ("half of a pair: \ud83d!", "half of a pair: !"),
        ("two\r\nlines\0", "two lines"),
        (404, "404"),
        ({"a": "b\0"}, "{'a': 'b\\x00'}"),
        ("x" * 10**7, "x" * 500),
    ],
)
def test_in_one_line(value: object, text: str) -> None:
    assert plain(value) == text


def test_what_breaks_or_turns_a_line_is_out_of_it() -> None:
    breaking = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)]
    assert {in_one_line(f"a{chr(code)}b") for code in breaking} == {"a b"}
    assert {in_one_line(f"a{chr(code)}b") for code in (0x202D, 0x202E)} == {"ab"}
    kept = "a\u200fb \u00a0é😀\u2067"
    assert in_one_line(kept) == kept


def test_of_a_web_page_only_the_words() -> None:
    page = "<!doctype html><html><head><title>404</title><style>p{a:b}</style><script>x</script>"
    assert page_words(f"{page}</head><body><!-- nginx --><p>Not\nfound</p>") == "404 Not found"
    assert page_words("Throttled: 5 > 3, no page") == "Throttled: 5 > 3, no page"


def test_a_hostile_page_is_read_in_no_time() -> None:
    for page in ("<" * 10**6, "<script>" * 10**5, "<!--" * 10**6, "<style" * 10**6):
        assert len(page_words(page)) <= 500


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("1e400", "1e400"),
        ("-1" + "0" * 400, "-1" + "0" * 400),
        ("[123456789012345678, 12345678901234567890]", [123456789012345678, 12345678901234567890]),
        ('"cut \\ud83d"', "cut \ufffd"),
        ("0.25", 0.25),
    ],
)
def test_json_is_read_whatever_its_numbers_and_characters(text: str, value: object) -> None:
    """A subscriber's field with a number beyond a double must not make a whole batch unreadable."""
    assert read_json(text) == value
    assert read_json(text.encode()) == value


@pytest.mark.parametrize("text", ["", "<html>", "NaN", "[1,", b"\xff"])
def test_what_is_no_json_is_none(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_json(text)
