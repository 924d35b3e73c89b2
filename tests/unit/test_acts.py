"""The audit log in words."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.reports.acts import act_words, caller_words, changes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, []),
        ({"status": "a", "same": 1}, {"status": "b", "same": 1}, [("Status", "a", "b")]),
        (None, {"force": True, "n": 12_000}, [("Force", None, "yes"), ("N", None, "12,000")]),
        ({"status_reason": "Wait."}, {}, [("Status reason", "Wait.", None)]),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, [("Tags", "a", "a, b")]),
        (None, {"audience": {"tags": ["a"]}}, [("Audience", None, "tags: a")]),
        (None, {"fields": {}, "tags": []}, []),
        ("draft", "ready", [("Value", "draft", "ready")]),
    ],
)
def test_only_what_differs(before: Any, after: Any, expected: list[Any]) -> None:
    assert [tuple(change) for change in changes(before, after)] == expected


def test_what_nobody_has_words_for_speaks_for_itself() -> None:
    assert act_words("mailout.pause") == "Mailout paused"
    assert act_words("subscriber.double_opt_in") == "Subscriber: double opt in"
    assert act_words("odd") == "Odd"
    assert caller_words("key Zapier") == "key Zapier"
    assert caller_words("cli") == "the command line"
    assert caller_words("notion Ann") == "Ann in Notion"
    assert caller_words("notion") == "Notion"
