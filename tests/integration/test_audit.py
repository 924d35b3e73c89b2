"""The audit log: who changed what, when, from what to what, in the transaction that changed it."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from app.domain.access import OWNER
from app.errors import DatabaseUnavailable
from app.services.access.sign_ins import SignIns
from app.store import Store
from tests.support.dashboard import ORIGIN, Visitor
from tests.support.factories import Arrange, start
from tests.support.reads import reader
from tests.support.service import BEARER, SECRET, Service


async def entries(service: Service, query: str = "") -> list[dict[str, Any]]:
    answer = await service.http.get(f"/audit{query}", headers=BEARER)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def acts(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Oldest first: by whom, and what."""
    return [(entry["by"], entry["action"]) for entry in reversed(found)]


async def test_what_was_done_to_a_mailout(service: Service, arrange: Arrange) -> None:
    """By a key, by the owner and on the dashboard; a refusal and a repeat are no changes."""
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    made = await service.services.keys.create("Zapier", ["send"], OWNER)
    key = {"Authorization": f"Bearer {made['key']}", "Idempotency-Key": "1"}

    async def post(path: str, headers: dict[str, str], body: Any = None) -> int:
        return (await service.http.post(path, json=body, headers=headers)).status_code

    test = {"mailout_id": str(mailout), "test": True}
    assert await post("/send-mailout", BEARER, test) == 202
    # Nothing is sent from here on, so that the mailout stays as it is.
    service.services.stop_sending()
    for _ in range(2):
        assert await post("/send-mailout", key, {"mailout_id": str(mailout)}) == 202
    await arrange.sql.execute("update mailouts set status = 'sending', sent_at = null")
    assert await post(f"/mailouts/{mailout}/pause", key) == 200
    assert await post(f"/mailouts/{mailout}/pause", key) == 409
    assert await post(f"/mailouts/{uuid4()}/pause", key) == 404
    visitor = Visitor(service)
    await visitor.sign_in()
    await visitor.post(f"/mailouts/{mailout}/resume")
    assert await post(f"/mailouts/{mailout}/cancel", BEARER) == 200

    found = await entries(service, f"?target={mailout}")
    assert acts(found) == [
        ("owner", "mailout.test"),
        ("key Zapier", "mailout.start"),
        ("key Zapier", "mailout.pause"),
        ("dashboard", "mailout.resume"),
        ("owner", "mailout.cancel"),
    ]
    by_action = {entry["action"]: (entry["before"], entry["after"]) for entry in found}
    paused = {"status": "paused", "status_reason": "Paused by a person."}
    assert by_action == {
        "mailout.test": (None, {"recipients": 2}),
        "mailout.start": ({"status": "ready"}, {"status": "sending", "recipients": 3}),
        "mailout.pause": ({"status": "sending"}, paused),
        "mailout.resume": (paused, {"status": "sending"}),
        "mailout.cancel": (
            {"status": "sending"},
            {"status": "cancelled", "status_reason": "Cancelled by a person."},
        ),
    }
    everything = (await service.http.get("/audit", headers=BEARER)).text
    for secret in (SECRET, made["key"], "me@example.com", "reader1@example.com"):
        assert secret not in everything


async def test_both_ways_to_the_database_note_the_same(store: Store, arrange: Arrange) -> None:
    """A draft, its release, a resend, and what is done to jobs."""
    created = await store.add_mailout(
        {"subject": "June", "body_html": "<p>Long</p>", "audience": {"tags": ["a"]}}, by="cli"
    )
    mailout = created.id
    await store.release_mailout(mailout, by="cli")
    await store.release_mailout(mailout, by="cli")
    sent = await arrange.mailout("sent")
    await arrange._insert(
        "send_logs", {"mailout_id": sent, "email": "a@example.com", "status": "failed"}
    )
    await store.resend_mailout(sent, ["unknown"], force=False, by="owner")  # nobody
    await store.resend_mailout(sent, ["failed"], force=True, by="owner")
    made, ready, resent = reversed(await store.list_audit(10))
    assert (made["target"], made["action"]) == (str(mailout), "mailout.create")
    assert made["after"]["subject"] == "June"
    assert made["after"]["audience"] == {"tags": ["a"]}
    assert "Long" not in str(made)
    assert (ready["before"], ready["after"]) == ({"status": "draft"}, {"status": "ready"})
    assert (resent["target"], resent["before"]) == (str(sent), {"status": "sent"})
    assert resent["after"] == {"status": "sending", "statuses": ["failed"], "force": True}


