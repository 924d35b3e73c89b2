"""What goes wrong silently is found, said once, and never makes the service unhealthy."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from app.adapters.aws.ses import SesSender, aws_client
from app.domain.sending.batches import Suppressed
from app.domain.ses.sns_message import BadSignature
from app.errors import Unavailable
from app.sandbox.server import SandboxServer
from app.services.sending.dispatch import Dispatcher
from app.services.watching.watchdog import SuppressionWatch, Watchdog, watchdog_findings
from app.store import Store
from tests.integration.test_guards import mailed
from tests.support.factories import REGION, Arrange
from tests.support.service import TOPIC, in_process, settings_for
from tests.support.sns import SnsSigner, body_of, headers_of
from tests.support.waiting import eventually

BRIEF = 0.001  # seconds of patience


async def codes(store: Store, patience_seconds: float = BRIEF) -> dict[str, int]:
    return {f.code: f.count for f in await watchdog_findings(store, patience_seconds)}


async def test_nothing_to_say_about_an_empty_database(store: Store) -> None:
    assert await codes(store) == {}


async def test_accepted_mails_without_any_event_are_found(store: Store, arrange: Arrange) -> None:
    """A configuration set without event destination, or a subscription that was never confirmed."""
    one = await mailed(store, arrange, 30)
    await arrange.sql.execute("select pg_sleep(0.01)")
    assert await codes(store, patience_seconds=300) == {}
    [finding] = await watchdog_findings(store, BRIEF)
    assert (finding.code, finding.count, finding.level) == ("events_missing", 30, "warn")
    assert "SES_CONFIGURATION_SET" in finding.remedy
    # One event shows that the chain works.
    await store.apply_ses_events([one.event(0, "send")])
    assert await codes(store) == {}


async def test_what_ses_refused_needs_no_event(direct_store: Store, arrange: Arrange) -> None:
    await mailed(direct_store, arrange, 5)
    await arrange.sql.execute("update send_logs set status = 'failed' where status = 'sent'")
    assert await codes(direct_store) == {}


async def test_events_that_fit_no_recipient_are_counted(store: Store, arrange: Arrange) -> None:
    one = await mailed(store, arrange, 1)
    stray = one.event(0, "delivery") | {"send_log_id": "999999", "message_id": "other"}
    notice = stray | {"sns_message_id": str(uuid4()), "notice": True, "send_log_id": None}
    await store.apply_ses_events([one.event(0, "send"), stray, notice])
    await arrange.sql.execute("select pg_sleep(0.01)")
    assert await codes(store) == {"events_unmatched": 1}
    assert await codes(store, patience_seconds=300) == {}


async def nothing(_: Dispatcher) -> None:
    """A sender that is well, and claims nobody: the test does."""


async def test_refused_messages_show_in_health_where_events_are_missing(
    dsn: str,
    store: Store,
    arrange: Arrange,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Degraded, and never 503: mail goes out and unsubscribing works all the same. By themselves
    they are a stranger's doing, which changes nothing."""
    monkeypatch.setattr(Dispatcher, "send_what_is_due", nothing)
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        stranger = SnsSigner().notification("{}")
        answer = await service.http.post(
            "/ses-events", content=body_of(stranger), headers=headers_of(stranger)
        )
        assert answer.status_code == 403
        body = await service.healthy()
        assert body["status"] == "ok"
        assert body["checks"]["events"]["findings"] == []
        await mailed(store, arrange, 3)
        await arrange.sql.execute("update send_batches set recorded_at = now() - interval '1 hour'")
        body = await eventually(service.health, until=lambda report: report["status"] != "ok")
        assert (body["status"], body["code"]) == ("degraded", 200)
        missing, finding = body["checks"]["events"]["findings"]
        assert missing["code"] == "events_missing"
        assert finding["code"] == "messages_refused"
        assert "1 forbidden_source" in finding["detail"]
        assert "SNS_ALLOWED_TOPIC_ARNS" in finding["remedy"]
        assert TOPIC not in json.dumps(body)


async def test_every_process_sees_what_one_refused(store: Store, arrange: Arrange) -> None:
    await mailed(store, arrange, 1)
    await arrange.sql.execute("select pg_sleep(0.01)")
    one, other = Watchdog(store, BRIEF), Watchdog(store, BRIEF)
    one.refused(BadSignature())
    one.refused(BadSignature())
    assert [finding.code for finding in await other.findings()] == ["events_missing"]
    missing, refused = await one.findings()
    assert refused.count == 2
    assert await other.findings() == [missing, refused]
    assert await one.findings() == [missing, refused]  # written down once


