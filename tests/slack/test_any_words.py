"""Whatever a subject and a reason hold, Slack takes the message, pings nobody, and shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.slack.message import Message, write_call, write_message
from app.domain.slack.news import FOLLOWED_SECONDS, next_look
from app.domain.states import RecipientStatus
from app.sandbox.slack.blocks import check
from tests.support.slack import Posted
from tests.support.wide import examples

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
WORDS = st.text(max_size=400) | st.text(st.sampled_from("<>&!@#|*_~`: channel\n"), max_size=4000)


def mailout(status: str, subject: str = "Hello", reason: str | None = None, **more: Any) -> Any:
    return {
        "id": "7b0e7a3c-0000-4000-8000-000000000001",
        "subject": subject,
        "status": status,
        "status_reason": reason,
        "pause_code": "guard" if status == "paused" else None,
        "recipients": 1_000,
        "counts": dict.fromkeys(get_args(RecipientStatus), 100),
        "unsubscribed": 3,
        "started_at": "2026-11-26T10:00:00+00:00",
        "updated_at": "2026-11-26T11:00:00+00:00",
        "ended_at": "2026-11-26T11:00:00+00:00" if status in ("sent", "failed") else None,
        "schedule": None,
        "waves": None,
        "pace": 14.0,
        "engagement": None,
        **more,
    }


def taken(message: Message) -> Posted:
    blocks = [dict(block) for block in message.blocks]
    check({"text": message.text, "blocks": blocks})
    return Posted("C1", "1", message.text, blocks, {"parse": "none"})


@settings(max_examples=examples(40))
@given(
    subject=WORDS,
    reason=WORDS,
    status=st.sampled_from(["sending", "paused", "sent", "failed", "cancelled"]),
)
def test_any_words_are_taken_and_ping_nobody(subject: str, reason: str, status: str) -> None:
    told = mailout(status, subject, reason)
    link = f"https://mail.example.com/dashboard/mailouts/{told['id']}"
    written = write_message(told, "https://mail.example.com", ZoneInfo("UTC"), NOW)
    for message in (written, write_call(told, "https://mail.example.com")):
        posted = taken(message)
        assert posted.pings == []
        assert set(posted.links) == {link}
        assert " ".join(subject.split())[:100] in posted.shown
    assert len(taken(written).fields) == 10


@pytest.mark.parametrize("char", ["&", "<", "é", "🎉"])
def test_what_is_too_long_is_cut_between_characters(char: str) -> None:
    told = mailout("sent", char * 5_000, char * 5_000)
    posted = taken(write_message(told, "https://mail.example.com", ZoneInfo("UTC"), NOW))
    assert f"{char * 200}…" in posted.shown


def test_a_bar_is_full_only_when_all_are_done() -> None:
    counts = dict.fromkeys(get_args(RecipientStatus), 0) | {"delivered": 999, "queued": 1}
    told = mailout("sending", counts=counts)
    shown = taken(write_message(told, "https://x.example", ZoneInfo("UTC"), NOW)).shown
    assert f"{'▰' * 19}▱ 99%" in shown


def test_late_figures_are_looked_at_ever_less_often_for_a_day() -> None:
    ended, looks, age = datetime.fromisoformat(mailout("sent")["ended_at"]), [], 0.0
    while True:
        ahead = next_look(mailout("sent"), datetime.fromtimestamp(ended.timestamp() + age, UTC))
        if ahead is None:
            break
        looks.append(ahead)
        age += ahead
    assert looks[:-1] == sorted(looks[:-1])
    assert (looks[0], max(looks)) == (10, 7_200)
    assert age == pytest.approx(FOLLOWED_SECONDS, abs=2)
    assert len(looks) < 40
