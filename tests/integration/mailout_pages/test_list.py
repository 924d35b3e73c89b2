"""The list of mailouts, and what every page shows of the service around it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.api.dashboard.around import rehearsal
from tests.support.dashboard import Visitor, signed_in
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for


@pytest.fixture
async def abroad(dsn: str) -> AsyncIterator[Visitor]:
    """Somebody who signed in to a service in Berlin's time that talks to a sandbox."""
    settings = settings_for(dsn, "http://127.0.0.1:9", TIMEZONE="Europe/Berlin")
    async with (
        in_process(settings, with_sender=False) as running,
        signed_in(running) as person,
    ):
        yield person


@pytest.mark.short
async def test_times_are_those_of_the_place_and_practice_is_said(
    abroad: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft", created_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    for path in ("", f"/mailouts/{mailout}", "/jobs", f"/mailouts/{mailout}/nothing", "/login"):
        html = (await abroad.get(path)).text
        assert "nothing leaves this machine" in html, path
        assert 'href="http://127.0.0.1:9/"' in html, path
    assert "2 Jul 2026, 00:30 CEST" in (await abroad.get()).text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL_SESV2": "https://email.eu-west-1.amazonaws.com"}, None),
        ({"AWS_ENDPOINT_URL_SESV2": "https://vpce-1.email.eu-west-1.vpce.amazonaws.com"}, None),
        ({"AWS_ENDPOINT_URL_SESV2": "http://localhost:8025"}, "nothing leaves this machine"),
        ({"AWS_ENDPOINT_URL_SESV2": "http://sandbox:8025"}, "Mail goes to sandbox"),
        ({"AWS_ENDPOINT_URL_SESV2": "https://amazonaws.com.example.org"}, "Mail goes to amazon"),
        ({"DRY_RUN_SEND": "true"}, "no mail leaves"),
    ],
)
def test_what_is_no_practice_is_not_called_so(changes: dict[str, str], said: str | None) -> None:
    settings = settings_for("postgresql://127.0.0.1/x", None, **changes)
    found = rehearsal(settings)
    assert (found is None) if said is None else (found is not None and said in found.words)


async def test_what_is_being_sent_comes_first_and_once(visitor: Visitor, arrange: Arrange) -> None:
    old = datetime(2026, 1, 1, tzinfo=UTC)
    await arrange.mailout("sending", subject="Under way", created_at=old, started_at=old)
    for number in range(21):
        await arrange.mailout("draft", subject=f"Later {number}")
    html = (await visitor.get()).text
    assert html.count(">Under way</a>") == 1
    assert html.index("Being sent now") < html.index(">Under way</a>") < html.index(">Later 20</a>")
    for filtered in ("?status=sending",):
        html = (await visitor.get(filtered)).text
        assert html.count(">Under way</a>") == 1
        assert "Being sent now" not in html


async def test_filters_say_how_many_there_are(visitor: Visitor, arrange: Arrange) -> None:
    for status in ("draft", "draft", "sent"):
        await arrange.mailout(status)
    html = (await visitor.get()).text
    counts = dict(re.findall(r">(\w+) <b>(\d+)</b>", html))
    assert counts == {"All": "3", "Draft": "2", "Sent": "1"}


async def test_a_first_mailout_is_offered(visitor: Visitor) -> None:
    html = (await visitor.get()).text
    assert "No mailouts yet" in html
    assert 'href="/dashboard/mailouts/new"' in html
