"""Calls the functions of `migrations/functions/slack/slack_messages.sql` by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from app.domain.reports.so_far import Mailout
from app.domain.slack.news import Due, Place, Told
from app.store.calls import Calls, require


@dataclass(frozen=True)
class Settled:
    """How a try ended. place, told: as they are now. error: in plain words; None: it went well.
    next_seconds: when to look again; None: when something changes. rest_seconds: how long Slack is
    left alone; None: it wasn't asked. concerns_all: any other mailout would have fared the same."""

    place: Place | None
    told: Told
    error: str | None = None
    next_seconds: float | None = None
    rest_seconds: float | None = None
    concerns_all: bool = False


class SlackCalls(Calls):
    async def claim_slack_message(self, lease_seconds: float, gap_seconds: float) -> Due | None:
        """The next mailout that is due, held for `lease_seconds`; None: none is, or Slack is left
        alone still. gap_seconds: between two requests of all processes."""
        row: dict[str, Any] | None = await self._call(
            "claim_slack_message", p_lease_seconds=lease_seconds, p_gap_seconds=gap_seconds
        )
        if row is None:
            return None
        return Due(
            mailout_id=UUID(row["mailout_id"]),
            claim=row["claim"],
            turn=row["turn"],
            place=Place(**row["place"]) if row["place"] else None,
            told=Told(row["told"].get("digest"), tuple(row["told"].get("keys", ()))),
            failures=row["failures"],
            slack_failures=row["slack_failures"],
            error=row["error"],
            error_age=float(row["error_age"] or 0),
        )

    async def slack_facts(self, mailout_id: UUID) -> Mailout | None:
        """None: it is gone."""
        row: dict[str, Any] | None = await self._call("slack_facts", p_mailout=str(mailout_id))
        if row is not None:
            require(row, "status", "counts", "notice")
        return row

    async def settle_slack_message(self, due: Due, done: Settled) -> bool:
        """False: the mailout was no longer ours, and nothing changed."""
        ours: bool = await self._call(
            "settle_slack_message",
            p_mailout=str(due.mailout_id),
            p_claim=due.claim,
            p_result={
                "place": asdict(done.place) if done.place else None,
                "told": {"digest": done.told.digest, "keys": list(done.told.keys)},
                "error": done.error,
            },
            p_next_seconds=done.next_seconds,
            p_turn=due.turn,
            p_rest_seconds=done.rest_seconds,
            p_concerns_all=done.concerns_all,
        )
        return ours

    async def slack_trouble(self) -> dict[str, Any] | None:
        """Of how many `mailouts` Slack couldn't be told, `since` when, and the latest `error`;
        None: of each it was, or that waits for its turn."""
        row: dict[str, Any] | None = await self._call("slack_trouble")
        if row is not None:
            require(row, "mailouts", "since", "error")
        return row

    async def slack_trouble_of(self, mailout_id: UUID) -> dict[str, Any] | None:
        """`error` and `since` of the mailout; None: Slack could be told of it."""
        row: dict[str, Any] | None = await self._call("slack_trouble_of", p_mailout=str(mailout_id))
        if row is not None:
            require(row, "error", "since")
        return row
