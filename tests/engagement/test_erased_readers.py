"""Of a person who was erased nothing is left, also where others or odd events told of them."""

from __future__ import annotations

from app.store import Store
from tests.contract.test_people_store import everything
from tests.support.engagement import happened, judge_all, mailed, told, tracked_mailout
from tests.support.factories import Arrange

ANN = "ann+news@example.com"


async def test_links_that_others_clicked_name_nobody(store: Store, arrange: Arrange) -> None:
    """Their clicks stay."""
    mailout = await tracked_mailout(arrange)
    ann, bob = await mailed(arrange, mailout, ANN), await mailed(arrange, mailout)
    await happened(
        store,
        told(ann, "Click", link=f"https://poll.example/?who={ANN}&a=1"),
        told(bob, "Click", link="https://poll.example/?who=Ann%2BNews%40example.com&a=1"),
        told(bob, "Click", 9000, link=f"https://poll.example/?who={ANN}&a=2"),
        told(bob, "Click", 20000, link="https://poll.example/?who=bob"),
    )
    await judge_all(store)

    await store.erase_subscriber(ANN, "cli")

    left = await everything(arrange)
    assert "ann+news" not in left
    assert "ann%2bnews" not in left
    counted = (
        "select jsonb_agg(jsonb_build_array(rtrim(url, '0123456789'), events, class) order by slot)"
        " from engagement_signals s join mailout_links l on l.id = s.link_id"
    )
    assert await arrange.one(counted) == [
        ["https://poll.example/?who=erased-", 1, "human"],
        ["https://poll.example/?who=erased-", 1, "human"],
        ["https://poll.example/?who=bob", 1, "human"],
    ]


async def test_events_that_wait_for_their_row_name_nobody(store: Store, arrange: Arrange) -> None:
    """Whether or not the row that they wait for is known; they still count when it is found."""
    mail = await mailed(arrange, await tracked_mailout(arrange), ANN)
    events = [
        told(mail, "Click", link=f"https://poll.example/?who={ANN}"),
        told(mail, "Delivery", 2),
    ]
    for event in events:
        del event["mail"]["tags"]
    stray = told(mail, "Click", link=f"https://poll.example/?who={ANN}")
    stray["mail"]["messageId"] = "of another program"
    del stray["mail"]["tags"]
    await happened(store, *events, stray)
    assert "ann+news" in await everything(arrange)

    await store.erase_subscriber(ANN, "cli")

    assert "ann+news" not in await everything(arrange)
    set_id = "update send_logs set message_id = %s where id = %s"
    await arrange.sql.execute(set_id, [f"m-{mail.log}", mail.log])
    await store.apply_parked_events()
    status = "select status from send_logs where id = %s"
    assert await arrange.one(status, mail.log) == "delivered"
    assert await arrange.one("select count(*) from engagement_signals") == 0
    assert await arrange.one("select count(*) from mailout_links where position is null") == 0
