"""What is kept of opens and clicks, of whom, and for how long."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.store import Store
from tests.contract.test_people_store import everything
from tests.support.engagement import (
    BROWSER,
    MICROSOFT,
    SENT_AT,
    SOMEWHERE,
    SPRING,
    Mailed,
    happened,
    judge_all,
    mailed,
    row,
    told,
    tracked_mailout,
)
from tests.support.factories import Arrange

SIGNALS = (
    "select coalesce(jsonb_agg(jsonb_build_array(kind, url, events) order by kind, url), '[]') "
    "from engagement_signals s left join mailout_links l on l.id = s.link_id"
)
RECIPIENT = "select to_jsonb(r) from engagement_recipients r where send_log_id = %s"


async def test_only_tracked_mails_of_real_people_are_kept(store: Store, arrange: Arrange) -> None:
    """Of others only how many came; and their status moves as ever."""
    tracked, plain = await tracked_mailout(arrange), await tracked_mailout(arrange, tracking=False)
    test = await mailed(arrange, tracked, is_test=True, email="me@example.com")
    erased = await mailed(arrange, tracked, "erased", person=UUID(int=7))
    other = await mailed(arrange, plain)
    for mail in (test, erased, other):
        await arrange.sql.execute("update send_logs set status = 'unknown'")
        await happened(store, told(mail), told(mail, "Click"), told(mail, "Click", 9000))
        assert await arrange.one("select status from send_logs where id = %s", mail.log) == "sent"
    assert await arrange.one(SIGNALS) == []
    assert await arrange.one("select count(*) from engagement_recipients") == 0
    assert await arrange.one("select count(*) from mailout_links") == 0
    assert await arrange.one("select array_agg(distinct payload) from ses_events") == [{}]
    counted = (
        "select jsonb_object_agg(kind, jsonb_build_array(events, mailout_id)) from untracked_events"
    )
    assert await arrange.one(counted) == {"open": [1, str(plain)], "click": [2, str(plain)]}
    await arrange.sql.execute("update untracked_events set hour = now() - interval '8 days'")
    await store.keep_house()
    assert await arrange.one("select count(*) from untracked_events") == 0


async def test_the_same_message_twice_changes_nothing(store: Store, arrange: Arrange) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))
    once = [row(told(mail, "Click"), "sns-1"), row(told(mail), "sns-2")]
    assert (await store.apply_ses_events([*once, once[0]]))["new"] == 2
    await judge_all(store)
    before = await arrange.one(RECIPIENT, mail.log)
    assert (await store.apply_ses_events(once))["new"] == 0
    assert await arrange.one(SIGNALS) == [["click", SPRING, 1], ["open", None, 1]]
    assert await arrange.one(RECIPIENT, mail.log) == before
    assert before["due_at"] is None


async def test_a_delivery_that_is_told_of_late_is_judged_by(store: Store, arrange: Arrange) -> None:
    """Also one that says it was after the click: clocks go back. The earliest counts."""
    mail = await mailed(arrange, await tracked_mailout(arrange))
    await happened(store, told(mail, "Click", 60))
    await judge_all(store)
    assert (await arrange.one(RECIPIENT, mail.log))["delivered_at"] is None
    for after, due in ((90, True), (30, True), (40, False)):
        await happened(store, told(mail, "Delivery", after))
        found = await arrange.one(RECIPIENT, mail.log)
        assert (found["due_at"] is not None) == due
        await judge_all(store)
    assert found["delivered_at"].startswith("2026-11-24T12:00:30")
    # Known already when the first open comes:
    other = await mailed(arrange, mail.mailout)
    await happened(store, told(other, "Delivery", 5))
    await happened(store, told(other, "Open", 2))
    await judge_all(store)
    found = await arrange.one(RECIPIENT, other.log)
    assert found["delivered_at"].startswith("2026-11-24T12:00:05")
    assert found["open_class"] is not None
    assert found["opened_at"].startswith("2026-11-24T12:00:02")


async def test_what_waited_for_its_row_is_kept_then(store: Store, arrange: Arrange) -> None:
    """Without tags, before SES's answer was recorded."""
    mail = await mailed(arrange, await tracked_mailout(arrange))
    events = [told(mail, "Click"), told(mail, "Delivery", 2)]
    for event in events:
        del event["mail"]["tags"]
    await happened(store, *events)
    assert await arrange.one(SIGNALS) == []
    await arrange.sql.execute(
        "update send_logs set message_id = %s where id = %s", [f"m-{mail.log}", mail.log]
    )
    await store.apply_parked_events()
    await judge_all(store)
    assert await arrange.one(SIGNALS) == [["click", SPRING, 1]]
    found = await arrange.one(RECIPIENT, mail.log)
    assert (found["click_class"], found["open_class"]) == ("human", None)
    assert found["delivered_at"].startswith("2026-11-24T12:00:02")


