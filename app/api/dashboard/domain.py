"""`/dashboard/domain`: what receivers see in DNS of the domains that mail is sent from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import log_action
from app.api.http.deps import ServicesDep
from app.domain.dns.looks import Look, listed
from app.domain.dns.names import is_name, parents
from app.domain.dns.watched import COMES_AND_GOES, Alarm, Watched, again
from app.domain.providers import NAMES

DOMAIN = f"{HOME}/domain"
LIVE_SECONDS, QUIET_SECONDS = 10, 120
"""Between two looks at the page: while a look at DNS is due, or under way, and else."""
SOON = timedelta(minutes=10)
LEVELS = ("ok", "warn", "fail")

router = APIRouter(prefix=DOMAIN, route_class=Page, include_in_schema=False)

NOTICES = {
    "asked": "It is looked at now; this page shows it in a moment.",
    "unknown": "Nothing was changed: that domain isn’t watched.",
}


@router.get("")
async def show_domains(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    rows = await services.store.list_domain_checks()
    domains = sorted((_shown(row) for row in rows), key=lambda one: one.rank)
    alarms = sum(one.alarms for one in domains)
    return page(
        "domain.html",
        org_name=services.settings.org_name,
        session=session,
        section="account",
        here=DOMAIN,
        is_on=bool(services.settings.dns_resolvers),
        domains=domains,
        notice=NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if _is_soon(rows) else QUIET_SECONDS,
        spoken="A DNS record vanished" if alarms else "",
    )


@router.post("/look")
async def look_again(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    domain = form.get("domain", [""])[0]
    known = is_name(domain) and await services.store.ask_domain_check(domain)
    if known:
        log_action(session, "domain_look", domain=domain)
    return RedirectResponse(f"{DOMAIN}?notice={'asked' if known else 'unknown'}", 303)


def _is_soon(rows: list[dict[str, Any]]) -> bool:
    soon = datetime.now(UTC) + SOON
    return not rows or any(datetime.fromisoformat(row["next_at"]) < soon for row in rows)


@dataclass(frozen=True)
class Todo:
    """What is to be put right. alarm: it was in order before. name: of the record to publish, as
    most providers want it, and the end that they add by themselves."""

    look: Look
    alarm: Alarm | None = None
    name: tuple[str, str] = ("", "")

    @property
    def before(self) -> str:
        """The record as it was, where that isn't what is to be published again."""
        before = self.alarm.before if self.alarm else ""
        return "" if before == self._value else before

    @property
    def priority(self) -> str:
        """Of an MX record, which providers ask for on its own."""
        return self._value.partition(" ")[0] if self._is_mx else ""

    @property
    def value(self) -> str:
        return self._value.partition(" ")[2] if self._is_mx else self._value

    @property
    def _is_mx(self) -> bool:
        return self.look.publish is not None and self.look.publish.kind == "MX"

    @property
    def _value(self) -> str:
        return self.look.publish.value if self.look.publish else ""


@dataclass(frozen=True)
class Group:
    """What concerns the same ways of our mail. title: empty where there is one way."""

    title: str
    verdict: Look | None
    todo: list[Todo]
    fine: list[Look]


@dataclass(frozen=True)
class Shown:
    """title: the domain as people write it. verdict: what it comes to; None: not looked at yet."""

    domain: str
    title: str
    checked_at: str | None
    verdict: Look | None
    groups: list[Group]
    alarms: int

    @property
    def todo(self) -> int:
        return sum(len(group.todo) for group in self.groups)

    @property
    def fine(self) -> list[Look]:
        return [look for group in self.groups for look in group.fine]

    @property
    def rank(self) -> tuple[int, int, str]:
        levels = {"fail": 0, "warn": 1, "ok": 2}
        level = levels[self.verdict.level] if self.verdict else 1
        return (0 if self.alarms else 1, min(level, 1 if self.todo else 2), self.domain)


def _shown(row: dict[str, Any]) -> Shown:
    domain, looks = row["domain"], [Look.from_stored(one) for one in row["looks"]]
    alarms = dict(Watched.from_stored(row["watched"]).alarms)
    verdicts = [look for look in looks if look.code.startswith("verdict")]
    by_routes: dict[tuple[str, ...], list[Look]] = {}
    for look in looks:
        by_routes.setdefault(look.routes, []).append(look)
    several = len(verdicts) > 1
    groups = [
        _group(domain, _title(routes) if several else "", found, alarms)
        for routes, found in by_routes.items()
    ]
    # Those of which DNS tells nothing now.
    left = [
        Todo(Look("fail", one.what, _remedy(one), one.code, "missing"), one)
        for one in alarms.values()
    ]
    if left:
        groups.insert(0, Group("", None, left, []))
    return Shown(
        domain,
        readable(domain),
        row["checked_at"],
        max(verdicts, key=lambda look: LEVELS.index(look.level), default=None),
        groups,
        sum(1 for group in groups for one in group.todo if one.alarm),
    )


def _remedy(alarm: Alarm) -> str:
    """Of a record that may be there again, or of which DNS tells nothing now."""
    return COMES_AND_GOES if alarm.there_since else alarm.remedy


def _group(domain: str, title: str, looks: list[Look], alarms: dict[str, Alarm]) -> Group:
    todo: list[Todo] = []
    fine: list[Look] = []
    for look in looks:
        if look.code.startswith("verdict"):
            continue
        if look.level == "ok":
            fine.append(look)
            continue
        alarm = alarms.pop(look.code, None)
        look = again(look, alarm.before) if alarm else look
        name = _split(look.publish.name, domain) if look.publish else ("", "")
        todo.append(Todo(look, alarm, name))
    todo.sort(key=lambda one: (one.alarm is None, one.look.state == "unknown"))
    verdict = next((look for look in looks if look.code.startswith("verdict")), None)
    return Group(title, verdict, todo, fine)


def _title(routes: tuple[str, ...]) -> str:
    if not routes:
        return "Every mail"
    if routes[0] in NAMES.values():
        return f"{listed(routes)}, in place of Amazon SES"
    return f"Amazon SES in {listed(routes)}"


def _split(name: str, domain: str) -> tuple[str, str]:
    """`name`, and the end of it that belongs to the domain that was bought, as far as that can be
    told."""
    zone = next((one for one in parents(domain) if name.endswith(f".{one}")), "")
    return (name.removesuffix(f".{zone}"), f".{zone}") if zone else (name, "")


def readable(domain: str) -> str:
    """An internationalised domain in its own letters."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain
