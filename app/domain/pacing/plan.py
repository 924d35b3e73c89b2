"""A warm-up's plan: how many mails may go out on each day, in all and to single providers."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.pacing.mailboxes import mailbox

MAX_DAYS = 400
MAX_CAP = 1_000_000_000
MAX_PROVIDERS = 30
MAX_CSV_CHARS = 200_000

STANDARD_FIRST = 50
STANDARD_DOUBLES_UNTIL = 1_000
STANDARD_GROWTH = 1.5
STANDARD_PROVIDERS = ("Gmail", "Outlook.com", "Yahoo and AOL")
STANDARD_SHARE = 0.5
STANDARD_TARGET = 50_000


@dataclass(frozen=True)
class Day:
    """total: mails to everybody together. providers: of them at most, by `mailbox` key."""

    total: int
    providers: Mapping[str, int] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        return {"total": self.total, "providers": dict(self.providers)}


Plan = tuple[Day, ...]


class PlanInvalid(ValueError):
    """Says which day is wrong, and what to write."""


def standard_plan(target: int = STANDARD_TARGET) -> Plan:
    """From 50 mails a day to `target`, which is the last day's: twice as many each day up to 1,000,
    half as many again from there on, and at most half of a day's to any of the three largest
    providers, each of which forms an opinion of its own.

    No provider publishes its limits. Published ramps for a new domain or IP address begin with 50
    to 200 a day, double at first and take two to six weeks; Google asks to increase the volume
    slowly, beginning with people who read, and to watch the answers; SES's own warm-up of dedicated
    addresses takes 45 days. This one is careful where it matters, at the beginning.

    Raises PlanInvalid.
    """
    if not STANDARD_FIRST <= target <= MAX_CAP:
        raise PlanInvalid(f"the target is between {STANDARD_FIRST} and {MAX_CAP:,} mails a day")
    caps, cap = [], float(STANDARD_FIRST)
    while cap < target:
        caps.append(min(target, _round(cap)))
        cap *= 2 if cap < STANDARD_DOUBLES_UNTIL else STANDARD_GROWTH
    caps.append(target)
    shares = [{p: max(1, int(cap * STANDARD_SHARE)) for p in STANDARD_PROVIDERS} for cap in caps]
    return tuple(Day(cap, share) for cap, share in zip(caps, shares, strict=True))


def _round(cap: float) -> int:
    """To two figures, as people write plans."""
    return int(float(f"{cap:.1e}"))


def read_plan(rows: Any) -> Plan:
    """From JSON: `[{"total": 50, "providers": {"Gmail": 20}}, …]`, a day each; or plain numbers.

    Raises PlanInvalid.
    """
    if not isinstance(rows, list) or not rows:
        raise PlanInvalid('a plan is a list of days, like [{"total": 50}, {"total": 100}]')
    return _checked([_day(number, row) for number, row in enumerate(rows, 1)])


def read_csv(text: str) -> Plan:
    """From CSV: a column `total`, others named after a provider or a domain (`gmail.com`); a column
    `day`, where there is one, counts from 1. An empty field is no limit of its own.

    Raises PlanInvalid.
    """
    if len(text) > MAX_CSV_CHARS:
        raise PlanInvalid(f"the file is longer than {MAX_CSV_CHARS:,} characters")
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip("\ufeff")), _dialect(text), strict=True))
    except csv.Error as exc:
        raise PlanInvalid(f"the file is no CSV: {exc}") from exc
    lines = [
        [cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)
    ]
    if not lines:
        raise PlanInvalid("the file is empty: it needs a heading with the column total")
    heading = [name.lower() for name in lines[0]]
    if heading.count("total") != 1:
        raise PlanInvalid("the heading needs one column named total")
    days = []
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(heading):
            raise PlanInvalid(
                f"day {number}: {len(line)} fields, and the heading has {len(heading)}"
            )
        row = dict(zip(heading, line, strict=True))
        if "day" in row and row.pop("day") != str(number):
            raise PlanInvalid(f"day {number}: the column day counts from 1, without a gap")
        total = row.pop("total")
        providers = {name: _number(cell) for name, cell in row.items() if cell}
        days.append(_day(number, {"total": _number(total), "providers": providers}))
    if not days:
        raise PlanInvalid("the file has a heading and no day")
    return _checked(days)


def _dialect(text: str) -> type[csv.Dialect]:
    class Found(csv.excel):
        delimiter = ";" if ";" in text.split("\n", 1)[0] else ","

    return Found


def _number(cell: str) -> Any:
    """A number as people write it: `1,000`, `1.000` and `1 000`; else the text itself."""
    if re.fullmatch(r"[0-9]+|[0-9]{1,3}(?:[,. '][0-9]{3})+", cell, re.ASCII):
        return int(re.sub(r"[^0-9]", "", cell))
    return cell


def _day(number: int, row: Any) -> Day:
    if isinstance(row, int) and not isinstance(row, bool):
        row = {"total": row}
    if not isinstance(row, dict) or not row.keys() <= {"total", "providers"} or "total" not in row:
        raise PlanInvalid(f'day {number}: write {{"total": 50}}, with "providers" if you like')
    total = _cap(number, "total", row["total"], least=1)
    given = row.get("providers") or {}
    if not isinstance(given, dict):
        raise PlanInvalid(f'day {number}: providers is an object, like {{"gmail.com": 20}}')
    if len(given) > MAX_PROVIDERS:
        raise PlanInvalid(f"day {number}: more than {MAX_PROVIDERS} providers")
    providers: dict[str, int] = {}
    for name, cap in given.items():
        try:
            key = mailbox(str(name))
        except ValueError as exc:
            raise PlanInvalid(f"day {number}: {exc}") from exc
        if key in providers:
            raise PlanInvalid(f"day {number}: {key} is named twice")
        providers[key] = min(total, _cap(number, str(name), cap, least=0))
    return Day(total, providers)


def _cap(number: int, name: str, cap: Any, *, least: int) -> int:
    if isinstance(cap, int) and not isinstance(cap, bool) and least <= cap <= MAX_CAP:
        return cap
    raise PlanInvalid(f"day {number}: {name} is a whole number from {least} to {MAX_CAP:,}")


def _checked(days: Sequence[Day]) -> Plan:
    if len(days) > MAX_DAYS:
        raise PlanInvalid(f"a plan has at most {MAX_DAYS} days")
    for number, (before, day) in enumerate(itertools.pairwise(days), 2):
        if day.total < before.total:
            raise PlanInvalid(
                f"day {number}: {day.total:,} is less than the day before: a warm-up's caps grow"
            )
    return tuple(days)


def to_csv(plan: Plan) -> str:
    """What `read_csv` reads."""
    providers = list(dict.fromkeys(key for day in plan for key in day.providers))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["day", "total", *providers])
    for number, day in enumerate(plan, 1):
        writer.writerow([number, day.total, *(day.providers.get(key, "") for key in providers)])
    return out.getvalue()
