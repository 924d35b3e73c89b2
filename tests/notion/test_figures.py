"""What a row says, in figures and words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from app.domain.notion.figures import PROGRAMS, numbers, problem, values
from app.domain.notion.properties import MAX_TEXT_CHARS, PROPERTIES
from app.domain.reports.so_far import has_begun, progress_words
from app.domain.states import RecipientStatus

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
BASE = "https://mail.example.com"
NOBODY = dict.fromkeys(get_args(RecipientStatus), 0)


def mailout(status: str, counts: dict[str, int] | None = None, **given: Any) -> dict[str, Any]:
    """As notion_write_facts gives it."""
    begun = status not in ("draft", "ready", "scheduled")
    return {
        "id": "7c1e",
        "subject": "June letter",
        "status": status,
        "status_reason": None,
        "pause_code": None,
        "schedule": None,
        "scheduled_at": None,
        "recipients": sum((counts or {}).values()) if begun else None,
        "started_at": "2026-11-26T08:50:00+00:00" if begun else None,
        "updated_at": "2026-11-26T08:58:00+00:00",
        "ended_at": "2026-11-26T08:59:00+00:00"
        if status in ("sent", "failed", "cancelled")
        else None,
        "counts": NOBODY | (counts or {}),
        "unsubscribed": 0,
        "waves": None,
        "pace": None,
        "notice": None,
    } | given


def row(**given: Any) -> dict[str, Any]:
    return {"delivery": None, "problem": None, "note": None, "press": 1, "gone_at": None} | given


def said(mailout: dict[str, Any] | None, **of_row: Any) -> dict[str, Any]:
    return values(row(**of_row), mailout, base_url=BASE, zone=BERLIN, now=NOW)


def words(mailout: dict[str, Any]) -> str:
    return progress_words(mailout, BERLIN, NOW)


# -- which properties


def test_the_properties_of_people_are_never_among_them() -> None:
    peoples = {each.name for each in PROPERTIES if each.by_people}
    assert not peoples & set(PROGRAMS)
    for one in (None, mailout("draft"), mailout("sending", {"queued": 3}), mailout("sent")):
        assert not peoples & set(said(one, delivery="Problem", problem="x"))


def test_every_property_of_the_program_is_said_or_emptied() -> None:
    """Statement is a file, and written apart."""
    assert set(said(None)) == set(PROGRAMS) - {"Statement"}
    assert set(said(mailout("sent", {"delivered": 1}))) == set(said(None))


def test_a_row_without_a_mailout_is_emptied() -> None:
    """Such as one that was duplicated, with the other's figures."""
    assert set(said(None).values()) == {None}


@pytest.mark.parametrize(
    ("status", "delivery"),
    [
        ("draft", None),
        ("ready", None),
        ("scheduled", "Scheduled"),
        ("sending", "Sending"),
        ("paused", "Paused"),
        ("sent", "Sent"),
        ("failed", "Failed"),
        ("cancelled", "Cancelled"),
    ],
)
def test_delivery_is_the_mailouts_state(status: str, delivery: str | None) -> None:
    one = mailout(status, {"delivered": 1})
    if status == "scheduled":
        one |= {"scheduled_at": "2026-12-03T08:00:00+00:00", "schedule": {"zone": "Europe/Berlin"}}
    assert said(one)["Delivery"] == delivery


def test_before_it_is_sent_the_row_itself_says() -> None:
    found = said(mailout("draft"), delivery="Test sent", note="No preheader.")
    assert (found["Delivery"], found["Progress"]) == ("Test sent", "No preheader.")
    assert found["Mailout"] == f"{BASE}/dashboard/mailouts/7c1e"
    assert found["Recipients"] is None


def test_what_a_person_should_know_stands_behind_the_progress() -> None:
    """Such as that the page was changed since. At the end it is no news any more."""
    note = "Changed since: it goes as it was."
    one = mailout("sending", {"queued": 1}, pace=0)
    assert said(one, note=note)["Progress"] == f"0 of 1 handed over (0%). {note}"
    assert note not in said(mailout("sent", {"sent": 1}), note=note)["Progress"]


def test_a_press_that_was_refused_doesnt_hide_what_was_sent() -> None:
    found = said(mailout("sent", {"delivered": 2}), delivery="Problem", problem="It was sent.")
    assert (found["Delivery"], found["Problem"]) == ("Sent", "It was sent.")


# -- figures


def test_the_figures_are_by_the_ledgers_states() -> None:
    """Accepted: all that SES took, whatever came of it. Delivered: also those who then complained,
    and not those who bounced after."""
    counts = {
        "queued": 1,
        "sending": 2,
        "sent": 4,
        "delivered": 8,
        "bounced": 16,
        "complained": 32,
        "failed": 64,
        "unknown": 128,
        "skipped": 256,
        "cancelled": 512,
    }
    assert numbers(mailout("sending", counts, unsubscribed=7)) == {
        "Recipients": 1023,
        "Accepted": 4 + 8 + 16 + 32,
        "Delivered": 8 + 32,
        "Bounced": 16,
        "Complained": 32,
        "Unsubscribed": 7,
        "Failed": 64,
        "Unknown": 128,
    }


def test_a_mailout_that_begins_shows_its_audience_and_noughts() -> None:
    found = said(mailout("sending", recipients=48_000))
    assert (found["Recipients"], found["Accepted"], found["Unknown"]) == (48_000, 0, 0)


def test_one_that_was_cancelled_before_it_began_has_no_figures() -> None:
    one = mailout("cancelled", started_at=None)
    assert not has_begun(one)
    assert said(one)["Recipients"] is None
    assert words(one) == "Cancelled before it began."


# -- words


