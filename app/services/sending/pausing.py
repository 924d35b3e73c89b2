"""Pausing a mailout: for what, what the owner is told, and what then lets it go on.

    cause                                    code      goes on
    SES's answer concerns everybody          see _FOR_ANSWERS
    the account may not send (GetAccount)    account   by itself, once SES allows it
    the daily quota is used up               quota     by itself, as the quota frees
    too many bounces or complaints           guard     when a person resumes it

Only a mailout that is sending is paused (pause_mailout, pause_tripped): one that is paused already
keeps its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from app.domain.providers import NAMES, PROVIDERS, Provider
from app.domain.sending.batches import Account
from app.domain.sending.guards import GuardLimits, pause_reason
from app.domain.ses.answers import Halt
from app.domain.states import PauseCode
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 60.0
"""Between two questions to SES for its account (account.py); the quota's reason names it."""

_FOR_ANSWERS: dict[Halt, tuple[PauseCode, str]] = {
    "account": (
        "account",
        "SES does not let this account send; the mailout goes on by itself. SES says:",
    ),
    "configuration": (
        "account",
        "SES refuses the configuration; set it right and the mailout goes on by itself. SES says:",
    ),
    "not_ses": (
        "account",
        "Not SES but something in between refuses the calls, such as a proxy: check the network "
        "and AWS_ENDPOINT_URL_SESV2. The mailout goes on by itself. The answer was:",
    ),
    "content": ("held", "The content can't be sent with the present settings."),
    "template": (
        "held",
        "The template fails for every recipient alike, so it is none of theirs. Correct the data "
        "it needs and resume, or cancel and send a corrected copy.",
    ),
    "refused": (
        "held",
        "SES refuses every recipient alike, so it is nothing of theirs. Correct what SES names, "
        "then resume. SES says:",
    ),
    "unknown_status": (
        "held",
        "SES answers with a status that this version does not know, so who was accepted can't be "
        "told. Look for a newer version before you resume. SES says:",
    ),
}
"""Halts of a batch that pause its mailout: the code, and the reason before SES's own words. The
quota has a reason of its own; "throttled" and "unreachable" slow the sender down instead."""


class Pausing:
    """What the sender and the account monitor pause. All methods raise Unavailable."""

    def __init__(self, store: Store, region: str, routes: Sequence[str] | None = None) -> None:
        """region: the route whose answers these are. routes: all by which this process sends; None:
        this one alone."""
        self._store = store
        self._region = region
        self._provider = next((one for one in PROVIDERS if one == region), None)
        self._routes = tuple(routes or (region,))

    async def for_answers(self, mailout_id: UUID, halts: Mapping[Halt, str]) -> None:
        """Pause for what a batch of this mailout met. halts: with SES's words."""
        for halt, message in halts.items():
            if halt == "quota":
                await self.for_quota(mailout_id)
            elif halt in _FOR_ANSWERS:
                code, reason = _FOR_ANSWERS[halt]
                await self._stop(mailout_id, code, f"{reason} {message}".strip())

    async def for_quota(self, mailout_id: UUID) -> None:
        await self._stop(mailout_id, "quota", await self.quota_reason())

    async def for_stopped_account(self, mailout_id: UUID) -> None:
        """Its claim was refused, since SES had said that this account may not send."""
        await self._stop(
            mailout_id,
            "account",
            "SES does not let this account send; the mailout goes on by itself once it does.",
        )

    async def for_missing_route(self, mailout_id: UUID, kept: str) -> None:
        """kept: the only route that it may take. Another process may have that one."""
        if kept in self._routes:
            return
        moved = await self._store.hold_without_route(
            mailout_id,
            f"This mailout is kept to {kept}, from which nobody sends: add it to SES_REGIONS, or "
            f"let the mailout take any region (amazonsender mailouts update {mailout_id} --clear "
            "region). Then resume it.",
        )
        if moved.changed:
            log.warning("mailout_paused", mailout_id=str(mailout_id), reason=moved.status_reason)

    async def for_account(self, account: Account) -> None:
        """Pause every running mailout, because SES lets this account send nothing."""
        reason = account_reason(account)
        for mailout_id in (await self._store.sender_work()).sending:
            await self._stop(mailout_id, "account", reason)

    async def quota_reason(self) -> str:
        """Why a mailout waits for the daily quota, and until when as far as our ledger can tell:
        others who use the account may have used it, and free it, at other times."""
        asked = [await self._store.quota_frees_at(route) for route in self._routes]
        frees_at = min((at for at in asked if at is not None), default=None)
        if frees_at is None:
            return (
                "SES's daily quota is used up, though nothing was sent from here in the last 24 "
                "hours: others use this account. SES is asked again every "
                f"{REFRESH_SECONDS:.0f} seconds; the mailout goes on by itself."
            )
        minute = frees_at.astimezone(UTC) + timedelta(minutes=1, microseconds=-1)  # not too early
        return (
            "SES's daily quota is used up. It frees 24 hours after each mail, expected from about "
            f"{minute:%Y-%m-%d %H:%M} UTC on; the mailout goes on by itself."
        )

    async def _stop(self, mailout_id: UUID, code: PauseCode, reason: str) -> None:
        """By this route; the mailout is paused when no other can send it either, or when the cause
        is the mailout's own."""
        if self._provider:
            reason = of_provider(reason, self._provider)
        if code == "held":
            moved = await self._store.pause_mailout(mailout_id, code, reason)
        else:
            several = len(self._routes) > 1 and not self._provider
            moved = await self._store.block_route(
                mailout_id,
                self._region,
                code,
                f"No region can send it now. {self._region}: {reason}" if several else reason,
                routes=self._routes,
            )
        if moved.changed:
            log.warning("mailout_paused", mailout_id=str(mailout_id), reason=reason)
        elif code != "held" and moved.status == "sending":
            log.warning(
                "route_blocked", mailout_id=str(mailout_id), region=self._region, reason=reason
            )


