"""Recipients with an instant of their own, and a canary, among limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.store import Store
from tests.pacing.conftest import a_mailout_to, a_pace, all_domains, claim_on, domains, sender_on
from tests.support.factories import Arrange

FIRST = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
SECOND = FIRST + timedelta(hours=3)
HALF = (
    "(select count(*) from send_logs o where o.id <= l.id "
    "and split_part(o.email, '@', 2) = split_part(l.email, '@', 2)) <= 5"
)
"""Of ten at each domain, the first five."""


async def with_waves(store: Store, arrange: Arrange) -> UUID:
    """Of 20 people each second one has Gmail; half of both is due now, half in three hours."""
    mailout = await a_mailout_to(store, arrange, gmail=10, example=10)
    await arrange.sql.execute("update mailouts set waves = true where id = %s", [mailout])
    await arrange.sql.execute(
        f"update send_logs l set next_attempt_at = case when {HALF} then %s else %s end",
        [FIRST, SECOND],
    )
    await arrange.sql.execute(
        "insert into mailout_waves (mailout_id, at, recipients, begun_at) "
        "select %s, next_attempt_at, count(*), now() from send_logs group by next_attempt_at",
        [mailout],
    )
    return mailout


async def taken(arrange: Arrange) -> list[int]:
    done = await arrange.sql.execute("select taken from mailout_waves order by at")
    return [row["taken"] async for row in done]


async def test_whoever_waits_keeps_their_instant_and_their_wave(
    store: Store, arrange: Arrange
) -> None:
    mailout = await with_waves(store, arrange)
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=0.001)
    first, why = await all_domains(store, mailout, sender)
    assert first == {"example.com": 5, "gmail.com": 1} and why.reason == "limits"
    assert await taken(arrange) == [6, 0]
    await arrange.sql.execute("delete from provider_paces")
    assert domains(await claim_on(store, mailout, sender)) == {"gmail.com": 4}
    assert await taken(arrange) == [10, 0]
    _, why = await all_domains(store, mailout, sender)
    assert why.reason == "ahead", "nobody's hour came sooner for it"
    at = await arrange.one("select count(distinct next_attempt_at) from send_logs")
    assert at == 2, "each row keeps its instant"


async def test_a_canary_waits_for_its_own_and_lets_nobody_else_out(
    store: Store, arrange: Arrange
) -> None:
    mailout = await a_mailout_to(store, arrange, gmail=10, example=10)
    await arrange.sql.execute(
        'update mailouts set canary = \'{"share": 0.5, "wait": "1h"}\', '
        "canary_phase = 'sending' where id = %s",
        [mailout],
    )
    await arrange.sql.execute(f"update send_logs l set canary = true where {HALF}")
    sender = await sender_on(store)
    await a_pace(arrange, "Gmail", rate=0.001)
    first, why = await all_domains(store, mailout, sender)
    assert first == {"example.com": 5, "gmail.com": 1} and why.reason == "limits"
    assert await store.advance_canary(mailout), "its share isn't out yet"
    assert await arrange.one("select canary_phase from mailouts") == "sending"
    await arrange.sql.execute("delete from provider_paces")
    rest, why = await all_domains(store, mailout, sender)
    assert rest == {"gmail.com": 4} and why.reason == "canary"
