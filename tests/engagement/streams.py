"""The made-up streams of streams.json, taken the whole road: from SES's payloads by way of labels
and folding to a verdict for each signal."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from app.domain.engagement.rules import judge
from app.domain.engagement.signals import Link, Mail, Signal, Verdict
from app.domain.ses.events import parse_ses_event

SLOT_SECONDS = 600

By = Literal["person", "machine", "either"]
"""Who did it. either: Apple's and Google's programs come by whether or not somebody reads."""


@dataclass(frozen=True)
class Judged:
    """A signal, who was in it, and what the rules said."""

    stream: str
    who: str
    by: By
    signal: Signal
    verdict: Verdict


def streams() -> list[dict[str, Any]]:
    text = Path(__file__).with_name("streams.json").read_text("utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


@functools.cache
def judged() -> list[Judged]:
    return [each for stream in streams() for each in _judged(stream)]


def _judged(stream: dict[str, Any]) -> Iterator[Judged]:
    events: list[dict[str, Any]] = stream["events"]
    delivered = [_time(e["delivery"]) for e in events if e["eventType"] == "Delivery"]
    mail = Mail(
        sent_at=_time(events[0]["mail"]),
        delivered_at=delivered[0] if delivered else None,
        body_links=len(stream["body"]),
        footer_links=len(stream["footer"]),
    )
    links = {url: Link(n, "body", n) for n, url in enumerate(stream["body"])}
    for n, url in enumerate(stream["footer"], start=len(links)):
        links[url] = Link(n, "footer", n)
    folded = list(fold(events, links))
    verdicts = judge(mail, [signal for signal, _ in folded])
    for (signal, by), verdict in zip(folded, verdicts, strict=True):
        yield Judged(stream["name"], stream["who"], by, signal, verdict)


def fold(events: list[dict[str, Any]], links: dict[str, Link]) -> Iterator[tuple[Signal, By]]:
    """As `engagement_signals` keeps them: one for each link, network, program and ten minutes. A
    signal with a person in it is a person's."""
    kept: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for event in events:
        if event["eventType"] == "Delivery":
            continue
        parsed = parse_ses_event(json.dumps(event), published_at=datetime.now(UTC))
        assert parsed is not None
        slot = parsed.occurred_at.timestamp() // SLOT_SECONDS
        what = parsed.engagement
        assert what is not None
        kept.setdefault((what.kind, what.link, what.network, what.agent, slot), []).append(event)
    for (kind, url, network, agent, _), found in kept.items():
        times = sorted(_time(event[kind]) for event in found)
        who: set[By] = {event["by"] for event in found}
        signal = Signal(
            kind=kind,
            first_at=times[0],
            last_at=times[-1],
            link=None if url is None else links.get(url),
            network=network,
            agent=agent,
            events=len(found),
        )
        yield signal, "person" if "person" in who else next(iter(sorted(who)))


def _time(about: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(about["timestamp"]).astimezone(UTC)


def links_of(body: int, footer: int) -> list[Link]:
    """Of a mail with so many, in order."""
    return [Link(n, "body" if n < body else "footer", n) for n in range(body + footer)]
