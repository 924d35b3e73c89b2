"""Sends the mails that ask people to confirm their sign-up.

Sent as the notices to the owner are, and not as background jobs: a mail needs the sender's account,
rate and quota, and a job that is done again after a crash would send it twice. The row is written
with the sign-up (ask_signup.sql), so none is missed over a restart, and claimed before the mail is
sent. A refusal that passes is tried again; who got none after an unknown outcome signs up again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import structlog

from app.domain.addresses import ascii_address, format_mailbox
from app.domain.reports.remedies import without_addresses
from app.domain.ses.answers import Answer
from app.domain.timed_tokens import SignupTokens
from app.running.stopping import Stopping
from app.services.sending.notices import FindWay, Notices, settled
from app.services.signup.texts import write_confirmation
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

RETRY_SECONDS = 60.0
MAX_WAIT_SECONDS = 5.0
NOTICE = "sign-up"
"""The value of the tag of these mails."""


class ConfirmationMail:
    """Needs SIGNUP, and what sending needs."""

    def __init__(
        self, store: Store, find_way: FindWay, settings: Settings, stopping: Stopping
    ) -> None:
        assert settings.ses_from_email is not None
        self._store = store
        self._settings = settings
        self._tokens = SignupTokens(settings.unsubscribe_secrets)
        self._from = format_mailbox(
            settings.from_name or settings.org_name, ascii_address(settings.ses_from_email)
        )
        self._find_way = find_way
        self._stopping = stopping
        self._notices = Notices(settings, stopping, "ses-signup")

    async def send_due(self) -> None:
        """Send every mail that is due, until a stop is asked for. Raises Unavailable."""
        while not self._stopping.asked and await self._send_next():
            pass

    def close(self) -> None:
        self._notices.close()

    async def _send_next(self) -> bool:
        """False: none is due, or SES doesn't let the account send now."""
        way = self._find_way()
        mail = await self._store.claim_signup_mail(way.region)
        if mail is None:
            return False
        if wait := mail.get("wait"):
            await self._stopping.sleep(min(wait, MAX_WAIT_SECONDS))
            return True
        token = self._tokens.sign(UUID(mail["id"]))
        link = f"{self._settings.app_base_url}/confirm?token={quote(token, safe='')}"
        answer = await self._notices.send(
            write_confirmation(self._settings, link),
            way,
            from_mailbox=self._from,
            to=mail["to"],
            about=NOTICE,
        )
        await self._settle(mail, answer)
        return True

    async def _settle(self, mail: dict[str, Any], answer: Answer) -> None:
        outcome = settled(answer)
        detail = without_addresses(answer.message or answer.code or "")
        await self._store.settle_signup_mail(
            mail["id"], outcome, detail=detail or None, retry_seconds=RETRY_SECONDS
        )
        if outcome == "sent":
            log.info("signup_mailed", signup=mail["id"])
        else:
            log.warning(
                "signup_not_mailed", signup=mail["id"], outcome=outcome or "later", error=detail
            )
