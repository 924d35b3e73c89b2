"""Lists of subscribers: every filter finds exactly those who fit, and reads little, whoever it is.

Rows read are counted, not seconds: beside thousands of people that a list has nothing to do with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.factories import Arrange
from tests.support.reads import Reader, reader

PAGE = 100
OTHERS = 3_000


class Lists:
    def __init__(self, arrange: Arrange, reader: Reader) -> None:
        self.arrange = arrange
        self.reader = reader

    async def all(self, **wanted: Any) -> list[str]:
        """The addresses of all pages, in order."""
        found: list[str] = []
        after = None
        while True:
            page, _ = await self.reader.call(
                "subscribers_page", p_filter=wanted, p_limit=PAGE, p_after=after
            )
            found += [row["email"] for row in page["items"]]
            after = page["next"]
            if after is None:
                return found

    async def count(self, **wanted: Any) -> int:
        row, _ = await self.reader.call("count_people", p_filter=wanted, p_reach=50_000)
        assert row["next"] is None
        count: int = row["count"]
        return count


@pytest.fixture
async def lists(dsn: str, arrange: Arrange) -> AsyncIterator[Lists]:
    async with reader(dsn) as own:
        yield Lists(arrange, own)


async def test_what_a_search_finds(lists: Lists, arrange: Arrange) -> None:
    for email, name in (
        ("ann@example.com", "Ann Smith"),
        ("bob@annex.org", "Bob Müller"),
        ("carl@example.com", "Maria del Carmen Ñandú"),
        ("d+x@xn--exmple-cua.de", None),
        ("e@example.org", "Joanna Łukasz"),
        ("f@example.org", "\u0410\u043d\u043d\u0430 \u0418\u0432\u0430\u043d\u043e\u0432\u0430"),
    ):
        await arrange.subscriber(email, name=name)
    # Addresses first, then domains, then names; nobody twice.
    assert await lists.all(q="ann") == ["ann@example.com", "bob@annex.org"]
    assert await lists.all(q="ANN@Example") == ["ann@example.com"]
    assert await lists.all(q="@annex") == ["bob@annex.org"]
    assert await lists.all(q="@exämple.de") == ["d+x@xn--exmple-cua.de"]
    assert await lists.all(q="D+X@Exämple.de") == ["d+x@xn--exmple-cua.de"]
    for word in ("muller", "Müller", "MÜL", "mu\u0308ller", "bob m", "Bob  Müller"):
        assert await lists.all(q=word) == ["bob@annex.org"], word
    for word in ("maria", "del c", "Carmen", "nandu", "ñan"):
        assert await lists.all(q=word) == ["carl@example.com"], word
    assert await lists.all(q="lukasz") == ["e@example.org"]
    russian = "\u0418\u0412\u0410\u041d"
    assert await lists.all(q=russian) == await lists.all(q=russian.lower()) == ["f@example.org"]
    for nothing in ("smith@", "nn", "%", "_", "\\", "exa' or true"):
        assert await lists.all(q=nothing) == [], nothing


async def test_a_list_ends_with_those_who_have_no_address(lists: Lists, arrange: Arrange) -> None:
    await arrange.unusable_subscriber("no address", tags=["a"])
    await arrange.unusable_subscriber("none here")
    await arrange.subscriber("z@example.com", tags=["a"])
    assert await lists.all() == ["z@example.com", "no address", "none here"]
    assert await lists.all(status="active") == ["z@example.com", "no address", "none here"]
    assert await lists.all(tags=["a"]) == ["z@example.com", "no address"]


MANY = """
insert into subscribers (email, name, status, tags, fields)
select 'user' || n || '@' || case when n %% 1500 = 0 then 'rare.org' else 'example' || n %% 3 || '.com' end,
       case when n %% 1499 = 0 then 'Xaver Q' else (array['Ann', 'Bob', 'Cleo'])[n %% 3 + 1] || ' Smith' end,
       case when n %% 1000 = 0 then 'complained' when n %% 3 = 0 then 'bounced' else 'active' end,
       case when n %% 999 = 0 then '{rare,common}' when n %% 2 = 0 then '{common}' else '{}' end::text[],
       jsonb_build_object('plan', n %% 5)
  from generate_series(1, %s) n
