from __future__ import annotations

import json
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.mail import MAX_CALL_BYTES, Mail, mail_tags, make_envelope, split_by_size


def mail(values: dict[str, str]) -> Mail:
    return Mail(
        send_log_id=1,
        to="a@example.com",
        values=values,
        unsubscribe_url="https://example.com/unsubscribe?token=" + "t" * 90,
        tags=mail_tags(uuid4(), 1, uuid4()),
    )


@given(st.lists(st.text(), max_size=8))
def test_the_size_counted_is_at_least_the_size_on_the_wire(texts: list[str]) -> None:
    """Non-ASCII costs six bytes a letter in botocore's JSON, quotes are escaped twice."""
    one = mail({f"h{n}": text.encode("utf-8", "replace").decode() for n, text in enumerate(texts)})
    entry = {
        "Destination": {"ToAddresses": [one.to]},
        "ReplacementTags": [{"Name": n, "Value": v} for n, v in one.tags],
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": one.data}},
        "ReplacementHeaders": [{"Name": n, "Value": v} for n, v in one.list_unsubscribe],
    }
    assert len(json.dumps(entry)) <= one.wire_bytes


@settings(max_examples=30)
@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=50), st.integers(0, 700_000))
def test_groups_keep_order_lose_nobody_and_fit(sizes: list[int], static: int) -> None:
    mails = [mail({"h0": "x" * size}) for size in sizes]
    groups = list(split_by_size(mails, static))
    assert [m for group in groups for m in group] == mails
    for group in groups:
        assert len(group) == 1 or static + sum(m.wire_bytes for m in group) <= MAX_CALL_BYTES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "news@example.com"),
        ("News", "News <news@example.com>"),
        ("Smith, Jane", '"Smith, Jane" <news@example.com>'),
    ],
)
def test_display_names(name: str | None, expected: str) -> None:
    envelope = make_envelope(
        from_email="news@example.com", from_name=name, reply_to=None, configuration_set=None
    )
    assert envelope.from_mailbox == expected
    assert envelope.list_id == "<news.example.com>"


def test_a_name_that_smuggles_a_header_is_refused() -> None:
    with pytest.raises(ValueError):
        make_envelope(
            from_email="news@example.com",
            from_name="Bob\r\nBcc: x@evil.test",
            reply_to=None,
            configuration_set=None,
        )
