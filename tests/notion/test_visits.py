"""When a row is looked at again, when it gets a statement, and when a person is called."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.notion.visits import Visit, call_for_person, statement_due, visit
from app.domain.notion.writes import Write
from tests.notion.test_figures import BASE, NOW, mailout, row

WEEK = timedelta(days=7)


def due(mailout: dict[str, Any] | None, **given: Any) -> Write:
    empty: dict[str, Any] = {
        "page_id": UUID(int=1),
        "claim": 1,
        "row": row(),
        "mailout": mailout,
        "written": {},
        "sure": True,
        "told": (),
        "statement_for": None,
        "failures": 0,
        "error": None,
    }
    return Write(**empty | given)


def ended(age: timedelta, **counts: int) -> dict[str, Any]:
    return mailout("sent", counts or {"delivered": 9}, ended_at=(NOW - age).isoformat())


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (None, Visit(None)),
        (mailout("draft"), Visit(None)),
        (mailout("scheduled"), Visit(None)),  # its own changes make it due
        (mailout("sending", pace=3.0), Visit(10, live=True)),
        (mailout("sending", pace=0), Visit(10, live=True)),
        (mailout("paused"), Visit(60)),
        (ended(timedelta(seconds=59)), Visit(10, live=True)),
        (mailout("cancelled", started_at=None), Visit(None)),
        (ended(timedelta(minutes=59)), Visit(60)),
        (ended(timedelta(hours=1)), Visit(3600, reads=True)),
        (ended(WEEK - timedelta(minutes=10)), Visit(600, reads=True)),
        (ended(WEEK), Visit(None, reads=True)),
        (ended(3 * WEEK), Visit(None, reads=True)),
    ],
)
def test_a_row_is_followed_as_long_as_its_figures_move(
    one: dict[str, Any] | None, expected: Visit
) -> None:
    assert visit(one, NOW) == expected


def test_a_wave_that_is_hours_ahead_is_not_watched_closely() -> None:
    waves = [{"at": "2026-11-26T06:00:00+00:00"}, {"at": "2026-11-26T14:00:00+00:00"}]
    assert visit(mailout("sending", pace=0, waves=waves), NOW).next_seconds == 60
    assert visit(mailout("sending", pace=9, waves=waves), NOW).next_seconds == 10


# -- the closing statement


def test_a_statement_comes_at_the_end_and_again_only_if_it_differs() -> None:
    first = statement_due(due(ended(timedelta(0))), NOW)
    assert first is not None

    def later(age: timedelta, has: dict[str, Any], **counts: int) -> dict[str, Any] | None:
        one = ended(age, **counts) | {"ended_at": first["ended_at"]}
        return statement_due(due(one, statement_for=has), NOW + age)

    assert later(timedelta(hours=20), first, bounced=9) is None  # not before a day has passed
    assert later(timedelta(days=1), first) is None
    second = later(timedelta(days=1), first, bounced=9)
    assert second is not None
    assert later(timedelta(days=2), second, complained=9) is None
    assert later(WEEK, second, complained=9) is not None


def test_a_resend_gets_a_statement_of_its_own() -> None:
    first = statement_due(due(ended(timedelta(hours=2))), NOW)
    assert statement_due(due(ended(timedelta(0)), statement_for=first), NOW) is not None


@pytest.mark.parametrize(
    "one",
    [None, mailout("sending", {"sent": 3}), mailout("cancelled", started_at=None), mailout("sent")],
)
def test_what_isnt_over_or_went_to_nobody_has_none(one: dict[str, Any] | None) -> None:
    assert statement_due(due(one), NOW) is None


# -- what needs a person


def call(one: dict[str, Any] | None, at: datetime = NOW, **of_row: Any) -> tuple[str, str] | None:
    found = call_for_person(row(**of_row), one, base_url=BASE, now=at)
    return None if found is None else (found.key, found.text)


def test_a_pause_calls_a_person_once_for_each_time() -> None:
    one = mailout(
        "paused",
        {"queued": 1},
        pause_code="guard",
        status_reason="Too many bounced, such as ann@example.com!",
        notice={"id": 5, "status": "paused"},
    )
    assert call(one) == (
        "notice:5",
        "“June letter” is paused. Too many bounced, such as a•••@e•••.com! It waits for you: "
        "nothing more is sent until a person resumes it in the dashboard. Or set Status to Draft, "
        "and half a minute later to Send.\n"
        f"{BASE}/dashboard/mailouts/7c1e",
    )
    again = call(one | {"notice": {"id": 6, "status": "paused"}})
    assert again is not None
    assert again[0] == "notice:6"


def test_a_persons_own_pause_and_a_good_end_call_nobody() -> None:
    paused = mailout("paused", pause_code="person", notice={"id": 1, "status": "paused"})
    assert call(paused) is None
    assert call(mailout("sent", {"delivered": 1}, notice={"id": 1, "status": "sent"})) is None
    assert call(mailout("sending", notice={"id": 1, "status": "paused"})) is None


def test_a_failure_calls_a_person() -> None:
    one = mailout(
        "failed", {"failed": 1}, status_reason="No.", notice={"id": 2, "status": "failed"}
    )
    assert "“June letter” has failed. No. Correct" in str(call(one))


def test_unknown_rows_call_a_person_when_events_had_their_time() -> None:
    one = mailout("sent", {"delivered": 1, "unknown": 1}, notice={"id": 2, "status": "sent"})
    assert call(one) is None
    found = call(one, NOW + timedelta(minutes=20))
    assert found is not None
    assert "1 of 2 recipients: it is unknown" in found[1]


def test_a_problem_after_a_press_is_told_once_for_each_press() -> None:
    assert call(None, delivery="Problem", problem="No tag: ann@example.com", press=3) == (
        "press:3",
        "No tag: a•••@e•••.com",
    )
    assert call(None, delivery="Test sent", problem="No preheader.") is None
    found = call(mailout("draft"), delivery="Problem", problem="No.", press=4)
    assert found is not None
    assert found[1].endswith(f"{BASE}/dashboard/mailouts/7c1e")
