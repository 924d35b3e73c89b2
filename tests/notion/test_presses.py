"""What a row's Status asks for, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.notion.presses import Sight, decide, gone, seen
from app.domain.notion.properties import PROPERTIES, STATUSES
from app.domain.notion.row import Row
from app.domain.states import MAILOUT_STATUSES

PAGE, MAILOUT, NOW = UUID(int=1), UUID(int=2), "2026-11-01T09:00:00+00:00"


def row(status: str | None = "Draft", mailout: str | None = None, **columns: Any) -> Row:
    """One that was seen."""
    found = {"id": str(MAILOUT), "status": mailout, "sent_at": "2026-10-01T08:00:00+00:00"}
    return Row(PAGE, seen_at=NOW, status=status, mailout=found if mailout else None, **columns)


def after(row: Row, change: dict[str, Any]) -> Row:
    return replace(row, **change)


def look(row: Row, status: str | None, **sight: Any) -> Row:
    return after(row, seen(row, Sight(status=status, **sight), NOW))


class TestPresses:
    @pytest.mark.parametrize(
        ("status", "asked"),
        [("Send test", "test"), ("Send", "send"), ("Pause", "pause"), ("Cancel", "cancel")],
    )
    def test_a_change_of_status_is_a_press_once(self, status: str, asked: str) -> None:
        pressed = look(row("Draft"), status)
        assert (pressed.press, pressed.asked, pressed.is_open) == (1, asked, True)
        assert look(pressed, status) == pressed  # whatever made us look again

    def test_a_row_that_is_seen_first_with_send_is_a_press(self) -> None:
        assert look(Row(PAGE), "Send").asked == "send"
        assert not look(Row(PAGE), "Draft").is_open
        assert not look(Row(PAGE), None).is_open

    @pytest.mark.parametrize("status", ["Send", "Send test"])
    def test_a_row_of_old_is_not_sent_when_the_database_is_connected(self, status: str) -> None:
        old, new = "2026-10-31T08:59:00.000Z", "2026-10-31T09:00:00.000Z"
        first = look(Row(PAGE), status, edited_at=old)
        assert (first.press, first.delivery) == (0, "Problem")
        assert f"set Status to Draft and then to {status}." in (first.problem or "")
        assert look(first, status, edited_at=old) == first
        again = look(look(first, "Draft", edited_at=NOW), status, edited_at=NOW)
        assert (again.press, again.problem) == (1, None)
        assert look(Row(PAGE), status, edited_at=new).press == 1
        # An automation that called just now says that it is meant.
        assert look(replace(row(None, "draft"), seen_at=None), status, edited_at=old).press == 1

    @pytest.mark.parametrize("status", ["Draft", None, "An idea"])
    def test_draft_withdraws_what_is_not_done_yet_and_clears_the_problem(
        self, status: str | None
    ) -> None:
        refused = row("Send", press=3, answered=2, asked="send", problem="No.", delivery="Problem")
        now = look(refused, status)
        assert (now.is_open, now.problem, now.delivery, now.press) == (False, None, None, 3)
        assert look(replace(refused, delivery="Test sent"), status).delivery == "Test sent"

    @pytest.mark.parametrize("mailout", ["scheduled", "ready"])
    def test_draft_takes_back_what_would_go_by_itself(self, mailout: str) -> None:
        now = look(row("Send", mailout, press=1, answered=1, asked="send"), "Draft")
        assert decide(now).act == "take_back"

    def test_a_button_that_names_no_status_sends_while_nothing_is_asked(self) -> None:
        pressed = look(row("Draft", calls=1), "Draft")
        assert (pressed.asked, pressed.press, pressed.called) == ("send", 1, 1)
        assert look(pressed, "Draft") == pressed
        asked = look(row("Draft", calls=1), "Pause")  # the Status says more
        assert (asked.asked, asked.press) == ("pause", 1)

    def test_a_late_event_of_a_person_who_changed_their_mind_sends_nothing(self) -> None:
        assert not look(row("Draft"), "Draft").is_open

    def test_a_copy_of_a_row_with_its_figures_is_not_sent_by_itself(self) -> None:
        copy = look(Row(PAGE), "Send", filled=True, delivery="Sent")
        assert not copy.is_open and copy.problem is not None and "Draft" in copy.problem
        assert look(copy, "Send", filled=True) == copy
        assert look(look(copy, "Draft", filled=True), "Send", filled=True).asked == "send"
        assert look(Row(PAGE), "Draft", filled=True).problem is None

    def test_a_row_that_names_its_own_mailout_is_no_copy(self) -> None:
        ours = Row(PAGE, mailout={"id": str(MAILOUT), "status": "draft"})
        url = f"https://example.com/dashboard/mailouts/{MAILOUT}"
        assert look(ours, "Send", filled=True, mailout_url=url).asked == "send"
        other = url.replace(str(MAILOUT), str(PAGE))
        assert look(ours, "Send", filled=True, mailout_url=other).problem is not None

    def test_a_row_that_is_gone_is_not_sent(self) -> None:
        def left(row: Row) -> Row:
            return after(row, gone(row, NOW))

        scheduled = left(row("Send", "scheduled", press=1, answered=1, asked="send"))
        assert decide(scheduled).act == "take_back" and scheduled.problem is not None
        asked = left(row("Send", "draft", press=1, asked="send"))
        assert not asked.is_open and asked.problem is not None
        sending = row("Send", "sending", press=1, answered=1, asked="send")
        assert not left(sending).is_open
        assert left(left(sending)) == left(sending)
        back = look(left(sending), "Send")
        assert back.gone_at is None and not back.is_open  # nothing is asked anew


def act(asked: str, mailout: str | None, **columns: Any) -> str:
    decision = decide(row(mailout=mailout, press=2, answered=1, asked=asked, **columns))
    return "refused" if decision.refusal else decision.act


STATES = [None, "draft", "ready", "scheduled", "sending", "paused", "sent", "failed", "cancelled"]


@pytest.mark.parametrize(
    ("asked", "acts"),
    [
        ("test", "test test test refused refused refused refused refused refused"),
        ("send", "send send send send nothing resume refused refused refused"),
        ("pause", "refused refused take_back take_back pause pause refused refused refused"),
        ("cancel", "nothing nothing cancel cancel cancel cancel refused refused nothing"),
    ],
)
def test_what_a_press_does_in_each_state(asked: str, acts: str) -> None:
    assert set(STATES) == {None, *MAILOUT_STATUSES}
    assert [act(asked, state) for state in STATES] == acts.split()


@pytest.mark.parametrize("mailout", ["scheduled", "sending", "paused", "sent", "failed"])
def test_what_a_press_has_started_before_a_crash_is_found_done(mailout: str) -> None:
    """Above all it isn't resumed when the guards paused it, nor refused as sent already."""
    assert act("send", mailout, frozen={"press": 2}) == "nothing"


