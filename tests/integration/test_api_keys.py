"""API keys: made once, shown once, and refused at once when they are revoked."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import keys as cli_keys
from app.domain.access import OWNER, Caller, key_hash
from app.errors import DatabaseUnavailable
from app.services.access.keys import FRESH_SECONDS, USE_SECONDS, Keys
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import BEARER, SECRET, Service, command, environment


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def make(service: Service, name: str, *scopes: str, by: dict[str, str] = BEARER) -> Any:
    answer = await service.http.post(
        "/keys", json={"name": name, "scopes": list(scopes)}, headers=by
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


class TestEndpoints:
    async def test_a_key_lives_until_it_is_revoked(self, quiet: Service, arrange: Arrange) -> None:
        async def ask(key: str) -> httpx.Response:
            return await quiet.http.get("/mailouts", headers=bearer(key))

        made = await make(quiet, "  Zapier ", "read", "send", "read")
        key = made["key"]
        assert key.startswith("as_")
        assert len(key) == 46
        assert (made["name"], made["scopes"]) == ("Zapier", ["send", "read"])
        assert (await ask(key)).status_code == 200
        assert (await ask(key[:-1])).status_code == 401
        assert (await ask(key[:-1] + ("A" if key[-1] != "A" else "B"))).status_code == 401

        answer = await quiet.http.get("/keys", headers=BEARER)
        [listed] = answer.json()["items"]
        assert listed["hint"] == f"{key[:7]}…{key[-4:]}"
        assert (listed["id"], listed["created_by"]) == (made["id"], "owner")
        assert listed["last_used_at"] is not None
        assert key not in answer.text
        assert key_hash(key) not in answer.text
        # Nothing of the database opens anything.
        stored = await arrange.one("select to_jsonb(k)::text from api_keys k")
        assert key not in stored
        assert key[7:-4] not in stored

        gone = await quiet.http.delete(f"/keys/{made['id']}", headers=BEARER)
        assert (gone.status_code, gone.content) == (204, b"")
        assert (await ask(key)).status_code == 401
        assert (await quiet.http.get("/keys", headers=BEARER)).json()["items"] == []
        again = await quiet.http.delete(f"/keys/{made['id']}", headers=BEARER)
        assert (again.status_code, again.json()["code"]) == (404, "key_not_found")

    async def test_a_living_name_is_taken(self, quiet: Service) -> None:
        made = await make(quiet, "Zapier", "read")
        taken = await quiet.http.post(
            "/keys", json={"name": "zapier", "scopes": ["read"]}, headers=BEARER
        )
        assert (taken.status_code, taken.json()["code"]) == (409, "key_exists")
        await quiet.http.delete(f"/keys/{made['id']}", headers=BEARER)
        await make(quiet, "zapier", "read")

    @pytest.mark.few_variants(3)
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": "", "scopes": ["read"]}, "name"),
            ({"name": "x" * 81, "scopes": ["read"]}, "name"),
            ({"name": "a\nb", "scopes": ["read"]}, "name"),
            ({"name": "a\u202eb", "scopes": ["read"]}, "name"),
            ({"name": "x", "scopes": []}, "scopes"),
            ({"name": "x", "scopes": ["admin"]}, "scopes.0"),
            ({"name": "x"}, "scopes"),
            ({"name": "x", "scopes": ["read"], "expires": 1}, "expires"),
        ],
    )
    async def test_a_bad_order_is_refused(
        self, quiet: Service, body: dict[str, Any], field: str
    ) -> None:
        refused = await quiet.http.post("/keys", json=body, headers=BEARER)
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith(f"{field}: ")

    async def test_a_key_gives_nobody_more_than_it_has(
        self, quiet: Service, arrange: Arrange
    ) -> None:
        manager = bearer((await make(quiet, "Manager", "manage", "read"))["key"])
        child = await make(quiet, "Child", "read", by=manager)
        refused = await quiet.http.post(
            "/keys", json={"name": "Escape", "scopes": ["read", "send"]}, headers=manager
        )
        assert (refused.status_code, refused.json()["scope"]) == (403, "send")
        made_by = "select created_by from api_keys where id = %s"
        assert await arrange.one(made_by, child["id"]) == "key Manager"

    async def test_a_key_is_no_way_into_the_dashboard(self, quiet: Service) -> None:
        made = await make(quiet, "All", "send", "read", "manage")
        answer = await quiet.http.post(
            "/dashboard/login",
            data={"secret": made["key"], "next": "/dashboard"},
            headers={"Origin": "http://service"},
        )
        assert answer.status_code == 401


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """A store that counts its calls, can be away, and holds its answers back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lists = self.uses = 0
        self.away = False
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def living_keys(self) -> Any:
        self.lists += 1
        self.begun.set()
        found = None if self.away else await self._store.living_keys()
        await self.go_on.wait()
        if self.away:
            raise DatabaseUnavailable
        return found

    async def note_key_use(self, key_id: Any) -> None:
        self.uses += 1
        if self.away:
            raise DatabaseUnavailable
        await self._store.note_key_use(key_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class TestFinding:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def store_(self, direct_store: Store) -> Counting:
        return Counting(direct_store)

    @pytest.fixture
    def keys(self, store_: Counting, clock: Clock) -> Keys:
        return Keys(store_, clock)  # type: ignore[arg-type]

    async def test_a_request_costs_no_call(
        self, keys: Keys, store_: Counting, clock: Clock
    ) -> None:
        """The list is asked for when it is old, and a use is written once a minute."""
        made = await keys.create("a", ["read"], OWNER)
        for _ in range(5):
            found = await keys.find(made["key"])
            assert found == Caller("key a", frozenset({"read"}))
        assert (store_.lists, store_.uses) == (1, 1)
        clock.now += FRESH_SECONDS + 0.1
        await keys.find(made["key"])
        assert (store_.lists, store_.uses) == (2, 1)
        clock.now += USE_SECONDS
        await keys.find(made["key"])
        assert (store_.lists, store_.uses) == (3, 2)

    async def test_another_process_refuses_a_revoked_key_soon(
        self, keys: Keys, direct_store: Store, clock: Clock
    ) -> None:
        made = await keys.create("a", ["read"], OWNER)
        assert await keys.find(made["key"])
        await Keys(direct_store).revoke(made["id"], OWNER)
        clock.now += FRESH_SECONDS + 0.1
        assert await keys.find(made["key"]) is None

    async def test_a_new_key_of_another_process_works_at_once(
        self, keys: Keys, direct_store: Store
    ) -> None:
        await keys.find((await keys.create("a", ["read"], OWNER))["key"])
        made = await Keys(direct_store).create("b", ["read"], OWNER)
        assert await keys.find(made["key"])

    async def test_strangers_cost_one_call_at_a_time(
        self, keys: Keys, store_: Counting, clock: Clock
    ) -> None:
        """Those who come during a call share the next one; what is no key costs none."""
        store_.go_on.clear()
        first = asyncio.create_task(keys.find("as_" + "x" * 43))
        await store_.begun.wait()
        clock.now += 0.01
        crowd = [asyncio.create_task(keys.find(f"as_{n:043}")) for n in range(50)]
        await asyncio.sleep(0)
        clock.now += 0.01
        store_.go_on.set()
        assert await asyncio.gather(first, *crowd) == [None] * 51
        assert store_.lists == 2
        for other in ("", "as_", SECRET, "as_" + "x" * 42, "as_" + "x" * 44, "as_" + "é" * 43):
            assert await keys.find(other) is None
        assert store_.lists == 2

    async def test_a_crowd_waits_once_for_a_database_that_is_away(
        self, keys: Keys, store_: Counting, clock: Clock
    ) -> None:
        """Not one after the other."""
        store_.away = True
        store_.go_on.clear()
        tried = [asyncio.create_task(keys.find(f"as_{n:043}")) for n in range(50)]
        await store_.begun.wait()
        clock.now += 4
        store_.go_on.set()
        found = await asyncio.gather(*tried, return_exceptions=True)
        assert {type(one) for one in found} == {DatabaseUnavailable}
        assert store_.lists == 1
        store_.away = False
        assert await keys.find("as_" + "x" * 43) is None

    async def test_a_list_under_way_does_not_revive_a_revoked_key(
        self, keys: Keys, store_: Counting, clock: Clock
    ) -> None:
        made = await keys.create("a", ["read"], OWNER)
        store_.go_on.clear()
        looking = asyncio.create_task(keys.find(made["key"]))
        await store_.begun.wait()
        revoking = asyncio.create_task(keys.revoke(made["id"], OWNER))
        await asyncio.sleep(0)
        store_.go_on.set()
        await asyncio.gather(looking, revoking)
        assert await keys.find(made["key"]) is None

    async def test_without_the_database_nobody_is_let_in_for_long(
        self, keys: Keys, store_: Counting, clock: Clock
    ) -> None:
        """A key that can't be judged is no wrong key; a use that can't be noted refuses nobody."""
        made = await keys.create("a", ["read"], OWNER)
        other = await keys.create("b", ["read"], OWNER)
        await keys.find(made["key"])
        store_.away = True
        assert await keys.find(made["key"])
        assert await keys.find(other["key"])  # its first use
        clock.now += FRESH_SECONDS + 0.1
        with pytest.raises(DatabaseUnavailable):
            await keys.find(made["key"])


@pytest.mark.short
async def test_the_command_line(
    quiet: Service,
    dsn: str,
    tmp_path: Path,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a key that is made or revoked elsewhere a running service learns by itself."""
    monkeypatch.setattr("app.services.access.keys.FRESH_SECONDS", 0.0)

    def amazonsender(*arguments: str) -> subprocess.CompletedProcess[str]:
        return command(tmp_path, environment(dsn, None), "keys", *arguments)

    made = amazonsender("create", "Zapier", "--scope", "read", "--scope", "send")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()  # nothing else, for `KEY=$(amazonsender keys create …)`
    assert "Key Zapier (send, read)" in made.stderr
    assert key not in made.stderr
    assert (await quiet.http.get("/mailouts", headers=bearer(key))).status_code == 200

    listed = amazonsender("list").stdout
    assert f"{key[:7]}…{key[-4:]}  Zapier  send,read  last used " in listed
    assert key not in listed
    revoked = amazonsender("revoke", listed.split()[0])
    assert (revoked.returncode, revoked.stdout) == (0, "Key Zapier is revoked.\n")
    assert (await quiet.http.get("/mailouts", headers=bearer(key))).status_code == 401
    again = amazonsender("revoke", listed.split()[0])
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert await arrange.one("select array_agg(by order by id) from audit_log") == ["cli", "cli"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["Zapier", "--scope", "all"], "--scope"), (["\t", "--scope", "read"], "NAME")],
)
def test_the_command_line_says_what_is_wrong(arguments: list[str], said: str) -> None:
    refused = CliRunner().invoke(cli_keys.app, ["create", *arguments])
    assert refused.exit_code == 2
    assert said in refused.stderr


async def test_both_ways_to_the_database_agree(store: Store, arrange: Arrange) -> None:
    keys = Keys(store)
    made = await keys.create("Ünï code", ["manage", "send"], OWNER)
    found = await keys.find(made["key"])
    assert found == Caller("key Ünï code", frozenset({"send", "manage"}))
    [listed] = await store.list_keys()
    assert listed["last_used_at"] is not None
    used = listed["last_used_at"]
    await store.note_key_use(made["id"])
    assert (await store.list_keys())[0]["last_used_at"] == used
    assert (await keys.revoke(made["id"], OWNER))["name"] == "Ünï code"
    assert await store.revoke_key(uuid4(), by="owner") is None
    audit = await arrange.sql.execute("select action, target, by from audit_log order by id")
    assert [tuple(row.values()) for row in await audit.fetchall()] == [
        ("key.create", "Ünï code", "owner"),
        ("key.revoke", "Ünï code", "owner"),
    ]
    assert made["key"] not in await arrange.one("select jsonb_agg(a)::text from audit_log a")
