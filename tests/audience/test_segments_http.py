"""Counting an audience, and segments, as callers see them."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from app.store import Store
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.reads import reader
from tests.support.service import BEARER, in_process, settings_for

Api = Callable[..., Awaitable[Any]]
NEWS = {"tags": ["news"]}


@pytest.fixture(scope="module")
async def call(postgres_server: DatabaseServer) -> AsyncIterator[Api]:
    """A list: of six people three have the tag news, of whom one left; one has no usable address.
    Gives what calls the API: method, path, status, body."""
    with postgres_server.database() as name:
        dsn = postgres_server.dsn(name)
        settings = settings_for(dsn, None, AWS_REGION=None, TIMEZONE="Pacific/Auckland")
        async with (
            in_process(settings, with_sender=False) as service,
            await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, row_factory=dict_row
            ) as sql,
        ):
            arrange = Arrange(sql)
            await arrange.subscriber("ann@example.com", tags=["news"], fields={"plan": "Pro"})
            await arrange.subscriber("bob@example.com", tags=["news"], fields={"plan": "free"})
            await arrange.subscriber("cid@example.com", tags=["news"], status="unsubscribed")
            await arrange.subscriber("dan@example.com", fields={"plan": "pro"})
            await arrange.subscriber("eve@example.com", status="bounced")
            await arrange.unusable_subscriber("no address")

            async def ask(method: str, path: str, status: int, body: Any = None) -> Any:
                answer = await service.http.request(method, path, json=body, headers=BEARER)
                assert answer.status_code == status, answer.text
                return answer.json() if answer.content else None

            yield ask


async def test_who_is_reached_and_who_is_left_out(call: Api) -> None:
    everybody = await call("POST", "/audience/count", 200, {})
    assert (everybody["count"], everybody["estimated"]) == (3, False)
    assert everybody["excluded"] == {"unsubscribed": 1, "bounced": 1, "no_address": 1}
    assert set(everybody["sample"]) == {"a•••@e•••.com", "b•••@e•••.com", "d•••@e•••.com"}
    news = await call("POST", "/audience/count", 200, {"audience": NEWS})
    assert news["count"] == 2
    assert news["excluded"] == {"unsubscribed": 1, "bounced": 1, "rule": 2}
    pro = {"field": "fields.plan", "op": "is", "value": "pro"}
    both = await call("POST", "/audience/count", 200, {"audience": {"all": [NEWS, pro]}})
    assert (both["count"], both["sample"]) == (1, ["a•••@e•••.com"])
    none = {"any": [{"tags": ["old"]}, {"field": "opened", "op": "within_days", "value": 9}]}
    nobody = await call("POST", "/audience/count", 200, {"audience": none})
    assert (nobody["count"], nobody["sample"]) == (0, [])
    assert nobody["notes"] == [
        "Nobody has the tag “old”: it matches nobody.",
        "Opened: people, and who can't be told from people; programs that look into mails don't "
        "count.",
    ]


async def test_an_audience_in_the_address(call: Api) -> None:
    assert (await call("GET", "/audience", 200))["count"] == 3
    assert (await call("GET", "/audience?tag=news&tag=old", 200))["count"] == 2
    pro = '{"field":"fields.plan","op":"is","value":"pro"}'
    assert (await call("GET", f"/audience?tag=news&audience={pro}", 200))["count"] == 1
    for query in ("audience=x", "audience=[]", "segment=x", f"segment={uuid4()}", "tags=x"):
        await call("GET", f"/audience?{query}", 422)


async def test_a_refused_rule_is_named(call: Api) -> None:
    wrong = {"audience": {"all": [NEWS, {"field": "name", "op": "gt", "value": 3}]}}
    refused = await call("POST", "/audience/count", 422, wrong)
    assert "audience: all.1.op: of name ask is" in refused["detail"]
    refused_rules: list[dict[str, Any]] = [
        wrong,
        {"audience": {"segment": str(uuid4())}},
        {"audience": {"tags": []}},
    ]
    for body in refused_rules:
        created = {"subject": "s", "body_html": "<p>x</p>", **body}
        assert "audience" in (await call("POST", "/mailouts", 422, created))["detail"]
        await call("POST", "/audience/count", 422, body)


async def test_a_segment_is_made_used_changed_and_deleted(call: Api) -> None:
    made = await call("POST", "/segments", 201, {"name": " Readers ", "audience": NEWS})
    segment = made["id"]
    await call("POST", "/segments", 409, {"name": "READERS", "audience": NEWS})
    for body in ({"name": "x", "audience": None}, {"name": "x"}, {"name": " ", "audience": NEWS},
                 {"name": "x", "audience": {"segment": str(uuid4())}, "more": 1}):  # fmt: skip
        await call("POST", "/segments", 422, body)
    await call("POST", "/segments", 409, {"name": "x", "audience": {"segment": str(uuid4())}})

    inside = {"segment": segment}
    paying = {"field": "fields.plan", "op": "is_not", "value": "free"}
    second = await call(
        "POST", "/segments", 201, {"name": "Paying", "audience": {"all": [inside, paying]}}
    )
    mailout = await call(
        "POST", "/mailouts", 201,
        {"subject": "For readers", "body_html": "<p>x</p>", "audience": inside},
    )  # fmt: skip
    found = await call("GET", f"/segments/{segment}", 200)
    assert (found["name"], found["used"], found["notes"]) == ("Readers", 2, [])
    assert [s["name"] for s in found["used_by"]["segments"]] == ["Paying"]
    refused = await call("DELETE", f"/segments/{segment}", 409)
    assert refused["code"] == "segment_in_use"
    assert "“Paying”" in refused["detail"]
    assert "“For readers” (draft)" in refused["detail"]
    items = (await call("GET", "/segments?limit=1", 200))["items"]
    assert [item["name"] for item in items] == ["Paying"]

    assert (await call("POST", "/audience/count", 200, {"audience": inside}))["count"] == 2
    assert (await call("GET", f"/audience?segment={second['id']}", 200))["count"] == 1
    changed = await call("PATCH", f"/segments/{segment}", 200, {"audience": {"tags": ["gone"]}})
    assert (changed["name"], changed["audience"]) == ("Readers", {"tags": ["gone"]})
    assert (await call("GET", f"/audience?segment={second['id']}", 200))["count"] == 0
    assert "“gone”" in (await call("GET", f"/segments/{segment}", 200))["notes"][0]

    await call("DELETE", f"/mailouts/{mailout['id']}", 204)
    await call("DELETE", f"/segments/{second['id']}", 204)
    await call("DELETE", f"/segments/{segment}", 204)
    for method in ("GET", "DELETE"):
        await call(method, f"/segments/{segment}", 404)
    await call("PATCH", f"/segments/{segment}", 404, {"name": "x"})
    acts = await call("GET", f"/audit?target={segment}", 200)
    assert [act["action"] for act in acts["items"]] == [
        "segment.delete", "segment.change", "segment.create",
    ]  # fmt: skip
    assert acts["items"][0]["by"] == "owner"


async def test_no_segment_leads_back_to_itself(call: Api) -> None:
    first = await call("POST", "/segments", 201, {"name": "One", "audience": NEWS})
    second = await call(
        "POST", "/segments", 201, {"name": "Two", "audience": {"not": {"segment": first["id"]}}}
    )
    third = await call(
        "POST", "/segments", 201, {"name": "Three", "audience": {"segment": second["id"]}}
    )
    for segment in (first, second, third):
        body = {"audience": {"any": [NEWS, {"segment": segment["id"]}]}}
        refused = await call("PATCH", f"/segments/{first['id']}", 409, body)
        assert refused["code"] == "segment_refused"
        assert "leads back to itself" in refused["detail"]
    assert (await call("GET", f"/segments/{first['id']}", 200))["audience"] == NEWS
    for segment in (third, second, first):
        await call("DELETE", f"/segments/{segment['id']}", 204)


async def test_lists_of_people_by_segment_and_by_rule(call: Api) -> None:
    rule = {"all": [NEWS, {"not": {"field": "email", "op": "starts_with", "value": "BOB"}}]}
    made = await call("POST", "/segments", 201, {"name": "Not Bob", "audience": rule})
    query = f"segment={made['id']}"
    found = await call("GET", f"/subscribers?{query}", 200)
    assert [person["email"][:3] for person in found["items"]] == ["ann", "cid"]
    assert (await call("GET", f"/subscribers/count?{query}&status=active", 200)) == {"count": 1}
    await call("GET", f"/subscribers?segment={uuid4()}", 422)

    change = {"audience": {"segment": made["id"]}, "add": ["seen"], "expected": 2}
    assert (await call("POST", "/subscribers/tags", 200, change))["changed"] == 2
    change = {"audience": {"status": "active", "rule": {"tags": ["seen"]}}, "remove": ["seen"]}
    assert (await call("POST", "/subscribers/tags", 200, change | {"expected": 1}))["changed"] == 1
    left = {"audience": {"field": "tags", "op": "is", "value": "seen"}, "expected": 2}
    left |= {"status": "unsubscribed", "reason": "They left."}
    assert (await call("POST", "/subscribers/status", 409, left))["count"] == 1
    assert (await call("POST", "/subscribers/status", 200, left | {"expected": 1}))["changed"] == 0
    unknown = left | {"audience": {"any": [NEWS, {"segment": str(uuid4())}]}}
    assert "segment" in (await call("POST", "/subscribers/status", 422, unknown))["detail"]
    await call("DELETE", f"/segments/{made['id']}", 204)


async def test_of_a_long_list_the_count_is_an_estimate(
    direct_store: Store, arrange: Arrange
) -> None:
    """Never of nobody: who is really there is found when the audience is queued."""
    await arrange.subscribers(4_000)
    rare = await arrange.subscriber("rare@example.com", tags=["rare"])
    count = "select count_rule(%s, now(), 'UTC', 1000)"
    some = {"field": "email", "op": "starts_with", "value": "reader1"}  # 1,111 of them
    found = await arrange.one(count, Jsonb(some))
    assert found["estimated"]
    assert 300 < found["fitting"] < 3_000
    nobody = await arrange.one(count, Jsonb({"field": "name", "op": "is", "value": "Nobody"}))
    assert (nobody["fitting"], nobody["estimated"]) == (1, True)
    # A rare tag leads straight to those who have it.
    both = {"all": [{"tags": ["rare"]}, {"field": "email", "op": "contains", "value": "rare"}]}
    exact = await arrange.one(count, Jsonb(both))
    assert (exact["fitting"], exact["estimated"]) == (1, False)
    sample = await direct_store.sample_subscriber(await arrange.mailout(audience=both))
    assert sample is not None
    assert sample["id"] == str(rare)


async def test_a_good_enough_estimate_looks_at_fewer(arrange: Arrange) -> None:
    """And says that it is one. Where few fit, more are looked at, but no more than it is given."""
    await arrange.subscribers(4_000)
    count = "select count_rule(%s, now(), 'UTC', 3000, 3, %s)"
    email = {"field": "email", "op": "contains"}
    many, some = Jsonb(email | {"value": "@"}), Jsonb(email | {"value": "reader1"})
    seen = "select (count_spread(%s, now(), 'UTC', %s, 0, null, null, 64)).seen"
    assert 2_000 < await arrange.one(seen, many, 0.625) < 3_000
    assert await arrange.one(seen, many, 1) == 4_000
    found = await arrange.one(count, many, 0.015)
    assert (found["fitting"], found["estimated"], len(found["sample"])) == (4_000, True, 3)
    found = await arrange.one(count, some, 0.015)
    assert found["estimated"]
    assert 1_000 < found["fitting"] < 1_222  # of 3,000 a deviation of 12


async def even_and_third(arrange: Arrange) -> None:
    """4,000 people, every other with the tag even, every third with the tag third."""
    await arrange.subscribers(4_000)
    await arrange.sql.execute(
        "update subscribers set tags = array_remove(array[case when n % 2 = 0 then 'even' end, "
        "case when n % 3 = 0 then 'third' end], null) from (select id, substr(email, 7, "
        "strpos(email, '@') - 7)::integer as n from subscribers) s where s.id = subscribers.id"
    )


@pytest.mark.parametrize(
    ("rule", "fitting"),
    [
        ({"field": "email", "op": "contains", "value": "@"}, 4_000),
        ({"field": "email", "op": "starts_with", "value": "reader1"}, 1_111),
        ({"field": "name", "op": "is", "value": "Nobody"}, 0),
        ({"tags": ["even"]}, 2_000),
        ({"tags": ["even", "third"]}, 2_667),
        ({"all": [{"tags": ["even"]}, {"tags": ["third"]}]}, 666),
    ],
)
async def test_a_quick_count_looks_at_few_and_says_between_which_numbers_it_is(
    arrange: Arrange, rule: dict[str, Any], fitting: int
) -> None:
    """However few fit; where a tag is needed, at those with it. The exact count is the model."""
    await even_and_third(arrange)
    look = "select preview_audience(%s, 3, %s)"
    exact = await arrange.one(look, Jsonb(rule), 1_000_000)
    assert (exact["count"], exact["estimated"], exact["between"]) == (fitting, False, None)
    quick = await arrange.one(look, Jsonb(rule), 1_000)
    assert quick["estimated"]
    least, most = quick["between"]
    # Two deviations to either side, and ids are new in each run: twice as far never happens.
    assert least - (most - least) <= fitting <= most + (most - least)
    assert least <= max(1, quick["count"]) <= most
    assert most - least < 700
    assert len(quick["sample"]) == min(3, fitting)
    assert await arrange.one(look, Jsonb(rule), 1_000) == quick


@pytest.mark.parametrize("tagged", [4, 400])
async def test_a_quick_count_of_a_tag_looks_few_up_in_hundreds_of_mailouts(
    arrange: Arrange, tagged: int
) -> None:
    """Each in each of them: of a few thousand with the tag that took seconds. Also where nobody
    of those who are looked at has it."""
    await arrange.subscribers(4_000)
    await arrange.sql.execute(
        "update subscribers set tags = '{few}' "
        "where id in (select id from subscribers order by md5(email) limit %s)",
        [tagged],
    )
    await arrange.sql.execute(
        "insert into mailouts (subject, status, started_at, sent_at) "
        "select 'Letter', 'sent', now(), now() from generate_series(1, 5000)"
    )
    asked = {"field": "received", "op": "is_not", "value": "any", "days": 30}
    rule = Jsonb({"all": [{"tags": ["few"]}, asked]})
    look = "select preview_audience(%s, 3, %s)"
    assert (await arrange.one(look, rule, 1_000_000))["count"] == tagged
    quick = await arrange.one(look, rule, 100)
    assert quick["estimated"] and quick["between"][0] <= tagged <= quick["between"][1]


@pytest.mark.parametrize("tags", [["even"], ["third"]])
async def test_those_with_a_frequent_tag_are_found_among_others(
    arrange: Arrange, dsn: str, tags: list[str]
) -> None:
    """The index of tags isn't asked, which has hundreds of thousands of them. This list stands for
    one of two hundred times as many, by its kept counts."""
    await even_and_third(arrange)
    rule = {"all": [{"tags": tags}, {"field": "email", "op": "contains", "value": "7"}]}
    fitting = await arrange.one("select preview_audience(%s) -> 'count'", Jsonb(rule))
    for counts in ("subscriber_counts", "tag_counts"):
        await arrange.sql.execute(f"update {counts} set subscribers = subscribers * 200".encode())
    async with reader(dsn) as sql:
        found, rows = await sql.call(
            "preview_audience", p_audience=rule, p_sample=3, p_exact=40_000
        )
    assert rows < 1_100
    least, most = found["between"]
    assert least - (most - least) <= 200 * fitting <= most + (most - least)
    assert least <= found["count"] <= most
    assert len(found["sample"]) == 3


@pytest.mark.parametrize(
    ("found", "part", "of", "seen", "between"),
    [
        (0, 0.001, 10_000_000, 10_000, [0, 3999]),
        (10_000, 0.001, 10_000_000, 10_000, [9_996_001, 10_000_000]),
        (100, 0.01, 100_000, 1000, [8_259, 12_060]),
        (0, 0.5, 2, 1, [0, 2]),
        (100, 0.01, 100_000, math.inf, [8_190, 12_210]),  # nobody knows of how many
        (950, 0.1, 10_000, math.inf, [8_903, 10_000]),
        (1_300, 0.1, 10_000, math.inf, [10_000, 10_000]),
    ],
)
async def test_between_which_numbers_it_is(
    arrange: Arrange, found: int, part: float, of: int, seen: float, between: list[int]
) -> None:
    """Wilson's interval, at least those who were found and at most all."""
    counted = await arrange.one(
        "select between_counts(%s, %s, %s, %s)", found, part, of, float(seen)
    )
    assert counted == between


