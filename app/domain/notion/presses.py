"""What people ask for by a row's Status, and what is done about it. Pure.

Only a change of Status that was seen is a press, and an event that names no Status (a button's)
while the row's Status asks for nothing: so a webhook that comes doubled, late or out of order asks
for nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from app.domain.notion.blocks.liquid import plain_within
from app.domain.notion.blocks.tree import sendable
from app.domain.notion.properties import PROPERTIES, Property, read
from app.domain.notion.row import ASKS, Asked, Row

STATUS_TYPES = frozenset({"select", "status", "rich_text"})
"""Of Notion's properties, that can say what a row asks for."""


class StatusMissing(Exception):
    """Nobody can say what a row asks for. Carries a sentence with the remedy."""


@dataclass(frozen=True)
class Sight:
    """What a page's properties say, by people and (filled) by the program or whoever copied it.

    audience: tags. send_at: `start`, `end` as Notion's API gives them. mailout_url: in the row's
    property Mailout. edited_at: of the whole page. doubts: sentences on properties that can't be
    read: of another type, or missing while something else in the row looks like them, so that they
    were renamed, perhaps.
    """

    title: str = ""
    preheader: str | None = None
    status: str | None = None
    audience: tuple[str, ...] = ()
    send_at: Mapping[str, Any] | None = None
    time_zone: str | None = None
    delivery: str | None = None
    mailout_url: str | None = None
    filled: bool = False
    edited_at: str | None = None
    doubts: tuple[str, ...] = ()

    @classmethod
    def of_page(cls, page: Mapping[str, Any], names: Mapping[str, str]) -> Sight:
        """names: what each property is called there, by our own name. Raises StatusMissing."""
        said = page.get("properties") or {}
        if names["Status"] not in said:
            raise StatusMissing(
                f"The property “{names['Status']}” is missing in the Notion database: rename it "
                "back, or map its new name (`amazonsender notion check` says how)."
            )
        values = {each.name: read(said.get(names[each.name])) for each in PROPERTIES}
        filled = any(values[each.name] for each in PROPERTIES if not each.by_people)
        values |= {each.name: None for each in PROPERTIES if not _fits(each, values[each.name])}
        if (kind := said[names["Status"]].get("type")) not in STATUS_TYPES:
            raise StatusMissing(
                f"The property “{names['Status']}” of the Notion database is of the type {kind}: "
                "it has to be a select (`amazonsender notion check` says how)."
            )
        if names["Name"] not in said:  # there is one title, whatever its name
            values["Name"] = next((read(v) for v in said.values() if v["type"] == "title"), None)
        return cls(
            title=_line(values["Name"]),
            preheader=_line(values["Preheader"]) or None,
            status=_line(values["Status"]) or None,
            audience=tuple(values["Audience"] or ()),
            send_at=values["Send at"],
            time_zone=values["Time zone"],
            delivery=_line(values["Delivery"]) or None,
            mailout_url=values["Mailout"],
            filled=filled,
            edited_at=page.get("last_edited_time"),
            doubts=tuple(_doubts(said, names)),
        )

    @property
    def asks(self) -> Asked | None:
        return ASKS.get(self.status)

    def says_the_same(self, other: Sight) -> bool:
        """Whether people ask for the same here, to the same readers, at the same time."""
        names = ("title", "preheader", "status", "audience", "send_at", "time_zone", "doubts")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def may_be_edited_since(self, moment: datetime) -> bool:
        """Notion's `last_edited_time` knows minutes only, and its clock may differ from ours."""
        edited = self.edited_at
        return edited is None or datetime.fromisoformat(edited) > moment - timedelta(minutes=2)


def _line(text: str | None) -> str:
    """One line, its Liquid with the quotes that Liquid knows."""
    return plain_within(" ".join(sendable(text or "").split()))


def _fits(prop: Property, value: Any) -> bool:
    """Whether a value can be read as that of this property, whatever type it has in Notion."""
    match prop.kind:
        case "multi_select":
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case "date":
            return isinstance(value, Mapping)
        case "number" | "files":
            return True
        case _:
            return isinstance(value, str)


