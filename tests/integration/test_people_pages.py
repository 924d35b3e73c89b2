"""The dashboard's pages about subscribers: what they show, and what their forms do."""

from __future__ import annotations

import html
import re
from typing import Any
from uuid import UUID

from tests.support.dashboard import Visitor
from tests.support.factories import Arrange

PEOPLE = "/subscribers"


async def shown(visitor: Visitor, path: str = "", status: int = 200) -> str:
    answer = await visitor.get(f"{PEOPLE}{path}")
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


def listed(page: str) -> list[str]:
    return re.findall(r'<a href="/dashboard/subscribers/[0-9a-f-]{36}">(.+?)</a>\n', page)


async def row(arrange: Arrange, person: UUID) -> dict[str, Any]:
    found: dict[str, Any] = await arrange.one(
        "select to_jsonb(s) from subscribers s where id = %s", person
    )
    return found


async def test_the_list_is_searched_filtered_and_paged(visitor: Visitor, arrange: Arrange) -> None:
    assert "Nobody is on the list yet" in await shown(visitor)
    for n in range(55):
        await arrange.subscriber(f"u{n:02}@example.com", tags=["first"] if n < 3 else [])
    await arrange.subscriber("x@elsewhere.org", name="<b>Ann</b> Smith", status="bounced")
    page = await shown(visitor)
    assert "All <b>56</b>" in page
    assert "Bounced <b>1</b>" in page
    assert len(listed(page)) == 50
    following = re.search(r'href="/dashboard/subscribers(\?[^"]+)">Next page', page)
    assert following is not None
    rest = [f"u{n}@example.com" for n in range(50, 55)]
    assert listed(await shown(visitor, following[1])) == [*rest, "<b>Ann</b> Smith"]
    assert "&lt;b&gt;Ann" in (await visitor.get(f"{PEOPLE}?q=smith")).text
    assert listed(await shown(visitor, "?tag=first&q=u0")) == [
        f"u0{n}@example.com" for n in range(3)
    ]
    assert "Nobody fits" in await shown(visitor, "?q=zzz&status=active")
    for nul in ("?q=%00a", "?tag=a%00", "/many?tag=%00"):
        await shown(visitor, nul, 422)
    await shown(visitor, "?status=gone", 404)
    await shown(visitor, "?cursor=x", 422)


async def test_a_person_is_added_and_edited(visitor: Visitor, arrange: Arrange) -> None:
    typed = {"email": "ann@example.com", "name": "Ann", "tags": "a; b", "timezone": "Europe/Berlin"}
    refused = await visitor.post(f"{PEOPLE}/add", **typed | {"timezone": "Mars"})
    assert refused.status_code == 422
    assert 'value="ann@example.com"' in refused.text  # what was typed is still there
    assert "Europe/Berlin" in refused.text
    added = await visitor.post(f"{PEOPLE}/add", **typed, fields="city = Vienna\nn = 3")
    assert added.status_code == 303
    person = UUID(re.findall(r"[0-9a-f-]{36}", added.headers["location"])[0])
    known = await row(arrange, person)
    assert known["fields"] == {"city": "Vienna", "n": "3"}
    assert known["consent"]["source"] == "dashboard"
    assert "Added in the dashboard" in await shown(visitor, f"/{person}")
    again = await visitor.post(f"{PEOPLE}/add", **typed)
    assert (again.status_code, "already" in again.text) == (409, True)

    await arrange.sql.execute(
        'update subscribers set fields = \'{"n": 3, "on": true, "old": "x"}\' where id = %s',
        [person],
    )
    page = await shown(visitor, f"/{person}/edit")
    assert "n = 3\non = true" in page.replace("old = x\n", "")
    saved = await visitor.post(
        f"{PEOPLE}/{person}/edit", **typed | {"name": "", "tags": "c"}, fields="n = 3\non = false"
    )
    assert saved.status_code == 303, saved.text
    known = await row(arrange, person)
    assert (known["name"], known["tags"]) == (None, ["c"])
    assert known["fields"] == {"n": 3, "on": "false"}  # what wasn't touched keeps its type
    wrong = await visitor.post(f"{PEOPLE}/{person}/edit", **typed, fields="n = 3\nnonsense")
    assert (wrong.status_code, "line 2" in wrong.text) == (422, True)


