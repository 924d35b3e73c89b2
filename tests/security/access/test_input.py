"""What callers may say, whatever their credential lets them do: fields, ids, and a start that can't
be meant."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from app.sandbox.config import SandboxConfig
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from tests.security.fortress import Fortress, fortress_at
from tests.security.openapi import NOBODY, Operation, json_operations, kinds, objects, operations
from tests.support.databases import DatabaseServer
from tests.support.service import BEARER

FOREIGN = {
    "status": "sent", "id": NOBODY, "created_at": "2020-01-01", "is_admin": True, "role": "owner",
    "__proto__": {"a": 1}, "constructor": None, "$where": "1",
}  # fmt: skip
# Objects whose members are the caller's own words, and Notion's payload, of which two are read.
FREE = {"fields", "consent", "providers"}
NOTIONS = {"source", "data"}
# What a member is none of, by what it may be.
TURNS = 4
WRONG: dict[str, list[Any]] = {
    "boolean": ["off", "yes", "true", "", 0, 1, 1.0, [], {}],
    "integer": ["1", 1.0, 1.5, True, "", [], {}, "0x1", "1_000"],
    "number": ["1", True, "", [], {}, "nan", "Infinity"],
    "string": [1, 1.5, True, [], {}, ["a"], {"a": "b"}],
    "array": [1, True, {}, {"0": "a"}],
    "object": [1, True, [], "{}"],
}


def _of_notion(schema: dict[str, Any]) -> bool:
    return set(schema["properties"]) >= NOTIONS


async def test_45_every_object_of_every_body_says_what_it_may_hold(fortress: Fortress) -> None:
    """So a new one fails closed: the description is made of the models."""
    for operation in await json_operations(fortress):
        assert operation.schema is not None
        for choice in operation.schema.get("anyOf", [operation.schema]):
            if "properties" in choice and _of_notion(choice):
                continue
            for place, found in objects(choice):
                assert found.get("additionalProperties") is False, (operation.path, place)


async def test_45_a_parameter_that_takes_one_value_comes_once(fortress: Fortress) -> None:
    """A door in front may have looked at the first, and the service would act on the last."""
    tried = 0
    async with fortress.untouched():
        for operation in await operations(fortress):
            for parameter in operation.described.get("parameters", ()):
                name = parameter["name"]
                if parameter["in"] != "query" or "array" in kinds(parameter["schema"]):
                    continue
                tried += 1
                answer = await fortress.http.request(
                    operation.method, f"{operation.url()}?{name}=1&{name}=2", headers=BEARER
                )
                page = name == "token"
                assert answer.status_code == (400 if page else 422), (operation.path, name)
                assert page or f"{name}: it stands in the address twice" in answer.text
        for path in ("/subscribers", "/subscribers/export.csv"):
            answer = await fortress.http.get(f"{path}?field.a=1&field.a=2", headers=BEARER)
            assert answer.json()["detail"].startswith("field.a: it stands in the address twice")
        for many in ("/subscribers?tag=a&tag=b", "/mailouts?status=draft&status=ready"):
            assert (await fortress.http.get(many, headers=BEARER)).status_code == 200
    assert tried > 40


async def test_45_extra_fields_are_refused(fortress: Fortress) -> None:
    async with fortress.untouched():
        for operation in await json_operations(fortress):
            for names in (FOREIGN, dict.fromkeys(FOREIGN)):
                answer = await _say(fortress, operation, names)
                said = {part.partition(": ")[0] for part in _detail(answer).split("; ")}
                missing = set(names) - _members(operation).keys() - said
                assert not missing, (operation.path, missing, answer.text)


async def test_45_extra_fields_are_refused_within(fortress: Fortress) -> None:
    """In what is an object of its own, also where the service keeps it as it is."""
    async with fortress.untouched():
        for operation in await json_operations(fortress):
            for name, member in _members(operation).items():
                if name in FREE or name in NOTIONS or not kinds(member) & {"object", "array"}:
                    continue
                for value in ({"is_admin": True}, [{"is_admin": True}]):
                    answer = await _say(fortress, operation, _least(operation) | {name: value})
                    assert answer.status_code == 422, (operation.path, name, answer.text)


async def test_45_nothing_is_taken_for_another_kind_of_value(fortress: Fortress) -> None:
    async with fortress.untouched():
        for operation in await json_operations(fortress):
            wrong = {name: _wrong(member) for name, member in _members(operation).items()}
            for turn in range(TURNS):
                body = {
                    name: values[(turn + place) % len(values)]
                    for place, (name, values) in enumerate(wrong.items())
                    if values and name not in NOTIONS
                }
                answer = await _say(fortress, operation, body)
                assert answer.status_code == 422, (operation.path, body, answer.text)
                unsaid = [
                    name for name in body if f"{name}: " not in _detail(answer).replace(".", ": ")
                ]
                assert not unsaid, (operation.path, unsaid, body, answer.text)


async def test_45_no_text_holds_a_nul(fortress: Fortress) -> None:
    """PostgreSQL can't keep it, and what was checked in front of it might be read to its end."""
    async with fortress.untouched():
        for operation in await json_operations(fortress):
            for name, member in _members(operation).items():
                if "string" in kinds(member):
                    answer = await _say(fortress, operation, _least(operation) | {name: "a\0b"})
                    status = 401 if name == "auth_token" else 422
                    assert answer.status_code == status, (operation.path, name, answer.text)


