"""Who read what, and how the sender stands."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from typing_extensions import TypedDict

from app.api.answers.shared import Classes, Range
from app.domain.states import MailoutStatus, RecipientStatus


class Ranges(TypedDict):
    opens: Range
    clicks: Range


class ReaderRanges(Ranges):
    readers: Range


class LinkClicks(Classes):
    """place, position: where in the mail, if that is known. events: clicks, people or not."""

    url: str
    place: str | None
    position: int | None
    events: int


class Judged(TypedDict):
    rules: int
    people: int


class JudgedBy(TypedDict):
    version: int
    judged: list[Judged]


class ProviderEngagement(TypedDict):
    provider: str
    tracked: int
    opens: Classes
    clicks: Classes
    range: Ranges


class TagEngagement(TypedDict):
    tag: str
    tracked: int
    opens: Classes
    clicks: Classes
    range: Ranges


class MailoutEngagement(TypedDict):
    """People, not events. no_rate: why there is none. looked_at: for `providers` and `tags`.
    within: a share in a group of a tenth of the mails is told within so much, 19 of 20 times; null:
    everybody was looked at."""

    mailout_id: UUID
    tracking: bool
    status: MailoutStatus
    started_at: datetime | None
    partial: bool
    tracked: int
    opens: Classes
    clicks: Classes
    readers: Classes
    range: ReaderRanges
    no_rate: str | None
    waiting: int
    links: list[LinkClicks]
    rules: JudgedBy
    over_time: dict[str, Any] | None
    providers: list[ProviderEngagement]
    tags: list[TagEngagement]
    segment: dict[str, Any] | None
    estimated: bool
    looked_at: int
    within: float | None
    earlier: list[dict[str, Any]]
    reasons: list[dict[str, Any]]


class Period(TypedDict):
    """new, lost: people, by how. churn: the share of those at its beginning who were lost."""

    start: date
    end: date
    new: dict[str, int]
    back: int
    lost: dict[str, int]
    net: int
    active: int
    churn: float | None


class Growth(TypedDict):
    zone: str
    by: str
    active: int
    counted_since: datetime | None
    periods: list[Period]


class MailoutCost(TypedDict):
    """left: who left the list because of it."""

    id: UUID
    subject: str
    started_at: datetime | None
    tracking: bool
    delivered: int
    unsubscribed: int
    complained: int
    bounced: int
    left: int
    rate: float | None


class Quiet(TypedDict):
    """People without a human sign of life for so many days."""

    days: int
    tracked_mailouts: int
    active: int
    looked_at: int
    estimated: bool
    human: int
    possible: int
    silent: int
    not_judged: int


class ListEngagement(TypedDict):
    growth: Growth
    mailouts: list[MailoutCost]
    quiet: Quiet


class MailOfPerson(TypedDict):
    mailout_id: UUID
    subject: str
    status: RecipientStatus
    tracked: bool
    sent_at: datetime | None
    open_class: str | None
    click_class: str | None
    opened_at: datetime | None
    clicked_at: datetime | None
    signals: list[dict[str, Any]]


class PersonEngagement(TypedDict):
    mails: int
    tracked: int
    opens: Classes
    clicks: Classes
    range: Ranges
    first_human_at: datetime | None
    last_human_at: datetime | None
    last_possible_at: datetime | None
    waiting: int
    items: list[MailOfPerson]


class Verdict(TypedDict):
    level: str
    what: str
    remedy: str


class Alarm(Verdict):
    code: str
    since: datetime


class Share(TypedDict):
    """value, low, high: null where too few mails make a share."""

    count: int
    among: int
    value: float | None
    low: float | None
    high: float | None


class ProviderRates(TypedDict):
    provider: str
    delivered: int
    bounced: int
    soft_bounced: int
    suppressed: int
    complained: int
    delayed: int
    feedback: str
    bounce_rate: Share | None
    complaint_rate: Share | None


class ProviderDay(ProviderRates):
    day: date


class SentOnDay(TypedDict):
    """quota: what SES allowed that day."""

    day: date
    region: str
    sent: int
    quota: float | None


class Told(TypedDict):
    """state: `told`, `off` (not asked) or `unknown` (no answer came); why."""

    state: str
    items: list[dict[str, Any]]
    why: str


class RegionStanding(TypedDict):
    region: str
    taken_at: datetime
    account: dict[str, Any] | None
    account_why: str
    entities: Told
    ips: Told
    dnsbl: Told
    aws_lists: Told
    advice: Told
    isps: Told
    isps_at: str


class Standing(TypedDict):
    """rates: by how many days: `1`, `7` and `30`."""

    looked_at: datetime | None
    waiting: bool
    verdict: Verdict
    alarms: list[Alarm]
    rates: dict[str, list[ProviderRates]]
    days: list[ProviderDay]
    sent: list[SentOnDay]
    regions: list[RegionStanding]
