"""`/hooks` as programs use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.api.hooks import shown as examples
from app.domain.hooks.events import EVENTS, SAMPLES
from app.store import Store
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, in_process, settings_for

URL = "https://example.com/hooks/1"


@pytest.fixture(scope="module")
def database_name(postgres_server: DatabaseServer) -> Iterator[str]:
    """One for all tests here, since one service runs on it."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture(scope="module")
async def http(
    postgres_server: DatabaseServer, database_name: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Of somebody who has the shared secret."""
    settings = settings_for(postgres_server.dsn(database_name), None, AWS_REGION=None)
    async with in_process(settings, with_sender=False) as running:
        running.http.headers.update(BEARER)
        yield running.http


async def make(
    http: httpx.AsyncClient, url: str = URL, *events: str, **more: Any
) -> dict[str, Any]:
    body = {"url": url, "events": list(events or ("mailout.finished",)), **more}
    answer = await http.post("/hooks", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_hook_from_making_to_deleting(http: httpx.AsyncClient, arrange: Arrange) -> None:
    answer = await http.post(
        "/hooks",
        json={
            "url": f"{URL}/life",
            "events": ["subscriber.unsubscribed", "mailout.finished", "mailout.finished"],
            "description": "CRM",
            "rate_per_second": 5,
        },
    )
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/hooks/{made['id']}"
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["mailout.finished", "subscriber.unsubscribed"]

    listed = await http.get("/hooks")
    assert listed.json()["next_cursor"] is None
    [one, *_] = listed.json()["items"]
    assert made["secret"] not in listed.text
    shown = {
        "id": made["id"], "url": f"{URL}/life", "state": "active", "description": "CRM",
        "rate_per_second": 5, "waiting": 0, "dead": 0, "delivered_at": None,
        "events": ["mailout.finished", "subscriber.unsubscribed"],
    }  # fmt: skip
    assert one == one | shown
    assert set(made) == set(examples.WITH_SECRET)  # what /openapi.json shows is what comes
    assert set(one) == set(examples.HOOK)
    assert (await http.get(f"/hooks/{made['id']}")).json() == one

    change = {"events": ["recipient.bounced"], "state": "disabled", "rate_per_second": 0.5}
    changed = (await http.patch(f"/hooks/{made['id']}", json=change)).json()
    assert changed == changed | change
    assert changed["reason"]
    on = (await http.patch(f"/hooks/{made['id']}", json={"state": "active"})).json()
    assert (on["state"], on["reason"], on["events"]) == ("active", None, ["recipient.bounced"])

    turned = (await http.post(f"/hooks/{made['id']}/rotate")).json()
    assert turned["secret"].startswith("whsec_")
    assert turned["secret"] != made["secret"]
    assert turned["old_secret_until"]

    assert (await http.delete(f"/hooks/{made['id']}")).status_code == 204
    for method, path, body in (
        ("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"state": "active"}),
        ("POST", "/rotate", None), ("POST", "/test", None), ("POST", "/replay", None),
        ("GET", "/deliveries", None),
    ):  # fmt: skip
        gone = await http.request(method, f"/hooks/{made['id']}{path}", json=body)
        assert (gone.status_code, gone.json()["code"]) == (404, "hook_not_found")
    acts = await arrange.one(
        "select array_agg(action order by id) from audit_log where target = %s", made["id"]
    )
    assert acts == [
        "hook.create", "hook.change", "hook.disable", "hook.enable", "hook.rotate", "hook.delete",
    ]  # fmt: skip
    said = await arrange.one("select jsonb_agg(to_jsonb(a))::text from audit_log a")
    for secret in (made["secret"], turned["secret"], "/life"):
        assert secret not in said


@pytest.mark.parametrize(
    "body",
    [
        {"hookUrl": URL, "events": ["mailout.finished"]},
        {"targetUrl": URL, "event": "mailout.finished"},
        {"target_url": URL, "subscription_url": URL, "event": "mailout.finished"},
        {"url": URL, "events": "mailout.finished"},
    ],
)
async def test_zapiers_and_makes_names_are_taken(
    http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    made = (await http.post("/hooks", json=body)).json()
    assert (made["url"], made["events"]) == (URL, ["mailout.finished"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"url": URL}, "events: it is missing"),
        ({"url": URL, "events": []}, "events: name at least one. There are: mailout.scheduled, "),
        ({"url": URL, "events": ["mailout.sent"]}, "events: there is no event 'mailout.sent'. "),
        ({"url": URL, "event": "Bounce"}, "events: there is no event 'Bounce'. There are: "),
        ({"events": ["mailout.finished"]}, "url: it is missing"),
        ({"url": URL, "hookUrl": URL + "/2", "event": "mailout.finished"}, "body: url, hookUrl: "),
        ({"url": "ftp://example.com", "event": "mailout.finished"}, "url: it is no address of the"),
        ({"url": "http://example.com", "event": "mailout.finished"}, "url: use https: what"),
        ({"url": URL, "event": "mailout.finished", "headers": {}}, "headers: there is no"),
        ({"url": "https://127.0.0.1/x", "event": "mailout.finished"}, "url: it leads to a private"),
        ({"url": "https://169.254.169.254/", "event": "mailout.finished"}, "url: it leads to an"),
        ({"url": "https://u:p@example.com", "event": "mailout.finished"}, "url: leave name and"),
        ({"url": "https://e.com/\0", "event": "mailout.finished"}, "url: "),
        ({"url": URL, "event": "mailout.finished", "rate_per_second": 0}, "rate_per_second: "),
        ({"url": URL, "event": "mailout.finished", "rate_per_second": 1e999}, "rate_per_second: "),
        ({"url": URL, "event": "mailout.finished", "description": "\ud800"}, "description: half"),
        ({"url": URL, "event": "x" * 101}, "events.0: at most 100 characters"),
        ([], "body: "),
    ],
)  # fmt: skip
async def test_a_bad_hook_is_refused_and_named(
    http: httpx.AsyncClient, body: Any, words: str
) -> None:
    before = (await http.get("/hooks")).json()
    refused = await http.post(
        "/hooks", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert refused.status_code == 422
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert refused.json()["detail"].startswith(words), refused.json()["detail"]
    assert (await http.get("/hooks")).json() == before


async def test_who_subscribes_once_more_is_not_told_twice(
    http: httpx.AsyncClient, arrange: Arrange
) -> None:
    """The answer may have been lost: so there is a new secret, and the one before still signs. It
    is switched on, too. Other events, or another address, are another hook."""
    events = ("mailout.finished", "recipient.bounced")
    url = f"{URL}/again"
    first = await make(http, url, *events)
    await http.patch(f"/hooks/{first['id']}", json={"state": "disabled"})
    again = await make(http, url, *reversed(events), description="CRM")
    assert again["description"] == "CRM"
    assert (again["id"], again["state"]) == (first["id"], "active")
    assert again["secret"] != first["secret"]
    stored = await arrange.one(
        "select jsonb_build_array(secret, old_secret) from hooks where id = %s", first["id"]
    )
    assert stored == [again["secret"], first["secret"]]
    others = [await make(http, url, "mailout.finished"), await make(http, f"{url}/2", *events)]
    assert len({first["id"], *(one["id"] for one in others)}) == 3


async def test_two_who_subscribe_at_once_are_one(http: httpx.AsyncClient) -> None:
    made = await asyncio.gather(*(make(http, f"{URL}/at-once") for _ in range(6)))
    assert len({one["id"] for one in made}) == 1
    assert len({one["secret"] for one in made}) == 6


async def test_it_is_the_same_through_supabase(store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout("sent", subject="Via", started_at="2027-01-01")
    made = []
    for secret in ("whsec_1", "whsec_2"):
        hook = await store.subscribe_hook(
            f"{URL}/{mailout}", ["mailout.finished"], secret=secret, description="", source=None,
            rate_per_second=None, keep_seconds=60, by="owner",
        )  # fmt: skip
        made.append(hook["id"])
    assert made[0] == made[1]
    facts = await store.hook_sample_facts()
    assert {"id": str(mailout), "subject": "Via"} in facts["mailouts"]
    assert await store.replay_hook_since(UUID(made[0]), datetime.now(UTC), 5, by="owner") == 0
    assert await store.replay_hook_since(uuid4(), datetime.now(UTC), 5, by="owner") is None


async def test_only_manage_may_look_and_change(http: httpx.AsyncClient) -> None:
    key = {
        scope: (await http.post("/keys", json={"name": scope, "scopes": [scope]})).json()["key"]
        for scope in ("read", "send", "manage")
    }
    for scope, expected in (("read", 403), ("send", 403), ("manage", 200)):
        headers = {"Authorization": f"Bearer {key[scope]}"}
        assert (await http.get("/hooks", headers=headers)).status_code == expected
        listed = await http.get("/hooks/samples/mailout.finished", headers=headers)
        assert listed.status_code == expected
    assert (await http.get("/hooks?events=x")).status_code == 422


async def test_examples_look_like_deliveries(http: httpx.AsyncClient) -> None:
    for event in EVENTS:
        found = (await http.get(f"/hooks/samples/{event}")).json()
        assert found == (await http.get(f"/hooks/samples/{event}")).json()
        assert len({one["id"] for one in found}) == len(found) >= 1
        times = [one["timestamp"] for one in found]
        assert times == sorted(times, reverse=True)
        for one in found:
            assert set(one) == {"id", "type", "timestamp", "data"}
            assert (one["type"], one["data"].keys()) == (event, SAMPLES[event].keys())


async def test_examples_have_the_lists_own_fields_and_nobodys_data(
    http: httpx.AsyncClient, arrange: Arrange
) -> None:
    for n in range(3):
        await arrange.subscriber(
            f"real{n}@example.org", name="Real", tags=["news", f"only{n}"],
            fields={"plan": "gold", "seats": n, "vip": True},
        )  # fmt: skip
    mailout = await arrange.mailout("sent", subject="Spring", started_at="2030-05-01")
    people = await http.get("/hooks/samples/subscriber.created")
    for one in people.json():
        assert one["data"]["fields"] == {"plan": "example", "seats": 7, "vip": True}
        assert one["data"]["tags"] == ["news"]
    assert {one["data"]["email"] for one in people.json()} == {
        "maria@example.com", "ben@example.com", "yuki@example.com",
    }  # fmt: skip
    assert "gold" not in people.text
    [first, *_] = (await http.get("/hooks/samples/recipient.bounced")).json()
    assert (first["data"]["mailout_id"], first["data"]["mailout_subject"]) == (
        str(mailout), "Spring",
    )  # fmt: skip
    [first, *_] = (await http.get("/hooks/samples/mailout.finished")).json()
    assert (first["data"]["id"], first["data"]["subject"]) == (str(mailout), "Spring")


async def test_an_unknown_event_has_no_examples(http: httpx.AsyncClient) -> None:
    refused = await http.get("/hooks/samples/mailout.sent")
    assert (refused.status_code, refused.json()["code"]) == (404, "hook_event_not_found")
    assert "mailout.finished" in refused.json()["detail"]


async def test_deliveries_are_listed_in_pages_and_sent_again(
    http: httpx.AsyncClient, arrange: Arrange
) -> None:
    made = await make(http, f"{URL}/pages")
    await arrange.sql.execute(
        "insert into hook_deliveries (hook_id, event_id, type, subject, data, state, attempts, "
        "status, error, settled_at) select %s, 'evt_' || n, 'mailout.finished', gen_random_uuid(), "
        "'{}', case when n %% 2 = 0 then 'dead' else 'done' end, 10, 500, "
        "'It answered 500.', now() from generate_series(1, 5) n",
        [made["id"]],
    )
    path = f"/hooks/{made['id']}"
    page = (await http.get(f"{path}/deliveries?limit=3")).json()
    assert [one["event_id"] for one in page["items"]] == ["evt_5", "evt_4", "evt_3"]
    older = (await http.get(f"{path}/deliveries?limit=3&cursor={page['next_cursor']}")).json()
    assert [one["event_id"] for one in older["items"]] == ["evt_2", "evt_1"]
    assert older["next_cursor"] is None
    dead = (await http.get(f"{path}/deliveries?state=dead")).json()["items"]
    assert [one["event_id"] for one in dead] == ["evt_4", "evt_2"]
    assert dead[0] == dead[0] | {"status": 500, "error": "It answered 500.", "attempts": 10}
    assert (await http.get(f"{path}/deliveries?state=odd")).status_code == 422
    assert (await http.get(f"{path}/deliveries?cursor=x")).status_code == 422
    assert (await http.get(path)).json()["dead"] == 2

    done = page["items"][0]["id"]
    answer = await http.post(f"{path}/replay", json={"ids": [done]})
    assert (answer.status_code, answer.json()) == (200, {"replayed": 1})
    assert (await http.post(f"{path}/replay")).json() == {"replayed": 2}
    assert (await http.post(f"{path}/replay")).json() == {"replayed": 0}
    waiting = (await http.get(f"{path}/deliveries?state=waiting")).json()["items"]
    assert {one["event_id"] for one in waiting} == {"evt_5", "evt_4", "evt_2"}
    odd: list[dict[str, Any]] = [
        {"ids": []}, {"ids": ["x"]}, {"ids": [2**63]}, {"all": True}, {"since": "yesterday"},
        {"ids": [done], "since": "2026-01-01"},
    ]  # fmt: skip
    for bad in odd:
        assert (await http.post(f"{path}/replay", json=bad)).status_code == 422

    # A receiver that lost what it had: whatever is over, and was told since then.
    await arrange.sql.execute(
        "update hook_deliveries set state = 'done', occurred_at = now() - interval '5 days' + "
        "(right(event_id, 1) || ' days')::interval where hook_id = %s and event_id <> 'evt_5'",
        [made["id"]],
    )
    since = (datetime.now(UTC) - timedelta(days=2.5)).isoformat()
    answer = await http.post(f"{path}/replay", json={"since": since})
    assert answer.json() == {"replayed": 2}  # 3 and 4; 5 waits anyway
    waiting = (await http.get(f"{path}/deliveries?state=waiting")).json()["items"]
    assert {one["event_id"] for one in waiting} == {"evt_5", "evt_4", "evt_3"}

    await http.patch(path, json={"state": "disabled"})
    for act in ("replay", "test"):
        refused = await http.post(f"{path}/{act}")
        assert (refused.status_code, refused.json()["code"]) == (409, "hook_not_active")


@pytest.mark.parametrize(
    "body",
    [{}, {"url": None}, {"events": []}, {"events": ["x"]}, {"state": "gone"}, {"secret": "x"},
     {"url": "http://10.0.0.1"}, {"rate_per_second": -1}],
)  # fmt: skip
async def test_a_bad_change_changes_nothing(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    made = await make(http, f"{URL}/change")
    before = (await http.get("/hooks")).json()
    refused = await http.patch(f"/hooks/{made['id']}", json=body)
    assert refused.status_code == 422
    assert (await http.get("/hooks")).json() == before
    assert (await http.patch(f"/hooks/{uuid4()}", json={"state": "active"})).status_code == 404