def _detail(answer: Any) -> str:
    return str(answer.json()["detail"])


def _wrong(member: dict[str, Any]) -> list[Any]:
    """Values of which a member may hold none."""
    may = kinds(member)
    values = [value for kind in sorted(may & WRONG.keys()) for value in WRONG[kind]]
    return [] if "any" in may else [it for it in values if not any(_is(it, one) for one in may)]


def _is(value: Any, kind: str) -> bool:
    """Whether JSON's value is of the kind that OpenAPI names so."""
    if isinstance(value, bool):
        return kind == "boolean"
    types: dict[str, Any] = {
        "integer": int,
        "number": (int, float),
        "string": str,
        "array": list,
        "object": dict,
    }
    return kind in types and isinstance(value, types[kind])


def _members(operation: Operation) -> dict[str, dict[str, Any]]:
    assert operation.schema is not None
    choices = operation.schema.get("anyOf", [operation.schema])
    return {n: m for choice in choices for n, m in choice.get("properties", {}).items()}


def _least(operation: Operation) -> dict[str, Any]:
    """A body that would be right, so that what is wrong is looked at, wherever that is done."""
    return dict(LEAST.get((operation.method, operation.path), {}))


LEAST: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/mailouts"): {"subject": "x"},
    ("POST", "/templates"): {"name": "x", "body_html": "<p>x</p>"},
    ("POST", "/segments"): {"name": "x", "audience": {"tags": ["a"]}},
    ("POST", "/hooks"): {"url": "https://example.com/", "events": ["recipient.bounced"]},
    ("POST", "/keys"): {"name": "x", "scopes": ["read"]},
    ("POST", "/subscribers"): {"email": "x@example.com"},
    ("POST", "/send-mailout"): {"mailout_id": NOBODY},
    ("POST", "/mailouts/{mailout_id}/schedule"): {"at": "2030-01-01T09:00"},
}


async def _say(fortress: Fortress, operation: Operation, body: Any) -> Any:
    return await operation.call(fortress, json.dumps(body).encode(), **BEARER)


def _same(answer: Any) -> tuple[int, Any]:
    """What an answer tells, but for the id itself."""
    problem = answer.json()
    return answer.status_code, {**problem, "detail": problem["detail"].lower().replace(NOBODY, "")}


async def with_ids(fortress: Fortress) -> list[tuple[Operation, bytes]]:
    """Operations on something that has an id, each with a body that would be right."""
    found = [
        (one, json.dumps(_least(one)).encode() if one.schema else b"")
        for one in await operations(fortress)
        if "_id}" in one.path and one.scopes
    ]
    assert len(found) > 40
    return found


async def test_46_ids_of_something_else_are_unknown_ones(fortress: Fortress) -> None:
    """There is one tenant; so another's are those of another kind of thing."""
    person = str(await fortress.arrange.subscriber())
    nil = "00000000-0000-0000-0000-000000000000"
    others = cycle([nil, person, NOBODY.upper(), NOBODY.replace("-", ""), f"urn:uuid:{NOBODY}"])
    async with fortress.untouched():
        for (operation, body), other in zip(await with_ids(fortress), others, strict=False):
            unknown = await operation.call(fortress, body, **BEARER)
            assert unknown.status_code in {404, 422}, (operation, unknown.text)
            answer = await operation.call(fortress, body, named=other, **BEARER)
            status, told = _same(answer)
            told["detail"] = told["detail"].replace(nil, "").replace(person, "")
            assert (status, told) == _same(unknown), (operation.path, other)


TOMORROW = {"at": (datetime.now(UTC) + timedelta(days=1)).isoformat()[:16]}
NO_IDS = [
    "-1", "0", "1", "9223372036854775808", "1e9", "null", "undefined", "*", "x" * 3_000, "%00",
    f"{NOBODY}%00", f"{NOBODY}%0A", f"{NOBODY}%20", f"'{NOBODY}'--", f"{NOBODY},{NOBODY}",
    "%EF%BC%91", "%ED%A0%80", "%FF", f"{NOBODY}%2F..", "..%2F..", "%2e%2e", f"{NOBODY};a=b",
]  # fmt: skip


