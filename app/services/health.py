"""Is everything there that the service needs? Each check is bounded in time and kept for 2 s."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from app import __version__
from app.adapters.migrations import check_schema
from app.errors import AppError, ConfigurationError, Unavailable
from app.ports import Database
from app.services.account import REFRESH_SECONDS, AccountMonitor
from app.services.sender import Sender
from app.services.watchdog import Watchdog

CACHE_SECONDS = 2.0
CHECK_SECONDS = 2.0


class Health:
    """sender and account are None in a process that doesn't send."""

    def __init__(
        self,
        database: Database,
        missing: list[str],
        account: AccountMonitor | None,
        sender: Sender | None,
        watchdog: Watchdog,
    ) -> None:
        self._database = database
        self._missing = missing
        self._account = account
        self._sender = sender
        self._watchdog = watchdog
        self._lock = asyncio.Lock()
        self._report: tuple[int, dict[str, Any]] | None = None
        self._checked_at = float("-inf")

    async def __call__(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and report. 503: the database or its schema; SES or sending alone only
        degrades, since unsubscribing and events must go on."""
        async with self._lock:
            if self._report is None or time.monotonic() - self._checked_at > CACHE_SECONDS:
                self._report = await self._check()
                self._checked_at = time.monotonic()
            return self._report

    async def _check(self) -> tuple[int, dict[str, Any]]:
        database, migrations = await self._check_database()
        ses, sender = self._check_ses(), self._check_sender()
        answers = database["status"] == migrations["status"] == "ok"
        events = await self._check_events() if answers else {"status": "unknown"}
        checks = {
            "database": database,
            "migrations": migrations,
            "ses": ses,
            "sender": sender,
            "events": events,
        }
        if "fail" in {database["status"], migrations["status"]}:
            status = "fail"
        else:
            well = ses["status"] == events["status"] == "ok" and sender["status"] != "fail"
            status = "ok" if well else "degraded"
        return (503 if status == "fail" else 200), {
            "status": status,
            "version": __version__,
            "checks": checks,
        }

    async def _check_database(self) -> tuple[dict[str, Any], dict[str, Any]]:
        ok = {"status": "ok"}
        try:
            await asyncio.wait_for(check_schema(self._database), CHECK_SECONDS)
        except ConfigurationError as exc:
            return ok, {"status": "fail", "detail": exc.detail}
        except TimeoutError:
            slow = {"status": "fail", "detail": f"no answer within {CHECK_SECONDS:.0f} s"}
            return slow, {"status": "unknown"}
        except Unavailable as exc:
            return {"status": "fail", "detail": exc.detail}, {"status": "unknown"}
        except AppError as exc:
            return {"status": "fail", "detail": exc.title}, {"status": "unknown"}
        return ok, ok

    async def _check_events(self) -> dict[str, Any]:
        """What the watchdog found: each a sentence with its remedy. Never a reason for 503."""
        try:
            findings = await asyncio.wait_for(self._watchdog.findings(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return {"status": "unknown"}
        return {
            "status": "warn" if findings else "ok",
            "findings": [
                {"code": f.code, "count": f.count, "detail": f.what, "remedy": f.remedy}
                for f in findings
            ],
        }

    def _check_sender(self) -> dict[str, Any]:
        """Whether the sender gets its work done, which may fail where the database answers others:
        its disk is full, or a statement waits for a lock."""
        if self._sender is None:
            return {"status": "unknown", "detail": "this process does not send"}
        if trouble := self._sender.trouble:
            return {"status": "fail", "detail": trouble}
        return {"status": "ok"}

    def _check_ses(self) -> dict[str, Any]:
        if self._missing:
            return {"status": "not_configured", "detail": f"set {', '.join(self._missing)}"}
        if self._account is None:
            return {"status": "unknown", "detail": "this process does not send"}
        breaker = self._sender.breaker.state(time.monotonic()) if self._sender else None
        account = self._account.account
        report: dict[str, Any] = {"status": "ok"}
        if breaker is not None:
            report["breaker"] = breaker
        if (
            account is None
            or self._account.age_seconds > 3 * REFRESH_SECONDS
            or self._account.error
        ):
            report |= {"status": "fail", "detail": self._account.error or "not asked yet"}
        elif not account.can_send:
            report |= {"status": "fail", "detail": "SES does not let this account send"}
        elif breaker == "open":
            report |= {"status": "fail", "detail": "SES does not answer; trying again"}
        if account is not None:
            report["max_send_rate"] = account.max_send_rate
            report["sending_enabled"] = account.can_send
        return report