async def test_jobs(quiet: Service) -> None:
    jobs = quiet.services.jobs
    job, _ = await jobs.add_job("some_import", {"secret": "s3cr3t"})
    for verb in ("cancel", "cancel", "retry"):
        await quiet.http.post(f"/jobs/{job}/{verb}", headers=BEARER)
    retried, cancelled = await entries(quiet, "?action=job")
    assert (cancelled["by"], cancelled["target"]) == ("owner", str(job))
    assert cancelled["before"] == {"kind": "some_import", "state": "waiting"}
    assert cancelled["after"] == {"kind": "some_import", "state": "cancelled"}
    assert (retried["action"], retried["after"]["state"]) == ("job.retry", "waiting")
    assert "s3cr3t" not in str([retried, cancelled])


async def test_what_nobody_asked_for_is_not_noted(direct_store: Store, arrange: Arrange) -> None:
    """What the sender does by itself, and calls of the last release, which names nobody."""
    await arrange.subscribers(1)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    await direct_store.pause_mailout(mailout, "quota", "The quota is used up.")
    await arrange.sql.execute("select resume_mailout(%s)", [mailout])
    await arrange.sql.execute("select pause_mailout(%s, 'person', 'Wait.')", [mailout])
    assert await direct_store.list_audit(10) == []


async def test_what_is_taken_back_was_never_noted(arrange: Arrange, direct_store: Store) -> None:
    mailout = await arrange.mailout("draft")
    async with arrange.sql.transaction(force_rollback=True):
        await arrange.sql.execute("select ready_mailout(%s, 'owner')", [mailout])
        assert await arrange.one("select count(*) from audit_log") == 1
    assert await direct_store.list_audit(10) == []


class TestSigningIn:
    async def test_who_came_in_and_from_where(self, quiet: Service) -> None:
        visitor = Visitor(quiet)
        await visitor.sign_in()
        [entry] = await entries(quiet)
        assert (entry["by"], entry["action"]) == ("dashboard", "dashboard.sign_in")
        assert (entry["target"], entry["after"]) == ("dashboard", {"client": "127.0.0.1"})

    async def test_strangers_do_not_fill_the_log(self, quiet: Service, arrange: Arrange) -> None:
        """What they try within a minute is one entry; what they tried stands nowhere."""
        for n in range(3):
            wrong = {"secret": f"s3cr3t{n}", "next": "/dashboard"}
            answer = await quiet.http.post("/dashboard/login", data=wrong, headers=ORIGIN)
            assert answer.status_code == 401
        for n in range(20):
            await quiet.services.sign_ins.refused(f"10.0.0.{n}")
        [entry] = await entries(quiet)
        assert (entry["by"], entry["action"]) == ("stranger", "dashboard.sign_in_refused")
        assert entry["after"]["times"] == 23
        assert entry["after"]["clients"] == ["127.0.0.1", *(f"10.0.0.{n}" for n in range(9))]
        assert "s3cr3t" not in str(entry)
        await arrange.sql.execute("update audit_log set at = at - interval '61 seconds'")
        await quiet.services.sign_ins.refused("127.0.0.1")
        assert [entry["after"]["times"] for entry in await entries(quiet)] == [1, 23]

    async def test_a_crowd_of_strangers_costs_one_call_at_a_time(self) -> None:
        calls: list[dict[str, int]] = []
        go_on, begun = asyncio.Event(), asyncio.Event()

        class Away:
            async def note_refused_sign_ins(self, tried: dict[str, int]) -> None:
                calls.append(dict(tried))
                begun.set()
                await go_on.wait()
                raise DatabaseUnavailable

        sign_ins = SignIns(Away())  # type: ignore[arg-type]
        first = asyncio.create_task(sign_ins.refused("a"))
        await begun.wait()
        crowd = [asyncio.create_task(sign_ins.refused(one)) for one in "abcabc"]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, *crowd)
        assert calls == [{"a": 1}, {"a": 2, "b": 2, "c": 2}]


