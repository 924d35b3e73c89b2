"""What all signals of one recipient come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.domain.engagement.rules import best, judge
from app.domain.engagement.signals import Class, Mail, Signal


@dataclass(frozen=True, slots=True)
class ToJudge:
    """A recipient with all that is kept of what they did.

    id: of the ledger's row. due: what the claim is known by. ids: of the signals, in their order.
    """

    id: int
    due: str
    mail: Mail
    ids: tuple[int, ...]
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A recipient's row of `engagement_recipients`, and `[id, class, reason]` of each signal.

    …_class: the best of them; None: nothing of that kind. …_at: the first of that class, in ISO.
    last_…_at: the latest that wasn't a machine's.
    """

    id: int
    due: str
    open_class: Class | None
    click_class: Class | None
    opened_at: str | None
    clicked_at: str | None
    last_opened_at: str | None
    last_clicked_at: str | None
    signals: list[tuple[int, Class, str]]


def judged(recipient: ToJudge) -> Found:
    """What is written down of a recipient once the rules have judged their signals."""
    verdicts = judge(recipient.mail, recipient.signals)
    told = list(zip(recipient.signals, verdicts, strict=True))
    clicks = [(signal, v.class_) for signal, v in told if signal.kind == "click"]
    opens = [(signal, v.class_) for signal, v in told if signal.kind == "open"]
    open_class, opened_at, last_opened_at = _together(opens)
    click_class, clicked_at, last_clicked_at = _together(clicks)
    return Found(
        id=recipient.id,
        due=recipient.due,
        open_class=open_class,
        click_class=click_class,
        opened_at=opened_at,
        clicked_at=clicked_at,
        last_opened_at=last_opened_at,
        last_clicked_at=last_clicked_at,
        signals=[
            (number, verdict.class_, verdict.reason)
            for number, verdict in zip(recipient.ids, verdicts, strict=True)
        ],
    )


def _together(
    signals: list[tuple[Signal, Class]],
) -> tuple[Class | None, str | None, str | None]:
    """The best class, when it was first, and when something was last that wasn't a machine's."""
    class_ = best(each for _, each in signals)
    first = _iso(signal.first_at for signal, each in signals if each == class_)
    last = _iso((signal.last_at for signal, each in signals if each != "machine"), latest=True)
    return class_, first, last


def _iso(times: Iterable[datetime], *, latest: bool = False) -> str | None:
    found = list(times)
    if not found:
        return None
    return (max(found) if latest else min(found)).isoformat()
