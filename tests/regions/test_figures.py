"""How many mails left by which route: on a mailout's page, by the API and the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.adapters.database.migration_files import Bundle, read_bundle
from app.adapters.database.migrations import migrate
from app.domain.reports.progress import figures_by_route
from app.domain.sending.batches import Batch, Outcome, Result
from app.sandbox.server import Remote, SandboxServer
from app.store import Store
from tests.contract.test_routes_store import claim_by, sender_by
from tests.regions.conftest import AWAY, HOME, two_regions
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange, all_sent, an_account, let_judge, started_mailout
from tests.support.service import command, environment, in_process
from tests.support.waiting import eventually


async def batch_by(store: Store, region: str, mailout: UUID, sender: UUID) -> Batch:
    claimed = await claim_by(store, region, mailout, sender)
    assert isinstance(claimed, tuple), claimed
    return claimed[0]


def told(batch: Batch, mailout: UUID, which: int, kind: str = "delivery") -> dict[str, Any]:
    """An event of this attempt's mail."""
    row = batch.recipients[which].send_log_id
    return {
        "sns_message_id": f"{batch.attempt_id} {which} {kind}",
        "type": kind,
        "message_id": f"m{row}",
        "occurred_at": "2026-11-24T12:00:00+00:00",
        "mailout_id": str(mailout),
        "send_log_id": row,
        "attempt": str(batch.attempt_id),
        "payload": {},
    }


async def routes(store: Store, mailout: UUID) -> dict[str, tuple[int, int | None]]:
    found = (await store.show_mailout(mailout))["routes"]
    assert (await store.mailout_outcomes(mailout))["routes"] == found
    return {name: (one["accepted"], one["unknown"]) for name, one in found.items()}


async def test_a_mail_counts_once_for_the_route_that_accepted_it(
    store: Store, arrange: Arrange
) -> None:
    """Whether its answer says so, or an event before the answer, or instead of it."""
    mailout = await started_mailout(store, arrange, 20)
    sender = await sender_by(store, {HOME: an_account(), AWAY: an_account()})
    assert await routes(store, mailout) == {}

    first = await batch_by(store, HOME, mailout, sender)
    await store.apply_ses_events([told(first, mailout, 0)])
    assert await routes(store, mailout) == {HOME: (1, 0)}, "the event was faster than the answer"
    await store.record_results(first.attempt_id, [
        Result(recipient.send_log_id, "sent", message_id=f"m{recipient.send_log_id}")
        for recipient in first.recipients
    ])  # fmt: skip
    await store.apply_ses_events([told(first, mailout, n) for n in range(5)])
    assert await routes(store, mailout) == {HOME: (5, 0)}

    second = await batch_by(store, AWAY, mailout, sender)
    outcomes: list[Outcome] = ["unknown", "unknown", "unknown", "failed", "retry"]
    await store.record_results(second.attempt_id, [
        Result(recipient.send_log_id, outcome)
        for recipient, outcome in zip(second.recipients, outcomes, strict=True)
    ])  # fmt: skip
    assert await routes(store, mailout) == {HOME: (5, 0), AWAY: (0, 3)}
    await store.apply_ses_events([told(second, mailout, 0), told(second, mailout, 3, "reject")])
    assert await routes(store, mailout) == {HOME: (5, 0), AWAY: (1, 2)}

    late = Result(
        second.recipients[1].send_log_id, "sent",
        message_id=f"m{second.recipients[1].send_log_id}",
    )  # fmt: skip
    for _ in range(2):
        await store.record_results(second.attempt_id, [late])
    assert await routes(store, mailout) == {HOME: (5, 0), AWAY: (2, 1)}, "told late, and twice"

    third = await batch_by(store, HOME, mailout, sender)
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '1 hour'")
    other = await sender_by(store, {HOME: an_account()})
    await let_judge(arrange, other)
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '1 hour'")
    await store.recover_lost(other)
    assert await routes(store, mailout) == {HOME: (5, 5), AWAY: (2, 1)}
    await store.apply_ses_events([told(third, mailout, n) for n in range(5)])
    await arrange.sql.execute("delete from send_batches where recorded_at is not null")
    assert (await routes(store, mailout))[HOME] == (10, 0), "the batches may go"


async def test_a_providers_event_without_a_message_id_counts_no_second_time(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 5)
    sender = await sender_by(store, {HOME: an_account()})
    batch = await batch_by(store, HOME, mailout, sender)
    await arrange.sql.execute("update send_batches set region = 'sendgrid'")
    early = [told(batch, mailout, n) | {"message_id": None, "provider": "sendgrid"} for n in (0, 1)]
    await store.apply_ses_events(early)
    assert await routes(store, mailout) == {"sendgrid": (2, 0)}
    await store.record_results(batch.attempt_id, [
        Result(recipient.send_log_id, "sent", message_id=f"x{recipient.send_log_id}")
        for recipient in batch.recipients
    ])  # fmt: skip
    assert await routes(store, mailout) == {"sendgrid": (5, 0)}


