"""Rules and words about people."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.audience.words import why_mailed
from app.domain.people import is_time_zone, says_they_asked
from app.domain.reports.people import consent, read_fields, write_fields


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        ("She asked to come back.", True),
        ("Asked for it by phone on 3 May", True),
        ("at his own request", True),
        ("They want mail again", False),
        ("He wants the letter again", True),
        ("Opted in again at the counter", True),
        ("signed up at the fair", True),
        ("We want them back", False),
        ("I asked them", False),
        ("They never asked for anything", False),
        ("didn't ask to leave", False),
        ("win-back campaign", False),
        ("basket", False),
        ("", False),
        (None, False),
    ],
)
def test_a_reason_says_whether_they_asked(reason: str | None, asked: bool) -> None:
    assert says_they_asked(reason) is asked


def test_time_zones_are_those_of_iana() -> None:
    assert is_time_zone("Europe/Berlin")
    for name in ("Mars/Olympus", "", "../x", "/etc/passwd", "Europe/", "x" * 300, "a\0b"):
        assert not is_time_zone(name), name


def test_why_a_mail_came() -> None:
    assert why_mailed(None) == why_mailed({}) == "It went to every active subscriber."
    assert why_mailed({"tags": ["a", "b"]}).endswith("one of the tags: a, b.")
    rule = {"all": [{"tags": ["a"]}, {"field": "name", "op": "exists"}]}
    assert why_mailed(rule).endswith("who fit this rule: tag “a” and name is known.")


@pytest.mark.parametrize(
    "fields", [{}, {"a": "x", "n": 3, "on": True, "none": None, "list": [1, "a"], "d": {"x": 1}}]
)
def test_fields_that_nobody_touched_stay_as_they_are(fields: dict[str, Any]) -> None:
    assert read_fields(write_fields(fields), fields) == {}


def test_fields_are_changed_added_and_removed() -> None:
    known = {"a": "x", "n": 3, "gone": "y"}
    assert read_fields("a = z\n\nn = 3\nnew=1 = 2\n", known) == {
        "a": "z", "new": "1 = 2", "gone": None,
    }  # fmt: skip
    for text in ("a", "= b"):
        with pytest.raises(ValueError, match="line 1"):
            read_fields(text, known)


def test_consent_is_told_in_words() -> None:
    told = consent(
        {"source": "sign-up", "at": "2026-03-01T10:00:00+00:00", "text": "Yes.", "page": "/x"}
    )
    assert told is not None
    assert (told.title, told.text, told.details) == (
        "By our sign-up form",
        "Yes.",
        (("Page", "/x"),),
    )
    assert told.at == "2026-03-01T10:00:00+00:00"
    imported = consent({"source": "import", "import_id": "i", "at": "last spring"})
    assert imported is not None
    assert (imported.imported, imported.at) == ("i", None)
    assert consent(None) is consent({}) is None
