"""Rates and quotas come from outside: whatever number SES or a setting says, claims go on. What is
no number is refused before: test_untrusted_answers.py, test_settings.py."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.domain.sending.batches import Idle
from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    an_account,
    living_sender,
    started_mailout,
)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "quota",
    [
        -1,
        -1.0,
        50_000,
        2**31 - 1,
        2**31,
        2**31 + 0.5,
        2**53 + 1.0,
        2**63,
        1e15,
        1e300,
    ],
)
@pytest.mark.parametrize("attempts", [1, 8])
async def test_any_daily_quota_lets_claims_go_on(
    store: Store, arrange: Arrange, quota: float, attempts: int
) -> None:
    """From 2³¹ on it is no integer of PostgreSQL's."""
    mailout = await started_mailout(store, arrange, 6)
    sender = await living_sender(store, account=an_account(max_24h_send=quota, sent_last_24h=1))
    claimed = await store.claim_batches(
        mailout,
        sender,
        attempts=[uuid4() for _ in range(attempts)],
        region=REGION,
        limit=3,
    )
    assert not isinstance(claimed, Idle)
    assert sum(len(batch.recipients) for batch in claimed) == min(6, 3 * attempts)
    outlook = await store.send_outlook([REGION], None, 6)
    assert outlook["days"] == 1
    assert ("quota_left" in outlook) == (quota >= 0)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("rate", "size"),
    [
        (0.001, 1),
        (1e-300, 1),
        (0.5, 1),
        (1.5, 1),
        (14.999, 14),
        (2.0**31, 50),
        (2.0**40, 50),
        (1e300, 50),
    ],
)
async def test_any_rate_lets_claims_go_on(
    store: Store, arrange: Arrange, rate: float, size: int
) -> None:
    """A batch is at most a second's tokens, at least one; the next one knows when it is due."""
    mailout = await started_mailout(store, arrange, 60)
    sender = await living_sender(store, rate=rate, account=an_account(max_send_rate=1e300))
    claimed = await store.claim_batches(
        mailout, sender, attempts=[uuid4()], region=REGION, limit=50
    )
    assert not isinstance(claimed, Idle)
    assert [len(batch.recipients) for batch in claimed] == [size]
    again = await store.claim_batches(mailout, sender, attempts=[uuid4()], region=REGION, limit=50)
    if rate < 10:
        assert isinstance(again, Idle)
        assert again.reason == "wait"
        assert again.seconds > 0
    else:
        assert isinstance(again, tuple | Idle)


@pytest.mark.parametrize("rate", [0.0, -1.0])
async def test_an_account_without_a_rate_sends_nothing(
    store: Store, arrange: Arrange, rate: float
) -> None:
    mailout = await started_mailout(store, arrange, 1)
    sender = await living_sender(store, rate=5, account=an_account(max_send_rate=rate))
    claimed = await store.claim_batches(
        mailout, sender, attempts=[uuid4()], region=REGION, limit=50
    )
    assert claimed == Idle("no_rate")
