"""What SES says of the account: rate, daily quota, whether it may send.

SES is asked once a minute, and every few seconds while the breaker is open: this question risks
nobody's mail, as the breaker's own probe does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from app.domain.sending.backoff import Breaker
from app.domain.sending.batches import Account
from app.errors import SesRefused, Unavailable
from app.ports import AccountSource
from app.running.loops import Loops
from app.services.sending.pausing import REFRESH_SECONDS, Pausing
from app.store import Store

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
"""Between two questions while SES doesn't answer, or the breaker is open."""


class AccountMonitor:
    """Keeps the database's picture of the account fresh and lets waiting mailouts go on."""

    def __init__(
        self,
        store: Store,
        source: AccountSource,
        region: str,
        wake: Callable[[], None],
        breaker: Breaker | None = None,
        routes: Sequence[str] | None = None,
    ) -> None:
        """routes: all by which this process sends; None: this one alone. breaker: the sender's.
        When GetAccount is answered again that was not before, it lets a probe go at once."""
        self._store = store
        self._breaker = breaker
        self._source = source
        self.region = region
        self._pausing = Pausing(store, region, routes)
        self._wake = wake
        several = len(routes or ()) > 1
        self._name = f"account {region}" if several else "account"
        # Not the loop's own threads: at a stop nobody waits for a question that hangs.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ses-account")
        self.account: Account | None = None
        self.error: str | None = None
        self._silent = False
        self._is_current = False
        self._checked_at = float("-inf")

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self._checked_at

    def start(self, loops: Loops) -> None:
        loops.start(self._name, self.look, RETRY_SECONDS)

    async def look(self) -> None:
        """Ask if it is time to: the last answer is old or missing, or the breaker is open."""
        silent = self._breaker is not None and self._breaker.probing
        if self._is_current and not silent and self.age_seconds < REFRESH_SECONDS:
            return
        self._is_current = False
        try:
            await self.refresh()
        except Unavailable as exc:
            log.warning("account_check_failed", error=exc.detail)
        else:
            self._is_current = True

    def doubt(self) -> None:
        """A mail was refused for the account: ask with the next look, not in a minute."""
        self._is_current = False

    async def refresh(self) -> Account:
        """Ask SES, record the answer, act on it. Raises Unavailable."""
        try:
            account = await asyncio.get_running_loop().run_in_executor(
                self._pool, self._source.get_account
            )
        except Unavailable as exc:
            self.error, self._silent = exc.detail, not isinstance(exc, SesRefused)
            raise
        if self._silent and self._breaker is not None:
            # Only after GetAccount itself had no answer: if it was answered all along while mails
            # were not, one more answer proves nothing about mails.
            self._breaker.try_now(time.monotonic())
        self.account, self.error, self._silent = account, None, False
        self._checked_at = time.monotonic()
        await self._store.record_account(self.region, account)
        if not account.can_send:
            await self._pausing.for_account(account)
        elif account.quota_left >= 1:
            resumed = await self._store.resume_waiting_mailouts(self.region)
            for mailout_id in resumed:
                log.info("mailout_resumed", mailout_id=str(mailout_id), by="account")
        else:
            await self._store.note_quota(await self._pausing.quota_reason())
        self._wake()
        return account


async def refresh_account(store: Store, region: str, source: AccountSource) -> None:
    """Ask SES once and record the answer, for a command in a process of its own.

    Raises Unavailable.
    """
    account = await asyncio.to_thread(source.get_account)
    await store.record_account(region, account)
