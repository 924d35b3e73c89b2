"""Tracked mailouts with what their readers did, as it was judged, straight in the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.support.factories import Arrange

STARTED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_BEST = ("human", "unknown", "machine")


@dataclass
class Tracked:
    """One mailout. links: the rows of `mailout_links`, by their url."""

    arrange: Arrange
    id: UUID
    started: datetime = STARTED
    links: dict[str, int] = field(default_factory=dict)

    async def link(self, url: str, position: int | None = None, place: str | None = None) -> None:
        self.links[url] = await self.arrange.one(
            "insert into mailout_links (mailout_id, url, position, place) values (%s, %s, %s, %s) "
            "returning id",
            self.id, url, position, place,
        )  # fmt: skip

    async def reader(
        self,
        email: str,
        *,
        opened: str | None = None,
        clicked: Sequence[tuple[str, str]] = (),
        after: timedelta = timedelta(hours=1),
        events: int = 1,
        status: str = "delivered",
        tags: Sequence[str] = (),
        waits: bool = False,
        reasons: Mapping[str, str] | None = None,
    ) -> int:
        """opened: the class. clicked: url and class of each. after: from the start to the first.
        waits: it isn't judged yet."""
        arrange, at = self.arrange, self.started + after
        person = await arrange.one("select id from subscribers where email = %s", email)
        person = person or await arrange.subscriber(email, tags=list(tags))
        log: int = await arrange.one(
            "insert into send_logs (mailout_id, subscriber_id, email, status, attempts, sent_at) "
            "values (%s, %s, %s, %s, 1, %s) returning id",
            self.id, person, email, status, self.started,
        )  # fmt: skip
        done = [("open", 0, opened)] if opened else []
        done += [("click", self.links[url], name) for url, name in clicked]
        if not done and not waits:
            return log
        best = next((one for one in _BEST if one in {name for _, name in clicked}), None)
        await arrange.sql.execute(
            "insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, "
            "delivered_at, open_class, click_class, opened_at, clicked_at, rules, due_at) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, case when %s then now() end)",
            [log, self.id, person, self.started, opened, best, opened and at, best and at,
             None if waits else 1, waits],
        )  # fmt: skip
        for kind, link, name in done:
            await arrange.sql.execute(
                "insert into engagement_signals (send_log_id, mailout_id, kind, link_id, slot, "
                "first_at, last_at, events, class, reason, rules) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1)",
                [log, self.id, kind, link, at, at, at, events, name,
                 (reasons or {}).get(name, kind)],
            )  # fmt: skip
        return log


async def tracked(arrange: Arrange, status: str = "sent", **columns: Any) -> Tracked:
    """A mailout whose opens and clicks are tracked; tracking=False: aren't."""
    started = columns.get("started_at", STARTED)
    row = {"tracking": True, "started_at": started, "subject": "The letter", **columns}
    return Tracked(arrange, await arrange.mailout(status, **row), started)