async def test_46_what_is_no_id_is_refused_without_a_look(fortress: Fortress) -> None:
    async with fortress.untouched():
        for (operation, body), odd in zip(await with_ids(fortress), cycle(NO_IDS), strict=False):
            answer = await operation.call(fortress, body, named=odd, **BEARER)
            assert answer.status_code in {404, 405, 422}, (operation, odd, answer.text)


async def test_46_an_id_is_the_same_in_capitals(fortress: Fortress) -> None:
    """RFC 9562: hexadecimal digits of either case."""
    mailout = str(await fortress.arrange.mailout("draft"))
    for spelled in (mailout, mailout.upper()):
        found = await fortress.http.get(f"/mailouts/{spelled}", headers=BEARER)
        assert found.json()["id"] == mailout


async def _usual(fortress: Fortress, count: int) -> None:
    """A mailout that so many got, an hour ago."""
    await fortress.arrange.subscribers(count)
    mailout = await fortress.arrange.mailout("sent", audience={"tags": ["usual"]})
    await fortress.sql.execute(
        "update subscribers set tags = '{usual}'; "
        f"update mailouts set started_at = now() - interval '1 hour' where id = '{mailout}'; "
        "insert into send_logs (mailout_id, subscriber_id, email, status) "
        f"select '{mailout}', id, email, 'delivered' from subscribers".encode(),
    )


async def test_47_ten_times_the_usual_audience_needs_its_number(fortress: Fortress) -> None:
    await _usual(fortress, 200)
    mailout = await fortress.arrange.mailout("ready", audience={"tags": ["usual"]})
    await fortress.sql.execute(
        "insert into subscribers (email, tags) "
        "select 'more' || n || '@example.com', '{usual}' from generate_series(1, 1800) n"
    )
    start = {"mailout_id": str(mailout)}
    async with fortress.untouched():
        for more in ({}, {"confirm_audience": 200}, {"confirm_audience": 10**9}):
            for path, body in (
                ("/send-mailout", start | more),
                (f"/mailouts/{mailout}/schedule", TOMORROW | more),
            ):
                refused = await fortress.http.post(path, json=body, headers=BEARER)
                assert (refused.status_code, refused.json()["code"]) == (409, "audience_changed")
                assert f'"confirm_audience": {refused.json()["count"]}' in refused.json()["detail"]
    count = refused.json()["count"]
    assert count >= 2_000
    confirmed = start | {"confirm_audience": count}
    begun = await fortress.http.post("/send-mailout", json=confirmed, headers=BEARER)
    assert (begun.status_code, begun.json()["recipients"]) == (202, count)


async def test_47_an_audience_of_nobody_and_a_time_that_has_passed_are_refused(
    fortress: Fortress,
) -> None:
    await fortress.arrange.subscriber()
    to_nobody = await fortress.arrange.mailout("ready", audience={"tags": ["nobody"]})
    late = await fortress.arrange.mailout("ready")
    async with fortress.untouched():
        for path, body in (
            ("/send-mailout", {"mailout_id": str(to_nobody)}),
            (f"/mailouts/{to_nobody}/schedule", TOMORROW),
        ):
            refused = await fortress.http.post(path, json=body, headers=BEARER)
            assert (refused.status_code, refused.json()["code"]) == (409, "audience_empty")
        for at in ("2020-01-01T09:00", "0001-01-01T00:00", "9999-12-31T23:59", "-1", "now"):
            for zone in ({}, {"zone": "recipient"}, {"zone": "Asia/Tokyo"}):
                refused = await fortress.http.post(
                    f"/mailouts/{late}/schedule", json={"at": at} | zone, headers=BEARER
                )
                assert refused.status_code == 422, (at, zone, refused.text)


async def test_47_a_sender_whom_ses_does_not_know_is_told_before(
    postgres_server: DatabaseServer, providers: ProvidersServer
) -> None:
    """A start isn't refused for it (SES alone knows): it would pause with SES's words."""
    config = SandboxConfig(verified=frozenset({"example.com"}))
    with SandboxServer(config) as strict, postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with fortress_at(dsn, strict.url, providers) as fortress:
            mailout = await fortress.arrange.mailout("ready", from_email="ceo@evil.test")
            told = await fortress.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
    fails = [it["what"] for it in told.json()["findings"] if it["level"] == "fail"]
    assert any("evil.test" in what for what in fails), fails
    assert not told.json()["ok"]
