"""What the dashboard's pages show. `AnswerCache` keeps figures for 2 seconds and longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.reports.charts import Series, bars_over_time, step_labels
from app.domain.reports.findings import Finding
from app.domain.reports.lists import MailoutFilter
from app.domain.reports.progress import Progress, Rates, RouteFigures, figures_by_route
from app.domain.reports.remedies import remedy, without_addresses
from app.domain.reports.words import duration, part_name
from app.domain.sending.batches import Account
from app.services.checks.amazon.regions import join_regions
from app.services.checks.amazon.ses import check_account
from app.services.dashboard.answer_cache import AnswerCache
from app.services.drafts.subjects import Subjects
from app.services.lists.statement import reason
from app.services.watching.health import Health
from app.settings import Settings
from app.store import Store

PAGE_SIZE = 20
FRESH_SECONDS = 2.0
SETTLED_SECONDS = 30.0
"""The greatest age of a mailout's figures while it isn't being sent."""
FIGURES_WAIT_SECONDS = 0.5
"""How long the list of mailouts waits for their figures. After that the page is
shown without the missing ones, and asks again by itself."""
ACTIVE = frozenset({"sending", "paused"})

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Recipients that went alike. what, remedy: for people. words: the other side's."""

    status: str
    count: int
    what: str
    remedy: str
    words: str
    code: str


@dataclass(frozen=True)
class Outcomes:
    progress: Progress
    rates: Rates
    problems: tuple[Problem, ...]
    events: dict[str, Any]
    """Of how many accepted mails SES has told: `events` of `GET /mailouts/{id}`."""
    routes: tuple[RouteFigures, ...] = ()
    """By what its mails left, where that isn't one SES region alone."""


