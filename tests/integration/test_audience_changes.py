"""How an audience differs from the last one with the same rule, and the stop for a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from app.domain.audience.diff import AudienceDiff
from app.errors import AudienceChanged
from app.services.audience import changes
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service

NEWS = {"tags": ["news"]}


async def sent(arrange: Arrange, audience: Any, to: str = "true") -> UUID:
    """A mailout that was sent an hour ago, to the subscribers for whom this SQL holds."""
    mailout = await arrange.mailout("sent", audience=audience, subject="May")
    await arrange.sql.execute(
        "update mailouts set started_at = now() - interval '1 hour', sent_at = now() where id = %s",
        [mailout],
    )
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) select %s, id, email, "
        f"'delivered' from subscribers where {to}".encode(),
        [mailout],
    )
    return mailout


async def people(arrange: Arrange, name: str, count: int, **columns: Any) -> None:
    """name1@example.com and so on; columns: SQL for each."""
    given = {"tags": "'{news}'", "created_at": "now() - interval '1 day'", **columns}
    await arrange.sql.execute(
        f"insert into subscribers (email, {', '.join(given)}) "
        f"select '{name}' || n || '@example.com', {', '.join(given.values())} "
        "from generate_series(1, %s) n".encode(),
        [count],
    )


async def test_who_came_and_who_left_and_why(store: Store, arrange: Arrange) -> None:
    await people(arrange, "stay", 6)
    await people(arrange, "leave", 3)
    await people(arrange, "bounce", 2)
    await people(arrange, "untag", 4)
    await people(arrange, "gone", 1)
    await sent(arrange, NEWS)
    for statement in (
        "update subscribers set status = 'unsubscribed' where email like 'leave%'",
        "update subscribers set status = 'bounced' where email like 'bounce%'",
        "update subscribers set tags = '{}' where email like 'untag%'",
        "delete from subscribers where email like 'gone%'",
    ):
        await arrange.sql.execute(statement.encode())
    await people(arrange, "new", 5, created_at="now()")
    await people(arrange, "other", 7, tags="'{}'")
    await arrange.sql.execute("update subscribers set tags = '{news}' where email ~ '^other[12]@'")
    mailout = await arrange.mailout(audience=NEWS)
    found = await store.audience_diff(mailout, 1_000_000)
    assert found is not None
    diff = AudienceDiff(**found)
    assert diff.previous["subject"] == "May"
    assert (diff.before, diff.now, diff.estimated) == (16, 13, False)
    assert (diff.added, diff.new, diff.removed) == (7, 5, 10)
    assert diff.reasons == {"unsubscribed": 3, "bounced": 2, "rule": 4, "deleted": 1}
    assert diff.words == (
        "+7 (5 new on the list, 2 fit now or came back), "
        "−10 (4 don’t fit any more, 3 unsubscribed, 2 bounced, 1 were deleted)"
    )
    other_rule = await arrange.mailout(audience={"tags": ["news", "x"]})
    assert await store.audience_diff(other_rule, 1_000_000) is None
    await sent(arrange, {"tags": ["news", "x"]}, to="false")  # all had left when it was their turn
    found = await store.audience_diff(other_rule, 1_000_000)
    assert found is not None and not AudienceDiff(**found).is_large


async def test_of_many_a_part_is_looked_at(store: Store, arrange: Arrange) -> None:
    """With the right share of each: a third left, and as many came."""
    await people(arrange, "stay", 2000, tags="'{}'")
    await people(arrange, "leave", 1000, tags="'{}'")
    await sent(arrange, None)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where email like 'leave%'"
    )
    await people(arrange, "new", 1000, tags="'{}'", created_at="now()")
    found = await store.audience_diff(await arrange.mailout(), 1500)
    assert found is not None
    diff = AudienceDiff(**found)
    assert diff.estimated
    assert (diff.before, diff.now) == (3000, 3000)
    assert diff.each["came"] == pytest.approx(4000 / 1500)
    assert 1.8 < diff.each["left"] < 2.2
    # The sampled third has a standard deviation of 24 of 3,000; ten of them never happen.
    for share in (diff.added, diff.new, diff.removed, diff.reasons["unsubscribed"]):
        assert 750 < share < 1250


def diff(*, came: float = 1, left: float = 1, **changes: Any) -> AudienceDiff:
    """came, left: for so many each of those found stands."""
    found: dict[str, Any] = {
        "before": 300, "now": 300, "added": 0, "new": 0, "removed": 0, "reasons": {},
        "previous": {"subject": "x"}, "estimated": max(came, left) > 1,
        "each": {"came": came, "left": left},
    }  # fmt: skip
    return AudienceDiff(**found | changes)


@pytest.mark.parametrize(
    ("changes", "large"),
    [
        ({"added": 100}, False),
        ({"added": 101}, True),
        ({"removed": 101}, True),
        ({"before": 90, "added": 99}, False),
        ({"before": 90, "added": 100}, True),
        ({"before": 3000, "added": 1660, "came": 10}, False),  # too few were found
        ({"before": 3000, "added": 1670, "came": 10}, True),
        ({"before": 3000, "removed": 1660, "left": 10}, False),
        ({"before": 3000, "removed": 1001, "came": 1000}, True),  # who left was counted
    ],
)
def test_what_a_person_has_to_confirm(changes: dict[str, Any], large: bool) -> None:
    """More than a third and at least a hundred, known well enough."""
    assert diff(**changes).is_large is large


@pytest.mark.parametrize(
    ("found", "small"),
    [
        ({"removed": 100}, True),
        ({"removed": 101}, False),
        ({"before": 10_000, "removed": 2540, "left": 4}, False),  # a margin of 8 %
        ({"before": 10_000, "removed": 2530, "left": 4}, True),
        ({"before": 10_000, "removed": 2540, "came": 4}, True),
        ({"before": 10_000, "added": 2540, "came": 4}, False),
        ({"removed": 0, "left": 12}, False),
    ],
)
def test_when_a_few_who_were_looked_at_settle_it(found: dict[str, Any], small: bool) -> None:
    assert diff(**found).is_surely_small is small


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many people each look was at."""
    reaches: list[int] = []
    look = Store.audience_diff

    async def watched(self: Store, mailout: UUID, reach: int) -> dict[str, Any] | None:
        reaches.append(reach)
        return await look(self, mailout, reach)

    monkeypatch.setattr(Store, "audience_diff", watched)
    return reaches


