"""Releasing a mailout on its page: it says what would happen, and sends that or nothing."""

from __future__ import annotations

import pytest

from app.api.dashboard.mailouts.releasing import grown
from app.domain.reports.cost import dollars
from app.store import Store
from tests.support.dashboard import Visitor
from tests.support.factories import Arrange, started_mailout


async def test_a_draft_is_released_as_the_page_said(person: Visitor, arrange: Arrange) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout("draft")
    page = f"/mailouts/{mailout}/release"
    html = (await person.get(page)).text
    for said in ("Send to 3 people now", "under $0.01", "Nobody has seen it in an inbox yet"):
        assert said in html
    assert await arrange.one("select status from mailouts") == "draft"
    refused = await person.post(page, version="0", recipients="3")
    assert refused.status_code == 409
    assert "Somebody changed it" in refused.text
    refused = await person.post(page, version="1", recipients="")
    assert "More people are in the audience" in refused.text
    assert await arrange.one("select status from mailouts") == "draft"
    answer = await person.post(page, version="1", recipients="3")
    assert answer.headers["location"].endswith("notice=started")
    assert await arrange.one("select status from mailouts") == "sending"
    again = await person.post(page, version="1", recipients="3")
    assert again.headers["location"].endswith("notice=late")
    acts = await arrange.one(
        "select array_agg(action order by id) from audit_log where target = %s", str(mailout)
    )
    assert acts == ["mailout.ready", "mailout.start"]


@pytest.mark.short
async def test_an_audience_that_changed_a_lot_is_confirmed_first(
    person: Visitor, arrange: Arrange, direct_store: Store
) -> None:
    """By a tick on the page, which says what changed."""
    sent = await started_mailout(direct_store, arrange, 5)
    await arrange.sql.execute("update mailouts set status = 'sent' where id = %s", [sent])
    await arrange.sql.execute(
        "insert into subscribers (email) select n || '@example.com' from generate_series(1, 100) n"
    )
    mailout = await arrange.mailout("draft")
    page = f"/mailouts/{mailout}/release"
    html = (await person.get(page)).text
    assert "+100 (100 new on the list)" in html
    answer = await person.post(page, version="1", recipients="105")
    assert answer.status_code == 409
    assert "tick below" in answer.text
    assert await arrange.one("select status from mailouts where id = %s", mailout) == "draft"
    assert 'name="confirm" value="105"' in answer.text
    answer = await person.post(page, version="1", recipients="105", confirm="90")
    assert answer.status_code == 409  # another audience than this page's
    answer = await person.post(page, version="1", recipients="105", confirm="105")
    assert answer.headers["location"].endswith("notice=started")


async def test_what_stands_in_the_way_is_named_instead_of_a_button(
    person: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft", body_html="<p>{{ nome }}</p>")
    page = f"/mailouts/{mailout}/release"
    html = (await person.get(page)).text
    assert "It can’t be sent yet" in html
    assert f'href="/dashboard/mailouts/{mailout}/edit#body"' in html
    assert f'href="/dashboard/mailouts/{mailout}/audience"' in html  # nobody is in it
    assert "people now" not in html
    answer = await person.post(page, version="1", recipients="0")
    assert answer.status_code == 409
    assert await arrange.one("select status from mailouts") == "draft"


@pytest.mark.parametrize(
    ("shown", "now", "asks"),
    [("100", 100, False), ("100", 90, False), ("100", 111, False), ("100", 112, True),
     ("1000000", 1_010_000, False), ("1000000", 1_020_000, True), ("", 1, True), ("-1", 1, True)],
)  # fmt: skip
def test_some_more_people_are_no_reason_to_ask_again(shown: str, now: int, asks: bool) -> None:
    assert grown(shown, now) is asks


def test_the_cost_is_about_what_amazon_lists() -> None:
    assert [dollars(n) for n in (1, 100, 12_345, 1_000_000)] == [
        "under $0.01", "$0.01", "$1.23", "$100.00",
    ]  # fmt: skip
