"""One service and two regions: the work is shared, and what one can't do the other does."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from app.domain.reports.watch import PATIENCE_SECONDS, findings_of
from app.domain.ses.sns_message import ForbiddenSource, check_certificate_url
from app.sandbox.server import Remote, SandboxServer
from app.store import Store
from tests.contract.test_routes_store import claim_by, sender_by
from tests.regions.conftest import AWAY, HOME, TOPIC_AWAY, two_regions
from tests.support.dashboard import Visitor, signed_in
from tests.support.factories import Arrange, all_sent, an_account, started_mailout
from tests.support.service import BEARER, TOPIC, Service, in_process, settings_for
from tests.support.waiting import eventually

OWNER = "owner@example.org"


async def is_sent(service: Service, mailout: UUID) -> None:
    await eventually(lambda: service.show(mailout), until=lambda found: found["status"] == "sent")


async def test_what_one_regions_quota_has_no_room_for_the_other_sends(
    dsn: str, arrange: Arrange, home: SandboxServer
) -> None:
    """Nobody twice, nobody lost, and nobody had to say so."""
    await arrange.subscribers(300)
    mailout = await arrange.mailout()
    home.account(max_24h_send=100)
    async with in_process(two_regions(dsn, home)) as service:
        assert (await service.send(mailout)).status_code == 202
        await is_sent(service, mailout)
    accepted = home.accepted()
    assert Counter(line["to"] for line in accepted).most_common(1)[0][1] == 1
    assert len(accepted) == 300
    routes = Counter(line["route"] for line in accepted)
    assert routes[HOME] <= 100 and routes[AWAY] >= 200


async def test_a_region_that_may_not_send_loses_its_mail_and_ours_to_the_other(
    dsn: str, arrange: Arrange, home: SandboxServer, away: Remote
) -> None:
    await arrange.subscribers(30)
    mailout = await arrange.mailout()
    home.account(sending_enabled=False)
    async with in_process(two_regions(dsn, home, OWNER_EMAIL=OWNER)) as service:
        assert (await service.send(mailout)).status_code == 202
        await is_sent(service, mailout)
        await eventually(lambda: _mails_to(away, OWNER), until=lambda found: len(found) == 1)
        assert {line["route"] for line in home.accepted()} == {AWAY}

        told = await eventually(
            service.health,
            until=lambda told: told["status"] == "degraded" and "not let" in str(told["checks"]),
        )
        assert told["code"] == 200
        ses = told["checks"]["ses"]
        assert (ses["status"], ses["detail"]) == (
            "warn", f"{HOME}: SES does not let this account send"
        )  # fmt: skip
        assert {name: one["status"] for name, one in ses["regions"].items()} == {
            HOME: "fail", AWAY: "ok"
        }  # fmt: skip

        async with signed_in(service) as person:
            page = (await person.get("/account")).text
        assert f"Regions {HOME}, {AWAY}" in page
        assert "SES does not let this account send" in page
        assert f"{HOME}: Sending is switched off for this account." in page

        metrics = (await service.http.get("/metrics", headers=BEARER)).text
        for region, may in ((HOME, "0.0"), (AWAY, "1.0")):
            assert f'amazonsender_ses_sending_enabled{{region="{region}"}} {may}' in metrics
            assert f'amazonsender_ses_region_waits{{region="{region}"}} 0.0' in metrics


async def _mails_to(remote: Remote, address: str) -> list[dict[str, object]]:
    return remote.mails(to=address)


async def test_a_region_that_refuses_in_the_middle_loses_its_recipients_to_the_other(
    service: Service, arrange: Arrange, home: SandboxServer
) -> None:
    """GetAccount still says that all is well there; only mails are refused."""
    await arrange.subscribers(120)
    mailout = await arrange.mailout()
    home.faults(account_suspended=True)
    assert (await service.send(mailout)).status_code == 202
    await is_sent(service, mailout)
    accepted = home.accepted()
    assert {line["route"] for line in accepted} == {AWAY}
    assert len({line["to"] for line in accepted}) == len(accepted) == 120


async def test_a_region_that_cannot_be_reached_loses_its_recipients_to_the_other(
    dsn: str, arrange: Arrange, home: SandboxServer
) -> None:
    await arrange.subscribers(120)
    mailout = await arrange.mailout()
    nobody = "http://127.0.0.1:9"
    async with in_process(
        two_regions(dsn, home, AWS_ENDPOINT_URL_SESV2_US_EAST_1=nobody)
    ) as service:
        assert (await service.send(mailout)).status_code == 202
        await is_sent(service, mailout)
        told = await eventually(
            service.health, until=lambda told: HOME in str(told["checks"]["ses"].get("detail"))
        )
        assert told["checks"]["ses"]["regions"][AWAY]["status"] == "ok"
    accepted = home.accepted()
    assert len({line["to"] for line in accepted}) == len(accepted) == 120
    assert await arrange.counts(mailout) == {"sent": 120}


async def test_a_region_without_a_topic_is_told_when_a_mailout_starts(
    dsn: str, arrange: Arrange, home: SandboxServer
) -> None:
    await arrange.subscribers(1)
    settings = two_regions(dsn, home, SNS_ALLOWED_TOPIC_ARNS=TOPIC)
    async with in_process(settings, with_sender=False) as service:
        for region, told in ((None, True), (AWAY, True), (HOME, False)):
            mailout = await arrange.mailout(region=region)
            warnings = (await service.send(mailout)).json()["warnings"]
            assert any(f"no topic in {AWAY}" in each for each in warnings) is told, region


async def test_the_account_page_says_of_each_region_what_is_left(
    visitor: Visitor, service: Service, away: Remote
) -> None:
    await eventually(
        lambda: service.services.store.region_states([HOME, AWAY]),
        until=lambda states: all(state["account"] for state in states),
    )
    page = (await visitor.get("/account")).text
    assert page.count("sends</span>") == 2
    assert "no limit" in page


async def _claimed(store: Store, region: str, mailout: UUID, sender: UUID) -> list[int]:
    """Recipients that SES accepted in this region."""
    claimed = await claim_by(store, region, mailout, sender)
    assert isinstance(claimed, tuple)
    [batch] = claimed
    await store.record_results(batch.attempt_id, all_sent(batch))
    return [recipient.send_log_id for recipient in batch.recipients]


async def test_a_region_whose_events_alone_do_not_come_is_named(
    direct_store: Store, arrange: Arrange
) -> None:
    store = direct_store
    mailout = await started_mailout(store, arrange, 10)
    sender = await sender_by(store, {HOME: an_account(), AWAY: an_account()})
    heard = await _claimed(store, HOME, mailout, sender)
    silent = await _claimed(store, AWAY, mailout, sender)

    async def names() -> list[str]:
        figures = await store.watchdog_figures(PATIENCE_SECONDS)
        return [finding.what for finding in findings_of(figures) if AWAY in finding.what]

    assert await names() == [], "they may still come"
    await arrange.sql.execute(
        "update send_batches set claimed_at = claimed_at - interval '10 min', "
        "recorded_at = recorded_at - interval '10 min'"
    )
    assert await names() == [], "nothing at all comes: that is told otherwise"
    await arrange.sql.execute("update send_logs set event_at = now() where id = any(%s)", [heard])
    [what] = await names()
    assert what.startswith(f"{len(silent)} mails were accepted by SES in {AWAY} minutes ago")
    await arrange.sql.execute("update send_logs set event_at = now() where id = %s", [silent[0]])
    assert await names() == []


async def test_health_and_page_of_one_region_stay_as_they_were(
    dsn: str, home: SandboxServer
) -> None:
    async with in_process(settings_for(dsn, home.url)) as service:
        ses = (await service.healthy())["checks"]["ses"]
        assert "regions" not in ses and ses["status"] == "ok"
        async with signed_in(service) as person:
            page = (await person.get("/account")).text
        assert f"Region {HOME}" in page and "Quota and speed by region" not in page


def test_a_regions_sandbox_signs_for_its_own_topics_alone() -> None:
    settings = settings_for(
        "postgresql://x",
        "http://127.0.0.1:8025",
        SES_REGIONS=f"{HOME},{AWAY}",
        AWS_ENDPOINT_URL_SNS_EU_WEST_1="http://127.0.0.1:8026",
    )
    url = "http://127.0.0.1:8026/sns/certificate.pem"
    check_certificate_url(url, TOPIC_AWAY, settings.sns_endpoint(AWAY))
    with pytest.raises(ForbiddenSource):
        check_certificate_url(url, TOPIC, settings.sns_endpoint(HOME))