def test_under_way_says_how_far_how_fast_and_how_long_still() -> None:
    one = mailout("sending", {"queued": 35_700, "sent": 12_000, "failed": 300}, pace=148.7)
    assert words(one) == ("12,300 of 48,000 handed over (25%), 149 a second, about 4 minutes left.")


def test_a_slow_one_counts_by_the_minute_and_one_that_stands_says_why() -> None:
    slow = mailout("sending", {"queued": 90, "sent": 10}, pace=0.5)
    assert words(slow) == "10 of 100 handed over (10%), 30 a minute, about 3 minutes left."
    canary = mailout(
        "sending",
        {"queued": 98, "sent": 2},
        pace=0,
        status_reason="canary: waiting for events until 2026-11-26 10:00:00 UTC",
    )
    assert words(canary) == (
        "2 of 100 handed over (2%). Canary: waiting for events until 2026-11-26 10:00:00 UTC"
    )


def test_the_speed_of_the_test_mails_is_not_that_of_the_send() -> None:
    one = mailout("sending", {"queued": 600}, pace=0.2)
    assert words(one) == "0 of 600 handed over (0%)."


def test_who_left_in_time_is_not_waited_for_and_all_is_only_all() -> None:
    nearly = mailout("sending", {"queued": 1, "sent": 998, "skipped": 1}, pace=0)
    assert words(nearly) == "998 of 999 handed over (99%)."


def test_a_schedule_names_the_time_by_its_own_clock() -> None:
    one = mailout(
        "scheduled",
        schedule={"at": "2026-12-03T09:00", "zone": "America/New_York"},
        scheduled_at="2026-12-03T14:00:00+00:00",
        recipients=48_000,
    )
    assert words(one) == ("Goes out on 3 December, 09:00 America/New_York, to 48,000 recipients.")
    assert said(one)["Recipients"] == 48_000
    assert said(one)["Accepted"] is None


def test_a_schedule_by_each_recipients_clock_tells_the_first_wave() -> None:
    one = mailout(
        "scheduled",
        schedule={"at": "2027-01-02T09:00", "zone": "recipient", "fallback": "UTC"},
        scheduled_at="2027-01-01T20:00:00+00:00",
        recipients=300,
        waves=[{"at": "2027-01-01T20:00:00+00:00"}, {"at": "2027-01-02T08:00:00+00:00"}],
    )
    assert words(one) == (
        "Goes out on 2 January 2027, 09:00 by each recipient's own clock, to 300 recipients: "
        "2 waves, the first on 1 January 2027, 21:00 Europe/Berlin."
    )


def test_between_waves_it_says_when_the_next_goes() -> None:
    one = mailout(
        "sending",
        {"queued": 200, "sent": 100},
        pace=0,
        waves=[{"at": "2026-11-26T08:00:00+00:00"}, {"at": "2026-11-26T14:00:00+00:00"}],
    )
    assert words(one) == (
        "100 of 300 handed over (33%), wave 2 of 2 on 26 November, 15:00 Europe/Berlin."
    )


def test_the_end_says_when_how_long_and_who_has_it() -> None:
    one = mailout("sent", {"sent": 400, "delivered": 9_500, "bounced": 100})
    assert words(one) == (
        "Sent on 26 November, 09:59 Europe/Berlin, in 9 minutes. "
        "9,500 of 10,000 recipients delivered so far (95%)."
    )
    assert words(mailout("failed", {"failed": 3})) == "Failed: none of 3 recipients was accepted."
    cancelled = mailout("cancelled", {"sent": 30, "cancelled": 70})
    assert words(cancelled) == "Cancelled: 30 of 100 handed over (30%)."


# -- problems


def test_a_pause_says_why_and_what_to_do() -> None:
    one = mailout("paused", {"queued": 1}, pause_code="guard", status_reason="Too many bounces.")
    assert problem(row(), one) == (
        "Too many bounces. It waits for you: nothing more is sent until a person resumes it in "
        "the dashboard. Or set Status to Draft, and half a minute later to Send."
    )
    waits = mailout("paused", {"queued": 1}, pause_code="quota", status_reason="50,000 were sent.")
    assert words(waits) == ("Paused: 0 of 1 handed over (0%). Waiting: quota. 50,000 were sent.")
    assert "goes on by itself" in str(problem(row(), waits))


def test_a_persons_own_pause_is_no_problem() -> None:
    one = mailout("paused", {"queued": 1}, pause_code="person", status_reason="Paused by a person.")
    assert problem(row(), one) is None
    assert words(one) == "Paused: 0 of 1 handed over (0%). Paused by a person."


def test_who_was_left_over_is_counted_as_of_now() -> None:
    """The reason of the end would stay, although events have settled it."""
    reason = "2 of 5 recipients: it is unknown whether the mail was accepted."
    one = mailout("sent", {"delivered": 3, "unknown": 2}, status_reason=reason)
    assert str(problem(row(), one)).startswith("2 of 5 recipients: it is unknown")
    settled = mailout("sent", {"delivered": 5}, status_reason=reason)
    assert problem(row(), settled) is None
    refused = mailout("sent", {"delivered": 3, "failed": 2})
    assert "2 of 5 recipients were refused" in str(problem(row(), refused))


def test_no_address_is_written_and_no_text_without_end() -> None:
    says = "SES says: Email address is not verified: <ann@example.com> "
    paused = mailout("paused", {"queued": 1}, pause_code="held", status_reason=says * 100)
    found = said(paused, problem="Rejected for ann@example.com.")
    assert "ann@example.com" not in json.dumps(found)
    assert "a•••@e•••.com" in found["Problem"]
    assert max(len(found["Problem"]), len(found["Progress"])) < MAX_TEXT_CHARS
