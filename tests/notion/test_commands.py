"""Which comments are commands, and what they are answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from app.domain.mailouts import Transition
from app.domain.notion.answers import HELP, help_words, moved_words, why_words
from app.domain.notion.commands import Command, answer_hash, commands, stands

ME, ANN = uuid4(), uuid4()
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
READER = "ann@example.com"


def text(content: str, link: str | None = None) -> dict[str, Any]:
    return {
        "type": "text",
        "text": {"content": content, "link": {"url": link} if link else None},
        "plain_text": content,
        "href": link,
    }


def mention(shown: str, **user: Any) -> dict[str, Any]:
    about = {"type": "user", "user": {"object": "user", "id": str(uuid4()), **user}}
    return {"type": "mention", "mention": about, "plain_text": shown, "href": None}


def comment(*items: dict[str, Any] | str, **changes: Any) -> dict[str, Any]:
    return {
        "object": "comment",
        "id": str(uuid4()),
        "parent": {"type": "page_id", "page_id": str(uuid4())},
        "discussion_id": str(uuid4()),
        "created_time": "2026-05-04T08:59:00.000Z",
        "created_by": {"object": "user", "id": str(ANN)},
        "rich_text": [text(item) if isinstance(item, str) else item for item in items],
        "display_name": {"type": "user", "resolved_name": "Ann"},
        **changes,
    }


def read(*items: dict[str, Any] | str, **changes: Any) -> Command | None:
    found = commands([comment(*items, **changes)], ME, NOW)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("items", "name"),
    [
        (["/status"], "status"), (["  /Status. "], "status"), (["/status please"], "status"),
        (["/sta", "tus"], "status"), (["\u200b/status\ufeff"], "status"), (["/pause!"], "pause"),
        ([mention("@AmazonSender"), " /resume"], "resume"),
        ([" ", mention("@Bo"), "/help"], "help"),
        (["/staus"], "staus"), (["/why\n"], "why"),
    ],
)  # fmt: skip
def test_a_command_is_how_a_comment_begins(items: list[Any], name: str) -> None:
    command = read(*items)
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize(
    "items",
    [
        [], [""], ["status"], ["Try /status"], ["/"], ["/ status"], ["/home/ann"], ["//status"],
        ["/2026"], ["See ", mention("@AmazonSender"), " /status"], ["/status-page is down"],
    ],
)  # fmt: skip
def test_other_comments_are_left_alone(items: list[Any]) -> None:
    assert read(*items) is None


@pytest.mark.parametrize(
    "items",
    [
        [f"/why {READER}"], [f"/why\u00a0{READER}"], [f"/why {READER.upper()}."],
        [f"/why: <{READER}>?"], [f"/why \u201c{READER}\u201d"], [f"/why mailto:{READER}"],
        ["/why ", text(READER, f"mailto:{READER}")],
        ["/why ", text("Ann", f"mailto:{READER}?subject=x")],
        [f"/why did {READER} get nothing"], ["/why ", text("ann@exam"), text("ple.com")],
        ["/why ", mention("@Ann", person={"email": READER})], ["/why ann\u200b@example.com"],
    ],
)  # fmt: skip
def test_an_address_in_every_form_in_which_notion_has_it(items: list[Any]) -> None:
    command = read(*items)
    assert command is not None
    assert command.address == READER


@pytest.mark.parametrize(
    "items", [["/why"], ["/why ann"], ["/why ann@"], ["/why ", mention("@Ann")]]
)
def test_without_an_address_nobody_is_meant(items: list[Any]) -> None:
    command = read(*items)
    assert command is not None
    assert command.address is None


@pytest.mark.parametrize(
    "changes",
    [
        {"created_by": {"object": "user", "id": ME.hex}},
        {"created_by": {"object": "user", "id": str(ANN), "type": "bot"}},
        {"display_name": {"type": "integration", "resolved_name": "Other"}},
        {"display_name": {"type": "custom", "resolved_name": "Ann"}},
        {"created_time": "2026-05-03T08:59:00.000Z"}, {"created_time": "2026-05-04T08:59:00"},
        {"created_time": None}, {"id": "x"}, {"discussion_id": None}, {"rich_text": None},
    ],
)  # fmt: skip
def test_only_people_of_late_are_answered(changes: dict[str, Any]) -> None:
    assert read("/status", **changes) is None


def test_who_asks_is_known_as_far_as_notion_says_it() -> None:
    named = read("/pause")
    unnamed = read("/pause", display_name={"type": "user", "resolved_name": None})
    long = read("/pause", display_name={"type": "user", "resolved_name": "A\n" * 500})
    assert named and unnamed and long
    assert (named.by, unnamed.by) == ("notion Ann", "notion")
    assert len(long.by) < 80
    assert long.by.isprintable()


def test_what_was_asked_long_ago_is_not_done() -> None:
    for name, late in (("pause", True), ("resume", True), ("status", False)):
        command = read(f"/{name}")
        assert command is not None
        assert not command.is_too_late_to_act(NOW)
        assert command.is_too_late_to_act(NOW + timedelta(hours=2)) == late


def test_our_own_answer_is_known_again_in_its_thread() -> None:
    asked = comment("/help")
    (command,) = commands([asked], ME, NOW)
    thread, us = asked["discussion_id"], {"object": "user", "id": str(ME)}
    ours = comment(HELP[:30], HELP[30:], discussion_id=thread, created_by=us)
    assert stands([asked, ours], command, ME, answer_hash(HELP))
    for other in (
        {**ours, "discussion_id": str(uuid4())},
        {**ours, "created_by": {"object": "user", "id": str(ANN)}},
        {**ours, "rich_text": [text("Something else")]},
    ):
        assert not stands([asked, other], command, ME, answer_hash(HELP))


def test_what_is_no_command_is_answered_with_those_there_are() -> None:
    assert "/staus" in help_words("staus")
    for name in ("/status", "/why ann@example.com", "/pause", "/resume", "/help"):
        assert name in help_words("staus")
        assert name in help_words("help")


@pytest.mark.parametrize(
    ("name", "changed", "status", "says"),
    [
        ("pause", True, "paused", "Paused"), ("pause", False, "paused", "paused already"),
        ("pause", False, "sent", "can't be paused now: it is sent"),
        ("resume", True, "sending", "goes on"), ("resume", False, "sending", "nothing to resume"),
        ("resume", False, "cancelled", "can't be resumed: it is cancelled"),
    ],
)  # fmt: skip
def test_a_refusal_in_plain_words(name: str, changed: bool, status: Any, says: str) -> None:
    command = read(f"/{name}")
    assert command is not None
    assert says in moved_words(command, Transition(changed, status, None))


def why(**changes: Any) -> dict[str, Any]:
    """Of somebody who is active, fits, and has no row in a mailout that was sent."""
    person = {
        "email": READER,
        "status": "active",
        "since": "2026-01-01T00:00:00+00:00",
        "added_at": "2026-01-01T00:00:00+00:00",
        "problem": None,
    }
    return {
        "subscriber": person | changes.pop("subscriber", {}),
        "erased": False,
        "mail": None,
        "fits": True,
        "status": "sent",
        "started_at": "2026-05-01T08:00:00+00:00",
        "queued": True,
        **changes,
    }


def mail(status: str, **changes: Any) -> dict[str, Any]:
    times = dict.fromkeys(("sent_at", "event_at", "due_at", "unsubscribed_at"))
    return why(mail={"status": status, **times, **changes})


SENT = "2026-05-01T08:00:05+00:00"


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (
            why(subscriber={"status": "unsubscribed"}),
            "did not get it: this person has unsubscribed, since 1 January, 01:00",
        ),
        (why(subscriber={"status": "bounced"}), "their mail bounced"),
        (why(subscriber={"status": "complained"}), "reported a mail as spam"),
        (why(subscriber={"status": "pending"}), "has not confirmed"),
        (
            why(subscriber={"added_at": "2026-05-02T08:00:00+00:00"}),
            "were added on 2 May, 10:00 Europe/Berlin, after it had started",
        ),
        (why(subscriber={"problem": "two @"}), "can't be mailed: two @."),
        (why(fits=False), "did not get it: they don't fit the audience"),
        (
            why(then={"status": "pending", "fits": True}),
            "did not get it: when it started, this person had not confirmed the sign-up",
        ),
        (
            why(then={"status": "active", "fits": False}),
            "did not get it: when it started, they didn't fit the audience",
        ),
        (why(then={"status": "active", "fits": None}), "did not when it started"),
        (why(fits=False, queued=False), "will not get it: they don't fit the audience"),
        (why(queued=False), "not in the queue yet"),
        (why(status="ready", started_at=None, queued=False), "they get it when it is sent"),
        (why(status="ready", started_at=None, queued=False, fits=False), "will not get it"),
        (why(status="cancelled", started_at=None, queued=False), "cancelled"),
        (why(subscriber={"status": "unsubscribed", "since": SENT}), "did not when it started"),
        (why(), "did not when it started"),
        (why(subscriber={}) | {"subscriber": None, "mail": None}, "another spelling"),
        (why(subscriber={}) | {"subscriber": None, "erased": True}, "erased"),
        (
            mail("delivered", sent_at=SENT, event_at=SENT),
            "delivered. It left on 1 May, 10:00 Europe/Berlin. That was reported",
        ),
        (
            mail("bounced", sent_at=SENT),
            "came back. It left on 1 May, 10:00 Europe/Berlin. A reason.",
        ),
        (mail("queued", due_at="2026-05-04T11:00:00+00:00"), "Their turn comes on 4 May, 13:00"),
        (mail("queued", due_at="2026-05-04T08:00:00+00:00"), "not mailed yet. A reason."),
        (mail("delivered", unsubscribed_at=SENT), "unsubscribed with this mail's link on 1 May"),
    ],
)  # fmt: skip
def test_why(known: dict[str, Any], says: str) -> None:
    reason = "A reason." if known["mail"] else None
    said = why_words(READER, known, reason, BERLIN, NOW)
    assert says in said
    assert said.startswith(READER) or known["subscriber"] is None


def test_ids_may_come_without_dashes() -> None:
    plain = comment("/status")
    plain |= {"id": UUID(plain["id"]).hex, "discussion_id": UUID(plain["discussion_id"]).hex}
    assert commands([plain], ME, NOW)[0].comment == UUID(plain["id"])