"""  # noqa: E501

FILTERS: tuple[dict[str, Any], ...] = (
    {}, {"status": "active"}, {"status": "complained"}, {"tags": ["common"]}, {"tags": ["rare"]},
    {"tags": ["rare", "nobody"]}, {"tags": ["nobody"]}, {"status": "active", "tags": ["rare"]},
    {"status": "complained", "tags": ["common"]}, {"status": "bounced", "tags": ["common"]},
    {"q": "user12"}, {"q": "rare"}, {"q": "example1"}, {"q": "xav"}, {"q": "smith"}, {"q": "q"},
    {"q": "nobody"}, {"q": "smith", "status": "complained"}, {"q": "smith", "tags": ["rare"]},
    {"q": "ann", "status": "active", "tags": ["common"]}, {"fields": {"plan": "3"}},
    {"fields": {"plan": "3"}, "status": "complained"}, {"fields": {"plan": "x"}},
    {"q": "user1", "fields": {"plan": "1"}, "status": "active", "tags": ["common", "rare"]},
)  # fmt: skip

# What the order of an index leads straight to, or a rare tag.
IN_AN_INDEX: tuple[dict[str, Any], ...] = (
    {}, {"status": "active"}, {"status": "complained"}, {"tags": ["common"]}, {"tags": ["rare"]},
    {"tags": ["nobody"]}, {"status": "complained", "tags": ["common"]}, {"q": "user12"},
    {"status": "active", "tags": ["rare"]}, {"q": "rare"}, {"q": "example1"}, {"q": "xav"},
    {"q": "smith"}, {"q": "q"}, {"q": "nobody"}, {"q": "smith", "status": "complained"},
    {"q": "smith", "tags": ["rare"]},
)  # fmt: skip

FITTING = """
select email from subscribers
 where (%(status)s::text is null or status = %(status)s)
   and (%(tags)s::text[] is null or tags && %(tags)s)
   and (%(plan)s::text is null or fields ->> 'plan' = %(plan)s)
   and (%(q)s::text is null or starts_with(address, %(q)s)
        or starts_with(split_part(address, '@', 2), %(q)s)
        or lower(name) ~ ('(^| )' || %(q)s))
"""


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("known", ["nothing", "empty tables", "everybody"])
async def test_any_filter_finds_those_who_fit_and_each_once(lists: Lists, known: str) -> None:
    """And a page reads no more because there are more people. known: what the statistics say."""
    sql = lists.arrange.sql
    await sql.execute("alter table subscribers set (autovacuum_enabled = off)")
    if known == "empty tables":
        await sql.execute("analyze subscribers")
    await sql.execute(MANY.encode(), [OTHERS])
    if known == "everybody":
        await sql.execute("analyze subscribers")
    for wanted in FILTERS:
        found = await lists.all(**wanted)
        values = {
            "status": wanted.get("status"),
            "tags": wanted.get("tags"),
            "plan": wanted.get("fields", {}).get("plan"),
            "q": wanted.get("q"),
        }
        rows = await (await sql.execute(FITTING.encode(), values)).fetchall()
        assert sorted(found) == sorted(row["email"] for row in rows), wanted
        assert len(found) == await lists.count(**wanted), wanted
    for wanted in IN_AN_INDEX:
        _, read = await lists.reader.call("subscribers_page", p_filter=wanted, p_limit=10)
        assert read <= 200, wanted  # of rows and of indexes, with the look behind the page


async def test_where_few_fit_a_page_is_short_and_the_next_goes_on(
    lists: Lists, arrange: Arrange
) -> None:
    """A tag that isn't rare, all of whose people come late in the list."""
    await arrange.sql.execute(
        "insert into subscribers (email, tags) select 'user' || n || '@example.com', "
        "case when n > 970 then '{late}' else '{}' end::text[] from generate_series(1, 999) n"
    )
    await arrange.sql.execute("update tag_counts set subscribers = 12000 where tag = 'late'")
    found: list[str] = []
    sizes, after = [], None
    while True:
        row = await arrange.one(
            'select to_jsonb(r) from people_reached(\'{"tags": ["late"]}\', 10, 200, %s) r',
            Jsonb(after),
        )
        found += row["ids"]
        sizes.append(len(row["ids"]))
        after = row["onward"]
        if after is None:
            break
    assert len(found) == len(set(found)) == 29
    assert 0 in sizes[:-1]  # looked at 200 people, none of whom fits


