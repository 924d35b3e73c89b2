"""`POST /send-mailout`: start a mailout once, whoever asks and however often."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from app.domain.addresses import canonical_address
from app.domain.mailouts import Mailout
from app.domain.reports.findings import Finding
from app.errors import (
    AudienceEmpty,
    IdempotencyKeyReused,
    InvalidRequest,
    MailoutNotFound,
    MailoutNotReady,
    SesNotConfigured,
    TemplateInvalid,
    Unavailable,
)
from app.services.audience.changes import require_confirmed
from app.services.rendering import tasks
from app.services.rendering.renderer import RENDERER, Renderer
from app.services.sending.prepare import Prepared, prepare
from app.services.starting.send_warnings import send_warnings
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

FIRST = 100
"""Recipients for whom the template is tried, until it works for one."""
MAX_CHANGES = 5
"""How often the content may be edited between compiling and claiming before we give up."""

MAX_TEST_EMAILS = 20
"""A test is for a few who look at it; whoever sends to more means a mailout, with its ledger."""


@dataclass(frozen=True)
class SendRequest:
    """One request, in whichever form it came.

    mailout_id or notion_page (32 hex digits) names the mailout. key: what makes it a repeat
    (Idempotency-Key, or Notion's event and page); fingerprint: of the body, to refuse a key that is
    used again for something else. by: who asks, for the audit log. to: of a test, instead of
    TEST_EMAILS. confirm_audience: the number of recipients, by which the caller confirms that the
    audience has changed a lot.
    """

    mailout_id: UUID | None = None
    notion_page: str | None = None
    key: str | None = None
    fingerprint: str | None = None
    by: str | None = None
    to: tuple[str, ...] | None = None
    confirm_audience: int | None = None


def fingerprint(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def not_sent_from(region: str) -> tuple[str, str]:
    """What is wrong, and the remedy."""
    return (
        f"The mailout is kept to {region}, from which nothing is sent.",
        "add it to SES_REGIONS and restart, or let the mailout take any region.",
    )


def nobody_to_wake() -> None:
    """For a process without a sender: senders elsewhere look for work every second."""


class StartMailout:
    """wake: tells a sender in this process that there is work."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        wake: Callable[[], None] = nobody_to_wake,
        renderer: Renderer = RENDERER,
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._settings = settings
        self._wake = wake

    async def __call__(self, request: SendRequest) -> dict[str, Any]:
        """Gives the answer of the accepted request: mailout_id, status, recipients, warnings and,
        as far as they are known, quota_left, rate, seconds and days (send_outlook.sql).

        Raises MailoutNotFound, MailoutNotReady, AudienceEmpty, AudienceChanged, TemplateInvalid,
        SesNotConfigured, IdempotencyKeyReused, DatabaseUnavailable; then nothing was changed.
        """
        if earlier := await self._earlier(request):
            return earlier
        for _ in range(MAX_CHANGES):
            mailout = await self._find(request)
            if mailout.status != "ready":
                raise not_ready(mailout.id, mailout.status)
            self.require_configuration(tracking=mailout.content.tracking, kept=mailout.region)
            await self._store.announce_start()
            await self.check_start(mailout)
            await require_confirmed(
                self._store, mailout.id, mailout.status, request.confirm_audience
            )
            warnings = send_warnings(self._settings, mailout)
            claim = await self._store.claim_mailout(
                mailout.id,
                mailout.content_hash,
                request_key=request.key,
                request_hash=request.fingerprint,
                regions=self._settings.regions_for(mailout.region),
                rate_limit=self._settings.rate_limit_per_sec,
                warnings=warnings,
                by=request.by,
            )
            if claim.outcome in {"claimed", "repeat"}:
                assert claim.response is not None
                if claim.outcome == "claimed":
                    log.info(
                        "mailout_started",
                        mailout_id=str(mailout.id),
                        recipients=claim.response["recipients"],
                    )
                    if warnings:
                        log.warning(
                            "mailout_warnings", mailout_id=str(mailout.id), warnings=warnings
                        )
                    self._wake()
                return claim.response
            if claim.outcome == "key_reused":
                raise key_reused()
            if claim.outcome == "not_ready":
                raise not_ready(mailout.id, claim.status or "unknown")
            if claim.outcome == "audience_empty":
                raise audience_empty(mailout.id)
            if claim.outcome == "not_found":
                raise MailoutNotFound(f"There is no mailout {mailout.id}.")
        raise being_edited()

    async def test(self, request: SendRequest) -> dict[str, Any]:
        """Queue one mail for each of TEST_EMAILS, or of `to`; the mailout's state stays as it is.

        Raises InvalidRequest for more than MAX_TEST_EMAILS, and as above.
        """
        to = self._test_emails(request)
        if earlier := await self._earlier(request):
            return earlier
        for _ in range(MAX_CHANGES):
            mailout = await self._find(request)
            self.require_configuration(
                test=not to, tracking=mailout.content.tracking, kept=mailout.region
            )
            await self.check(mailout, test=True)
            queued = await self._store.queue_test(
                mailout.id,
                to,
                mailout.content_hash,
                request_key=request.key,
                request_hash=request.fingerprint,
                by=request.by,
            )
            if queued.outcome == "key_reused":
                raise key_reused()
            if queued.response is not None:
                break
        else:
            raise being_edited()
        if queued.outcome == "queued":
            self._wake()
            log.info(
                "test_queued",
                mailout_id=str(mailout.id),
                recipients=queued.response["recipients"],
            )
        return queued.response

    def _test_emails(self, request: SendRequest) -> tuple[str, ...]:
        """Each mailbox once."""
        to = self._settings.test_emails if request.to is None else request.to
        if request.to is not None and len(to) > MAX_TEST_EMAILS:
            raise InvalidRequest(f"to: at most {MAX_TEST_EMAILS} addresses.")
        return tuple({canonical_address(email): email for email in to}.values())

    async def _earlier(self, request: SendRequest) -> dict[str, Any] | None:
        """The answer of the accepted request that this one repeats; None: it is new.

        Raises IdempotencyKeyReused.
        """
        earlier = await self._store.find_send_request(request.key) if request.key else None
        if earlier is None:
            return None
        if earlier.body_hash != request.fingerprint:
            raise key_reused()
        return earlier.response

    async def _find(self, request: SendRequest) -> Mailout:
        mailout = await self._store.find_mailout(
            request.mailout_id, notion_page=request.notion_page
        )
        if mailout is None:
            raise MailoutNotFound(
                f"There is no mailout {request.mailout_id}."
                if request.mailout_id
                else "No mailout has this Notion page; set its notion_page_id to the page's id."
            )
        return mailout

    def require_configuration(
        self, *, test: bool = False, tracking: bool = False, kept: str | None = None
    ) -> None:
        """kept: the only region that the mailout takes."""
        missing = self._settings.missing_to_send()
        if kept is not None and not missing and kept not in self._settings.region_names:
            raise SesNotConfigured(
                Finding("fail", *not_sent_from(kept)).sentences, missing=["SES_REGIONS"]
            )
        if tracking and (untracked := self._settings.missing_to_track(kept)):
            missing.append(untracked)
        if test and not self._settings.test_emails:
            missing.append("TEST_EMAILS")
        if missing:
            raise SesNotConfigured(f"Set {', '.join(missing)} and restart.", missing=missing)

    async def check(self, mailout: Mailout, *, test: bool = False) -> None:
        """Compile it where it can do no harm, so that an error is found before the first mail
        leaves. Raises TemplateInvalid, which carries the mailout's status, and NotRendered."""
        await self._render(tasks.check_mailout, mailout, test)

    async def check_start(self, mailout: Mailout) -> None:
        """The same, and whether it works for one of the first recipients: what fails for everyone
        is the author's mistake, found here where it can still be corrected."""
        rows = await self._store.first_recipients(mailout.id, FIRST)
        await self._render(tasks.check_start, mailout, rows)

    async def _render(self, task: Callable[..., None], mailout: Mailout, *arguments: Any) -> None:
        try:
            await self._renderer(
                task,
                self._settings,
                mailout.content,
                mailout.id,
                *arguments,
                recipients=FIRST,
            )
        except TemplateInvalid as exc:
            exc.extra["mailout_status"] = mailout.status
            raise

    async def prepare(self, mailout: Mailout) -> Prepared:
        """Compile it in this process, which has to be one that does the work and not the one that
        answers requests. Raises as `check`, which comes first."""
        await self.check(mailout)
        return await asyncio.to_thread(prepare, self._settings, mailout.id, mailout.content)


def key_reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused("Use a new Idempotency-Key for another request.")


def being_edited() -> Unavailable:
    return Unavailable("The mailout is being edited right now; try again when that is done.")


def audience_empty(mailout_id: UUID) -> AudienceEmpty:
    return AudienceEmpty(
        f"Mailout {mailout_id} would reach nobody: no active subscriber is in its audience. "
        "Import subscribers, or correct the mailout's audience.",
        mailout_id=str(mailout_id),
        mailout_status="ready",
    )


def not_ready(mailout_id: UUID, status: str) -> MailoutNotReady:
    remedy = {
        "draft": "Set its status to ready first.",
        "scheduled": "It starts at its time; take the schedule back to send it now.",
        "sending": "It is being sent already.",
        "paused": "Resume it instead.",
    }.get(status, "Make a new mailout, or resend to those who were missed.")
    return MailoutNotReady(
        f"Mailout {mailout_id} is {status}, not ready. {remedy}",
        mailout_id=str(mailout_id),
        mailout_status=status,
    )