@pytest.mark.short
@pytest.mark.few_variants(2)
@pytest.mark.parametrize(("leave", "looks"), [(10, [1200]), (1300, [1200, 2000])])
async def test_a_request_to_send_looks_at_more_people_only_in_a_close_case(
    store: Store,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    looked: list[int],
    leave: int,
    looks: list[int],
) -> None:
    monkeypatch.setattr(changes, "FIRST_REACH", 1200)
    monkeypatch.setattr(changes, "REACH", 2000)
    await people(arrange, "reader", 3000)
    await sent(arrange, None)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where email in "
        "(select email from subscribers limit %s)",
        [leave],
    )
    asked = changes.require_confirmed(store, await arrange.mailout(), "ready", None)
    if leave > 1000:
        with pytest.raises(AudienceChanged):
            await asked
    else:
        await asked
    assert looked == looks


@pytest.mark.parametrize(
    ("leave", "reach", "looks"),
    [
        (10, 2000, [1200]),
        (10, 3000, [1200, 3000]),  # so few that they are counted
        (900, 2000, [1200, 2000]),  # a close case
    ],
)
async def test_a_page_looks_at_few_of_a_long_list_that_hardly_changed(
    store: Store,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    looked: list[int],
    leave: int,
    reach: int,
    looks: list[int],
) -> None:
    monkeypatch.setattr(changes, "FIRST_REACH", 1200)
    monkeypatch.setattr(changes, "REACH", reach)
    await people(arrange, "reader", 3000)
    await sent(arrange, None)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where email in "
        "(select email from subscribers limit %s)",
        [leave],
    )
    found = await changes.audience_diff(store, await arrange.mailout())
    assert found is not None
    assert looked == looks
    assert found.estimated is (reach < 3000)
    assert abs(found.removed - leave) <= 4 * found.accuracy
    assert found.added == 0
    assert ("give or take" in found.finding.what) is found.estimated