@pytest.mark.parametrize("tags", [None, ["few"]], ids=["everybody", "a rare tag"])
async def test_a_rule_about_many_mailouts_makes_pages_shorter_and_loses_nobody(
    lists: Lists, arrange: Arrange, tags: list[str] | None
) -> None:
    """Each person is looked up in the ledger of each mailout: 200 mailouts, and 300 people of whom
    every tenth got one."""
    await arrange.sql.execute(
        "insert into subscribers (email, tags) select 'user' || n || '@example.com', '{few}' "
        "from generate_series(1, 300) n"
    )
    await arrange.sql.execute(
        "insert into mailouts (id, subject, status, started_at, sent_at) "
        "select md5(n::text)::uuid, 'x', 'sent', now(), now() from generate_series(1, 200) n"
    )
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "select md5((substr(email, 5, 2)::integer)::text)::uuid, id, email, 'delivered', now() "
        "from subscribers where email like 'user%0@%'"
    )
    rule = {"field": "received", "op": "is", "value": "any", "days": 3}
    wanted: dict[str, Any] = {"rule": rule, **({"tags": tags} if tags else {})}
    found: list[str] = []
    reads, after = [], None
    while True:
        page, read = await lists.reader.call(
            "subscribers_page", p_filter=wanted, p_limit=PAGE, p_after=after
        )
        found += [row["email"] for row in page["items"]]
        reads.append(read)
        after = page["next"]
        if after is None:
            break
    assert found == sorted(f"user{n}@example.com" for n in range(10, 301, 10))
    assert len(reads) > 5  # 15 people each: 3,000 looks
    assert max(reads) <= 2_000
    assert await counted(lists, wanted) == 30


async def counted(lists: Lists, wanted: dict[str, Any]) -> int:
    total: int = 0
    after = None
    while True:
        row, _ = await lists.reader.call(
            "count_people", p_filter=wanted, p_reach=20_000, p_after=after
        )
        total += row["count"]
        after = row["next"]
        if after is None:
            return total


async def test_tags_are_counted_with_every_write(arrange: Arrange, lists: Lists) -> None:
    sql = arrange.sql
    ann = await arrange.subscriber(tags=["a", "b"])
    await arrange.subscriber(tags=["b", "b", "x" * 1_001])

    async def counted() -> dict[str, int]:
        overview = await arrange.one("select people_overview(10)")
        return {row["tag"]: row["subscribers"] for row in overview["tags"]}

    assert await counted() == {"b": 2, "a": 1}
    await sql.execute("update subscribers set tags = '{b,c}' where id = %s", [ann])
    await sql.execute("update subscribers set name = 'x'")
    assert await counted() == {"b": 2, "c": 1}
    assert await lists.count(tags=["b"]) == 2
    assert await lists.count(tags=["x" * 1_001]) == 1
    await sql.execute("delete from subscribers where id = %s", [ann])
    assert await counted() == {"b": 1}
    await sql.execute("delete from tag_counts")
    await sql.execute("select recount()")
    assert await counted() == {"b": 1}
    await sql.execute("truncate subscribers cascade")
    assert await counted() == {}


async def test_a_name_of_any_kind_can_be_stored(arrange: Arrange) -> None:
    """Indexes must refuse nobody: long names, odd characters."""
    for name in ("x" * 100_000, "\u0301" * 3_000, " ", " a  b ", "\U0001f600 " * 300, "", "İI ıi"):
        await arrange.subscriber(name=name)
    assert await arrange.one("select count(*) from subscribers") == 7


async def test_segments_are_listed_with_whoever_uses_each(lists: Lists, arrange: Arrange) -> None:
    """All at once: the same as one after the other, and each draft read once."""
    sql = arrange.sql

    async def segment(name: str, audience: dict[str, Any]) -> str:
        return str(await arrange.one(
            "insert into segments (name, audience) values (%s, %s) returning id",
            name, Jsonb(audience),
        ))  # fmt: skip

    news = await segment("news", {"tags": ["news"]})
    inner = {"not": {"segment": news}}
    other = await segment("Other", {"any": [inner, {"tags": ["x"]}]})
    await segment("all", {"all": [{"segment": other}, inner]})
    await segment("unused", {"tags": ["y"]})
    for status in ("draft", "ready", "sent", "cancelled"):
        await arrange.mailout(status, subject=status, audience={"segment": news})
    await sql.execute(
        "insert into mailouts (subject, audience) select 'x', %s from generate_series(1, 1000)",
        [Jsonb({"tags": ["news"]})],
    )
    listed, read = await lists.reader.call("list_segments", p_limit=200)
    assert [one["name"] for one in listed] == ["all", "news", "Other", "unused"]
    assert [one["used"] for one in listed] == [0, 4, 1, 0]
    assert [one["name"] for one in listed[1]["used_by"]["segments"]] == ["all", "Other"]
    alone = await arrange.one(
        "select jsonb_agg(segment_json(s) order by lower(name)) from segments s"
    )
    assert listed == alone
    assert read <= 1_200