async def test_a_click_without_its_payload_counts(store: Store, arrange: Arrange) -> None:
    """An event that can be stored only in part has its effect (`without_payload`)."""
    from app.domain.ses.events import without_payload

    mail = await mailed(arrange, await tracked_mailout(arrange))
    await store.apply_ses_events([without_payload(row(told(mail, "Click")))])
    assert await arrange.one(SIGNALS) == [["click", SPRING, 1]]


@pytest.mark.parametrize("known_before", [True, False])
async def test_links_with_holes_are_one_link(
    store: Store, arrange: Arrange, known_before: bool
) -> None:
    """Also for clicks that came before the document's links were read."""
    mailout = await tracked_mailout(
        arrange,
        body_html='<a href="https://example.com/?u={{ fields.id }}&amp;v=1">A</a>'
        '<a href="https://example.com/ä_b">B</a>'
        '<a href="https://example.com/?u={{ fields.id }}">C</a>',
    )
    if known_before:
        await judge_all(store)
    for n in range(3):
        mail = await mailed(arrange, mailout)
        await happened(
            store,
            told(mail, "Click", 60, link=f"https://example.com/?u={n}&v=1"),
            told(mail, "Click", 70, link=f"https://example.com/?u={n}{n}&v=1"),
            told(mail, "Click", 4000, link="https://EXAMPLE.com/%C3%A4_b"),
            told(mail, "Click", 8000, link=f"https://example.com/?u={n}"),
            told(mail, "Click", 9000, link="https://example.com/else"),
        )
    await judge_all(store)
    counted = (
        "select jsonb_object_agg(url, jsonb_build_array(position, place, n)) from mailout_links l, "
        "lateral (select sum(events) as n from engagement_signals where link_id = l.id) s"
    )
    assert await arrange.one(counted) == {
        "https://example.com/?u={{ fields.id }}&v=1": [0, "body", 6],
        "https://example.com/%C3%A4_b": [1, "body", 3],
        "https://example.com/?u={{ fields.id }}": [2, "body", 3],
        "https://example.com/else": [None, None, 3],
    }
    assert await arrange.one("select count(*) from engagement_recipients where due_at < now()") == 0


@pytest.mark.short
async def test_made_up_links_end_somewhere(direct_store: Store, arrange: Arrange) -> None:
    mailout = await tracked_mailout(arrange)
    mail = await mailed(arrange, mailout)
    for start in range(0, 1_500, 500):
        urls = [f"https://example.com/made/up/{n}" for n in range(start, start + 500)]
        await happened(direct_store, *(told(mail, "Click", link=url) for url in urls))
    assert await arrange.one("select count(*) from mailout_links") == 1_001
    other = (
        "select sum(events) from engagement_signals s join mailout_links l on l.id = s.link_id "
        "where url = 'other'"
    )
    assert await arrange.one(other) == 500
    assert await arrange.one("select sum(events) from engagement_signals") == 1_500


@pytest.mark.short
async def test_one_recipient_has_no_end_of_signals(direct_store: Store, arrange: Arrange) -> None:
    """Somebody's program that clicks every ten minutes: at last its clicks share a row, and a
    person who comes then has one of their own."""
    mail = await mailed(arrange, await tracked_mailout(arrange))
    for _ in range(2):
        later = [told(mail, "Click", 600 * n, agent="curl/8.0") for n in range(500)]
        await happened(direct_store, *later)
        await happened(direct_store, told(mail, "Click", 500_000, agent="curl/8.0"))
    await happened(direct_store, told(mail, "Click", 600_000))
    assert await arrange.one("select count(*) from engagement_signals") == 502
    assert await arrange.one("select sum(events) from engagement_signals") == 1_003
    await judge_all(direct_store)
    assert (await arrange.one(RECIPIENT, mail.log))["last_clicked_at"] is not None


async def engaged(store: Store, arrange: Arrange, mailout: UUID, email: str) -> Mailed:
    mail = await mailed(arrange, mailout, email)
    await happened(
        store,
        told(mail),
        told(mail, "Click", link=SPRING),
        told(mail, "Click", 9000, link=f"https://elsewhere.example/?who={email}"),
    )
    return mail