@pytest.mark.short
async def test_where_a_tag_is_needed_those_with_it_are_looked_at(
    store: Store, arrange: Arrange
) -> None:
    """However few they are of the list; who came among them is counted, and not the difference of
    two estimates."""
    await people(arrange, "reader", 1000)
    await people(arrange, "other", 5000, tags="'{}'")
    await sent(arrange, NEWS, to="tags = '{news}'")
    await people(arrange, "new", 200, created_at="now()")
    mailout = await arrange.mailout(audience=NEWS)
    found = await store.audience_diff(mailout, 600)
    assert found is not None
    diff = AudienceDiff(**found)
    assert diff.each["came"] == 2
    assert 1 < diff.each["left"] < 2.2
    assert diff.removed == 0
    assert diff.added == diff.new
    assert 80 < diff.added < 320  # a deviation of 14
    assert diff.now == 1000 + diff.added
    assert await store.audience_diff(mailout, 600) == found


async def test_a_part_is_spread_all_over_the_list(store: Store, arrange: Arrange) -> None:
    """A mailout that was cancelled has gone to the lowest ids, and a rule may ask for these."""
    await people(arrange, "reader", 3000)
    half = "id < '80000000-0000-0000-0000-000000000000'"
    cancelled = await sent(arrange, NEWS, to=half)
    await arrange.sql.execute("update mailouts set status = 'cancelled' where id = %s", [cancelled])
    rule = {"field": "received", "op": "is", "value": str(cancelled)}
    await sent(arrange, rule)
    found = await store.audience_diff(await arrange.mailout(audience=rule), 1000)
    assert found is not None
    diff = AudienceDiff(**found)
    assert 1350 < diff.removed < 1650
    assert (diff.before, diff.added) == (3000, 0)


@pytest.mark.parametrize(
    ("found", "accuracy"),
    [
        ({"removed": 100}, 0),  # counted
        ({"before": 10_000_000, "removed": 400_000, "left": 4000}, 80_000),
        ({"before": 10_000_000, "removed": 400_000, "came": 4000}, 12_000),
        ({"before": 1000, "added": 30_000, "came": 100}, 3464),
        ({"before": 0, "came": 4000}, 12_000),
    ],
)
def test_an_estimate_says_how_far_off_it_may_be(found: dict[str, Any], accuracy: int) -> None:
    shown = diff(**found)
    assert shown.accuracy == accuracy
    assert (f"give or take {accuracy:,}" in shown.words) is shown.estimated


VIENNA = {"field": "fields.city", "op": "is", "value": "Vienna"}


@pytest.mark.parametrize(
    ("leave", "come"),
    [
        ("number > 100", "number < 0"),
        ("number > 0", "number <= 3"),  # of whom the estimate may find nobody
        ("number < 0", "email like '%1@example.com' or email like '%2@example.com'"),
    ],
)
async def test_a_small_part_of_a_long_list_that_changed_a_lot_is_confirmed(
    store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, leave: str, come: str
) -> None:
    """Who left is counted, as the last mailout went to few, and who came is found by few of the
    list. number: of those with the city, and of the others, first those who aren't looked at."""
    reach = 1000
    monkeypatch.setattr(changes, "FIRST_REACH", 700)
    monkeypatch.setattr(changes, "REACH", reach)
    await people(arrange, "reader", 600, tags="'{}'", fields="""'{"city": "Vienna"}'""")
    await people(arrange, "other", 9400, tags="'{}'")
    await sent(arrange, VIENNA, to="fields ? 'city'")
    looked_at = (await arrange.one("select within_share(%s)", reach / 10_000)).replace("%1$s", "id")
    left, came = [
        await arrange.one(
            f"""with changed as (
                update subscribers set fields = '{fields}' where id in (
                    select id from (
                        select id, email, row_number() over (order by {looked_at}, id) as number
                          from subscribers where email like '{name}%%') numbered
                     where {which.replace("%", "%%")}) returning id)
                select count(*) from changed"""
        )
        for name, which, fields in [("reader", leave, "{}"), ("other", come, '{"city": "Vienna"}')]
    ]  # fmt: skip
    mailout = await arrange.mailout(audience=VIENNA)
    with pytest.raises(AudienceChanged) as refused:
        await changes.require_confirmed(store, mailout, "ready", None)
    await changes.require_confirmed(store, mailout, "ready", refused.value.extra["count"])
    found = await store.audience_diff(mailout, reach)
    assert found is not None
    assert found["removed"] == left
    assert abs(found["added"] - came) <= 2 * AudienceDiff(**found).accuracy


