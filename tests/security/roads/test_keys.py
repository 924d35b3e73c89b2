"""API keys: what a key can't do for itself or for others."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from app.domain.access import OWNER, Scope
from tests.security.fortress import BEARER, Fortress


async def key_of(fortress: Fortress, name: str, *scopes: Scope) -> dict[str, str]:
    made = await fortress.services.keys.create(name, scopes, OWNER)
    return {"Authorization": f"Bearer {made['key']}", "id": made["id"]}


@pytest.mark.few_variants(4)
@pytest.mark.parametrize(
    "name",
    [
        "", "   ", "x" * 81, "a\nb", "a\r\nX: y", "a\0b", "a\x1b[31mb", "a\u202eb", "a\u2028b",
        "a\u200bb",
        "\ufeffa", "a\tb", "a\x7fb", "a\ue000b", None, 7, True, ["a"], {"a": "b"},
    ],
)  # fmt: skip
async def test_a_name_is_one_line_of_what_can_be_seen(fortress: Fortress, name: Any) -> None:
    async with fortress.untouched():
        body = {"name": name, "scopes": ["read"]}
        answer = await fortress.http.post("/keys", json=body, headers=BEARER)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("name: ")


@pytest.mark.few_variants(4)
@pytest.mark.parametrize(
    "scopes",
    [
        [], ["owner"], ["Manage"], ["manage "], ["*"], ["read,manage"], "manage", None, [None],
        [["manage"]], {"manage": True}, ["read"] * 11, ["re\0ad"], [1], ["admin", "read"],
    ],
)  # fmt: skip
async def test_scopes_are_those_there_are(fortress: Fortress, scopes: Any) -> None:
    async with fortress.untouched():
        body = {"name": "x", "scopes": scopes}
        answer = await fortress.http.post("/keys", json=body, headers=BEARER)
    assert answer.status_code == 422


async def test_no_key_makes_one_that_may_do_more(fortress: Fortress) -> None:
    keys = {scope: await key_of(fortress, f"only {scope}", scope) for scope in get_args(Scope)}
    async with fortress.untouched({"api_keys"}):  # which has when each was used
        before = await _living(fortress)
        for scope, key in keys.items():
            for wanted in (
                ["send"],
                ["read"],
                ["manage", "send"],
                ["read", "manage"],
                ["send"] * 3,
            ):
                answer = await fortress.http.post(
                    "/keys", json={"name": "more", "scopes": wanted}, headers=key
                )
                assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), scope
            for extra in ({"scopes": ["manage"], "is_admin": True}, {"id": key["id"]}):
                answer = await fortress.http.post(
                    "/keys", json={"name": "more", "scopes": ["manage"]} | extra, headers=key
                )
                assert answer.status_code == (422 if scope == "manage" else 403)
            if scope != "manage":
                for other in keys.values():
                    gone = await fortress.http.delete(f"/keys/{other['id']}", headers=key)
                    assert gone.status_code == 403
                assert (await fortress.http.get("/keys", headers=key)).status_code == 403
            for method in ("PUT", "PATCH", "POST"):
                changed = await fortress.http.request(
                    method, f"/keys/{key['id']}", json={"scopes": ["manage"]}, headers=BEARER
                )
                assert changed.status_code == 405
        assert await _living(fortress) == before


async def _living(fortress: Fortress) -> Any:
    done = await fortress.sql.execute("select id, name, scopes from api_keys order by id")
    return await done.fetchall()


async def test_a_revoked_key_is_nobodys_at_once_and_stays_so(fortress: Fortress) -> None:
    key = await key_of(fortress, "leaves", "manage", "read")
    assert (await fortress.http.get("/mailouts", headers=key)).status_code == 200
    gone = await fortress.http.delete(f"/keys/{key['id']}", headers=key)  # also by itself
    assert gone.status_code == 204
    again = await key_of(fortress, "leaves", "read")  # the name is free
    async with fortress.untouched():
        for _ in range(3):
            assert (await fortress.http.get("/mailouts", headers=key)).status_code == 401
        assert (await fortress.http.delete(f"/keys/{key['id']}", headers=BEARER)).status_code == 404
    assert again["Authorization"] != key["Authorization"]


async def test_no_answer_shows_a_key_again(fortress: Fortress) -> None:
    made = await fortress.http.post(
        "/keys", json={"name": "shown once", "scopes": ["read"]}, headers=BEARER
    )
    key = made.json()["key"]
    assert made.headers.get("location", "") == ""
    for path in ("/keys", "/audit", "/metrics", "/health", "/openapi.json"):
        shown = await fortress.http.get(path, headers=BEARER if path != "/health" else {})
        assert key not in shown.text
        assert key[3:20] not in shown.text
