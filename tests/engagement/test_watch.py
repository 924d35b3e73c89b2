"""A silent event destination and tracking that goes wrong without any error are seen and named."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from app.domain.reports.watch import WatchFinding
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.watching.watchdog import watchdog_findings
from app.store import Store
from tests.integration.test_guards import mailed
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.service import BEARER, in_process, settings_for
from tests.support.waiting import eventually


async def taken(arrange: Arrange, mailout: UUID, *, ago: str) -> None:
    """As if SES had taken all mails of the mailout that long ago."""
    for statement in (
        "update mailouts set started_at = started_at - %s::interval, "
        "sent_at = sent_at - %s::interval where id = %s",
        "update send_batches set claimed_at = claimed_at - %s::interval, "
        "recorded_at = recorded_at - %s::interval where mailout_id = %s",
    ):
        values = [ago] * statement.count("interval") + [mailout]
        await arrange.sql.execute(statement, values)


async def found(store: Store) -> dict[str, WatchFinding]:
    return {each.code: each for each in await watchdog_findings(store)}


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("mails", "ago", "seen"),
    [(49, "3 minutes", False), (50, "3 minutes", True), (50, "1 minute", False),
     (3, "6 minutes", True)],
)  # fmt: skip
async def test_the_more_mails_are_silent_the_sooner_it_is_said(
    direct_store: Store, arrange: Arrange, mails: int, ago: str, seen: bool
) -> None:
    one = await mailed(direct_store, arrange, mails)
    await taken(arrange, one.mailout, ago=ago)
    assert ("events_missing" in await found(direct_store)) == seen
    assert (await direct_store.show_mailout(one.mailout))["events"]["silent"] == seen


async def test_a_mailout_whose_own_set_is_silent_is_named_while_others_tell(
    store: Store, arrange: Arrange
) -> None:
    silent = await mailed(store, arrange, 4)
    await taken(arrange, silent.mailout, ago="6 minutes")
    loud = await mailed(store, arrange, 3)
    await store.apply_ses_events([loud.event(0, "delivery")])
    finding = (await found(store))["events_missing"]
    assert finding.count == 4
    assert str(silent.mailout) in finding.what
    assert str(loud.mailout) not in finding.what
    assert "SES_TRACKING_CONFIGURATION_SET" in finding.remedy
    assert (await store.show_mailout(silent.mailout))["events"] == {
        "accepted": 4, "heard_of": 0, "share": 0.0, "silent": True,
    }  # fmt: skip
    assert (await store.show_mailout(loud.mailout))["events"] == {
        "accepted": 3, "heard_of": 1, "share": 0.3333, "silent": False,
    }  # fmt: skip
    await store.apply_ses_events([silent.event(0, "send")])
    assert await found(store) == {}
    assert not (await store.show_mailout(silent.mailout))["events"]["silent"]


async def test_a_mailout_that_nobody_got_has_no_share(store: Store, arrange: Arrange) -> None:
    nothing = {"accepted": 0, "heard_of": 0, "share": None, "silent": False}
    assert (await store.show_mailout(await arrange.mailout()))["events"] == nothing


async def test_tracking_that_sees_nothing_at_all_is_found(store: Store, arrange: Arrange) -> None:
    """Only where it is hours since, for many: one picture is loaded by somebody's program."""
    one = await mailed(store, arrange, 50)
    await store.apply_ses_events([one.event(n, "delivery") for n in range(50)])
    await arrange.sql.execute("update mailouts set tracking = true")
    assert await found(store) == {}
    await taken(arrange, one.mailout, ago="5 hours")
    finding = (await found(store))["opens_missing"]
    assert finding.count == 50
    assert str(one.mailout) in finding.what
    await store.apply_ses_events([one.event(0, "open")])
    await arrange.sql.execute(
        "insert into engagement_recipients (send_log_id, mailout_id) "
        "select min(id), mailout_id from send_logs group by mailout_id on conflict do nothing"
    )
    assert await found(store) == {}


async def test_opens_that_nobody_asked_for_are_found(store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout()
    insert = (
        "insert into untracked_events values (date_trunc('hour', now()) - %s * interval '1 hour', "
        "'open', %s, %s)"
    )
    await arrange.sql.execute(insert, [0, 9, mailout])
    await arrange.sql.execute(insert, [3, 500, mailout])
    assert await found(store) == {}
    await arrange.sql.execute("update untracked_events set events = 10 where events = 9")
    finding = (await found(store))["opens_unasked"]
    assert (finding.count, finding.level) == (10, "warn")
    assert str(mailout) in finding.what
    assert "Virtual Deliverability Manager" in finding.remedy


@pytest.fixture(scope="module")
def silent_sandbox() -> Iterator[SandboxServer]:
    """SES without any event destination."""
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


async def test_silence_is_told_by_health_and_on_the_mailouts_page(
    dsn: str, silent_sandbox: SandboxServer, arrange: Arrange
) -> None:
    """A service that runs, and SES without an event destination."""
    await arrange.subscribers(5)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, silent_sandbox.url)) as service:
        await service.send(mailout)
        await eventually(
            lambda: service.show(mailout), until=lambda shown: shown["status"] == "sent"
        )
        await taken(arrange, mailout, ago="6 minutes")

        def named(report: dict[str, object]) -> bool:
            return "events_missing" in str(report["checks"])

        report = await eventually(service.health, until=named)
        assert report["code"] == 200
        assert report["status"] == "degraded"
        assert (await service.show(mailout))["events"]["silent"]
        async with signed_in(service) as person:
            page = (await person.get(f"/mailouts/{mailout}")).text
    assert 'id="silent"' in page
    assert f"amazonsender doctor {mailout}" in page
    assert "of the accepted mails: 0 of 5." in page
    assert BEARER["Authorization"] not in page
