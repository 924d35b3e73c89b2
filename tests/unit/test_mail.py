from __future__ import annotations

import json
from uuid import uuid4

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.content.render import Content, Footer, compile_content
from app.domain.ses.mail import (
    MAX_CALL_BYTES,
    MAX_TEMPLATE_DATA,
    BulkEntry,
    Mail,
    bulk_body,
    bulk_entry,
    bulk_head,
    fits_bulk,
    mail_tags,
    make_envelope,
    split_by_size,
)
from tests.support.wide import examples


def mail(values: dict[str, str]) -> Mail:
    return Mail(
        send_log_id=1,
        to="a@example.com",
        values=values,
        unsubscribe_url="https://example.com/unsubscribe?token=" + "t" * 90,
        tags=mail_tags(uuid4(), 1, uuid4()),
    )


HEAD = bulk_head(
    compile_content(
        Content("Hi {{ name }}", "<p>{{ name }}, grüß Gott</p>", None, None),
        Footer("Org", "Street"),
    ),
    make_envelope(
        from_email="news@example.com",
        from_name="Grüße",
        reply_to="reply@example.com",
        configuration_set="set",
    ),
)


def entry(values: dict[str, str]) -> BulkEntry:
    made = bulk_entry(mail(values))
    assert made is not None
    return made


@given(st.lists(st.text(), max_size=8))
def test_the_body_is_what_boto3_would_send(texts: list[str]) -> None:
    """Valid for botocore's own model of SendBulkEmail, each value as it was given."""
    values = {f"h{n}": t.encode("utf-8", "replace").decode() for n, t in enumerate(texts)}
    body = json.loads(bulk_body(HEAD, [entry(values), entry(values)]))
    model = botocore.session.get_session().get_service_model("sesv2")
    shape = model.operation_model("SendBulkEmail").input_shape
    assert shape is not None
    assert not ParamValidator().validate(body, shape).has_errors()
    assert set(body) <= set(shape.members)
    for each in body["BulkEmailEntries"]:
        data = each["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
        assert json.loads(data) == values


@settings(max_examples=examples(30))
@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=50), st.integers(0, 700_000))
def test_groups_keep_order_lose_nobody_and_fit(sizes: list[int], head: int) -> None:
    entries = [entry({"h0": "x" * size}) for size in sizes]
    groups = list(split_by_size(b"x" * head, entries))
    assert [e for group in groups for e in group] == entries
    for group in groups:
        assert len(group) == 1 or len(bulk_body(b"x" * head, group)) <= MAX_CALL_BYTES
        if all(fits_bulk(b"x" * head, e) for e in group):
            assert len(bulk_body(b"x" * head, group)) <= MAX_CALL_BYTES


def test_the_limits_are_those_of_ses() -> None:
    """The service model for one entry's data; the quotas' page for the input, of whose "1 MB" the
    smaller reading is taken."""
    model = botocore.session.get_session().get_service_model("sesv2")
    assert model.shape_for("EmailTemplateData").metadata["max"] == MAX_TEMPLATE_DATA
    assert MAX_CALL_BYTES == 1_000_000


def test_data_up_to_the_limit_of_an_entry_make_one() -> None:
    """In characters of JSON, braces and quotes and all."""
    most = MAX_TEMPLATE_DATA - len('{"h0":""}')
    assert bulk_entry(mail({"h0": "x" * most})) is not None
    assert bulk_entry(mail({"h0": "x" * (most + 1)})) is None
    assert bulk_entry(mail({"h0": "x" * (most - 1) + '"'})) is None


def of_size(size: int) -> BulkEntry:
    return BulkEntry(1, b"x" * size)


@pytest.mark.parametrize("entries", [1, 2, 50])
def test_a_call_may_have_exactly_a_megabyte(entries: int) -> None:
    """One byte more is another call, or for one entry the other lane."""
    group = [of_size(1_000) for _ in range(entries)]
    head = b"x" * (MAX_CALL_BYTES - len(bulk_body(b"", group)))
    assert len(bulk_body(head, group)) == MAX_CALL_BYTES
    assert [len(part) for part in split_by_size(head, group)] == [entries]
    assert fits_bulk(head, group[0])
    more = head + b"x"
    if entries == 1:
        assert not fits_bulk(more, group[0])
    else:
        assert [len(part) for part in split_by_size(more, group)] == [entries - 1, 1]


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
    envelope = make_envelope(
        from_email="Our+News@example.com", from_name=None, reply_to=None, configuration_set=None
    )
    assert envelope.list_id == "<our-news.example.com>"


def test_a_name_that_smuggles_a_header_is_refused() -> None:
    with pytest.raises(ValueError):
        make_envelope(
            from_email="news@example.com",
            from_name="Bob\r\nBcc: x@evil.test",
            reply_to=None,
            configuration_set=None,
        )
