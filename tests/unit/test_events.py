"""SES events, from Amazon's words to ours."""

from __future__ import annotations

import contextlib
import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ses.events import (
    DETAIL_MAX_CHARS,
    EVENT_TYPES,
    MalformedEvent,
    SesEvent,
    parse_ses_event,
    to_row,
)

PAYLOADS = Path(__file__).parent.parent / "payloads" / "ses"
PUBLISHED_AT = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
MAILOUT_ID = "7b0e6f0a-3c1d-4e59-9a86-5f0f2d9c1b11"
ATTEMPT = "c2a9d3e4-8f17-4b60-b5d1-0e6a7c8f9d22"
MESSAGE_ID = "010701945b2f6c1e-4d0f8a52-7c3b-4e16-9b0a-2f5d8c7e6a41-000000"


def payload(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return loaded


def impersonal(event: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an open or click."""
    kind = event["eventType"].lower()
    kept = {name: event[kind][name] for name in ("timestamp", "link") if name in event[kind]}
    return {"eventType": event["eventType"], kind: kept}


def parse(value: Any) -> SesEvent:
    event = parse_ses_event(json.dumps(value), published_at=PUBLISHED_AT)
    assert event is not None
    return event


# file, type, bounce or complaint type and subtype, suppresses, detail, time of the event
EXAMPLES = [
    ("send", "send", None, None, None, "09:00:00"),
    ("delivery", "delivery", None, None, "250 2.0.0 OK queued as 4F1A2", "09:00:02"),
    (
        "bounce_permanent",
        "bounce",
        ("Permanent", "General"),
        "bounced",
        "smtp; 550 5.1.1",
        "09:00:03",
    ),
    (
        "bounce_transient",
        "bounce",
        ("Transient", "MailboxFull"),
        None,
        "smtp; 452 4.2.2",
        "09:00:03",
    ),
    ("bounce_undetermined", "bounce", ("Undetermined", "Undetermined"), None, None, "09:00:03"),
    (
        "bounce_suppression_list",
        "bounce",
        ("Permanent", "OnAccountSuppressionList"),
        "bounced",
        "Amazon SES did not send",
        "09:00:03",
    ),
    ("complaint", "complaint", ("abuse", None), "complained", "abuse", "10:00:00"),
    ("complaint_not_spam", "complaint", ("not-spam", None), None, "not-spam", "10:00:00"),
    ("reject", "reject", None, None, "Bad content", "09:00:00"),
    ("rendering_failure", "rendering_failure", None, None, "Attribute 'h3' is not", "09:00:00"),
    ("delivery_delay", "delivery_delay", None, None, "MailboxFull", "09:30:00"),
    ("open", "open", None, None, None, "11:00:00"),
    ("click", "click", None, None, None, "11:01:00"),
    ("subscription", "subscription", None, "unsubscribed", None, "12:00:00"),
    ("notification_bounce", "bounce", ("Permanent", "General"), "bounced", "smtp; 550", "09:00:03"),
    ("notification_complaint", "complaint", ("abuse", None), "complained", "abuse", "10:00:00"),
    ("notification_delivery", "delivery", None, None, "250 2.0.0 OK", "09:00:02"),
]


@pytest.mark.parametrize(("name", "kind", "types", "suppresses", "detail", "time"), EXAMPLES)
def test_each_event_of_ses_is_understood(
    name: str,
    kind: str,
    types: tuple[str, str | None] | None,
    suppresses: str | None,
    detail: str | None,
    time: str,
) -> None:
    event = parse(payload(name))
    assert event.type == kind
    assert event.message_id == MESSAGE_ID
    assert event.recipients == (() if kind in ("open", "click") else ("ann@example.net",))
    assert event.suppresses == suppresses
    assert f"{event.occurred_at:%H:%M:%S}" == time
    assert event.occurred_at.tzinfo == UTC
    bounce = types if kind == "bounce" else None
    complaint = types if kind == "complaint" else None
    assert (event.bounce_type, event.bounce_subtype) == (bounce or (None, None))
    assert (event.complaint_type, event.complaint_subtype) == (complaint or (None, None))
    assert (event.detail or "").startswith(detail or "")
    assert (event.detail is None) == (detail is None)
    if kind in ("open", "click"):
        assert event.payload == impersonal(payload(name))
    else:
        assert event.payload == payload(name)


def test_there_is_an_example_of_each_type() -> None:
    assert {kind for _, kind, *_ in EXAMPLES} | {"unknown"} == set(EVENT_TYPES)


def test_every_example_file_is_tested() -> None:
    tested = {name for name, *_ in EXAMPLES} | {"notification_subscription_succeeded"}
    assert tested == {path.stem for path in PAYLOADS.glob("*.json")}


def test_tags_of_event_publishing_lead_to_our_row() -> None:
    event = parse(payload("delivery"))
    assert (event.mailout_id, event.send_log_id, event.attempt) == (MAILOUT_ID, "42", ATTEMPT)


def test_the_older_notifications_carry_no_tags() -> None:
    event = parse(payload("notification_delivery"))
    assert (event.mailout_id, event.send_log_id, event.attempt) == (None, None, None)


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("mailout_id", ["7b0e-1"]),
        ("mailout_id", [MAILOUT_ID.replace("-", "")]),
        ("mailout_id", [f"{MAILOUT_ID}\n"]),
        ("mailout_id", []),
        ("mailout_id", [MAILOUT_ID, ATTEMPT]),
        ("mailout_id", None),
        ("mailout_id", [None]),
        ("mailout_id", [42]),
        ("send_log_id", ["0"]),
        ("send_log_id", ["-1"]),
        ("send_log_id", ["042"]),
        ("send_log_id", ["٤٢"]),
        ("send_log_id", [str(2**63)]),
        ("send_log_id", ["1" * 5000]),
        ("attempt", ["'; drop table send_logs; --"]),
    ],
)
def test_a_tag_that_is_not_of_our_form_counts_as_none(tag: str, values: Any) -> None:
    """The event still counts: it may be matched by its message id."""
    value = payload("delivery")
    value["mail"]["tags"][tag] = values
    event = parse(value)
    assert getattr(event, tag) is None
    assert event.message_id == MESSAGE_ID


def test_the_largest_row_id_fits() -> None:
    value = payload("delivery")
    value["mail"]["tags"]["send_log_id"] = [str(2**63 - 1)]
    assert parse(value).send_log_id == str(2**63 - 1)


def test_unsubscribed_recipient_is_an_unsubscribe_not_a_bounce() -> None:
    value = payload("bounce_permanent")
    value["bounce"]["bounceSubType"] = "UnsubscribedRecipient"
    assert parse(value).suppresses == "unsubscribed"


def test_complaint_from_the_suppression_list_is_a_complaint() -> None:
    value = payload("complaint")
    value["complaint"].update(complaintSubType="OnAccountSuppressionList")
    del value["complaint"]["complaintFeedbackType"]
    event = parse(value)
    assert (event.suppresses, event.detail) == ("complained", "OnAccountSuppressionList")


@pytest.mark.parametrize(
    ("feedback", "suppresses"),
    [
        ("abuse", "complained"),
        ("ABUSE", "complained"),
        (None, "complained"),
        ("something-new", "complained"),
        ("not-spam", None),
        ("Not-Spam", None),
        ("auth-failure", None),
        ("fraud", None),
        ("virus", None),
        ("other", None),
    ],
)
def test_only_what_the_reader_said_suppresses(feedback: str | None, suppresses: str | None) -> None:
    """A server's report of a failed signature or a virus is no wish of the reader's. Providers
    that name no type pass on the readers' button."""
    event = payload("complaint")
    event["complaint"]["complaintFeedbackType"] = feedback
    assert parse(event).suppresses == suppresses


def test_a_message_id_without_end_is_none() -> None:
    """No index could hold it; the tags lead to the row."""
    event = payload("bounce_permanent")
    event["mail"]["messageId"] = "x" * 10_000
    assert parse(event).message_id is None
    assert parse(event).suppresses == "bounced"


@pytest.mark.parametrize(
    "preferences", [None, {}, {"unsubscribeAll": False}, {"unsubscribeAll": 1}]
)
def test_leaving_one_topic_unsubscribes_nobody(preferences: Any) -> None:
    value = payload("subscription")
    value["subscription"]["newTopicPreferences"] = preferences
    assert parse(value).suppresses is None


def test_a_bounce_concerns_the_bounced_not_everybody_addressed() -> None:
    value = payload("notification_bounce")
    value["mail"]["destination"] = ["ann@example.net", "ben@example.net"]
    assert parse(value).recipients == ("ann@example.net",)


def test_time_falls_back_to_the_mail_and_then_to_the_message() -> None:
    value = payload("delivery")
    del value["delivery"]["timestamp"]
    assert parse(value).occurred_at == datetime(2026, 1, 31, 9, tzinfo=UTC)
    value["mail"]["timestamp"] = "yesterday"
    assert parse(value).occurred_at == PUBLISHED_AT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T09:00:02.012Z", datetime(2026, 1, 31, 9, 0, 2, 12000, tzinfo=UTC)),
        ("2026-01-31T09:00:02Z", datetime(2026, 1, 31, 9, 0, 2, tzinfo=UTC)),
        ("2026-01-31T10:00:02+01:00", datetime(2026, 1, 31, 9, 0, 2, tzinfo=UTC)),
        ("2026-01-31T09:00:02", datetime(2026, 1, 31, 9, 0, 2, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", datetime(2026, 1, 31, 9, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(text: str, expected: datetime) -> None:
    value = payload("delivery")
    value["delivery"]["timestamp"] = text
    assert parse(value).occurred_at == expected


def test_a_long_answer_of_a_mail_server_is_cut() -> None:
    value = payload("delivery")
    value["delivery"]["smtpResponse"] = "x" * 10_000
    assert parse(value).detail == "x" * DETAIL_MAX_CHARS


def test_unknown_types_and_fields_are_kept() -> None:
    """SES adds types and fields; what it sends is stored, whatever it is."""
    value = {"eventType": "Teleport", "mail": payload("send")["mail"], "teleport": {"x": [1]}}
    event = parse(value)
    assert (event.type, event.ses_type) == ("unknown", "Teleport")
    assert (event.message_id, event.send_log_id) == (MESSAGE_ID, "42")
    assert event.payload == value
    assert parse(payload("notification_subscription_succeeded")).type == "unknown"


def test_the_notice_of_a_validated_topic_is_no_event() -> None:
    notice = "Successfully validated SNS topic for Amazon SES event publishing."
    assert parse_ses_event(notice, published_at=PUBLISHED_AT) is None


def test_absent_and_null_fields_are_tolerated() -> None:
    for kind, member in [("Bounce", "bounce"), ("Complaint", "complaint")]:
        null = {"eventType": kind, "mail": {"messageId": "m", "tags": None}, member: {"x": None}}
        event = parse(null)
        assert (event.message_id, event.recipients, event.suppresses is None) == (
            "m",
            (),
            kind == "Bounce",
        )
        assert event.occurred_at == PUBLISHED_AT


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not json",
        "null",
        "[]",
        '"Bounce"',
        "{}",
        '{"eventType": null}',
        '{"eventType": 7, "mail": {}}',
        '{"eventType": ["Bounce"]}',
        '{"eventType": "Bounce"}',
        '{"eventType": "Bounce", "mail": {"messageId": "m"}}',
        '{"eventType": "Bounce", "mail": {"messageId": "m"}, "bounce": []}',
        '{"eventType": "Send", "mail": "m"}',
        '{"eventType": "Send", "mail": {"messageId": 5}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "destination": "ann@example.net"}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "destination": [7]}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "tags": ["mailout_id"]}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "tags": {"attempt": "x"}}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "timestamp": 1769850000}}',
        '{"eventType": "Bounce", "mail": {"messageId": "m"}, "bounce": {"bouncedRecipients": [7]}}',
        '{"eventType":"Subscription","mail":{"x":1},"subscription":{"newTopicPreferences":true}}',
        '{"eventType": "Send", "mail": {"messageId": NaN}}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"eventType": "X", "deep": ' + "[" * 300 + "]" * 300 + "}",
        "{" * 2000 + "}" * 2000,
    ],
)
def test_what_is_no_event_is_refused(message: str) -> None:
    with pytest.raises(MalformedEvent):
        parse_ses_event(message, published_at=PUBLISHED_AT)


def test_nul_characters_do_not_keep_an_event_out_of_the_database() -> None:
    """PostgreSQL stores no NUL; an escaped backslash before `u0000` is no NUL."""
    value = payload("delivery")
    value["delivery"]["smtpResponse"] = "250 \x00\x00 ok \\u0000 \\\x00"
    event = parse(value)
    assert event.detail == "250 \ufffd\ufffd ok \\u0000 \\\ufffd"
    assert "\x00" not in json.dumps(to_row(event, "m"), ensure_ascii=False)


def test_half_a_character_does_not_keep_an_event_out_of_the_database() -> None:
    """A text that was cut within an emoji, as JSON can spell it."""
    value = payload("delivery")
    value["mail"]["commonHeaders"]["subject"] = "Party \ud83c"
    value["delivery"]["smtpResponse"] = "250 \ud83c\udf89 \udf89 \\ud83c"
    event = parse(value)
    assert event.detail == "250 \U0001f389 \ufffd \\ud83c"
    row = orjson.loads(orjson.dumps(to_row(event, "sns-1")))
    assert row["payload"]["mail"]["commonHeaders"]["subject"] == "Party \ufffd"


def test_the_row_for_the_database_is_json() -> None:
    row = to_row(parse(payload("bounce_permanent")), "5f1c")
    assert json.loads(json.dumps(row)) == row
    assert {key: row[key] for key in row if key != "payload"} == {
        "sns_message_id": "5f1c",
        "type": "bounce",
        "ses_type": "Bounce",
        "message_id": MESSAGE_ID,
        "occurred_at": "2026-01-31T09:00:03.120000+00:00",
        "mailout_id": MAILOUT_ID,
        "send_log_id": "42",
        "attempt": ATTEMPT,
        "odd": None,
        "notice": None,
        "recipients": ["ann@example.net"],
        "bounce_type": "Permanent",
        "bounce_subtype": "General",
        "complaint_subtype": None,
        "suppresses": "bounced",
        "detail": "smtp; 550 5.1.1 user unknown",
        "engagement": None,
    }


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | any_json.map(json.dumps))
def test_any_text_is_an_event_or_refused(message: str) -> None:
    with contextlib.suppress(MalformedEvent):
        parse_ses_event(message, published_at=PUBLISHED_AT)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, child in children:
        found.append((*path, key))
        if isinstance(child, dict | list):
            found.extend(_places(child, (*path, key)))
    return found


@given(st.sampled_from(sorted(path.stem for path in PAYLOADS.glob("*.json"))), st.data())
def test_any_value_in_any_place_is_an_event_or_refused(name: str, data: st.DataObject) -> None:
    """And what is accepted can be written for the database."""
    value = copy.deepcopy(payload(name))
    path = data.draw(st.sampled_from(_places(value)))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(any_json)
    try:
        event = parse_ses_event(json.dumps(value), published_at=PUBLISHED_AT)
    except MalformedEvent:
        return
    assert event is not None
    json.dumps(to_row(event, "m"))