def test_of_what_is_over_the_row_says_when() -> None:
    refusal = decide(row(mailout="sent", press=1, asked="send")).refusal
    assert refusal is not None and "1 October 2026" in refusal and "duplicate" in refusal


MOVES = {"pause": "paused", "resume": "sending", "cancel": "cancelled", "take_back": "draft"}
STEPS = st.lists(
    st.one_of(
        st.sampled_from([*STATUSES, None]).map(lambda status: ("status", status)),
        st.sampled_from(["look", "call", "crash", "finish", "gone"]).map(lambda kind: (kind, None)),
    ),
    max_size=25,
)


@given(STEPS)
def test_however_it_comes_a_newsletter_goes_once_and_each_press_is_answered(
    steps: list[tuple[str, str | None]],
) -> None:
    """Looks at any time, as often as you like, with the process killed between act and answer."""
    now, status, there, starts = row("Draft"), "Draft", True, 0
    mailout = "draft"
    for kind, value in steps:
        crash = kind == "crash"
        if kind == "status":
            status = value or ""
        if kind == "gone":
            there = not there
        if kind == "call":
            now = replace(now, calls=now.calls + 1)
        if kind == "finish" and mailout == "sending":
            mailout = "sent"
        if kind == "status":
            continue  # nobody has told us yet
        now = replace(now, mailout={"id": str(MAILOUT), "status": mailout, "sent_at": None})
        now = after(now, seen(now, Sight(status=status), NOW) if there else gone(now, NOW))
        if not now.is_open:
            continue
        decision = decide(now)
        if decision.act == "send":
            assert status == "Send" or now.asked == "send"
            now, mailout, starts = replace(now, frozen={"press": now.press}), "sending", starts + 1
        moves = {
            "pause": "paused",
            "resume": "sending",
            "cancel": "cancelled",
            "take_back": "draft",
        }
        mailout = moves.get(decision.act, mailout)
        if not crash:
            now = replace(now, answered=now.press, problem=decision.refusal)
        assert starts <= 1
    assert mailout != "sending" or starts == 1


def test_liquid_in_the_subject_survives_notions_quotes() -> None:
    def text(kind: str, said: str) -> dict[str, Any]:
        return {"type": kind, kind: [{"plain_text": said}]}

    page = {
        "properties": {
            "Status": {"type": "select", "select": None},
            "Name": text("title", "“News” for {{ name |\n default: “you” }}"),
            "Preheader": text("rich_text", "{% if name == ‘Ann’ %}It’s you{% endif %}"),
        }
    }
    sight = Sight.of_page(page, {each.name: each.name for each in PROPERTIES})
    assert sight.title == '“News” for {{ name | default: "you" }}'
    assert sight.preheader == "{% if name == 'Ann' %}It’s you{% endif %}"