@dataclass(frozen=True)
class MailoutView:
    """mailout: as `GET /mailouts` lists it. outcomes: None while they are being counted.

    pace: recipients per second of late.
    """

    mailout: dict[str, Any]
    outcomes: Outcomes | None
    pace: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        if self.outcomes is None or self.mailout["status"] != "sending":
            return None
        return self.outcomes.progress.seconds_left(self.pace)

    @property
    def took(self) -> str | None:
        """How long it was under way, in words; None while it is."""
        started, ended = self.mailout["started_at"], self.mailout["sent_at"]
        if started is None or ended is None:
            return None
        return duration(
            (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
        ).removeprefix("about ")


@dataclass(frozen=True)
class MailoutList:
    """counts: of all mailouts, by status. pinned: those being sent, which `views` leaves out.
    more: whether there are older ones."""

    counts: dict[str, int]
    pinned: list[MailoutView]
    views: list[MailoutView]
    more: bool


@dataclass(frozen=True)
class Chart:
    title: str
    series: tuple[Series, ...]
    svg: str

    @property
    def empty(self) -> bool:
        return not any(one.total for one in self.series)


@dataclass(frozen=True)
class Timeline:
    """rows: a time and the values of every series, without steps in which nothing happened."""

    charts: tuple[Chart, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class RegionView:
    """Of one of several regions; as in AccountView."""

    name: str
    account: Account | None
    age: float | None
    rate: float | None
    used: float
    state: str
    """What `/health` says of it; empty: it sends."""


TOLD_APART = ("standing", "domain")
"""Checks whose warnings the page tells with a link to their own pages."""


@dataclass(frozen=True)
class AccountView:
    """regions: empty where there is one alone, of which the rest is; of several it is of the first,
    but for pace, day and month. account: None before SES was asked. age, in seconds: of what SES
    said. rate: recipients per second that hold; pace: that were sent of late. executors, health: as
    the store and `Health` give them."""

    region: str | None
    account: Account | None
    age: float | None
    rate: float | None
    pace: float
    used: float
    """Recipients of the daily quota."""
    day: Rates
    month: Rates
    executors: tuple[dict[str, Any], ...]
    health: dict[str, Any]
    findings: tuple[Finding, ...]
    regions: tuple[RegionView, ...] = ()

    @property
    def all_is_well(self) -> bool:
        checks = self.health["checks"]
        told_apart = (checks[name]["status"] for name in TOLD_APART if name in checks)
        return all(finding.level == "ok" for finding in self.findings) and set(told_apart) <= {"ok"}


class Dashboard:
    def __init__(
        self, store: Store, settings: Settings, health: Health, subjects: Subjects
    ) -> None:
        self._store = store
        self._settings = settings
        self._region = settings.home.name or None
        self._zone = ZoneInfo(settings.timezone)
        self._health = health
        self._subjects = subjects
        self._answers = AnswerCache()

    async def close(self) -> None:
        await self._answers.close()

    async def mailouts(
        self, status: str | None, q: str, before: tuple[str, str] | None
    ) -> MailoutList:
        """A page of the list, newest first. q: part of the subject. On the first page of all
        mailouts those being sent stand by themselves."""
        overview = await self._store.mailout_overview()
        wanted = MailoutFilter()
        if status:
            wanted["statuses"] = [status]
        if q:
            wanted["q"] = q
        rows = await self._store.list_mailouts(PAGE_SIZE + 1, wanted=wanted, before=before)
        first = not (status or q or before)
        pinned = overview["sending"] if first else []
        apart = {row["id"] for row in pinned}
        views = await self._views([*pinned, *(r for r in rows[:PAGE_SIZE] if r["id"] not in apart)])
        return MailoutList(
            counts=overview["statuses"],
            pinned=views[: len(pinned)],
            views=views[len(pinned) :],
            more=len(rows) > PAGE_SIZE,
        )

    async def _views(self, rows: list[dict[str, Any]]) -> list[MailoutView]:
        rows = await self._subjects.add_to(rows)
        asked = [self._ask_outcomes(row) for row in rows]
        paces = [await self._pace(row) for row in rows]
        waiting = [future for future in asked if future is not None and not future.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=FIGURES_WAIT_SECONDS)
        return [
            MailoutView(row, future.result() if future and future.done() else None, pace)
            for row, future, pace in zip(rows, asked, paces, strict=True)
        ]

    async def mailout(self, mailout_id: UUID) -> MailoutView:
        """Raises MailoutNotFound."""
        [row] = await self._subjects.add_to([await self._store.mailout_headline(mailout_id)])
        asked = self._ask_outcomes(row)
        outcomes = await asyncio.shield(asked) if asked else None
        return MailoutView(row, outcomes, await self._pace(row))

    async def timeline(self, view: MailoutView) -> Timeline | None:
        """None: it was never started."""
        if view.mailout["started_at"] is None:
            return None
        mailout_id = UUID(view.mailout["id"])
        return await self._fresh(
            ("timeline", mailout_id), partial(self._draw, mailout_id), self._age(view.mailout)
        )

    async def account(self) -> AccountView:
        return await self._fresh("account", self._account, FRESH_SECONDS)

    # Finding out

    def _ask_outcomes(self, row: dict[str, Any]) -> asyncio.Future[Outcomes] | None:
        if row["started_at"] is None:
            return None
        return self._answers.get(
            ("outcomes", row["id"], row["status"]),
            partial(self._outcomes, UUID(row["id"]), row["recipients"] or 0),
            keep_seconds=self._age(row),
        )

    async def _fresh(
        self, key: Hashable, find: Callable[[], Awaitable[T]], keep_seconds: float
    ) -> T:
        answer: T = await asyncio.shield(self._answers.get(key, find, keep_seconds=keep_seconds))
        return answer

    @staticmethod
    def _age(row: dict[str, Any]) -> float:
        return FRESH_SECONDS if row["status"] in ACTIVE else SETTLED_SECONDS

    async def _outcomes(self, mailout_id: UUID, expected: int) -> Outcomes:
        found = await self._store.mailout_outcomes(mailout_id)
        return Outcomes(
            Progress(found["counts"], found["unsubscribed"], expected),
            _rates(found["rates"]),
            tuple(sorted(map(_problem, found["groups"]), key=_urgency)),
            found["events"],
            figures_by_route(found["routes"]),
        )

    async def _pace(self, row: dict[str, Any]) -> float:
        if row["status"] != "sending":
            return 0.0
        return await self._fresh(
            ("pace", row["id"]), partial(self._store.sending_pace, UUID(row["id"])), FRESH_SECONDS
        )

    async def _draw(self, mailout_id: UUID) -> Timeline | None:
        found = await self._store.mailout_series(mailout_id)
        return None if found is None else await asyncio.to_thread(draw_timeline, found, self._zone)

    async def _account(self) -> AccountView:
        _, health = await self._health()
        found = await self._store.account_overview(self._region or "")
        regions = await self._regions(health)
        account = Account(**found["account"]) if found["account"] else None
        used = (account.sent_last_24h if account else 0) + found["taken_since_check"]
        return AccountView(
            region=self._region,
            account=account,
            age=found["account_age_seconds"],
            rate=found["rate"],
            pace=found["pace"],
            used=used,
            day=_rates(found["day"]),
            month=_rates(found["month"]),
            executors=tuple(found["executors"]),
            health=health,
            findings=tuple(
                findings(
                    self._settings,
                    {each.name: each.account for each in regions} or {self._region or "": account},
                    health,
                )
            ),
            regions=regions,
        )

    async def _regions(self, health: dict[str, Any]) -> tuple[RegionView, ...]:
        names = self._settings.region_names
        if len(names) < 2:
            return ()
        told = health["checks"]["ses"].get("regions", {})
        return tuple(
            RegionView(
                state["region"],
                Account(**state["account"]) if state["account"] else None,
                state["account_age_seconds"],
                state["rate"],
                state["used"],
                told.get(state["region"], {}).get("detail", ""),
            )
            for state in await self._store.region_states(names)
        )


def findings(
    settings: Settings, accounts: Mapping[str, Account | None], health: dict[str, Any]
) -> Iterator[Finding]:
    """What needs a person: of the settings, the accounts by region and this process's health."""
    for name in settings.missing_to_send():
        what = name.replace(" (", " is not set right (") if "(" in name else f"{name} is not set"
        yield Finding("fail", f"{what}, so nothing is sent.", "set it and restart.")
    if settings.dry_run_send:
        yield Finding("warn", "DRY_RUN_SEND is on: no mail leaves.", "remove it to send.")
    yield from join_regions(
        {
            name: list(check_account(settings.of_region(settings.region(name)), account))
            for name, account in accounts.items()
            if account is not None
        }
    )
    for name, check in health["checks"].items():
        what = f"{part_name(name)}: {check.get('detail', 'it does not work')}."
        if check["status"] == "fail":
            yield Finding("fail", what)
        elif name == "fallback" and check["status"] == "warn":
            yield Finding("warn", f"{check['detail']}.", "it ends once SES can send again.")
        elif name not in TOLD_APART and check["status"] == "warn" and "detail" in check:
            yield Finding("warn", what, "it is tried again by itself.")
        for found in check.get("findings", ()):  # the watchdog's
            yield Finding("warn", found["detail"], found["remedy"])


def _rates(figures: dict[str, int] | None) -> Rates:
    figures = figures or {"outcomes": 0, "bounces": 0, "complaints": 0}
    return Rates(figures["outcomes"], figures["bounces"], figures["complaints"])


def _problem(group: dict[str, Any]) -> Problem:
    code = group["error_code"] or ""
    if group["status"] == "bounced":
        code = " ".join(filter(None, (group["bounce_type"], group["bounce_subtype"])))
    words = without_addresses(" ".join((group["message"] or "").split()))
    what = reason({**group, "error_message": None})
    if group["status"] == "queued":
        what = "The last try failed; they wait for the next one."
    return Problem(
        status=group["status"],
        count=group["n"],
        what=what or words,
        remedy=remedy(
            group["status"], group["error_code"], group["bounce_type"], group["bounce_subtype"]
        ),
        words=words if what else "",
        code=code,
    )


_URGENCY = ("failed", "unknown", "bounced", "complained", "queued", "skipped")
"""What may need a decision comes first."""


def _urgency(problem: Problem) -> tuple[int, int]:
    return _URGENCY.index(problem.status), -problem.count


_CHARTS: tuple[tuple[str, tuple[tuple[str, frozenset[str]], ...]], ...] = (
    ("Accepted for sending", (("accepted", frozenset({"accepted"})),)),
    ("Delivered", (("delivered", frozenset({"delivery"})),)),
    (
        "Bounces, complaints, unsubscribes",
        (
            ("bounced", frozenset({"bounce", "suppressed", "reject", "rendering_failure"})),
            ("came back for now", frozenset({"soft_bounce"})),
            ("complained", frozenset({"complaint"})),
            ("unsubscribed", frozenset({"unsubscribe"})),
        ),
    ),
)


def draw_timeline(found: dict[str, Any], zone: ZoneInfo) -> Timeline:
    """found: what `Store.mailout_series` gives. zone: in which times are told."""
    steps = found["steps"]
    start, step = datetime.fromisoformat(found["start"]), timedelta(seconds=found["step"])
    charts = []
    for title, parts in _CHARTS:
        series = tuple(
            Series(name, _values(found["points"], kinds, steps)) for name, kinds in parts
        )
        said = ", ".join(f"{one.total:,} {one.name}" for one in series)
        charts.append(
            Chart(title, series, bars_over_time(f"{title}: {said}", series, start, step, zone))
        )
    everything = [one for chart in charts for one in chart.series]
    values = list(zip(*(one.values for one in everything), strict=True))
    times = step_labels(start, step, steps, zone)
    return Timeline(
        tuple(charts),
        tuple(one.name for one in everything),
        tuple((at, row) for at, row in zip(times, values, strict=True) if any(row)),
    )


def _values(points: list[dict[str, Any]], kinds: frozenset[str], steps: int) -> tuple[int, ...]:
    values = [0] * steps
    for point in points:
        if point["kind"] in kinds and point["step"] < steps:
            values[point["step"]] += int(point["n"])
    return tuple(values)
