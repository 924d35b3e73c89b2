"""Choosing a mailout's time on its page: shown, done and taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb

from tests.support.dashboard import Visitor
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service

SOON = datetime.now(UTC) + timedelta(days=3)
FIELDS = {"date": f"{SOON:%Y-%m-%d}", "time": "09:00"}


@pytest.mark.short
async def test_what_comes_of_it_is_shown_before_it_is_done(
    person: Visitor, arrange: Arrange
) -> None:
    for zone in ("Asia/Tokyo", "Europe/Paris", None):
        await arrange.subscriber(timezone=zone)
    mailout = await arrange.mailout("draft")
    page = f"/mailouts/{mailout}/schedule"
    assert "Show what happens" in (await person.get(page)).text
    wish = FIELDS | {"whose": "recipient", "fallback": "Europe/Paris", "passed": "skip"}
    shown = (await person.post(page, **wish)).text
    for said in ("in 2 waves, to 3 people", "Tokyo", "Paris", "1 whose zone isn’t known"):
        assert said in shown
    assert await arrange.one("select status from mailouts") == "draft"
    done = await person.post(page, **wish, do="yes")
    assert done.headers["location"].endswith("notice=scheduled")
    html = (await person.get(f"/mailouts/{mailout}")).text
    assert "It goes out in 2 waves" in html and "Take it off its schedule" in html
    again = await person.post(page, **wish, do="yes")
    assert again.headers["location"].endswith("notice=late")
    back = await person.post(f"/mailouts/{mailout}/unschedule")
    assert back.headers["location"].endswith("notice=unscheduled")
    assert await arrange.one("select status from mailouts") == "ready"


async def test_a_refusal_keeps_what_was_typed(person: Visitor, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    page = f"/mailouts/{mailout}/schedule"
    for fields, words in (
        (FIELDS | {"zone": "Wien"}, "Wien is no time zone"),
        (FIELDS | {"date": "2020-01-01", "zone": "UTC"}, "which has passed"),
        ({"date": "", "time": "09:00", "zone": "UTC"}, "Use a date and a time"),
    ):
        answer = await person.post(page, **fields, do="yes")
        assert answer.status_code == 422
        assert words in answer.text
        assert f'value="{fields["zone"]}"' in answer.text
    await arrange.sql.execute("update subscribers set status = 'unsubscribed'")
    nobody = await person.post(page, **FIELDS, do="yes")
    assert nobody.status_code == 409
    assert await arrange.one("select status from mailouts") == "ready"


async def test_the_time_that_a_draft_names_stands_in_the_form(
    person: Visitor, arrange: Arrange
) -> None:
    """And another one that is chosen there counts."""
    await arrange.subscriber()
    wish = Jsonb({"at": "2099-01-02T03:04", "zone": "Asia/Tokyo"})
    mailout = await arrange.mailout("draft", schedule=wish)
    page = f"/mailouts/{mailout}/schedule"
    html = (await person.get(page)).text
    for value in ("2099-01-02", "03:04", "Asia/Tokyo"):
        assert f'value="{value}"' in html
    done = await person.post(page, **FIELDS, zone="UTC", do="yes")
    assert done.headers["location"].endswith("notice=scheduled")
    assert await arrange.one("select schedule ->> 'at' from mailouts") == f"{SOON:%Y-%m-%d}T09:00"


async def test_an_audience_that_changed_a_lot_is_confirmed(
    person: Visitor, able: Service, arrange: Arrange
) -> None:
    """On the page by the button, in a program by the number."""
    await arrange.subscribers(100)
    past = await arrange.mailout("sent", started_at=datetime.now(UTC), sent_at=datetime.now(UTC))
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) "
        "select %s, id, email, 'delivered' from subscribers where email like 'reader1%%'",
        [past],
    )
    by_page, by_program = await arrange.mailout(), await arrange.mailout()
    page = f"/mailouts/{by_page}/schedule"
    wish = FIELDS | {"zone": "UTC"}
    assert "more than a third" not in (await person.get(page)).text
    await arrange.sql.execute(
        "insert into subscribers (email, created_at) select 'new' || n || '@example.com', "
        "now() - interval '1 day' from generate_series(1, 100) n"
    )
    refused = await person.post(page, **wish, do="yes")
    assert refused.status_code == 409 and "more than a third" in refused.text
    shown = (await person.post(page, **wish)).text
    assert "more than a third" in shown and 'name="confirms" value="200"' in shown
    done = await person.post(page, **wish, confirms="200", do="yes")
    assert done.headers["location"].endswith("notice=scheduled")

    body: dict[str, object] = {"at": f"{wish['date']}T09:00", "zone": "UTC"}
    address = f"/mailouts/{by_program}/schedule"
    refused = await able.http.post(address, json=body, headers=BEARER)
    assert (refused.status_code, refused.json()["code"]) == (409, "audience_changed")
    body["confirm_audience"] = refused.json()["count"]
    assert (await able.http.post(address, json=body, headers=BEARER)).status_code == 200