def test_a_confirmed_number_may_be_a_little_off() -> None:
    assert [diff().is_confirmed(n) for n in (None, 0, 296, 297, 300, 303, 304)] == [
        False, False, False, False, True, True, False,
    ]  # fmt: skip


async def test_a_changed_audience_waits_for_a_person(service: Service, arrange: Arrange) -> None:
    await people(arrange, "old", 200)
    await sent(arrange, NEWS)
    await people(arrange, "new", 120, created_at="now() - interval '1 minute'")
    page = uuid4().hex
    mailout = str(await arrange.mailout(audience=NEWS, notion_page_id=page))

    async def send(**more: Any) -> Any:
        body = {"mailout_id": mailout, **more}
        return await service.http.post("/send-mailout", json=body, headers=BEARER)

    refused = await send()
    assert refused.status_code == 409
    problem = refused.json()
    assert (problem["code"], problem["mailout_status"]) == ("audience_changed", "ready")
    assert (problem["count"], problem["before"], problem["added"]) == (320, 200, 120)
    assert "+120 (120 new on the list), −0" in problem["detail"]
    assert '"confirm_audience": 320' in problem["detail"]
    assert (await send(confirm_audience=200)).status_code == 409
    assert (await send(confirm_audience="320")).status_code == 422
    notion = {"source": {"event_id": "e"}, "data": {"id": page}}
    answer = await service.http.post("/send-mailout", json=notion, headers=BEARER)
    assert answer.status_code == 200
    assert answer.json()["started"] is False
    assert "more than a third" in answer.json()["reason"]

    report = await service.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
    [finding] = [f for f in report.json()["findings"] if "more than a third" in f["what"]]
    assert finding["level"] == "warn"
    dry = await send(dry_run=True)
    assert dry.status_code == 202
    assert (await arrange.one("select status from mailouts where id = %s", mailout)) == "ready"
    accepted = await send(confirm_audience=320)
    assert accepted.status_code == 202
    assert accepted.json()["recipients"] == 320


async def test_without_an_earlier_one_nobody_is_asked(service: Service, arrange: Arrange) -> None:
    """Nor when the earlier one had another rule, was never sent, or nobody is left, which is
    refused as such."""
    await people(arrange, "old", 200)
    await sent(arrange, None, to="email ~ '^old1'")
    cancelled = await sent(arrange, NEWS, to="email = 'old1@example.com'")
    await arrange.sql.execute("update mailouts set status = 'cancelled' where id = %s", [cancelled])
    mailout = await arrange.mailout(audience=NEWS)
    first = await service.http.post(
        "/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER
    )
    assert first.status_code == 202
    await sent(arrange, {"tags": ["old"]})
    empty = await arrange.mailout(audience={"tags": ["old"]})
    answer = await service.http.post(
        "/send-mailout", json={"mailout_id": str(empty)}, headers=BEARER
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "audience_empty")


async def test_what_a_rule_asks_in_vain_is_a_finding(quiet: Service, arrange: Arrange) -> None:
    plain = await arrange.mailout("sent", subject="Plain")
    rule = {"any": [{"tags": ["old"]}, {"field": "opened", "op": "is", "value": str(plain)}]}
    segment = await arrange.one(
        "insert into segments (name, audience) values ('s', %s) returning id", Jsonb(rule)
    )
    mailout = await arrange.mailout(audience={"segment": str(segment)})
    report = await quiet.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
    said = " ".join(f["what"] for f in report.json()["findings"])
    assert "Nobody has the tag “old”" in said
    assert "Opens and clicks of “Plain” weren't watched" in said
