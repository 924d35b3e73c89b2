"""Opens and clicks: what is to be judged, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.engagement.recipients import Found, ToJudge
from app.domain.engagement.signals import Link, Mail, Signal
from app.domain.mailouts import MailoutContent
from app.store.calls import Calls


class EngagementCalls(Calls):
    async def unread_links(self) -> tuple[UUID, MailoutContent, str] | None:
        """A started mailout whose document's links aren't noted yet, with its frozen content and
        that one's hash; None: there is none."""
        row = await self._call("unread_links")
        if row is None:
            return None
        return UUID(row["mailout_id"]), MailoutContent(**row["content"]), row["content_hash"]

    async def read_mailout_links(
        self, mailout_id: UUID, content_hash: str, links: Sequence[dict[str, str | None]]
    ) -> bool:
        """Note them, in their order (`tracked_links`). False: somebody has, or the content is
        another one by now."""
        done: bool = await self._call(
            "read_mailout_links",
            p_mailout=str(mailout_id),
            p_content_hash=content_hash,
            p_links=list(links),
        )
        return done

    async def claim_engagement(self, limit: int, lease_seconds: float) -> list[ToJudge]:
        """Recipients to be judged now, the longest waiting first; nobody else gets them meanwhile.
        Who gives no verdicts within the lease leaves them to the next."""
        rows = await self._call("claim_engagement", p_limit=limit, p_lease=lease_seconds)
        return [_to_judge(row) for row in rows]

    async def settle_engagement(self, rules: int, found: Sequence[Found]) -> int:
        """Write down what rules of this version found; gives of how many. Those about whom more has
        come since they were claimed are left out: they are due again."""
        rows = [asdict(one) for one in found]
        return int(await self._call("settle_engagement", p_rules=rules, p_recipients=rows))

    async def mark_engagement(
        self, after: int, rules: int | None, limit: int, by: str | None
    ) -> dict[str, Any]:
        """Have those of the next `limit` recipients judged again whom other rules judged than those
        of this version (None: all): `after` (None: there are no more), `looked` and `marked`.
        by: who asks, for the first slice."""
        row: dict[str, Any] = await self._call(
            "mark_engagement", p_after=after, p_rules=rules, p_limit=limit, p_by=by
        )
        return {"after": row["after"], "looked": row["looked"], "marked": row["marked"]}


def _to_judge(row: dict[str, Any]) -> ToJudge:
    signals = row["signals"]
    return ToJudge(
        id=row["id"],
        due=row["due"],
        mail=Mail(
            sent_at=_time(row["sent_at"]),
            delivered_at=_time(row["delivered_at"]),
            body_links=row["body"],
            footer_links=row["footer"],
        ),
        ids=tuple(signal["id"] for signal in signals),
        signals=tuple(map(_signal, signals)),
    )


def _signal(row: dict[str, Any]) -> Signal:
    link = Link(row["link"], row["place"], row["position"]) if row["link"] else None
    return Signal(
        kind=row["kind"],
        first_at=datetime.fromisoformat(row["first_at"]),
        last_at=datetime.fromisoformat(row["last_at"]),
        link=link,
        network=row["network"],
        agent=row["agent"],
        events=row["events"],
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
