"""How the list grows and who is quiet: nobody is counted twice, and nobody is called inactive who
can't be judged."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any
from uuid import UUID

import pytest

from app.domain.readership.growth import churn, gains
from app.domain.readership.quiet import Tally, silent_rule
from app.services.readership.charts import draw
from app.services.readership.list_report import list_report, quiet_figures, quiet_file
from app.store import Store
from tests.engagement.conftest import Readership
from tests.support.factories import Arrange
from tests.support.service import BEARER

QUIET = "/subscribers/engagement"


async def as_(arrange: Arrange, by: str, statement: str, *values: Any) -> None:
    """What somebody does, in one transaction."""
    async with arrange.sql.transaction():
        await arrange.sql.execute("select acting(%s, 'because')", [by])
        await arrange.sql.execute(statement.encode(), values)


async def this_week(store: Store) -> dict[str, Any]:
    report = await list_report(store, 180, "week", 3)
    found: dict[str, Any] = report["growth"]["periods"][-1]
    return found


async def test_who_came_and_left_is_counted_by_how(store: Store, arrange: Arrange) -> None:
    add = (
        "insert into subscribers (email, status) "
        "select 'p' || n || '@' || %s, %s from generate_series(1, %s) n"
    )
    await as_(arrange, "import", add, "import.org", "active", 5)
    await as_(arrange, "key shop", add, "api.org", "active", 2)
    await as_(arrange, "sign-up", add, "signup.org", "pending", 3)
    await as_(arrange, "import", add, "gone.org", "unsubscribed", 4)  # never to be mailed
    confirm = "update subscribers set status = 'active' where email like %s"
    await as_(arrange, "sign-up", confirm, "p1@signup.org")
    leave = "update subscribers set status = %s where email = %s"
    await as_(arrange, "link", leave, "unsubscribed", "p1@import.org")
    await as_(arrange, "ses", leave, "bounced", "p2@import.org")
    await as_(arrange, "ses", leave, "complained", "p3@import.org")
    await as_(arrange, "dashboard", confirm, "p1@import.org")
    await as_(arrange, "database", "delete from subscribers where email = 'p1@api.org'")
    await store.erase_subscriber("p4@import.org", "owner")
    week = await this_week(store)
    assert week["new"] == {"import": 5, "api": 2, "sign-up": 1}
    assert week["back"] == 1
    assert week["lost"] == {
        "unsubscribed": 1, "bounced": 1, "complained": 1, "removed": 1, "erased": 1,
    }  # fmt: skip
    active = "select count(*) from subscribers where status = 'active'"
    assert week["net"] == week["active"] == await arrange.one(active) == 4
    # Added up, it says the same.
    await arrange.sql.execute("update list_moves set slot = slot - interval '2 hours'")
    before = await arrange.one("select jsonb_agg(people order by move, source) from list_moves")
    await arrange.sql.execute("select keep_house()")
    assert await arrange.one("select bool_and(merged) from list_moves")
    after = await arrange.one("select jsonb_agg(people order by move, source) from list_moves")
    assert after == before


async def told(store: Store) -> list[Any]:
    return [await store.list_growth(by, 40) for by in ("day", "week", "month")]


async def test_days_are_added_up_in_the_zone_of_the_service(
    direct_store: Store, arrange: Arrange
) -> None:
    """Some rows merged, some not, then another zone: always what the slots themselves say."""
    await arrange.subscribers(30)
    await arrange.sql.execute("truncate list_moves")
    await arrange.sql.execute(
        "insert into list_moves (slot, move, source, people) select list_slot(now() - n * "
        "interval '5 hours 50 minutes'), (array['new', 'back', 'bounced'])[1 + n % 3], "
        "(array['api', 'import'])[1 + n % 2], n from generate_series(1, 200) n"
    )

    async def in_slots() -> list[Any]:
        zone = await arrange.one("update list_moves_since set days_zone = null returning true")
        assert zone
        return await told(direct_store)

    for zone in ("UTC", "Pacific/Auckland", "America/St_Johns"):
        await direct_store.tell_timezone(zone)
        expected = await in_slots()
        for _ in range(3):
            await arrange.sql.execute("select merge_list_moves(40)")
            assert await told(direct_store) == expected
        assert await arrange.one("select days_zone from list_moves_since") == zone
        assert await arrange.one("select count(*) from list_days") > 30
        await arrange.subscriber(f"{zone[:3]}@example.com")  # and counted beside
    assert await told(direct_store) == await in_slots()
    await arrange.sql.execute("truncate subscribers cascade")
    assert await arrange.one("select count(*) from list_days") == 0


async def test_the_number_of_active_people_is_told_back_in_time(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscribers(10)
    await arrange.sql.execute("update list_moves set slot = slot - interval '14 days'")
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' "
        "where email in ('reader1@example.com', 'reader2@example.com')"
    )
    report = (await list_report(store, 180, "week", 4))["growth"]
    assert [one["active"] for one in report["periods"]] == [0, 10, 10, 8]
    assert [one["churn"] for one in report["periods"]] == [None, None, 0.0, 0.2]
    assert report["zone"] == "UTC"


async def reader(
    arrange: Arrange,
    email: str,
    mailout: UUID | None = None,
    open_class: str | None = None,
    days_ago: float = 10,
    again_days_ago: float | None = None,
    mail_days_ago: float = 20,
) -> UUID:
    """Somebody who got a mailout and opened it."""
    person = await arrange.subscriber(email)
    if mailout is None:
        return person
    row = await arrange.one(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "values (%s, %s, %s, 'delivered', now() - make_interval(hours => %s)) returning id",
        mailout, person, email, round(24 * mail_days_ago),
    )  # fmt: skip
    if open_class:
        seen = 24 * days_ago
        last = 24 * (days_ago if again_days_ago is None else again_days_ago)
        await arrange.sql.execute(
            "insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, "
            "open_class, opened_at, last_opened_at, rules) "
            "values (%s, %s, %s, %s, now() - make_interval(hours => %s), "
            "case when %s <> 'machine' then now() - make_interval(hours => %s) end, 1)",
            [row, mailout, person, open_class, round(seen), open_class, round(last)],
        )
        await arrange.sql.execute(
            "insert into engagement_signals (send_log_id, mailout_id, kind, slot, first_at, "
            "last_at, class, reason, rules) select %s, %s, 'open', at, at, "
            "now() - make_interval(hours => %s), %s, 'open', 1 "
            "from (select now() - make_interval(hours => %s) as at) x",
            [row, mailout, round(last), open_class, round(seen)],
        )
    return person


async def stage(arrange: Arrange) -> dict[str, str]:
    """People of every group: address → group in 30 days."""

    async def mailout(days_ago: int, hours: int = 0, **columns: Any) -> UUID:
        made = await arrange.mailout("sent", **columns)
        at = f"now() - interval '{days_ago} days {hours} hours'"
        await arrange.sql.execute(
            f"update mailouts set started_at = {at}, sent_at = {at} where id = %s", [made]
        )
        return made

    tracked = await mailout(20, tracking=True)
    long_ago = await mailout(101, tracking=True)
    today = await mailout(0, 12, tracking=True)
    untracked = await mailout(20)
    await reader(arrange, "human@gmail.com", tracked, "human")
    await reader(arrange, "again@gmail.com", long_ago, "human", 100, 5, mail_days_ago=101)
    await reader(arrange, "maybe@gmx.de", tracked, "unknown")
    await reader(arrange, "machine@gmx.de", tracked, "machine")
    await reader(arrange, "nothing@a.org", tracked)
    once = await reader(arrange, "once@a.org", long_ago, "human", 100, mail_days_ago=101)
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "values (%s, %s, 'once@a.org', 'delivered', now() - interval '20 days')",
        [tracked, once],
    )
    await reader(arrange, "old@b.org", long_ago, "human", 100, mail_days_ago=101)
    await reader(arrange, "today@b.org", today, mail_days_ago=0.5)
    await reader(arrange, "untracked@b.org", untracked)
    await reader(arrange, "=none@b.org")
    gone = await reader(arrange, "gone@b.org", tracked)
    await arrange.sql.execute("update subscribers set status = 'bounced' where id = %s", [gone])
    return {
        "maybe@gmx.de": "possible",
        "machine@gmx.de": "silent",
        "nothing@a.org": "silent",
        "once@a.org": "silent",
        "old@b.org": "not_judged",
        "today@b.org": "not_judged",
        "untracked@b.org": "not_judged",
        "'=none@b.org": "not_judged",
    }


async def rows_of(store: Store, *groups: str) -> dict[str, dict[str, str]]:
    text = "".join([part async for part in quiet_file(store, 30, groups)])
    return {row["email"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


async def test_nobody_is_called_quiet_who_cannot_be_judged(store: Store, arrange: Arrange) -> None:
    groups = await stage(arrange)
    figures = await quiet_figures(store, 30, 10)
    assert figures["active"] == figures["human"] + len(groups) == 10
    assert (figures["human"], figures["possible"], figures["silent"]) == (2, 1, 3)
    assert (figures["not_judged"], figures["estimated"]) == (4, False)
    told = {one["provider"]: one for one in figures["providers"]}
    assert told["Gmail"]["human"] == 2
    assert told["GMX and WEB.DE"]["possible"] == told["GMX and WEB.DE"]["silent"] == 1
    assert sum(one["not_judged"] for one in figures["providers"]) == 4
    rows = await rows_of(store, "possible", "silent", "not_judged")
    assert {email: row["group"] for email, row in rows.items()} == groups
    assert rows["once@a.org"]["last_human_at"]
    assert not rows["nothing@a.org"]["last_human_at"]
    assert rows["nothing@a.org"]["tracked_mails"] == "1"
    assert set(await rows_of(store, "silent")) == {
        email for email, group in groups.items() if group == "silent"
    }


async def test_of_a_long_list_a_sample_is_looked_at(store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(40)
    figures = await quiet_figures(store, 30, 40, reach=10)
    assert (figures["looked_at"], figures["estimated"]) == (10, True)
    assert (figures["active"], figures["not_judged"]) == (40, 40)


def test_a_rule_for_the_silent_names_tracked_mailouts_where_it_can() -> None:
    assert silent_rule(30, [], 0) is None
    nothing = [
        {"field": field, "op": "is_not", "value": "any", "days": 30}
        for field in ("opened", "clicked")
    ]
    got = {"field": "received", "op": "is", "value": "a"}
    assert silent_rule(30, ["a"], 1) == {"all": [got, *nothing]}
    any_of = {"any": [got, {**got, "value": "b"}]}
    assert silent_rule(30, ["a", "b"], 2) == {"all": [any_of, *nothing]}
    many = silent_rule(30, ["a"], 2)
    assert many is not None
    assert many["all"][0] == {"field": "received", "op": "is", "value": "any", "days": 30}


def test_a_rate_needs_five_mails() -> None:
    few = {"delivered": 4, "unsubscribed": 1, "complained": 0, "bounced": 0}
    assert churn(few)["rate"] is None
    assert churn({**few, "delivered": 9, "bounced": 1})["rate"] == 0.2


def test_a_chart_has_at_most_five_series_and_loses_nobody() -> None:
    new = {source: n for n, source in enumerate(("a", "b", "c", "d", "e", "f"), 1)}
    series = gains([{"new": new, "back": 7}])
    assert len(series) == 5
    assert series[-1].name == "all others"
    assert sum(one.total for one in series) == 28


def test_providers_beyond_the_first_are_one_row() -> None:
    tally = Tally()
    for n in range(30):
        tally.add({"seen": 1, "groups": {f"d{n}.org": {"silent": 1}, "": {"human": 1}}})
    [other] = tally.figures(60, whole=True)["providers"]
    assert (other["provider"], other["silent"], other["human"]) == ("Other", 30, 30)


@pytest.mark.short
async def test_over_http_and_on_the_page(readership: Readership) -> None:
    await stage(readership.arrange)
    report = await readership.json(f"{QUIET}?days=30&by=month&periods=2")
    assert (report["quiet"]["silent"], report["quiet"]["days"]) == (3, 30)
    assert len(report["growth"]["periods"]) == 2
    counted = await readership.service.http.post(
        "/audience/count", json={"audience": report["quiet"]["rule"]}, headers=BEARER
    )
    assert counted.json()["count"] == 3  # whom a segment of the rule has: the silent, nobody else
    assert {one["rate"] for one in report["mailouts"]} == {None, 0.0}  # under five, and more
    await readership.ask(f"{QUIET}?by=year", 422)
    await readership.ask(f"{QUIET}?days=0", 422)
    await readership.ask(f"{QUIET}?day=3", 422)
    file = await readership.ask(f"{QUIET}/quiet.csv?days=30&group=silent&group=possible")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(file.text.splitlines()) == 1 + 4
    stranger = await readership.service.http.get(f"{QUIET}/quiet.csv")
    assert stranger.status_code == 401

    page = await readership.visitor.get(f"{QUIET}?days=30&by=month")
    text = html.unescape(page.text)
    assert "<svg" in text
    for label, count in (("Seen reading", 2), ("Perhaps reading", 1), ("Nothing seen", 3)):
        assert f"</i>{label}</dt><dd>{count}<small>" in text
    assert "under five delivered" in text
    link = re.search(r'href="/dashboard(/segments/new\?[^"]+)"', page.text)
    assert link is not None
    segment = await readership.visitor.get(html.unescape(link[1]))
    assert segment.status_code == 200
    assert 'value="Nothing seen in 30 days"' in segment.text
    assert (await readership.visitor.get("/segments/new?rule=x")).status_code == 422
    offered = await readership.visitor.get(f"{QUIET}/quiet.csv?days=30&group=silent")
    assert offered.text.count("silent") == 3
    assert (await readership.visitor.get(f"{QUIET}?days=9999")).status_code == 404


async def test_an_empty_list_has_a_page(readership: Readership) -> None:
    await readership.arrange.sql.execute("truncate subscribers cascade")
    page = await readership.visitor.get(QUIET)
    assert "Nobody is active on the list" in page.text
    assert "No mailout was sent yet" in page.text


def test_charts_name_their_periods() -> None:
    period = {"start": "2026-11-01", "new": {"import": 2}, "back": 0, "lost": {}, "active": 2}
    active, came, left = draw([period], "month")
    assert "2 now" in active.svg
    assert "Nov 2026" in came.svg
    assert "2 imported" in came.svg
    assert left.empty
