"""Is everything there that the service needs? Each check is bounded in time and kept for 2 s.

Another process may do the sending. This one knows of it what its sender wrote into the database
(sender_report.py), and from the supervisor whether it runs at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from app import __version__
from app.domain.providers.words import provider_name
from app.domain.reports.words import plural
from app.domain.sending.batches import Account
from app.errors import AppError, ConfigurationError, Unavailable
from app.running.loops import Loops
from app.services.sending.pausing import REFRESH_SECONDS
from app.services.sending.sender_report import details_by_loop
from app.services.watching.watchdog import Watchdog
from app.settings import Settings
from app.store import Store
from app.telemetry.counts import Board

CACHE_SECONDS = 2.0
FAILED_SECONDS = 0.1
"""A failure is kept for so long only: at a start, whoever asks before the sender has reported
learns soon that all is well."""
CHECK_SECONDS = 2.0

_UNKNOWN = {"status": "unknown"}
_NO_SENDER = {"status": "unknown", "detail": "this service does not send"}


class Health:
    """service_id: whose sender is asked about; None: this service has none. board: where the
    supervisor notes its processes."""

    def __init__(
        self,
        check_database: Callable[[], Awaitable[None]],
        store: Store,
        settings: Settings,
        watchdog: Watchdog,
        *,
        service_id: UUID | None,
        board: Board,
        loops: Loops,
    ) -> None:
        self._schema_fits = check_database
        self._store = store
        self._regions = settings.region_names
        self._missing = settings.missing_to_send()
        self._uses_notion = settings.uses_notion
        self._uses_slack = settings.uses_slack
        self._uses_queues = settings.uses_queues
        self._has_fallback = bool(settings.fallback_providers)
        self._uses_dns = bool(settings.dns_resolvers)
        self._watchdog = watchdog
        self._service_id = service_id
        self._board = board
        self._loops = loops
        self._lock = asyncio.Lock()
        self._report: tuple[int, dict[str, Any]] | None = None
        self._check_at = float("-inf")

    async def __call__(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and report. 503: the database, its schema, a process that is down, or a
        sender that can't send; SES alone only degrades, since unsubscribing and events go on."""
        async with self._lock:
            if time.monotonic() > self._check_at:
                self._report = await self._check()
                failed = self._report[0] != 200
                self._check_at = time.monotonic() + (FAILED_SECONDS if failed else CACHE_SECONDS)
            assert self._report is not None
            return self._report

    async def _check(self) -> tuple[int, dict[str, Any]]:
        database, migrations = await self._check_database()
        checks = {"database": database, "migrations": migrations}
        if database["status"] == migrations["status"] == "ok":
            found = await self._find_executor()
            checks["ses"], checks["sender"] = self._check_sending(found)
            checks["events"] = await self._check_events()
            if (hooks := await self._check_hooks()) is not None:
                checks["hooks"] = hooks
            if self._has_fallback:
                checks["fallback"] = await self._check_fallback()
            if (domain := await self._check_domain()) is not None:
                checks["domain"] = domain
            if (standing := await self._check_standing()) is not None:
                checks["standing"] = standing
        else:
            found = None
            checks |= {"ses": _UNKNOWN, "sender": _UNKNOWN, "events": _UNKNOWN}
        ill = self._ill_loops(found)
        checks["loops"] = _said_of(ill)
        if self._uses_queues:
            checks["queues"] = _said_of(
                {name: why for name, why in ill.items() if name.startswith("queue ")}
            )
        if self._uses_notion:
            checks["notion"] = await self._check_notion()
        if self._uses_slack:
            checks["slack"] = await self._check_slack()
        if self._board.is_supervised:
            checks["processes"] = self._check_processes()
        failed = {name for name, check in checks.items() if check["status"] == "fail"}
        if failed - {"ses"}:
            status = "fail"
        else:
            well = all(checks[name]["status"] == "ok" for name in ("ses", "events", "loops"))
            status = "ok" if well and checks["sender"]["status"] != "warn" else "degraded"
        return (503 if status == "fail" else 200), {
            "status": status,
            "version": __version__,
            "checks": checks,
        }

    async def _check_database(self) -> tuple[dict[str, Any], dict[str, Any]]:
        ok = {"status": "ok"}
        try:
            await asyncio.wait_for(self._schema_fits(), CHECK_SECONDS)
        except ConfigurationError as exc:
            return ok, {"status": "fail", "detail": exc.detail}
        except TimeoutError:
            slow = {"status": "fail", "detail": f"no answer within {CHECK_SECONDS:.0f} s"}
            return slow, _UNKNOWN
        except Unavailable as exc:
            return {"status": "fail", "detail": exc.detail}, _UNKNOWN
        except AppError as exc:
            return {"status": "fail", "detail": exc.title}, _UNKNOWN
        return ok, ok

    async def _check_events(self) -> dict[str, Any]:
        """What the watchdog found: each a sentence with its remedy. Never a reason for 503."""
        try:
            findings = await asyncio.wait_for(self._watchdog.findings(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        return {
            "status": "warn" if findings else "ok",
            "findings": [
                {"code": f.code, "count": f.count, "detail": f.what, "remedy": f.remedy}
                for f in findings
            ],
        }

    async def _check_notion(self) -> dict[str, Any]:
        """Whether the rows say the latest. Only a note: nothing that is sent waits for Notion."""
        try:
            found = await asyncio.wait_for(self._store.notion_writes_trouble(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        if found is None:
            return {"status": "ok"}
        rows = plural(found["rows"], "row")
        return {"status": "warn", "detail": f"{rows} couldn't be written: {found['error']}"}

    async def _check_slack(self) -> dict[str, Any]:
        """Whether the owner's Slack was told all. Only a note, as for Notion."""
        try:
            found = await asyncio.wait_for(self._store.slack_trouble(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        if found is None:
            return {"status": "ok"}
        mailouts = plural(found["mailouts"], "mailout")
        return {"status": "warn", "detail": f"not told of {mailouts}: {found['error']}"}

    async def _check_fallback(self) -> dict[str, Any]:
        """Whether another provider sends in SES's place. Only a note: mail goes out."""
        try:
            found = await asyncio.wait_for(self._store.fallback_state(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        if not found["open"]:
            return {"status": "ok"}
        detail = f"{provider_name(found['provider'])} sends in SES's place: {found['reason']}"
        return {"status": "warn", "provider": found["provider"], "detail": detail.rstrip(".")}

    async def _check_hooks(self) -> dict[str, Any] | None:
        """Whether those who are to be told are; None: there are no hooks. Only a note."""
        try:
            found = await asyncio.wait_for(self._store.hooks_overview(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        if not found["hooks"]:
            return None
        report = {
            "status": "ok",
            "waiting": found["waiting"],
            "dead": found["dead"],
            "oldest_seconds": round(found["oldest_seconds"]),
        }
        ill = [
            f"{plural(found[key], 'hook')} {words}"
            for key, words in (("ended", "ended"), ("failing", "can't be delivered to"))
            if found[key]
        ]
        if ill:
            detail = f"{', '.join(ill)}; see the page of hooks"
            return report | {"status": "warn", "detail": detail}
        return report

    async def _check_domain(self) -> dict[str, Any] | None:
        """Whether the sender's records are still in DNS; None: nobody looks. Only a note."""
        if not self._uses_dns:
            return None
        try:
            found = await asyncio.wait_for(self._store.domain_alarms(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        if found is None:
            return _UNKNOWN | {"detail": "not looked at yet"}
        if not found["alarms"]:
            return {"status": "ok"}
        first = found["alarms"][0]["what"]
        more = len(found["alarms"]) - 1
        detail = f"{first} And {more} more." if more else first
        return {"status": "warn", "detail": f"a DNS record vanished: {detail}"}

    async def _check_standing(self) -> dict[str, Any] | None:
        """Alarms about how others see the sender; None: nobody looked yet. Only a note."""
        try:
            found = await asyncio.wait_for(self._store.standing_alarms(), CHECK_SECONDS)
        except (TimeoutError, AppError):
            return _UNKNOWN
        if found["looked_at"] is None:
            return None
        if not found["alarms"]:
            return {"status": "ok"}
        first, more = found["alarms"][0]["what"], len(found["alarms"]) - 1
        return {"status": "warn", "detail": f"{first} And {more} more." if more else first}

    def _check_processes(self) -> dict[str, Any]:
        """Those of the supervisor: which run, and how often each was started again."""
        rows = self._board.rows.items()
        down = [role for role, row in rows if not row.pid]
        report: dict[str, Any] = {"status": "fail" if down else "ok"}
        if down:
            report["detail"] = f"{', '.join(down)} ended and is being started again; see the log"
        return report | {"restarts": {role: row.restarts for role, row in rows}}

    async def _find_executor(self) -> dict[str, Any] | None:
        """What the sender of this service says; None when the database can't be asked for it."""
        if self._missing:
            return None
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                found = await self._store.executor_state(self._service_id, self._regions[0])
                if len(self._regions) > 1:
                    found["regions"] = await self._store.region_states(self._regions)
                return found
        except (TimeoutError, AppError):
            return None

    def _check_sending(self, found: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """SES, and the sender."""
        if self._missing:
            missing = {"status": "not_configured", "detail": f"set {', '.join(self._missing)}"}
            return missing, missing
        if found is None:
            return _UNKNOWN, _UNKNOWN
        if self._service_id is None:
            return _check_ses(found), _NO_SENDER
        return _check_ses(found), sender_check(found["executor"])

    def _ill_loops(self, found: dict[str, Any] | None) -> dict[str, str]:
        """Which loops, of this process and of the one that sends, don't do their work now. When
        that stops sending, the check `sender` says so, too."""
        executor = (found or {}).get("executor")
        ill = details_by_loop(self._loops.troubles)
        if executor is not None and executor["alive"]:
            ill |= executor["state"].get("loops", {})
        return ill


def _said_of(ill: dict[str, str]) -> dict[str, Any]:
    if not ill:
        return {"status": "ok"}
    detail = "; ".join(f"{loop}: {why}" for loop, why in sorted(ill.items()))
    return {"status": "warn", "detail": detail}


def sender_check(executor: dict[str, Any] | None) -> dict[str, Any]:
    """Whether the sender gets its work done. It may fail although the database answers this check:
    when the disk is full, or a lock is held. warn: that may be over in a moment. executor: as
    `executor_state` gives it."""
    if executor is None:
        return {"status": "fail", "detail": "it has not reported yet"}
    if not executor["alive"]:
        silent = executor["silent_seconds"]
        detail = f"its heartbeat has been missing for {silent:.0f} s: it may hang; see the log"
        return {"status": "fail", "detail": detail}
    state = executor["state"]
    if trouble := state.get("trouble"):
        return {"status": "fail" if state.get("stops_sending") else "warn", "detail": trouble}
    return {"status": "ok"}


def _check_ses(found: dict[str, Any]) -> dict[str, Any]:
    """Of several regions: whether any sends, and of each how it is."""
    if "regions" not in found:
        return ses_check(found)
    executor = found["executor"] or {"state": {}}
    told = executor["state"].get("routes", {})
    reports = {
        state["region"]: ses_check(
            state | {"executor": executor | {"state": told.get(state["region"], {})}}
        )
        for state in found["regions"]
    }
    return join_reports(reports)


def join_reports(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One report of several regions, the preferred first. warn: some can't send, others do."""
    ill = [f"{name}: {one['detail']}" for name, one in reports.items() if one["status"] != "ok"]
    report: dict[str, Any] = {"status": "ok"}
    if ill:
        report = {"status": "warn" if len(ill) < len(reports) else "fail", "detail": "; ".join(ill)}
    return report | {
        "max_send_rate": sum(one.get("max_send_rate", 0) for one in reports.values()),
        "sending_enabled": any(one.get("sending_enabled", False) for one in reports.values()),
        "regions": reports,
    }


def ses_check(found: dict[str, Any]) -> dict[str, Any]:
    """What senders know of SES in one region. found: what `executor_state` gives."""
    state = found["executor"]["state"] if found["executor"] else {}
    account = Account(**found["account"]) if found["account"] else None
    age, error, breaker = (
        found["account_age_seconds"],
        state.get("account_error"),
        state.get("breaker"),
    )
    report: dict[str, Any] = {"status": "ok"}
    if breaker is not None:
        report["breaker"] = breaker
    if account is None or error:
        report |= {"status": "fail", "detail": error or "not asked yet"}
    elif age > 3 * REFRESH_SECONDS:
        report |= {"status": "fail", "detail": f"not asked for {age:.0f} s"}
    elif not account.can_send:
        report |= {"status": "fail", "detail": "SES does not let this account send"}
    elif breaker == "open":
        report |= {"status": "fail", "detail": "SES does not answer; trying again"}
    if account is not None:
        report |= {"max_send_rate": account.max_send_rate, "sending_enabled": account.can_send}
    return report
