"""Figures for metrics and pages, and signed-out sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from app.errors import MailoutNotFound
from app.store.calls import Calls, require, text


class ReportCalls(Calls):
    async def metrics_snapshot(self) -> dict[str, Any]:
        """Gives `queued`, `unknown` and `senders`, `mailouts` and `paused` as counts, `regions`."""
        row: dict[str, Any] = await self._call("metrics_snapshot")
        return row

    async def mailout_headline(self, mailout_id: UUID) -> dict[str, Any]:
        """A mailout as in the list. Raises MailoutNotFound."""
        row: dict[str, Any] | None = await self._call("mailout_headline", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return row

    async def mailout_overview(self) -> dict[str, Any]:
        """Gives `statuses` (mailouts of each) and those being `sending`, as listed."""
        row: dict[str, Any] = await self._call("mailout_overview")
        return row

    async def mailout_outcomes(self, mailout_id: UUID) -> dict[str, Any]:
        """Gives `counts` per status, `unsubscribed`, `rates` (`outcomes`, `bounces`, `complaints`;
        None before the first event), and `groups` of rows that went alike: each `status`,
        `error_code`, `bounce_type`, `bounce_subtype`, `n` and one `message`."""
        row: dict[str, Any] = await self._call("mailout_outcomes", p_mailout=str(mailout_id))
        return row

    async def mailout_series(self, mailout_id: UUID) -> dict[str, Any] | None:
        """Gives `start`, `step` (seconds), `steps` and `points` (`kind`, `step`, `n`); None when
        the mailout was never started."""
        row: dict[str, Any] | None = await self._call("mailout_series", p_mailout=str(mailout_id))
        return row

    async def sending_pace(self, mailout_id: UUID | None = None) -> float:
        """Recipients per second that SES accepted of late; None: of all mailouts."""
        return float(await self._call("sending_pace", p_mailout=text(mailout_id)))

    async def account_overview(self, region: str) -> dict[str, Any]:
        """Gives `account`, its age, `rate`, `pace`, `executors`, and the rates of `day` and
        `month`."""
        row: dict[str, Any] = await self._call("account_overview", p_region=region)
        return row

    async def engagement_totals(self, mailout_id: UUID) -> dict[str, Any] | None:
        """Gives `tracking`, `status`, `started_at`, `tracked`, `opens` and `clicks` (people per
        class), `judged`, `waiting`; None: there is no such mailout."""
        row: dict[str, Any] | None = await self._call(
            "engagement_totals", p_mailout=str(mailout_id)
        )
        return row

    async def engagement_links(self, mailout_id: UUID, limit: int) -> list[dict[str, Any]]:
        """Gives `url`, `place`, `position`, `pattern` (as in `mailout_links`), `events`, and people
        per class of each."""
        rows: list[dict[str, Any]] = await self._call(
            "engagement_links", p_mailout=str(mailout_id), p_limit=limit
        )
        return rows

    async def engagement_reasons(self, mailout_id: UUID) -> list[dict[str, Any]]:
        """Gives `kind`, `class`, `reason`, `people`, `events`."""
        rows: list[dict[str, Any]] = await self._call(
            "engagement_reasons", p_mailout=str(mailout_id)
        )
        return rows

    async def engagement_series(self, mailout_id: UUID) -> dict[str, Any] | None:
        """Gives `start` and `points`; None when the mailout was never started."""
        row: dict[str, Any] | None = await self._call(
            "engagement_series", p_mailout=str(mailout_id)
        )
        return row

    async def engagement_groups_slice(
        self, mailout_id: UUID, by: str, after: UUID, rows: int, *, segment: UUID | None = None
    ) -> dict[str, Any]:
        """The next rows of its ledger by `domain`, `tag` or `segment`: `people` who got it, the
        `last` subscriber (None: there are no more), and `groups`: each a name, how many they are,
        and per class (human, machine, unknown) who opened it and who clicked. Or `kept`, what is
        kept of a mailout without details: `whole`, `people` and `groups` as `Sample.told` has
        them."""
        row: dict[str, Any] = await self._call(
            "engagement_groups_slice",
            p_mailout=str(mailout_id),
            p_by=by,
            p_after=str(after),
            p_rows=rows,
            p_segment=text(segment),
        )
        if "kept" not in row:
            require(row, "groups", "people", "last")
        return row

    async def engagement_earlier(self, mailout_id: UUID, limit: int) -> list[dict[str, Any]]:
        """Gives `mailout`, as listed, and its `totals`; the latest first."""
        rows: list[dict[str, Any]] = await self._call(
            "engagement_earlier", p_mailout=str(mailout_id), p_limit=limit
        )
        return rows

    async def engagement_page(
        self, mailout_id: UUID, after: UUID, limit: int
    ) -> list[dict[str, Any]]:
        """What each recipient did, in the order of their subscribers' ids, after this one."""
        rows: list[dict[str, Any]] = await self._call(
            "engagement_page", p_mailout=str(mailout_id), p_after=str(after), p_limit=limit
        )
        return rows

    async def end_session(self, session: str, expires_at: datetime) -> None:
        await self._call("end_session", p_session=session, p_expires_at=expires_at.isoformat())

    async def session_ended(self, session: str) -> bool:
        ended: bool = await self._call("session_ended", p_session=session)
        return ended

    async def examine_database(self) -> dict[str, Any]:
        """Gives `synchronous_commit` (its `setting` and `source`) and `unusable_addresses`."""
        row: dict[str, Any] = await self._call("examine_database")
        return row