class TestReading:
    @pytest.fixture
    async def log(self, quiet: Service, arrange: Arrange) -> Service:
        """Seven entries, the first at the beginning of November."""
        await arrange.sql.execute(
            "insert into audit_log (at, by, action, target, after) "
            "select timestamptz '2026-11-01 00:00Z' + n * interval '1 day', "
            "case when n %% 2 = 0 then 'owner' else 'key Ünï' end, "
            "(array['mailout.pause', 'mailout.resume', 'mailouts'])[n %% 3 + 1], 't' || n, "
            "jsonb_build_object('n', n) from generate_series(0, 6) n",
            [],
        )
        return quiet

    async def test_pages_from_the_newest_on(self, log: Service) -> None:
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await log.http.get(f"/audit?limit=3{cursor}", headers=BEARER)).json()
            seen += [entry["target"] for entry in page["items"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
            await log.services.store.note_sign_in("")  # what is added meanwhile moves nothing
        assert seen == ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]

    @pytest.mark.few_variants(3)
    @pytest.mark.parametrize(
        ("query", "targets"),
        [
            ("target=t3", ["t3"]),
            ("by=key%20%C3%9Cn%C3%AF", ["t5", "t3", "t1"]),
            ("action=mailout.pause", ["t6", "t3", "t0"]),
            ("action=mailout", ["t6", "t4", "t3", "t1", "t0"]),
            ("since=2026-11-06", ["t6", "t5"]),
            ("since=2026-11-06T01:00:00%2B01:00", ["t6", "t5"]),
            ("since=2026-11-06T00:00:01Z", ["t6"]),
            ("action=mailout&by=owner&since=2026-11-02", ["t6", "t4"]),
            ("target=nobody", []),
        ],
    )
    async def test_filters(self, log: Service, query: str, targets: list[str]) -> None:
        assert [entry["target"] for entry in await entries(log, f"?{query}")] == targets

    @pytest.mark.few_variants(3)
    @pytest.mark.parametrize(
        "query",
        ["since=yesterday", "since=0001-01-01T00:00:00%2B10:00", "cursor=x", "cursor=WyJ4Il0",
         "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTldCg", "limit=0", "target=", "by=a%00b", "who=owner"],
    )  # fmt: skip
    async def test_what_is_no_filter(self, log: Service, query: str) -> None:
        answer = await log.http.get(f"/audit?{query}", headers=BEARER)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_page_of_it_has_the_newest_that_fit(direct_store: Store, arrange: Arrange) -> None:
    """With every combination of filters. Looking at each entry is the model."""
    await arrange.sql.execute(
        "insert into audit_log (at, by, action, target) select now() - n * interval '1 hour', "
        "(array['owner', 'cli'])[1 + n % 2], (array['mailout.start', 'mailout.pause', 'mail', "
        "'mailouts.x', 'mailout'])[1 + n % 5], 't' || n % 3 from generate_series(1, 60) n"
    )
    everything = await direct_store.list_audit(100)
    assert [entry["id"] for entry in everything] == sorted(
        (entry["id"] for entry in everything), reverse=True
    )
    since = datetime.fromisoformat(everything[40]["at"])
    for by, action, target, after, before in itertools.product(
        (None, "cli", "nobody"),
        (None, "mailout", "mailout.pause", "none"),
        (None, "t1"),
        (None, since),
        (None, everything[20]["id"]),
    ):
        found = await direct_store.list_audit(
            7, before=before, by=by, action=action, target=target, since=after
        )
        assert (
            found
            == [
                entry
                for entry in everything
                if by in (None, entry["by"])
                and (action in (None, entry["action"]) or entry["action"].startswith(f"{action}."))
                and target in (None, entry["target"])
                and (after is None or datetime.fromisoformat(entry["at"]) >= after)
                and (before is None or entry["id"] < before)
            ][:7]
        )


@pytest.mark.parametrize("analysed", [False, True])
async def test_what_is_behind_many_others_is_found_without_them(
    dsn: str, arrange: Arrange, *, analysed: bool
) -> None:
    """Entries by two conditions that never come together, and deliveries of a state."""
    await arrange.sql.execute(
        "insert into audit_log (by, action, target) select (array['cli', 'owner'])[1 + n % 2], "
        "(array['key.create', 'key.revoke'])[1 + n % 2], n::text from generate_series(1, 5000) n"
    )
    hook = await arrange.one(
        "insert into hooks (url, events, secret, created_by) "
        "values ('https://example.org/', '{mailout.sent}', 's', 'owner') returning id"
    )
    await arrange.sql.execute(
        "insert into hook_deliveries (hook_id, event_id, type, subject, data, occurred_at, state, "
        "due_at) select %s, 'e' || n, 'mailout.sent', gen_random_uuid(), '{}', now(), "
        "case when n <= 50 then 'waiting' when n <= 100 then 'dead' else 'done' end, now() "
        "from generate_series(1, 5000) n",
        [hook],
    )
    if analysed:
        await arrange.sql.execute("analyze audit_log, hook_deliveries")
    async with reader(dsn) as sql:
        for action, count in (("key.create", 0), ("key", 10), ("key.revoke", 10)):
            found, read = await sql.call("list_audit", p_limit=10, p_action=action, p_by="owner")
            assert (len(found), read < 100) == (count, True), (action, read)
        for state in ("waiting", "dead", "done", "sending"):
            found, read = await sql.call(
                "list_hook_deliveries", p_hook=hook, p_limit=10, p_state=state
            )
            assert (len(found), read < 100) == (0 if state == "sending" else 10, True), (
                state,
                read,
            )
