"""Where people or programs ask for the details of a mailout that shrank, they are told so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.retention.test_ledger import an_old_mailout, shrunk
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for


@pytest.fixture
async def quiet(dsn: str) -> AsyncIterator[Service]:
    settings = settings_for(dsn, None, AWS_REGION=None, LEDGER_RETENTION_DAYS="365")
    async with in_process(settings, with_sender=False) as running:
        yield running


async def test_a_shrunk_mailout_says_so_wherever_it_is_shown(
    quiet: Service, arrange: Arrange
) -> None:
    store = quiet.services.store
    mailout = (await an_old_mailout(store, arrange))[0].mailout
    before = await quiet.show(mailout)
    report = await quiet.http.get(f"/mailouts/{mailout}/engagement", headers=BEARER)
    await shrunk(store)

    after = await quiet.show(mailout)
    assert after.pop("details_dropped_at") is not None
    assert after == {name: before[name] for name in after}
    again = await quiet.http.get(f"/mailouts/{mailout}/engagement", headers=BEARER)
    assert again.json() == report.json()
    for path in ("recipients", "statement.csv", "engagement/recipients.csv"):
        answer = await quiet.http.get(f"/mailouts/{mailout}/{path}", headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (410, "details_dropped"), path
        assert "details were dropped on" in answer.json()["detail"]
    resend = await quiet.http.post(
        f"/mailouts/{mailout}/resend", json={"statuses": ["unknown"]}, headers=BEARER
    )
    assert (resend.status_code, resend.json()["code"]) == (409, "details_dropped")
    rule = {"field": "received", "op": "is_not", "value": str(mailout)}
    count = await quiet.http.post("/audience/count", json={"audience": rule}, headers=BEARER)
    assert (count.status_code, count.json()["code"]) == (409, "details_dropped")
    assert "details were dropped" in count.json()["detail"]

    async with signed_in(quiet) as visitor:
        page = (await visitor.get(f"/mailouts/{mailout}")).text
        assert "Its details were dropped on" in page
        assert 'id="action-resend"' not in page
        people = (await visitor.get(f"/mailouts/{mailout}/recipients")).text
        assert "Its details were dropped" in people
        assert "It has no recipients yet" not in people


async def test_a_mailouts_page_says_until_when_its_details_are_kept(
    quiet: Service, arrange: Arrange
) -> None:
    ended = datetime.now(UTC) - timedelta(days=300)
    mailout = await arrange.mailout("sent", sent_at=ended, started_at=ended)
    running = await arrange.mailout("paused", started_at=ended)
    async with signed_in(quiet) as visitor:
        page = (await visitor.get(f"/mailouts/{mailout}")).text
        assert f"{ended + timedelta(days=365):%Y}" in page[page.index('id="kept"') :][:200]
        assert 'id="kept"' not in (await visitor.get(f"/mailouts/{running}")).text
