"""A share of the audience goes first; the rest waits for what its events say."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from app.domain.sending.batches import Batch, Idle
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.integration.test_guards import LIMITS, Mailed
from tests.support.factories import Arrange, all_sent, living_sender, start, try_claim
from tests.support.service import Service, command, environment
from tests.support.waiting import eventually

CANARY = {"share": 0.1, "wait": "15m"}


async def readers(arrange: Arrange, **domains: int) -> None:
    for name, count in domains.items():
        await arrange.sql.execute(
            "insert into subscribers (email, created_at) select 'r' || n || %s, "
            "now() - interval '1 day' from generate_series(1, %s) n",
            [f"@{name}.example", count],
        )


async def with_canary(
    store: Store, arrange: Arrange, canary: dict[str, Any] = CANARY
) -> tuple[UUID, UUID]:
    """A started mailout with a canary, and a sender."""
    created = await store.add_mailout(
        {"subject": "Hello", "body_html": "<p>Hi</p>", "canary": canary}
    )
    mailout = created.id
    await store.release_mailout(mailout)
    await start(store, mailout)
    return mailout, await living_sender(store)


async def claim(store: Store, mailout: UUID, sender: UUID) -> Batch | Idle:
    return await try_claim(store, mailout, sender, limit=50, guards=LIMITS)


async def send_all(store: Store, mailout: UUID, sender: UUID) -> Mailed:
    """Send whatever may be claimed now."""
    sent = Mailed(store, mailout, sender, [])
    while isinstance(batch := await claim(store, mailout, sender), Batch):
        await store.record_results(batch.attempt_id, all_sent(batch))
        sent.rows += [(recipient, batch.attempt_id) for recipient in batch.recipients]
    return sent


async def wait_is_over(arrange: Arrange) -> None:
    await arrange.sql.execute("update mailouts set canary_until = now()")


async def test_the_first_share_is_spread_over_the_mail_domains(
    direct_store: Store, arrange: Arrange
) -> None:
    await readers(arrange, gmail=500, yahoo=300, **{f"small{n}": 1 for n in range(200)})
    mailout, sender = await with_canary(direct_store, arrange)
    canary = await send_all(direct_store, mailout, sender)
    assert len(canary.rows) == 100
    domains = [recipient.email.split("@")[1] for recipient, _ in canary.rows]
    assert domains.count("gmail.example") == 50
    assert domains.count("yahoo.example") == 30
    assert await claim(direct_store, mailout, sender) == Idle("canary")


async def test_it_waits_says_so_and_goes_on_by_itself(store: Store, arrange: Arrange) -> None:
    await readers(arrange, one=200)
    mailout, sender = await with_canary(store, arrange)
    canary = await send_all(store, mailout, sender)
    assert await store.advance_canary(mailout, LIMITS)
    shown = await store.show_mailout(mailout)
    assert shown["status"] == "sending"
    assert shown["status_reason"].startswith("canary: waiting for events until 2")
    await store.apply_ses_events(canary.delivered(range(20)))
    assert await store.advance_canary(mailout, LIMITS)
    assert await claim(store, mailout, sender) == Idle("canary")
    await wait_is_over(arrange)
    assert not await store.advance_canary(mailout, LIMITS)
    assert (await store.show_mailout(mailout))["status_reason"] is None
    rest = await send_all(store, mailout, sender)
    assert len(canary.rows) + len(rest.rows) == 200
    assert (await store.show_mailout(mailout))["status"] == "sent"


async def test_what_keeps_all_mailouts_waiting_replaces_only_its_own_words(
    direct_store: Store, arrange: Arrange
) -> None:
    await readers(arrange, one=50)
    plain = await arrange.mailout()
    await start(direct_store, plain)
    mailout, sender = await with_canary(direct_store, arrange)
    await send_all(direct_store, mailout, sender)
    await direct_store.advance_canary(mailout, LIMITS)

    async def reasons() -> list[str]:
        shown = [await direct_store.show_mailout(one) for one in (plain, mailout)]
        return [(one["status_reason"] or "-").split()[0] for one in shown]

    assert await reasons() == ["-", "canary:"]
    await direct_store.note_waiting("Waiting for SES, which does not answer; next try at 12:00.")
    assert await reasons() == ["Waiting", "canary:"]
    await direct_store.note_waiting(None)
    assert await reasons() == ["-", "canary:"]


async def test_the_wait_begins_when_the_last_of_the_share_is_out(
    direct_store: Store, arrange: Arrange
) -> None:
    await readers(arrange, one=1_000)
    mailout, sender = await with_canary(direct_store, arrange)
    batch = await claim(direct_store, mailout, sender)
    assert isinstance(batch, Batch)
    await send_all(direct_store, mailout, sender)
    assert await direct_store.advance_canary(mailout, LIMITS)
    assert await arrange.one("select canary_phase from mailouts") == "sending"
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    assert await direct_store.advance_canary(mailout, LIMITS)
    assert await arrange.one(
        "select canary_until - now() between '14 minutes' and '15 minutes' from mailouts"
    )


async def test_a_canary_that_bounces_pauses_the_mailout(
    direct_store: Store, arrange: Arrange
) -> None:
    """It is judged from 20 mails with an outcome on, not from 100."""
    await readers(arrange, one=300)
    mailout, sender = await with_canary(direct_store, arrange)
    canary = await send_all(direct_store, mailout, sender)
    await direct_store.advance_canary(mailout, LIMITS)
    assert await canary.apply(canary.bounced([0, 1]) + canary.delivered(range(2, 19))) == []
    assert await canary.apply(canary.delivered([19])) == [str(mailout)]
    await wait_is_over(arrange)
    assert await direct_store.advance_canary(mailout, LIMITS)
    assert await canary.enforce() == "paused"
    reason = (await direct_store.show_mailout(mailout))["status_reason"]
    assert "2 of 20 (10 %) of the canary's mails" in reason
    # A person has looked and goes on: the rest follows.
    await direct_store.resume_mailout(mailout)
    assert not await direct_store.advance_canary(mailout, LIMITS)
    assert len((await send_all(direct_store, mailout, sender)).rows) == 270


async def test_a_pause_and_resume_does_not_shorten_the_wait(
    direct_store: Store, arrange: Arrange
) -> None:
    await readers(arrange, one=50)
    mailout, sender = await with_canary(direct_store, arrange)
    await send_all(direct_store, mailout, sender)
    await direct_store.advance_canary(mailout, LIMITS)
    until = await arrange.one("select canary_until from mailouts")
    await direct_store.pause_mailout(mailout, "person", "Paused by a person.")
    await direct_store.resume_mailout(mailout)
    assert await direct_store.advance_canary(mailout, LIMITS)
    assert await arrange.one("select canary_until from mailouts") == until
    assert "waiting" in (await direct_store.show_mailout(mailout))["status_reason"]


async def test_a_share_that_left_the_list_leaves_nothing_to_wait_for(
    direct_store: Store, arrange: Arrange
) -> None:
    await readers(arrange, one=5)
    mailout, sender = await with_canary(direct_store, arrange)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where id = "
        "(select subscriber_id from send_logs where canary)"
    )
    assert await claim(direct_store, mailout, sender) == Idle("canary")
    assert not await direct_store.advance_canary(mailout, LIMITS)
    assert len((await send_all(direct_store, mailout, sender)).rows) == 4


async def test_a_test_mail_before_the_start_is_none_of_the_share(
    direct_store: Store, arrange: Arrange
) -> None:
    """So when the whole share has left the list, there is nothing to wait for either."""
    await readers(arrange, a=20)
    mailout = await arrange.mailout(canary=Jsonb(CANARY))
    await direct_store.queue_test(mailout, ["me@example.com"])
    sender = await living_sender(direct_store)
    test = await try_claim(direct_store, mailout, sender, limit=1, test=True)
    assert isinstance(test, Batch)
    await direct_store.record_results(test.attempt_id, all_sent(test))
    await start(direct_store, mailout)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where id in "
        "(select subscriber_id from send_logs where canary)"
    )
    assert await claim(direct_store, mailout, sender) == Idle("canary")
    assert not await direct_store.advance_canary(mailout, LIMITS)
    assert len((await send_all(direct_store, mailout, sender)).rows) == 18


async def test_an_audience_of_one_is_its_own_canary(direct_store: Store, arrange: Arrange) -> None:
    await readers(arrange, one=1)
    mailout, sender = await with_canary(direct_store, arrange)
    await send_all(direct_store, mailout, sender)
    assert (await direct_store.show_mailout(mailout))["status"] == "sent"


async def test_a_resend_has_no_canary(direct_store: Store, arrange: Arrange) -> None:
    await readers(arrange, one=1)
    mailout, sender = await with_canary(direct_store, arrange)
    await send_all(direct_store, mailout, sender)
    await arrange.sql.execute("update send_logs set status = 'failed'")
    await direct_store.resend_mailout(mailout, ["failed"], force=False)
    assert isinstance(await claim(direct_store, mailout, sender), Batch)


@pytest.mark.parametrize(
    "canary",
    [
        {},
        {"share": 0.1},
        {"share": 0, "wait": "15m"},
        {"share": 0.6, "wait": "15m"},
        {"share": "0.1", "wait": "15m"},
        {"share": 0.1, "wait": "soon"},
        {"share": 0.1, "wait": "0m"},
        {"share": 0.1, "wait": "15m", "more": 1},
        [0.1, "15m"],
    ],
)
async def test_a_malformed_canary_is_not_taken(arrange: Arrange, canary: object) -> None:
    """Also not by an edit of the table by hand: no wish is silently ignored."""
    with pytest.raises(psycopg.errors.CheckViolation):
        await arrange.sql.execute(
            "insert into mailouts (subject, canary) values ('x', %s)",
            [psycopg.types.json.Jsonb(canary)],
        )


async def test_the_service_sends_share_and_rest_once(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(100)
    mailout = await arrange.mailout(canary=psycopg.types.json.Jsonb({"share": 0.05, "wait": "1s"}))
    await service.send(mailout)
    waiting = await eventually(
        lambda: service.show(mailout),
        until=lambda s: "canary" in (s["status_reason"] or ""),
    )
    assert waiting["counts"]["sent"] == 5
    assert waiting["canary"] == {"share": 0.05, "wait": "1s"}
    done = await eventually(lambda: service.show(mailout), until=lambda s: s["status"] == "sent")
    assert done["counts"]["sent"] == 100
    assert sandbox.stats()["duplicates"] == 0


@pytest.mark.short
async def test_the_command_line_takes_a_canary(dsn: str, tmp_path: Path, arrange: Arrange) -> None:
    (tmp_path / "letter.md").write_text("Hi")

    def create(canary: str) -> subprocess.CompletedProcess[str]:
        options = ("--subject", "Hello", "--canary", canary)
        variables = environment(dsn, None)
        return command(tmp_path, variables, "mailouts", "create", "letter.md", *options)

    refused = create("a lot")
    assert refused.returncode == 1
    assert "such as 0.02,15m" in refused.stderr
    done = create("0.02,15m")
    assert done.returncode == 0, done.stderr
    stored = await arrange.one("select canary from mailouts where id = %s", done.stdout.strip())
    assert stored == {"share": 0.02, "wait": "15m"}
    assert await arrange.one("select count(*) from mailouts") == 1
