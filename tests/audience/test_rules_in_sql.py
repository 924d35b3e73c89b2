"""The same people by the rule's SQL as by the rule's words, over each way to the database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import hypothesis.strategies as st
import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from app.adapters.database.postgres import PostgresDatabase
from app.adapters.database.supabase import SupabaseDatabase
from app.domain.audience.rule import parse_rule
from app.ports import Database
from app.store import Store
from tests.support.oracle import Person, fits
from tests.support.wide import examples

ZONE = "America/New_York"
MAILOUTS = [str(uuid4()), str(uuid4())]
NOW = datetime.now(UTC)
TAGS = ["a", "A", "news", "news-de"]
TEXTS = [
    "Berlin", "berlin", "BERLIN ", "Ärger", "ärGer", "ΑΘΗΝΑ", "москва", "Москва", "10", "10.0",
    " 9 ", "-3.5", "+.5", "5.", ".", "-", "3-4", "- 3", "1.2.3", "007",
    "7", "1e3", "true", "", "x%_\\y", "'; drop table subscribers; --",
    "2026-02-29", "2026-02-28", "2026-05-31", "2026-05-31T23:30", "2026-05-31 23:30:15",
    "2026-06-01T03:30:00Z",
    "2026-05-31T23:30:00.5-04:00", "2026-13-01", "2026-05-31T99:00", "2026-5-1",
    str((NOW - timedelta(days=3)).date()), (NOW - timedelta(days=3)).isoformat(timespec="seconds"),
    str((NOW + timedelta(days=3)).date()),
]  # fmt: skip
NO_DAYS = {"2026-02-29", "2026-13-01", "2026-5-1", "2026-05-31T99:00"}
DAYS = [text for text in TEXTS if text[:1] == "2" and text not in NO_DAYS]
VALUES = st.sampled_from([*TEXTS, 10, 7, -3.5, 10.5, True, False, None])
FIELDS = st.dictionaries(st.sampled_from(["x", "a.b", "Größe"]), VALUES, max_size=3)


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.sampled_from([text for text in TEXTS if text])
    fields = st.sampled_from(["fields.x", "fields.a.b", "fields.Größe"])
    any_text = st.sampled_from(["email", "name", "timezone", "fields.x", "fields.a.b"])
    dated = st.one_of(fields, st.just("created_at"))
    days = st.sampled_from([0, 2, 3, 2.5, 40])
    text_ops = st.sampled_from(["is", "is_not", "contains", "starts_with"])

    def made(field: Any, op: Any, value: Any, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"field": field, "op": op, "value": value, **more})

    return st.one_of(
        made(any_text, text_ops, texts),
        made(st.just("email"), st.sampled_from(["is", "contains"]),
             st.sampled_from(["READER1@Example.COM", "example", "reader2@example.com"])),
        made(fields, st.sampled_from(["is", "is_not"]), st.sampled_from([10, 7, -3.5, True])),
        made(fields, st.sampled_from(["gt", "lt"]), st.sampled_from([10, 8.5, -4, "9"])),
        made(dated, st.sampled_from(["before", "after"]), st.sampled_from(DAYS)),
        made(st.just("created_at"), st.sampled_from(["is", "is_not"]), st.sampled_from(DAYS)),
        made(dated, st.sampled_from(["within_days", "older_than_days"]), days),
        made(st.one_of(any_text, st.just("tags")), st.just("exists"), st.booleans()),
        made(st.just("tags"), text_ops, st.sampled_from([*TAGS, "ne"])),
        made(st.sampled_from(["received", "opened"]), st.sampled_from(["is", "is_not"]),
             st.sampled_from([*MAILOUTS, str(uuid4())])),
        made(st.sampled_from(["received", "clicked"]),
             st.sampled_from(["is", "within_days", "older_than_days"]), st.just("any"), days=days),
        st.fixed_dictionaries(
            {"tags": st.lists(st.sampled_from([*TAGS, "none"]), min_size=1, max_size=3)}),
    )  # fmt: skip


RULES = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=5,
)
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from([None, *TEXTS]),
            "timezone": st.sampled_from([None, "Europe/Berlin", "UTC"]),
            "tags": st.lists(st.sampled_from(TAGS), unique=True, max_size=2),
            "fields": FIELDS,
            "created_at": st.sampled_from([
                NOW - timedelta(days=2), NOW - timedelta(days=3, hours=1),
                NOW - timedelta(days=300),
                datetime(2026, 6, 1, 3, 30, tzinfo=UTC), datetime(2026, 5, 31, 12, tzinfo=UTC),
            ]),
            "received": st.lists(
                st.tuples(st.sampled_from(MAILOUTS),
                          st.sampled_from([NOW - timedelta(days=d) for d in (1, 2.6, 10, 50)])),
                unique_by=lambda pair: pair[0], max_size=2),
            "did": st.lists(
                st.tuples(st.sampled_from(MAILOUTS), st.sampled_from(["opened", "clicked"]),
                          st.sampled_from(["human", "machine", "unknown"]),
                          st.sampled_from([NOW - timedelta(days=d) for d in (1, 2.6, 10)])),
                unique_by=lambda did: did[:2], max_size=3),
        }
    ),
    min_size=8, max_size=16,
)  # fmt: skip


# Not made smaller when one fails, which takes minutes with a database; the rule is named.
@settings(
    max_examples=examples(12),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(people=PEOPLE, rules=st.lists(RULES, min_size=6, max_size=12))
def test_sql_finds_who_fits(
    dsn: str, supabase_url: str, supabase_key: str, people: list[dict[str, Any]],
    rules: list[dict[str, Any]],
) -> None:  # fmt: skip
    for n, person in enumerate(people):
        person["email"] = f"reader{n}@example.com"
    asyncio.run(_compare(dsn, supabase_url, supabase_key, people, [parse_rule(r) for r in rules]))


async def _compare(
    dsn: str, url: str, key: str, people: Sequence[Person], rules: list[dict[str, Any] | None]
) -> None:
    direct, supabase = PostgresDatabase(dsn), SupabaseDatabase(url, key)
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row
        ) as sql:
            await _arrange(sql, people)
        await Store(direct).tell_timezone(ZONE)
        ways: list[Database] = [direct, supabase]
        for rule, database in zip(rules, itertools.cycle(ways), strict=False):
            at = datetime.now(UTC)
            found = await Store(database).preview_audience(rule, sample=len(people))
            expected = {p["email"] for p in people if fits(rule, p, at, ZONE)}
            assert set(found["sample"]) == expected, rule
            assert found["count"] == len(expected)
            assert found["excluded"].get("rule", 0) == len(people) - len(expected)
    finally:
        await direct.close()
        await supabase.close()


async def _arrange(sql: psycopg.AsyncConnection[Any], people: Sequence[Person]) -> None:
    await sql.execute(
        "delete from subscribers; delete from send_logs; delete from mailouts; "
        "delete from engagement_recipients"
    )
    for mailout in MAILOUTS:
        await sql.execute(
            "insert into mailouts (id, subject, body_html, status, started_at, sent_at) "
            "values (%s, 's', 'b', 'sent', now(), now())",
            [mailout],
        )
    for person in people:
        added = await sql.execute(
            "insert into subscribers (email, name, timezone, tags, fields, created_at) "
            "values (%s, %s, %s, %s, %s, %s) returning id",
            [person["email"], person["name"], person["timezone"], person["tags"],
             Jsonb(person["fields"]), person["created_at"]],
        )  # fmt: skip
        row = await added.fetchone()
        assert row is not None
        for mailout, sent in person["received"]:
            await sql.execute(
                "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
                "values (%s, %s, %s, 'delivered', %s)",
                [mailout, row["id"], person["email"], sent],
            )
        for mailout, kind, class_, last in person["did"]:
            column = {"opened": "open", "clicked": "click"}[kind]
            await sql.execute(
                f"insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, "
                f"{column}_class, last_{kind}_at) "
                "select coalesce(max(send_log_id), 0) + 1, %s, %s, %s, %s "
                "from engagement_recipients".encode(),
                [mailout, row["id"], class_, None if class_ == "machine" else last],
            )
