"""Who opened and who clicked, as audiences ask it: everywhere the same people."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from app.store import Store
from tests.support.engagement import SENT_AT, happened, judge_all, mailed, told, tracked_mailout
from tests.support.factories import Arrange, start

APPLE = "Mozilla/5.0"


@pytest.fixture
async def names(direct_store: Store, arrange: Arrange) -> dict[str, str]:
    """Of the mailout, and of those who opened it, may have, clicked alone, are a program, did
    nothing, and got none."""
    mailout = await tracked_mailout(arrange)
    opened, maybe, clicked, program, quiet = [
        await mailed(arrange, mailout, f"{name}@example.com")
        for name in ("opened", "maybe", "clicked", "program", "quiet")
    ]
    await arrange.subscriber("none@example.com", created_at=SENT_AT)
    await happened(
        direct_store,
        told(opened),
        told(maybe, agent=APPLE),
        told(clicked, "Click"),
        told(program, "Click", agent="curl/8.0"),
        told(program, agent="curl/8.0"),
        told(quiet, "Delivery"),
    )
    await judge_all(direct_store)
    return {"mailout": str(mailout)}


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("rule", "reached"),
    [
        ({"field": "opened", "op": "is"}, {"opened", "maybe", "clicked"}),
        ({"field": "opened", "op": "is_not"}, {"program", "quiet", "none"}),
        ({"not": {"field": "opened", "op": "is"}}, {"program", "quiet", "none"}),
        ({"field": "clicked", "op": "is"}, {"clicked"}),
        ({"all": [{"field": "opened", "op": "is"}, {"field": "clicked", "op": "is_not"}]},
         {"opened", "maybe"}),
    ],
)  # fmt: skip
async def test_the_same_people_are_counted_and_queued(
    direct_store: Store, arrange: Arrange, names: dict[str, str], rule: Any, reached: set[str]
) -> None:
    age = (await arrange.one("select now() - %s", SENT_AT)).total_seconds()
    days = max(age, 0) / 86_400 + 1
    for value in ({"value": names["mailout"]}, {"value": "any", "days": days}):
        asked = _with(rule, value)
        found = await direct_store.preview_audience(asked, sample=9)
        assert {address.partition("@")[0] for address in found["sample"]} == reached
        mailout = await arrange.mailout(audience=asked)
        await start(direct_store, mailout)
        queued = await arrange.one(
            "select array_agg(split_part(email, '@', 1)) from send_logs where mailout_id = %s",
            mailout,
        )
        assert set(queued) == reached
        frozen = "select audience from mailout_snapshots where mailout_id = %s"
        assert await arrange.one(frozen, mailout) is not None


async def test_the_latest_open_counts_not_the_first(
    direct_store: Store, arrange: Arrange, names: dict[str, str]
) -> None:
    """Somebody who looks at an old mail again has opened something of late."""
    age = max((await arrange.one("select now() - %s", SENT_AT)).total_seconds(), 90_000.0)
    asked = {"field": "opened", "op": "is", "value": "any", "days": 0.2}
    before = (await direct_store.preview_audience(asked))["count"]
    mail = await mailed(arrange, await tracked_mailout(arrange), "again@example.com")
    await happened(direct_store, told(mail, after=3_600), told(mail, after=age - 60))
    await judge_all(direct_store)
    assert (await direct_store.preview_audience(asked))["count"] == before + 1
    first = "select opened_at from engagement_recipients where send_log_id = %s"
    assert (await arrange.one(first, mail.log) - SENT_AT).total_seconds() == 3_600


def _with(rule: Any, value: dict[str, Any]) -> Any:
    if "field" in rule:
        return rule | value
    if "not" in rule:
        return {"not": _with(rule["not"], value)}
    return {"all": [_with(part, value) for part in rule["all"]]}


async def test_an_estimate_of_who_got_a_cancelled_mailout(arrange: Arrange) -> None:
    """It went to the lowest ids: an estimate looks at people all over the list."""
    await arrange.subscribers(4_000)
    mailout = await arrange.mailout(status="cancelled")
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at)"
        " select %s, id, email, 'sent', now() from subscribers where id <= id_at(0.5)",
        [mailout],
    )
    got = await arrange.one("select count(*) from send_logs where mailout_id = %s", mailout)
    count = "select count_rule(%s, now(), 'UTC', 1000, 3, 0.5)"
    for op, exact in (("is", got), ("is_not", 4_000 - got)):
        rule = {"field": "received", "op": op, "value": str(mailout)}
        found = await arrange.one(count, Jsonb(rule))
        assert found["estimated"]
        assert abs(found["fitting"] - exact) < 200
        assert len(found["sample"]) == 3
        whole = await arrange.one("select count_rule(%s, now(), 'UTC')", Jsonb(rule))
        assert (whole["fitting"], whole["estimated"]) == (exact, False)