async def test_what_was_refused_during_an_outage_is_told_after_it(
    direct_store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: Store, counts: dict[str, int]) -> None:
        raise Unavailable("gone")

    await mailed(direct_store, arrange, 1)
    await arrange.sql.execute("select pg_sleep(0.01)")
    watchdog = Watchdog(direct_store, BRIEF)
    watchdog.refused(BadSignature())
    with monkeypatch.context() as patch:
        patch.setattr(Store, "record_refused_messages", away)
        with pytest.raises(Unavailable):
            await watchdog.findings()
    watchdog.refused(BadSignature())
    _, refused = await watchdog.findings()
    assert refused.count == 2


async def test_a_finding_is_logged_once_and_its_end_too(
    direct_store: Store, arrange: Arrange
) -> None:
    one = await mailed(direct_store, arrange, 3)
    await arrange.sql.execute("select pg_sleep(0.01)")
    watchdog = Watchdog(direct_store, BRIEF)
    with capture_logs() as logs:
        await watchdog.look()
        await watchdog.look()
        await direct_store.apply_ses_events([one.event(0, "send")])
        await watchdog.look()
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("watchdog", "warning"),
        ("watchdog_over", "info"),
    ]
    assert logs[0]["code"] == "events_missing"
    assert logs[0]["remedy"]


class Listed:
    """SES's suppression list in pages; whoever is on it came onto it `age` ago."""

    def __init__(self, *pages: list[str], age: timedelta = timedelta(days=1)) -> None:
        since = datetime.now(UTC) - age
        self.pages = [[Suppressed(email, since) for email in page] for page in pages]
        self.asked: list[str | None] = []

    def suppressed_page(self, token: str | None) -> tuple[list[Suppressed], str | None]:
        self.asked.append(token)
        n = int(token or 0)
        return self.pages[n], str(n + 1) if n + 1 < len(self.pages) else None


async def compare(store: Store, source: Listed) -> None:
    assert await store.begin_suppression_check(REGION)
    await SuppressionWatch(store, source, REGION, pause=0).compare()


async def test_a_suppression_list_that_differs_is_found_page_by_page(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscriber("Active@example.com")
    await arrange.subscriber("gone@example.com", status="bounced")
    await arrange.subscriber("only-here@example.com", status="complained")
    source = Listed(["active@example.com", "stranger@example.com"], ["GONE@example.com"])
    await compare(store, source)
    assert source.asked == [None, "1"]
    [finding] = await watchdog_findings(store)
    assert (finding.code, finding.count) == ("suppression_differs", 1)
    assert "example.com" not in finding.what + finding.remedy
    [check] = (await store.watchdog_figures(300))["suppression"]
    assert (check["listed"], check["active"], check["unlisted"]) == (3, 1, 1)


async def test_who_came_onto_the_list_just_now_is_no_difference_yet(
    store: Store, arrange: Arrange
) -> None:
    """The bounce that brought them there is still on its way here."""
    await arrange.subscriber("just-bounced@example.com")
    await arrange.subscriber("told@example.com", status="bounced")
    addresses = ["just-bounced@example.com", "told@example.com"]
    await compare(store, Listed(addresses, age=timedelta(minutes=1)))
    assert await watchdog_findings(store) == []
    [check] = (await store.watchdog_figures(300))["suppression"]
    assert (check["listed"], check["active"], check["unlisted"]) == (2, 0, 0)

    await arrange.sql.execute("delete from suppression_checks")
    await compare(store, Listed(addresses, age=timedelta(minutes=6)))
    [finding] = await watchdog_findings(store)
    assert (finding.code, finding.count) == ("suppression_differs", 1)


async def test_the_list_is_read_once_an_hour_by_one_process(
    direct_store: Store, arrange: Arrange
) -> None:
    begun = await asyncio.gather(*(direct_store.begin_suppression_check(REGION) for _ in range(4)))
    assert sorted(begun) == [False, False, False, True]
    await arrange.sql.execute(
        "update suppression_checks set started_at = now() - interval '61 minutes'"
    )
    assert await direct_store.begin_suppression_check(REGION)


async def test_the_list_comes_from_ses(sandbox: SandboxServer) -> None:
    """Through the adapter, from SES's own API."""
    settings = settings_for("postgresql://unused", sandbox.url)
    client = aws_client(settings, "sesv2", region=settings.aws_region)
    for n in range(3):
        client.put_suppressed_destination(EmailAddress=f"a{n}@example.com", Reason="BOUNCE")
    ses = SesSender(settings, settings.home, max_connections=1)
    before = datetime.now(UTC) - timedelta(minutes=1)
    listed, more = ses.suppressed_page(None)
    assert sorted(one.email for one in listed) == [f"a{n}@example.com" for n in range(3)]
    assert all(before < one.since < datetime.now(UTC) + timedelta(seconds=1) for one in listed)
    assert more is None
    gone = settings_for("postgresql://unused", "http://127.0.0.1:9")
    away = SesSender(gone, gone.home, max_connections=1)
    with pytest.raises(Unavailable, match="ListSuppressedDestinations"):
        away.suppressed_page(None)