@pytest.mark.parametrize(
    "rule", [{"tags": ["a", "b"]}, {"field": "name", "op": "is", "value": "x"}]
)
@pytest.mark.parametrize("more", [0, 30])  # than their share are where people are looked at
async def test_what_an_estimate_says_of_a_list(
    arrange: Arrange, rule: dict[str, Any], more: int
) -> None:
    """Nearly all have one of two tags and a name. However many are where people are looked at, the
    true number is between those told, and so is the estimate, and no more than there are."""
    insert = """
        insert into subscribers (id, email, tags, name)
        select {ids}, '{name}' || n || '@example.com',
               case n % 50 when 0 then '{{}}' when 1 then '{{a}}' else '{{b}}' end::text[],
               case when n % 50 > 0 then 'x' end
          from generate_series(1, {people}) n"""
    await arrange.sql.execute(
        insert.format(ids="id_at(n / 3001.0)", name="reader", people=3000).encode()
    )
    others = insert.format(ids="gen_random_uuid()", name="other", people=60 * more)
    await arrange.sql.execute(others.encode())
    looked_at = (await arrange.one("select within_share(0.16)")).replace("%1$s", "id")
    other = "from subscribers where email like 'other%'"
    kept = f"select id {other} and {looked_at} limit {more}"
    await arrange.sql.execute(f"delete {other} and id not in ({kept})".encode())
    people = await arrange.one("select count(*) from subscribers")
    true = await arrange.one("select count(*) from subscribers where tags <> '{}'")
    found = await arrange.one("select count_rule(%s, now(), 'UTC', 500, 5, 0.015)", Jsonb(rule))
    low, high = found["between"]
    assert found["estimated"]
    assert low <= true <= high <= people
    assert low <= found["fitting"] <= high


async def test_a_list_whose_ids_lie_between_those_looked_at_is_no_error(arrange: Arrange) -> None:
    """Ids are random, but where somebody gave them."""
    await arrange.sql.execute(
        "insert into subscribers (id, email, name) select id_at(0.5 + n / 1e9), "
        "'reader' || n || '@example.com', 'x' from generate_series(1, 1000) n"
    )
    rule = Jsonb({"field": "name", "op": "is", "value": "x"})
    found = await arrange.one("select count_rule(%s, now(), 'UTC', 500, 5, 0.015)", rule)
    assert found["estimated"]
    assert found["between"][1] > 500
