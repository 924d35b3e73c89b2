"""Subscribers over HTTP: one by one, many at once, their history, and erasure."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from app.services.people import many
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.waiting import eventually


class Api:
    """The service over HTTP with the shared secret, and its database."""

    def __init__(self, service: Service, arrange: Arrange) -> None:
        self._http = service.http
        self.service = service
        self.arrange = arrange

    async def __call__(
        self, method: str, path: str, expect: int = 200, json: Any = None, **query: Any
    ) -> Any:
        answer = await self._http.request(
            method, f"/subscribers{path}", params=query, json=json, headers=BEARER
        )
        assert answer.status_code == expect, answer.text
        if expect >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
async def service_of_people(postgres_server: DatabaseServer) -> AsyncIterator[tuple[Service, str]]:
    """One start for all tests: each empties the list first."""
    with postgres_server.database() as name:
        dsn = postgres_server.dsn(name)
        settings = settings_for(dsn, None, AWS_REGION=None)
        async with in_process(settings) as service:
            yield service, dsn


@pytest.fixture
async def api(service_of_people: tuple[Service, str]) -> AsyncIterator[Api]:
    service, dsn = service_of_people
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row
    ) as sql:
        await sql.execute(
            "truncate subscribers, subscriber_aliases, subscriber_changes, audit_log, erased"
        )
        yield Api(service, Arrange(sql))


async def test_a_person_is_added_changed_and_shown(api: Api) -> None:
    added = await api(
        "POST", "", 201,
        {"email": " Ann@Exämple.de", "name": "Ann", "tags": ["a"], "fields": {"plan": "pro"},
         "timezone": "Europe/Berlin", "consent": {"text": "News, please."}},
    )  # fmt: skip
    assert added["status"] == "active"
    assert added["consent"]["source"] == "api"
    assert added["consent"]["text"] == "News, please."
    again = await api("POST", "", 409, {"email": "ann@xn--exmple-cua.de"})
    assert again["code"] == "subscriber_exists"
    path = "/" + quote("ANN@exämple.de")
    changed = await api(
        "PATCH", path, json={"name": None, "add_tags": ["b"], "fields": {"plan": None, "n": 3}}
    )
    assert (changed["name"], changed["tags"], changed["fields"]) == (None, ["a", "b"], {"n": 3})
    assert await api("GET", path) == changed
    history = (await api("GET", f"{path}/history"))["items"]
    assert [(row["kind"], row["by"]) for row in history] == [
        ("changed", "owner"),
        ("added", "owner"),
    ]
    assert (await api("GET", f"{path}/history", limit=1))["items"] == history[:1]


@pytest.mark.parametrize(
    "email",
    ["a+b@example.com", "50%off@example.com", "a/b@example.com", "UPPER@Example.COM",
     "x?y#z&a=b@example.com", "import/history@example.com"],
)  # fmt: skip
async def test_any_address_can_stand_in_a_path(api: Api, email: str) -> None:
    await api("POST", "", 201, {"email": email})
    path = "/" + quote(email, safe="")
    assert (await api("GET", path))["email"] == email
    assert len((await api("GET", f"{path}/history"))["items"]) == 1
    assert (await api("GET", f"{path}/export"))["subscriber"]["email"] == email
    assert (await api("PATCH", path, json={"name": "x"}))["name"] == "x"
    await api("DELETE", path, 204)
    assert (await api("GET", path, 404))["code"] == "subscriber_not_found"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "email"),
        ({"email": "no address"}, "email"),
        ({"email": "a@example.com", "status": "pending"}, "status"),
        ({"email": "a@example.com", "unknown": 1}, "unknown"),
        ({"email": "a@example.com", "timezone": "Mars/Olympus"}, "Europe/Berlin"),
        ({"email": "a@example.com", "timezone": "../../etc/passwd"}, "Europe/Berlin"),
        ({"email": "a@example.com", "name": "a\nb"}, "name"),
        ({"email": "a@example.com", "name": "a\0b"}, "name"),
        ({"email": "a@example.com", "name": "x" * 201}, "name"),
        ({"email": "a@example.com", "tags": ["x", ""]}, "tags.1"),
        ({"email": "a@example.com", "fields": {"a": {"b": 1}}}, "fields.a"),
        ({"email": "a@example.com", "fields": {"a": "x\0"}}, "fields.a"),
        ([], "body"),
    ],
)
async def test_what_nobody_can_be_is_refused_by_name(api: Api, body: Any, says: str) -> None:
    refused = await api("POST", "", 422, body)
    assert says in refused["detail"]
    assert await api.arrange.one("select count(*) from subscribers") == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name what"),
        ({"reason": "x"}, "name what"),
        ({"status": "active"}, "reason"),
        ({"status": None, "reason": "x"}, "status"),
        ({"tags": None}, "tags"),
        ({"colour": "red"}, "colour"),
        ({"email": "x"}, "email"),
    ],
)
async def test_a_change_that_is_none_is_refused(api: Api, body: Any, says: str) -> None:
    await api.arrange.subscriber("ann@example.com")
    assert says in (await api("PATCH", "/ann@example.com", 422, body))["detail"]
    assert (
        await api.arrange.one("select count(*) from subscriber_changes where after is not null")
        == 0
    )


async def test_only_their_own_wish_brings_people_back(api: Api) -> None:
    await api.arrange.subscriber("ann@example.com", status="unsubscribed")
    await api.arrange.subscriber("bob@example.com", status="complained")

    async def lift(who: str, expect: int, **body: Any) -> Any:
        return await api(
            "PATCH", f"/{who}@example.com", expect, {"status": "active", "reason": "x", **body}
        )

    refused = await lift("ann", 409)
    assert (refused["code"], refused["needs"]) == ("status_protected", "asked")
    for reason in ("We want her back.", "She never asked.", "She didn't ask to leave.", "win-back"):
        await lift("ann", 409, reason=reason, force=True)
    done = await lift("ann", 200, reason="She asked for it by phone.")
    assert done["status"] == "active"
    assert (await lift("bob", 409, asked=True))["needs"] == "force"
    assert (await lift("bob", 409, force=True))["needs"] == "asked"
    await lift("bob", 200, asked=True, force=True, reason="Wrong button.")
    history = (await api("GET", "/bob@example.com/history"))["items"]
    assert history[0]["detail"] == {
        "reason": "Wrong button.",
        "before": {"status": "complained"}, "after": {"status": "active"},
    }  # fmt: skip
    await api("PATCH", "/bob@example.com", json={"status": "unsubscribed", "reason": "By phone."})


async def test_lists_are_filtered_and_go_on(api: Api) -> None:
    for n in range(7):
        await api.arrange.subscriber(
            f"user{n}@example.com", name=f"Ann Smith{n}", tags=["even"] if n % 2 == 0 else ["odd"],
            fields={"plan": "pro" if n < 3 else "free"}, status="bounced" if n == 4 else "active",
        )  # fmt: skip

    async def numbers(**query: Any) -> list[int]:
        found: list[int] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await api("GET", "", limit=2, **query, **cursor)
            found += [int(row["email"][4]) for row in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    assert await numbers() == list(range(7))
    assert await numbers(status="bounced") == [4]
    assert await numbers(tag="even") == [0, 2, 4, 6]
    assert await numbers(tag=["even", "odd"]) == list(range(7))
    assert await numbers(q="smith") == list(range(7))
    assert await numbers(q="user5") == [5]
    assert await numbers(**{"field.plan": "pro", "tag": "even"}) == [0, 2]
    assert await numbers(q="@example", status="active", tag="even") == [0, 2, 6]
    assert await api("GET", "/count", q="@example", status="active", tag="even") == {"count": 3}
    for query, says in (
        ({"segment": "x"}, "segment"), ({"state": "active"}, "state"), ({"tag": ""}, "tag"),
        ({"status": "gone"}, "status"), ({"field.": "x"}, "field"), ({"q": "a\0"}, "q"),
        ({"cursor": "x"}, "cursor"),
        ({"field.x": "\0"}, "field"), ({"limit": 0}, "limit"),
    ):  # fmt: skip
        assert says in (await api("GET", "", 422, **query))["detail"], query


async def test_many_are_changed_when_they_are_as_many_as_expected(api: Api) -> None:
    for n in range(5):
        await api.arrange.subscriber(f"u{n}@example.com", tags=["t"], name="x" if n else None)
    await api.arrange.subscriber("other@example.com")
    body = {"audience": {"tags": ["t"]}, "status": "unsubscribed", "reason": "Old list."}
    differs = await api("POST", "/status", 409, body | {"expected": 6})
    assert (differs["code"], differs["count"]) == ("count_differs", 5)
    assert await api("GET", "/count", status="active") == {"count": 6}
    assert await api("POST", "/status", json=body | {"expected": 5}) == {
        "changed": 5, "asked": 0, "force": 0,
    }  # fmt: skip
    back = {"audience": {"status": "unsubscribed"}, "status": "active", "expected": 5}
    assert (await api("POST", "/status", json=back | {"reason": "Mistake."}))["asked"] == 5
    assert await api("GET", "/count", status="active") == {"count": 1}
    done = await api("POST", "/status", json=back | {"reason": "Mistake.", "asked": True})
    assert done["changed"] == 5
    tags = {"audience": {"q": "u", "tags": ["t"]}, "add": ["new"], "remove": ["t"], "expected": 5}
    assert (await api("POST", "/tags", json=tags))["changed"] == 5
    assert await api("GET", "/count", tag="t") == {"count": 0}
    assert await api("GET", "/count", tag="new") == {"count": 5}
    audit = await api.arrange.sql.execute("select by, after from audit_log order by id")
    first, *_ = await audit.fetchall()
    assert first["by"] == "owner"
    assert first["after"] == {
        "status": "unsubscribed", "reason": "Old list.", "filter": {"tags": ["t"]}, "changed": 5,
    }  # fmt: skip
    for wrong, says in (
        ({"expected": None}, "expected"), ({"reason": None}, "reason"),
        ({"audience": None}, "audience"),
        ({"audience": {"segment": "x"}}, "segment"), ({"status": "pending"}, "status"),
        ({"also": 1}, "also"), ({"audience": {"tags": "t"}}, "tags"),
    ):  # fmt: skip
        refused = await api("POST", "/status", 422, body | {"expected": 5} | wrong)
        assert says in refused["detail"], wrong
    await api("POST", "/tags", 422, {"audience": {}, "expected": 6})


async def test_more_than_fit_into_a_request_are_a_job(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many, "AT_ONCE", 3)
    monkeypatch.setattr(many, "CHANGE_REACH", 2)
    await api.arrange.subscribers(7)
    queued = await api(
        "POST", "/tags", 202, {"audience": {}, "add": ["all"], "expected": 7, "reason": "Why not."}
    )

    async def job() -> Any:
        path = f"/jobs/{queued['job_id']}"
        return (await api.service.http.get(path, headers=BEARER)).json()

    done = await eventually(job, until=lambda found: found["state"] == "done")
    assert done["result"] == {"changed": 7, "asked": 0, "force": 0}
    assert await api("GET", "/count", tag="all") == {"count": 7}
    changes = await api.arrange.sql.execute(
        "select distinct by, reason from subscriber_changes where after is not null"
    )
    assert await changes.fetchall() == [{"by": "owner", "reason": "Why not."}]


async def test_who_was_erased_is_not_added_again(api: Api) -> None:
    await api.arrange.subscriber("ann@example.com", name="Ann")
    await api("DELETE", "/ANN@example.com", 204)
    refused = await api("POST", "", 409, {"email": "Ann@Example.com"})
    assert refused["code"] == "subscriber_erased"
    await api.arrange.subscriber("bob@example.com")
    moved = await api("PATCH", "/bob@example.com", 409, {"email": "ann@example.com"})
    assert moved["code"] == "subscriber_erased"
    await api("DELETE", "/ann@example.com", 404)


async def test_the_personal_export_can_be_read(api: Api, service_of_people: object) -> None:
    await api.arrange.subscriber("ann@example.com", tags=["a"])
    await api.arrange.sql.execute(
        "insert into mailouts (id, subject, status, started_at, audience) values "
        "(gen_random_uuid(), 'News', 'sent', now(), '{\"tags\": [\"a\"]}')"
    )
    await api.arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "select m.id, s.id, s.email, 'sent', now() from mailouts m, subscribers s "
        "where m.subject = 'News'"
    )
    answer: httpx.Response = await api.service.http.get(
        "/subscribers/ann@example.com/export", headers=BEARER
    )
    assert "attachment" in answer.headers["content-disposition"]
    assert re.search(r'\n  "mails": \[\n', answer.text)  # in lines, for people
    [mail] = answer.json()["mails"]
    assert mail["why"] == "It went to active subscribers with one of the tags: a."
    assert mail["subject"] == "News"
    assert answer.json()["consent"].startswith("Not known")
    assert [row["kind"] for row in answer.json()["history"]] == ["mail", "added"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("12345678901234567890123", "too large"),
        ("1e400", "too large"),
        ("NaN", "too large"),
        ('"\\ud800"', "surrogate"),
        ('"\\u0000"', "NUL"),
        ("[1]", "use a text"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_its_field(api: Api, value: str, says: str) -> None:
    answer = await api.service.http.post(
        "/subscribers",
        content=f'{{"email": "ann@example.com", "fields": {{"n": {value}}}}}',
        headers=BEARER | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail.startswith("fields.n: ")
    assert says in detail
