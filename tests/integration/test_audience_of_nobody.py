"""A mailout to nobody is refused, and never called sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.store import Store
from tests.support.factories import Arrange, all_sent, claim, claim_mailout, living_sender, start
from tests.support.service import BEARER, Service
from tests.support.waiting import eventually

REASON = "Nobody was left to be mailed"


async def mailout_row(arrange: Arrange, mailout: UUID) -> tuple[str, str | None, str]:
    """Status, pause code and reason."""
    done = await arrange.sql.execute(
        "select status, pause_code, coalesce(status_reason, '') as why from mailouts where id = %s",
        [mailout],
    )
    row = await done.fetchone()
    assert row is not None
    return row["status"], row["pause_code"], row["why"]


async def started(store: Store, mailout: UUID) -> None:
    """Claimed, and nothing queued yet."""
    claimed = await claim_mailout(store, mailout)
    assert claimed.outcome == "claimed"


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("audience", [None, {"tags": ["nobodyhas"]}, {"tags": []}])
async def test_it_is_refused_and_stays_ready(
    service: Service, arrange: Arrange, audience: dict[str, Any] | None
) -> None:
    """Also when people are there who left, or whom the tags don't reach."""
    await arrange.subscriber(status="unsubscribed", tags=["nobodyhas"])
    if audience is not None:
        await arrange.subscriber(tags=["other"])
    mailout = await arrange.mailout(audience=audience)
    answer = await service.send(mailout)
    assert (answer.status_code, answer.json()["code"]) == (409, "audience_empty")
    assert answer.json()["mailout_status"] == "ready"
    assert "Import subscribers" in answer.json()["detail"]
    assert await mailout_row(arrange, mailout) == ("ready", None, "")

    await arrange.subscriber(tags=["nobodyhas"])
    sent = await service.send(mailout)
    assert sent.status_code == (409 if audience == {"tags": []} else 202)


async def test_notion_is_told_and_its_event_may_come_again(
    service: Service, arrange: Arrange
) -> None:
    """A refusal that pauses no automation, and leaves its idempotency key free."""
    page = uuid4()
    await arrange.mailout(notion_page_id=str(page))
    body = {"source": {"event_id": "e1"}, "data": {"id": str(page)}}
    refused = await service.http.post("/send-mailout", json=body, headers=BEARER)
    assert refused.status_code == 200
    assert refused.json()["started"] is False
    assert refused.json()["status"] == "ready"
    assert "reach nobody" in refused.json()["reason"]
    await arrange.subscriber()
    assert (await service.http.post("/send-mailout", json=body, headers=BEARER)).status_code == 202


async def test_the_checks_before_say_so(service: Service, arrange: Arrange) -> None:
    """A preflight that lets it pass would be followed by a refusal."""
    await arrange.subscriber(status="bounced")
    mailout = await arrange.mailout()
    preflight = await service.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
    assert preflight.json()["ok"] is False
    [finding] = [f for f in preflight.json()["findings"] if "Nobody would get it" in f["what"]]
    assert finding["level"] == "fail"

    assert (await service.send(mailout, dry_run=True)).status_code == 202

    async def report() -> dict[str, Any]:
        answer = await service.http.get(f"/mailouts/{mailout}/dry-run", headers=BEARER)
        found: dict[str, Any] = answer.json()
        return found

    done = await eventually(report, until=lambda found: found["state"] == "done")
    assert done["skipped"] == {"bounced": 1}
    assert "No active subscriber" in done["warnings"][0]


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "change",
    [
        "delete from subscribers",
        "update subscribers set tags = '{}'",
        "update subscribers set status = 'unsubscribed'",
    ],
)
async def test_one_that_empties_before_it_is_queued_waits_for_a_person(
    store: Store, arrange: Arrange, change: str
) -> None:
    """Deleted, untagged or gone after the claim: nobody is left, and nothing was sent."""
    await arrange.subscriber(tags=["news"])
    mailout = await arrange.mailout(audience={"tags": ["news"]})
    await started(store, mailout)
    await arrange.sql.execute(change.encode())
    await store.queue_recipients(mailout, 100)
    await store.finish_mailout(mailout)
    status, code, reason = await mailout_row(arrange, mailout)
    assert (status, code) == ("paused", "held")
    assert REASON in reason

    await store.resume_mailout(mailout)
    while not (await store.queue_recipients(mailout, 100))[1]:
        pass
    assert (await mailout_row(arrange, mailout))[0] == "paused"


async def test_after_the_audience_is_corrected_it_goes_on(store: Store, arrange: Arrange) -> None:
    """A person's resume queues whom it addresses then."""
    await arrange.subscriber("gone@example.com")
    mailout = await arrange.mailout()
    await started(store, mailout)
    await arrange.sql.execute("delete from subscribers")
    await store.queue_recipients(mailout, 100)
    await arrange.subscriber("new@example.com")
    await store.resume_mailout(mailout)
    await store.queue_recipients(mailout, 100)
    batch = await claim(store, mailout, await living_sender(store))
    assert [r.email for r in batch.recipients] == ["new@example.com"]
    await store.record_results(batch.attempt_id, all_sent(batch))
    assert (await mailout_row(arrange, mailout))[0] == "sent"
    shown = await store.show_mailout(mailout)
    assert shown["recipients"] == 1


async def test_whose_readers_leave_while_they_wait_is_sent_with_them_skipped(
    store: Store, arrange: Arrange
) -> None:
    """There was an audience, it was queued, and each of it is accounted for."""
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await start(store, mailout)
    await arrange.sql.execute("update subscribers set status = 'unsubscribed'")
    assert await store.finish_mailout(mailout) == "sent"
    assert await arrange.counts(mailout) == {"skipped": 1}