async def test_a_status_is_lifted_only_as_the_rules_say(visitor: Visitor, arrange: Arrange) -> None:
    person = await arrange.subscriber("ann@example.com", status="complained")
    path = f"{PEOPLE}/{person}/status"
    assert "They asked to get mail again" in await shown(visitor, f"/{person}/status")
    for more in ({}, {"asked": "yes"}, {"force": "yes"}):
        refused = await visitor.post(path, to="active", reason="A wish.", **more)
        assert refused.status_code == 409
        assert 'value="A wish."' in refused.text
        assert "with the tick below" in refused.text
    assert (await visitor.post(path, to="active", asked="yes", force="yes")).status_code == 422
    done = await visitor.post(path, to="active", reason="By phone.", asked="yes", force="yes")
    assert done.status_code == 303
    page = await shown(visitor, f"/{person}")
    assert "Status: complained → active" in page
    assert "in the dashboard" in page
    assert "Reason: By phone." in page


async def test_many_are_changed_as_confirmed(visitor: Visitor, arrange: Arrange) -> None:
    for n in range(3):
        await arrange.subscriber(f"u{n}@example.com", tags=["t"])
    await arrange.subscriber("other@example.com")
    assert "Change 3 people" in await shown(visitor, "/many?tag=t")
    form = {"tag": "t", "q": "", "status": "", "expected": "3"}
    await arrange.subscriber("late@example.com", tags=["t"])
    differs = await visitor.post(f"{PEOPLE}/many", **form, what="add", tags="new")
    assert differs.status_code == 409
    assert "Meanwhile 4 people fit" in differs.text
    assert 'name="expected" value="4"' in differs.text
    nothing = await visitor.post(f"{PEOPLE}/many", **form | {"expected": "4"}, what="add")
    assert nothing.status_code == 422
    done = await visitor.post(
        f"{PEOPLE}/many", **form | {"expected": "4"}, what="add", tags="new; more"
    )
    assert "4 people changed." in await shown(
        visitor, done.headers["location"].removeprefix("/dashboard/subscribers")
    )
    status = form | {"expected": "4", "what": "status", "to": "unsubscribed"}
    assert (await visitor.post(f"{PEOPLE}/many", **status)).status_code == 422  # no reason
    await visitor.post(f"{PEOPLE}/many", **status, reason="They moved.")
    back = status | {"to": "active", "reason": "Back."}
    told = await visitor.post(f"{PEOPLE}/many", **back)
    assert "4 stay as they are" in await shown(
        visitor, told.headers["location"].removeprefix("/dashboard/subscribers")
    )
    assert await arrange.one("select count(*) from subscribers where status = 'active'") == 1


async def test_a_person_is_exported_and_erased(visitor: Visitor, arrange: Arrange) -> None:
    person = await arrange.subscriber("ann@example.com")
    export = await visitor.get(f"{PEOPLE}/{person}/export")
    assert export.json()["subscriber"]["email"] == "ann@example.com"
    assert "can’t be undone" in await shown(visitor, f"/{person}/erase")
    gone = await visitor.post(f"{PEOPLE}/{person}/erase")
    assert gone.headers["location"].endswith("?notice=erased")
    await shown(visitor, f"/{person}", 404)
    assert (
        await arrange.one("select by from audit_log where action = 'subscriber.erase'")
        == "dashboard"
    )


async def test_every_kind_of_entry_has_words(visitor: Visitor, arrange: Arrange) -> None:
    person = await arrange.subscriber("ann@example.com", tags=["a"])
    sql = arrange.sql
    mailout = await arrange.mailout("sent", subject="News & <more>")
    await sql.execute("update mailouts set started_at = now() where id = %s", [mailout])
    log = await arrange.one(
        "insert into send_logs (mailout_id, subscriber_id, email, status, error_message) values "
        "(%s, %s, 'ann@example.com', 'bounced', '550 unknown') returning id",
        mailout,
        person,
    )
    for kind, payload in (("bounce", '{"bounce": {"bounceType": "Permanent"}}'), ("odd_one", "{}")):
        await sql.execute(
            "insert into ses_events (sns_message_id, type, mailout_id, send_log_id, payload, "
            "occurred_at) values (%s, %s, %s, %s, %s, now())",
            [kind, kind, mailout, log, payload],
        )
    async with sql.transaction():
        await sql.execute("select acting('key shop', null, gen_random_uuid())")
        await sql.execute(
            "update subscribers set tags = '{b}', fields = '{\"x\": 1}', name = 'Ann', "
            "email = 'ann@example.org' where id = %s",
            [person],
        )
    page = await shown(visitor, f"/{person}")
    for words in (
        "Mail “News & <more>”: bounced", "550 unknown", "Bounced", "Permanent", "Odd one",
        "by the API key shop", "Tags: + b, − a", "x: nothing → 1", "Name: nothing → Ann",
        "Address: ann@example.com → ann@example.org", "The import", "in the database",
    ):  # fmt: skip
        assert words in page, words