def of_provider(reason: str, provider: Provider) -> str:
    """What is said of SES, said of a provider in its place."""
    reason = reason.replace("AWS_ENDPOINT_URL_SESV2", f"{provider.upper()}_API_URL")
    return f"SES can't send, and nor can {NAMES[provider]}: " + reason.replace(
        "SES", NAMES[provider]
    )


def silence_reason(route: str, regions: Sequence[str], next_try: datetime) -> str:
    """What a mailout shows that waits since this route does not answer. regions: all of SES from
    which this process sends."""
    who = "SES, which"
    if provider := next((one for one in PROVIDERS if one == route), None):
        who = f"SES, in whose place {NAMES[provider]}"
    elif len(regions) > 1:
        who = f"SES in {route}, which"
    return f"Waiting for {who} does not answer; next try at {next_try:%H:%M:%S} UTC."


def account_reason(account: Account) -> str:
    """Why nothing can be sent with an account of which `can_send` is false."""
    if account.enforcement_status == "SHUTDOWN":
        return (
            "Amazon SES has shut down sending for this account. Answer the case in the AWS "
            "console; the mailout goes on by itself when SES allows it."
        )
    return (
        "Sending is switched off for this SES account. Switch it on in the SES console; "
        "the mailout goes on by itself."
    )


def guard_limits(settings: Settings) -> GuardLimits:
    return GuardLimits(settings.bounce_rate_pause, settings.complaint_rate_pause)


class Guards:
    """Pauses what passes the limits. The database judges that (guards.sql) and stops claims in the
    transaction that stores the events, so this may come later and from any process."""

    def __init__(self, store: Store, limits: GuardLimits) -> None:
        self._store = store
        self.limits = limits

    async def enforce(self, mailout_id: UUID) -> None:
        """Pause the mailout if its rates, or the account's, are past their limits.

        A mailout with nobody left to send to is not paused, nor is one that a person has resumed
        since for the same figures. Raises Unavailable.
        """
        trip = await self._store.guard_trip(mailout_id, self.limits)
        if trip is None:
            return
        reason = pause_reason(trip)
        if (await self._store.pause_tripped(mailout_id, reason, self.limits)).changed:
            log.warning(
                "mailout_paused",
                mailout_id=str(mailout_id),
                reason=reason,
                guard=trip.rate,
                scope=trip.scope,
            )