async def test_nothing_is_left_of_an_erased_person(store: Store, arrange: Arrange) -> None:
    mailout = await tracked_mailout(arrange)
    ann = await engaged(store, arrange, mailout, "ann@example.com")
    bob = await engaged(store, arrange, mailout, "bob@example.com")
    await judge_all(store)
    exported = await store.export_person("ann@example.com")
    assert exported is not None
    [told_of] = exported["engagement"]
    assert (told_of["mailout_id"], told_of["opened"], told_of["clicked"]) == (
        str(mailout), "human", "human",
    )  # fmt: skip
    assert {signal["link"] for signal in told_of["signals"]} == {
        None, SPRING, "https://elsewhere.example/?who=ann@example.com",
    }  # fmt: skip

    await store.erase_subscriber("ann@example.com", "cli")
    await happened(store, told(ann, "Click", 9000, link="https://ann.example/"))
    await judge_all(store)
    assert "ann" not in (await everything(arrange)).replace("https://example.com/ann", "")
    left = "select array_agg(distinct send_log_id) from {}"
    for table in ("engagement_signals", "engagement_recipients"):
        assert await arrange.one(left.format(table)) == [bob.log]
    urls = await arrange.one("select array_agg(url order by url) from mailout_links")
    assert urls == [
        "https://elsewhere.example/?who=bob@example.com",
        "https://example.com/sale",
        SPRING,
    ]


async def test_what_either_did_belongs_to_whom_they_became(store: Store, arrange: Arrange) -> None:
    mailout, earlier = await tracked_mailout(arrange), await tracked_mailout(arrange)
    ann = await mailed(arrange, mailout)
    old = await mailed(arrange, mailout)
    before = await mailed(arrange, earlier, person=old.person, email=old.email)
    for mail in (ann, old, before):
        await happened(store, told(mail))
    await arrange.sql.execute("select merge_subscribers(%s, %s)", [old.person, ann.person])
    await happened(store, told(old, "Click"))  # its row of the ledger keeps the old id
    whose = "select array_agg(distinct subscriber_id) from engagement_recipients"
    assert await arrange.one(whose) == [ann.person]
    assert await arrange.one("select count(*) from engagement_recipients") == 3
    await judge_all(store)
    asked = {"field": "clicked", "op": "is", "value": str(mailout)}
    assert (await store.preview_audience(asked))["count"] == 1


async def test_odd_clocks_hold_up_nobody(store: Store, arrange: Arrange) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))
    for year in ("0001", "9999"):
        event = told(mail, "Click")
        event["click"]["timestamp"] = f"{year}-12-31T23:59:59Z"
        await happened(store, event)
    odd = told(mail, "Delivery")
    odd["delivery"]["timestamp"] = "0001-01-01T00:00:00+00:00"
    await happened(store, odd)
    await judge_all(store)
    found = await arrange.one(RECIPIENT, mail.log)
    assert found["click_class"] is not None
    assert found["due_at"] is None


async def test_what_an_earlier_version_kept_of_machines_is_forgotten(
    store: Store, arrange: Arrange
) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))
    ours = "https://us.example/unsubscribe?token=SECRET"
    raw = [told(mail, "Open"), told(mail, "Click"), told(mail, "Click", link=ours)]
    for event in [*raw, told(mail, "Delivery")]:
        await store.apply_ses_events([row(event) | {"payload": event, "engagement": None}])
    await store.keep_house()
    kept = await everything(arrange)
    for personal in (SOMEWHERE, "firefox", "secret"):
        assert personal not in kept, personal
    assert "250 ok" in kept
    links = "select array_agg(payload #>> '{click,link}') from ses_events where type = 'click'"
    assert sorted(await arrange.one(links), key=str) == [None, SPRING]


def test_neither_address_nor_user_agent_are_in_what_is_stored() -> None:
    mail = Mailed(UUID(int=1), 1, UUID(int=2), "ann@example.com", None)
    for kind in ("Open", "Click"):
        event = told(mail, kind, link="https://us.example/unsubscribe?token=SECRET.token")
        event["mail"]["commonHeaders"] = {"subject": "Hello Ann"}
        text = str(row(event)).lower()
        for personal in (SOMEWHERE, BROWSER.lower(), "ann", "secret", "linktags"):
            assert personal not in text, personal


@pytest.mark.parametrize("missing", [None, "", "absent"])
def test_what_an_event_lacks_is_put_up_with(missing: Any) -> None:
    mail = Mailed(UUID(int=1), 1, UUID(int=2), "ann@example.com", None)
    event = told(mail, "Click", ip=MICROSOFT)
    for name in ("ipAddress", "userAgent", "link", "linkTags", "timestamp"):
        if missing == "absent":
            del event["click"][name]
        else:
            event["click"][name] = missing
    found = row(event)
    assert found["engagement"]["kind"] == "click"
    assert found["engagement"]["link"] is None
    assert found["engagement"]["network"] == ""
    assert found["occurred_at"] == SENT_AT.isoformat()


@pytest.mark.parametrize("odd", [5, ["x"], {"a": "b"}, True, "U" * 200_000])
def test_what_is_odd_about_a_program_takes_no_click_away(odd: Any) -> None:
    mail = Mailed(UUID(int=1), 1, UUID(int=2), "ann@example.com", None)
    event = told(mail, "Click", link="  ")
    event["click"] |= {"ipAddress": odd, "userAgent": odd}
    found = row(event)["engagement"]
    assert (found["kind"], found["link"], found["network"]) == ("click", None, "")
