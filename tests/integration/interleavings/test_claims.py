"""A claim beside an unsubscribe, another claim or a pause; a start beside another; the rate."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    living_sender,
)
from tests.support.transactions import (
    Transaction,
    beside,
    blocked,
    prepared,
    status,
)

# Claim and unsubscribe


async def test_a_claim_that_commits_before_an_unsubscribe_keeps_its_row(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    reader = await arrange.one("select id from subscribers")
    assert len((await first.claim(mailout, sender))["rows"]) == 1
    leaving = await blocked(
        arrange, second, second.call("unsubscribe", p_subscriber=reader, p_mailout=mailout)
    )
    await first.commit()
    await leaving
    await second.commit()
    assert await arrange.counts(mailout) == {"sending": 1}
    assert await arrange.one("select status from subscribers") == "unsubscribed"


async def test_a_claim_during_an_unsubscribe_passes_the_row_by(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    reader = await arrange.one("select id from subscribers")
    await first.call("unsubscribe", p_subscriber=reader, p_mailout=mailout)
    assert await second.claim(mailout, sender) == {"reason": "empty"}
    await first.commit()
    await second.commit()
    assert await arrange.counts(mailout) == {"skipped": 1}


# Claim and claim


async def test_two_claims_at_once_share_no_row(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange, readers=5)
    other = await living_sender(direct_store)
    one = await first.claim(mailout, sender, limit=3)
    waiting = await blocked(arrange, second, second.claim(mailout, other, limit=3))
    await first.commit()
    two = await waiting
    await second.commit()
    assert {r["id"] for r in one["rows"]}.isdisjoint(r["id"] for r in two["rows"])
    assert len(one["rows"]) + len(two["rows"]) == 5


async def test_of_two_starts_at_once_one_wins(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    await arrange.subscribers(2)
    mailout = await arrange.mailout()
    found = await direct_store.find_mailout(mailout)
    assert found is not None
    asked = {"p_mailout": mailout, "p_content_hash": found.content_hash}
    assert (await first.call("claim_mailout", **asked))["outcome"] == "claimed"
    waiting = await blocked(arrange, second, second.call("claim_mailout", **asked))
    await first.commit()
    assert (await waiting)["outcome"] == "not_ready"


async def test_a_start_keeps_no_template_that_was_changed_while_it_waited(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """Else it would send what nobody has checked."""
    await arrange.subscriber()
    made = await direct_store.create_template({"name": "Letter", "body_html": "as checked"}, by="x")
    template = UUID(made["template"]["id"])
    mailout = await arrange.mailout(template_id=template)
    found = await direct_store.find_mailout(mailout)
    assert found is not None
    await first.call("lock_mailout", p_mailout=mailout)
    starting = await blocked(
        arrange,
        second,
        second.call("claim_mailout", p_mailout=mailout, p_content_hash=found.content_hash),
    )
    await direct_store.change_template(template, None, {"body_html": "unseen"}, by="x")
    await first.commit()
    assert (await starting)["outcome"] == "changed"
    await second.commit()
    assert await status(arrange, mailout) == "ready"
    assert await arrange.one("select count(*) from mailout_snapshots") == 0


@pytest.mark.parametrize(
    ("ready", "outcome", "ends"),
    [(True, "key_reused", ["sending", "ready"]), (False, "claimed", ["draft", "sending"])],
    ids=["accepted", "refused"],
)
async def test_of_two_mailouts_with_one_request_key_one_starts(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    ready: bool,
    outcome: str,
    ends: list[str],
) -> None:
    """The second waits for the first, whose refusal leaves the key free."""
    await arrange.subscriber()
    one, two = await arrange.mailout("ready" if ready else "draft"), await arrange.mailout()

    async def asked(mailout: UUID, body: str) -> dict[str, Any]:
        found = await direct_store.find_mailout(mailout)
        assert found is not None
        return {
            "p_mailout": mailout,
            "p_content_hash": found.content_hash,
            "p_request_key": "key",
            "p_request_hash": body,
        }

    await first.call("claim_mailout", **await asked(one, "one"))
    waiting = await blocked(
        arrange, second, second.call("claim_mailout", **await asked(two, "two"))
    )
    await first.commit()
    assert (await waiting)["outcome"] == outcome
    await second.commit()
    assert [await status(arrange, one), await status(arrange, two)] == ends


# Claim and pause


async def test_a_pause_waits_for_the_claim_before_it(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    await first.claim(mailout, sender)
    pausing = await blocked(
        arrange,
        second,
        second.call("pause_mailout", p_mailout=mailout, p_code="person", p_reason="wait"),
    )
    await first.commit()
    assert (await pausing)["changed"]
    await second.commit()
    assert await arrange.counts(mailout) == {"sending": 1}


async def test_a_claim_waits_for_the_pause_before_it_and_takes_nothing(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    await first.call("pause_mailout", p_mailout=mailout, p_code="person", p_reason="wait")
    claiming = await blocked(arrange, second, second.claim(mailout, sender))
    await first.commit()
    assert await claiming == {"reason": "not_sending"}
    assert await arrange.counts(mailout) == {"queued": 1}


# The rate


@pytest.mark.parametrize("heartbeat_first", [True, False])
async def test_a_first_heartbeat_and_the_account_leave_the_rate_that_was_told(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    heartbeat_first: bool,
) -> None:
    """A process starts while no other lives: it says its rate and asks for the account's at once.

    Left at the account's rate, it would send thousands a second until its next heartbeat.
    """
    await living_sender(direct_store, rate=40)
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '10 minutes'")

    def heartbeat(on: Transaction) -> Awaitable[Any]:
        return on.call(
            "heartbeat",
            p_executor=uuid4(),
            p_region=REGION,
            p_label="test",
            p_lease_seconds=60.0,
            p_rate_limit=40.0,
        )

    def account(on: Transaction) -> Awaitable[Any]:
        said = {"max_send_rate": 1e5, "max_24h_send": -1, "sent_last_24h": 0}
        return on.call("record_account", p_region=REGION, p_account=said)

    steps = [heartbeat, account] if heartbeat_first else [account, heartbeat]
    await steps[0](first)
    await beside(arrange, second, steps[1](second), first)
    assert await arrange.one("select rate from send_rates") == 40