def _doubts(said: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Without its Audience a newsletter would go to everybody, without Send at it would go now."""
    zone = read(said.get(names["Time zone"]))
    if zone and not isinstance(zone, str):
        yield (
            f"The property “{names['Time zone']}” of the database can't be read, so the clocks of "
            "TIMEZONE would count: give it the type select."
        )
    for name, kind, without in (
        ("Audience", "multi_select", "everybody would get it"),
        ("Send at", "date", "it would go at once"),
    ):
        like = [other for other, value in said.items() if value["type"] == kind and read(value)]
        is_of = said.get(names[name], {}).get("type", kind)
        if is_of != kind:
            yield (
                f"The property “{names[name]}” of the database is of the type {is_of}, which can't "
                f"be read, so {without}: give it the type {kind.replace('_', '-')}."
            )
        elif names[name] not in said and like:
            yield (
                f"The database has no property “{names[name]}”, so {without}; but the row's "
                f"“{like[0]}” isn't empty. If that is meant, set NOTION_PROPERTY_"
                f"{name.upper().replace(' ', '_')} to its name and restart."
            )


def is_copy(row: Row, sight: Sight) -> bool:
    """Whether a page that is seen for the first time was filled by the program: a row that was
    duplicated, figures and all, or one of a database that we no longer have."""
    if row.seen_at is not None or not sight.filled:
        return False
    mailout = str(row.mailout_id)
    return not (row.mailout_id and sight.mailout_url and mailout in sight.mailout_url)


MAX_AGE = timedelta(days=1)
"""How long after its last change a row that nobody has looked at yet may still ask to be sent."""
STALE = (
    "This row stood at {status} for more than a day before AmazonSender first saw it, so nothing "
    "was sent. If you want it now, set Status to Draft and then to {status}."
)


def is_stale(row: Row, sight: Sight, now: str) -> bool:
    """Whether a page that is seen for the first time, and that no automation called for, has
    asked for long: the database was written before it was connected, and such rows are of old."""
    if row.seen_at is not None or row.mailout_id is not None or row.called < row.calls:
        return False
    if sight.edited_at is None:
        return False
    return datetime.fromisoformat(now) - datetime.fromisoformat(sight.edited_at) > MAX_AGE


def seen(row: Row, sight: Sight, now: str) -> dict[str, Any]:
    """What a look changes in the row, by column. now: ISO 8601."""
    change: dict[str, Any] = {
        "title": sight.title,
        "status": sight.status,
        "called": row.calls,
        "seen_at": row.seen_at or now,
        "edited_at": sight.edited_at,
    }
    if row.gone_at is not None:
        change["gone_at"] = None
    changed = row.seen_at is None or sight.status != row.status
    if sight.asks and is_copy(row, sight):
        return change | refused(row, copied(sight))
    if sight.asks in ("send", "test") and is_stale(row, sight, now):
        return change | refused(row, STALE.format(status=sight.status))
    if sight.asks and changed:
        return change | _pressed(row, sight.asks)
    # Before the calls: an automation that tells of every change of Status, and doesn't send it
    # along, calls for a Draft as well.
    if not sight.asks and changed and row.seen_at is not None:
        return change | _withdrawn(row)
    if not sight.asks and row.called < row.calls:
        return change | _pressed(row, "send")
    return change


def gone(row: Row, now: str) -> dict[str, Any]:
    """The page lies in the bin, was moved out of the database, or isn't shared any more. What is
    being sent goes on; what would be sent later doesn't go."""
    if row.gone_at is not None:
        return {"called": row.calls}
    why = (
        "The row was moved, deleted, or isn't shared with the connection any more: it isn't sent "
        "by itself. Once it is back, set Status to Draft and then to Send."
    )
    change = {"called": row.calls, "gone_at": now, "seen_at": row.seen_at or now}
    if row.mailout_status in _TO_COME:
        return change | _pressed(row, "pause") | {"problem": why}
    if row.is_open:
        return change | refused(row, why)
    return change


_TO_COME = ("scheduled", "ready")
"""States in which the mailout would be sent although nobody asks again."""


def _pressed(row: Row, asked: Asked) -> dict[str, Any]:
    return {"press": row.press + 1, "asked": asked}


def _withdrawn(row: Row) -> dict[str, Any]:
    """Status is Draft again: nothing is asked any more, and what stood there was read."""
    change: dict[str, Any] = {"problem": None, "note": None}
    if row.delivery != "Test sent":
        change["delivery"] = None
    if row.mailout_status in _TO_COME:
        return change | _pressed(row, "pause")
    return change | {"answered": row.press}


def refused(row: Row, problem: str, **confirm: Any) -> dict[str, Any]:
    """The answer to a press, or to what was seen: no."""
    return {
        "answered": row.press,
        "problem": problem,
        "delivery": "Problem",
        "note": None,
        "confirm": confirm or None,
    }


def answered(row: Row, *, delivery: str | None = None, note: str | None = None) -> dict[str, Any]:
    """The answer to a press: done."""
    return {
        "answered": row.press,
        "problem": None,
        "delivery": delivery,
        "note": note,
        "confirm": None,
    }


Act = Literal["test", "send", "resume", "pause", "take_back", "cancel", "nothing"]


@dataclass(frozen=True)
class Decision:
    """What to do about a press. refusal: why it isn't done; then act is `nothing`. delivery: what
    the row says when it is done."""

    act: Act
    refusal: str | None = None
    delivery: str | None = None


def decide(row: Row) -> Decision:
    """What the latest press leads to, by the state that the mailout is in.

    A process may have been killed after it did what was asked: then it is found done.
    """
    assert row.asked is not None
    status = row.mailout_status or "draft"
    if was_started_by(row):
        return Decision("nothing")
    if row.asked == "cancel" and status == "cancelled":
        return Decision("nothing", delivery="Cancelled")
    if status in ("sent", "failed", "cancelled"):
        return Decision("nothing", refusal=_over(row, status))
    return _DECISIONS[row.asked](row, status)


def was_started_by(row: Row) -> bool:
    """Whether what is sent or scheduled is what the latest press asked for."""
    started = row.mailout_status not in (None, "draft", "ready")
    return started and row.asked == "send" and (row.frozen or {}).get("press") == row.press


def _test(_row: Row, status: str) -> Decision:
    if status in ("draft", "ready"):
        return Decision("test")
    now = {"scheduled": "is scheduled", "sending": "is being sent", "paused": "is paused"}[status]
    return Decision("nothing", refusal=f"No test was sent: the newsletter {now}, as it was then.")


def _send(_row: Row, status: str) -> Decision:
    if status == "paused":
        return Decision("resume")
    return Decision("nothing" if status == "sending" else "send")


def _pause(row: Row, status: str) -> Decision:
    if status in ("sending", "paused"):  # one for the account's sake would end by itself
        return Decision("pause")
    if status in _TO_COME:
        return Decision("take_back", delivery="Paused")
    if (row.frozen or {}).get("scheduled"):  # taken back before that could be noted
        return Decision("nothing", delivery="Paused")
    return Decision("nothing", refusal="There is nothing to pause: it isn't being sent.")


def _cancel(_row: Row, status: str) -> Decision:
    return Decision("nothing" if status == "draft" else "cancel", delivery="Cancelled")


_DECISIONS = {"test": _test, "send": _send, "pause": _pause, "cancel": _cancel}


def _over(row: Row, status: str) -> str:
    when = _day((row.mailout or {}).get("sent_at"))
    what = {
        "sent": f"It was already sent{f' on {when}' if when else ''}",
        "failed": "It was already sent, and failed",
        "cancelled": "It was cancelled",
    }[status]
    if row.asked in ("pause", "cancel"):
        return f"{what}: there is nothing to {row.asked} any more."
    if status == "cancelled":
        return f"{what} for good. To send it after all, duplicate the row."
    return f"{what}, and no newsletter goes twice. To send another one, duplicate the row."


def _day(at: str | None) -> str:
    """`3 December 2026`."""
    day = at and datetime.fromisoformat(at)
    return f"{day.day} {day:%B %Y}" if day else ""


def copied(sight: Sight) -> str:
    return (
        f"This row is a copy: it came with the figures of another one{_like(sight)}. Nothing was "
        "sent. To make it a newsletter of its own, set Status to Draft, write it, and set Send."
    )


def _like(sight: Sight) -> str:
    return f" ({sight.delivery})" if sight.delivery else ""