async def test_test_mails_count_for_no_route(direct_store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(direct_store, arrange, 1)
    sender = await sender_by(direct_store, {HOME: an_account()})
    await direct_store.queue_test(mailout, ["me@example.com"])
    claimed = await direct_store.claim_batches(
        mailout, sender, attempts=[UUID(int=1)], region=HOME, limit=5, test=True
    )
    assert isinstance(claimed, tuple)
    await direct_store.record_results(claimed[0].attempt_id, all_sent(claimed[0]))
    assert await routes(direct_store, mailout) == {}


async def test_the_figures_stay_when_connections_go(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    """Each connection counts for itself; housekeeping adds up those that are gone."""
    mailout = await started_mailout(direct_store, arrange, 10)
    sender = await sender_by(direct_store, {HOME: an_account()})
    for _ in range(2):
        batch = await batch_by(direct_store, HOME, mailout, sender)
        results = [{"id": row.send_log_id, "outcome": "sent"} for row in batch.recipients]
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as passing:
            await passing.execute(
                "select record_results(%s, %s)",
                [batch.attempt_id, psycopg.types.json.Jsonb(results)],
            )

    async def apart() -> int:
        await direct_store.keep_house()
        found: int = await arrange.one("select count(*) from route_counts where connection <> 0")
        return found

    await eventually(apart, until=lambda n: n == 0)
    assert await routes(direct_store, mailout) == {HOME: (10, 0)}


@pytest.mark.short
async def test_the_page_and_the_command_line_say_it_of_several_routes(
    tmp_path: Path, dsn: str, arrange: Arrange, home: SandboxServer, away: Remote
) -> None:
    await arrange.subscribers(300)
    mailout = await arrange.mailout()
    for region in (home, away):
        region.account(max_24h_send=200)  # so it takes both
    async with in_process(two_regions(dsn, home)) as service:
        assert (await service.send(mailout)).status_code == 202
        shown = await eventually(
            lambda: service.show(mailout), until=lambda found: found["status"] == "sent"
        )
        async with signed_in(service) as person:
            page = (await person.get(f"/mailouts/{mailout}")).text
        metrics = (await service.http.get("/metrics")).text
    said = command(tmp_path, environment(dsn, None), "mailouts", "show", str(mailout)).stdout
    accepted = [line["route"] for line in home.accepted()]
    assert shown["routes"] == {
        region: {"accepted": accepted.count(region), "unknown": 0} for region in set(accepted)
    }
    for region in set(accepted):
        count = accepted.count(region)
        assert f'amazonsender_ses_recipients_total{{region="{region}"}} {count}.0' in metrics
        assert f'<tr><th scope="row">{region}</th><td>{count}</td><td>0</td></tr>' in page
        assert re.search(rf"^{region}: +{count} accepted$", said, re.MULTILINE), said


async def test_what_was_sent_before_is_counted_once(empty_dsn: str) -> None:
    """By the migration that begins to count."""
    bundle = read_bundle()
    before = [file for file in bundle.numbered if file.name < "0053"]
    await migrate(empty_dsn, Bundle(tuple(before), (), 1, 1))
    async with await psycopg.AsyncConnection.connect(empty_dsn, autocommit=True) as sql:
        done = await sql.execute(
            "insert into mailouts (subject, body_html, status, started_at) "
            "values ('Hi', 'Hi', 'sent', now() - interval '1 hour') returning id"
        )
        [mailout] = await done.fetchone() or ()
        await sql.execute(
            "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, "
            "token_at, claimed_at, recorded_at, accepted) select gen_random_uuid(), %s, "
            "gen_random_uuid(), case when n < 3 then 'sendgrid' else 'eu-west-1' end, '{1}', "
            "now(), now() - interval '90 minutes' + n * interval '10 minutes', now(), n "
            "from generate_series(1, 6) n",
            [mailout],
        )
        await migrate(empty_dsn)
        done = await sql.execute("select mailout_routes(%s)", [mailout])
        assert await done.fetchone() == ({"eu-west-1": {"accepted": 18, "unknown": 0}},)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, []),
        ({HOME: {"accepted": 5, "unknown": 0}}, []),
        ({"mailgun": {"accepted": 5, "unknown": 0}}, ["Mailgun: 5 accepted"]),
        (
            {HOME: {"accepted": 5, "unknown": 2}, AWAY: {"accepted": 1200, "unknown": None}},
            [f"{AWAY}: 1,200 accepted", f"{HOME}: 5 accepted, 2 unknown"],
        ),
    ],
)
def test_one_region_alone_needs_no_figures(given: dict[str, Any], shown: list[str]) -> None:
    assert [f"{one.name}: {one}" for one in figures_by_route(given)] == shown
