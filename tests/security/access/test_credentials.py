"""Who is let in, and to what: every route of the API's own description, with every credential."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import get_args

import pytest

from app.domain.access import OWNER, Scope, key_hash
from tests.security.fortress import BEARER, SECRET, Fortress
from tests.security.openapi import NOBODY, Operation, operations
from tests.support.dashboard import form_token

# Routes that no credential of ours opens: links with a token, webhooks with a signature, and what
# everybody may see. Any other has to name a scope, so a new one fails closed.
PUBLIC = {
    "/unsubscribe", "/resubscribe", "/subscribe", "/confirm", "/ses-events", "/notion-events",
    "/sendgrid-events", "/mailgun-events", "/health", "/health/live", "/metrics", "/assets/{name}",
}  # fmt: skip
ALL = set(get_args(Scope))
USED = {"api_keys"}  # has the minute in which a key was used last


@pytest.fixture(scope="module")
async def keys(fortress: Fortress) -> dict[str, str]:
    """By scope a key that has nothing else; `gone`: a revoked one of all scopes."""
    made = {
        scope: await fortress.services.keys.create(f"only {scope}", [scope], OWNER)
        for scope in get_args(Scope)
    }
    gone = await fortress.services.keys.create("gone", list(get_args(Scope)), OWNER)
    await fortress.services.keys.revoke(gone["id"], OWNER)
    return {name: key["key"] for name, key in (made | {"gone": gone}).items()}


def _bearer(value: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {value}")]


def wrong(keys: dict[str, str]) -> list[list[tuple[str, str]]]:
    """Headers that let nobody in."""
    right, key = SECRET, keys["manage"]
    return [
        [], [("Authorization", "")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
        [("X-Auth-Token", "")], _bearer(right + "x"), _bearer(right[:-1]), _bearer(right.upper()),
        _bearer(key + "x"), _bearer(key[:-1]), _bearer(key.swapcase()), _bearer(keys["gone"]),
        _bearer("a" * 1_000), _bearer("as_" + "a" * 43), _bearer(key_hash(key)),
        _bearer(f"{right},{right}"), _bearer(f"{right} {right}"), _bearer(f'"{right}"'),
        [("Authorization", f"Basic {right}")], [("Authorization", right)],
        [("Authorization", f"Token {right}")], [("Authorization", f"Bearer\xa0{right}")],
        _bearer(right) * 2, _bearer(right) + _bearer("wrong"), _bearer("wrong") + _bearer(right),
        [("X-Auth-Token", right), ("X-Auth-Token", right)],
        [("X-Auth-Token", "wrong"), ("X-Auth-Token", right)],
        [("X-Auth-Token", right), ("X-Auth-Token", "wrong")],
        [("X-Auth-Token", right), *_bearer("wrong")], [("X-Auth-Token", "wrong"), *_bearer(right)],
        [("X-Auth-Token", key), *_bearer(right)], [("X-Auth-Token", keys["read"]), *_bearer(key)],
        [("X-Auth-Token", keys["gone"]), *_bearer(right)],
        [("Cookie", f"auth_token={right}")], [("Proxy-Authorization", f"Bearer {right}")],
        [("X-Api-Key", right)], [("X-Forwarded-Authorization", f"Bearer {right}")],
        [("X-Auth-Token", "\xff" * 40)], [("X_Auth_Token", right)],
    ]  # fmt: skip


async def test_43_who_presents_nothing_right_is_answered_alike(
    fortress: Fortress, keys: dict[str, str]
) -> None:
    answers = set()
    async with fortress.untouched(USED):
        for headers in wrong(keys):
            lines = [f"{name}: {value}" for name, value in headers]
            status, answer = await _raw(fortress, "GET", "/mailouts", *lines)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert (status, b"www-authenticate: bearer" in head.lower()) == (401, True), headers
            answers.add(body)
    assert len(answers) == 1


async def test_43_a_credential_in_the_address_is_none(fortress: Fortress) -> None:
    async with fortress.untouched():
        for name in ("auth_token", "token", "key", "api_key", "access_token", "X-Auth-Token"):
            asked = {name: SECRET}
            assert (await fortress.http.get("/mailouts", params=asked)).status_code == 401
            started = await fortress.http.post(
                "/send-mailout", params=asked, json={"mailout_id": NOBODY}
            )
            assert started.status_code == 401
            doubled = await fortress.http.get("/mailouts", params=asked, headers=BEARER)
            assert doubled.status_code == 422
            assert SECRET not in doubled.text


async def test_43_a_key_of_a_megabyte_is_refused(fortress: Fortress) -> None:
    async with fortress.untouched():
        for size, statuses in ((10_000, {401}), (1_000_000, {431})):
            with suppress(ConnectionResetError):  # nobody reads the rest of it
                status, _ = await _raw(fortress, "GET", "/mailouts", f"X-Auth-Token: {'a' * size}")
                assert status in statuses


async def test_43_one_credential_in_three_places_has_to_be_one(
    fortress: Fortress, keys: dict[str, str]
) -> None:
    """The body's, too; several that are all right and of one caller are fine."""
    key = keys["send"]
    start = {"mailout_id": NOBODY}
    async with fortress.untouched(USED):
        disagree: list[tuple[list[tuple[str, str]], str]] = [
            (_bearer(SECRET), "wrong"), (_bearer("wrong"), SECRET), (_bearer(SECRET), key),
            (_bearer(key), SECRET), (_bearer(key), keys["gone"]),
            ([("X-Auth-Token", "wrong")], key), ([("X-Auth-Token", key)], "wrong"), ([], "wrong"),
            ([], keys["gone"]), ([], ""),
        ]  # fmt: skip
        for headers, token in disagree:
            answer = await fortress.http.post(
                "/send-mailout", json=start | {"auth_token": token}, headers=headers
            )
            assert answer.status_code == 401, (headers, token)
        agree: list[tuple[list[tuple[str, str]], str | None]] = [
            (_bearer(SECRET), SECRET), ([*_bearer(key), ("X-Auth-Token", key)], key),
            ([("X-Auth-Token", "")], key), ([("Authorization", "Basic abc")], key),
            (_bearer(key), None),
        ]  # fmt: skip
        for headers, presented in agree:
            answer = await fortress.http.post(
                "/send-mailout", json=start | {"auth_token": presented}, headers=headers
            )
            assert answer.status_code == 404, (headers, presented, answer.text)


async def test_43_only_hashes_are_kept(fortress: Fortress, keys: dict[str, str]) -> None:
    """Of a key; and the shared secret is nowhere in the database at all."""
    tables = await fortress.rows()
    for secret in [*keys.values(), SECRET]:
        for table in tables:
            found = await fortress.sql.execute(
                f"select count(*) as n from {table} t where t::text like %s".encode(),
                [f"%{secret[4:-4]}%"],
            )
            assert (await found.fetchone() or {})["n"] == 0, table


async def test_44_each_route_names_a_scope_or_is_known_to_be_public(fortress: Fortress) -> None:
    for operation in await operations(fortress):
        assert (operation.path in PUBLIC) == (not operation.scopes), operation
        assert set(operation.scopes) <= ALL


async def _statuses(
    fortress: Fortress, operation: Operation, roles: dict[str, dict[str, str]]
) -> dict[str, int]:
    body = b"{" if operation.method in {"POST", "PATCH", "PUT"} else b""
    return {
        role: (await operation.call(fortress, body, **headers)).status_code
        for role, headers in roles.items()
    }


async def test_44_each_route_opens_to_its_scopes_alone(
    fortress: Fortress, keys: dict[str, str]
) -> None:
    """Nobody, a wrong secret, a revoked key, a session of the dashboard; each scope."""
    login = await fortress.http.post(
        "/dashboard/login", data={"secret": SECRET}, headers={"Origin": str(fortress.http.base_url)}
    )
    cookie = {"Cookie": login.headers["set-cookie"].partition(";")[0]}
    account = await fortress.http.get("/dashboard/account", headers=cookie)
    strangers = {
        "nobody": {},
        "wrong": {"Authorization": f"Bearer {secrets.token_urlsafe(32)}"},
        "session": cookie,
        "form": cookie | {"X-CSRF-Token": form_token(account.text)},
    }
    roles = {scope: {"Authorization": f"Bearer {keys[scope]}"} for scope in get_args(Scope)}
    fortress.http.cookies.clear()
    refused = set()
    async with fortress.untouched(USED):
        protected = [one for one in await operations(fortress) if one.scopes]
        assert len(protected) > 70
        for place, operation in enumerate(protected):
            who = list(strangers)[place % len(strangers)]  # of the 429s each has few
            found = await _statuses(fortress, operation, {who: strangers[who]} | roles)
            assert found.pop(who) == 401, (operation, who)
            allowed = {role for role, status in found.items() if status != 403}
            assert allowed == set(operation.scopes), (operation, found)
            assert 401 not in found.values()
            assert max(found.values()) < 500
            refused.add(who)
    assert refused == set(strangers)


OTHER_WAYS = [
    "/mailouts/", "//mailouts", "/./mailouts", "/x/../mailouts", "/mailouts%2F", "/%2fmailouts",
    "/mailouts/%2e%2e/mailouts", "/%2e/mailouts", "/x/%2e%2e/mailouts", "/MAILOUTS", "/Mailouts",
    "/mailouts%00", "/mailouts;a=b", "/mailouts%20", "/m%61ilouts", "/mailouts.json", "\\mailouts",
    "/dashboard/../mailouts", "/health/../mailouts", "/health/live/..;/mailouts", "/mailouts//",
    "/dashboard/mailouts/", "//dashboard", "/DASHBOARD", "/dashboard/%2e%2e/mailouts",
]  # fmt: skip


async def _raw(fortress: Fortress, method: str, path: str, *headers: str) -> tuple[int, bytes]:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    answer = await fortress.raw("\r\n".join(lines).encode("latin-1"))
    return int(answer.split()[1]), answer


@pytest.mark.few_variants(6)
@pytest.mark.parametrize("path", OTHER_WAYS)
async def test_44_no_other_spelling_of_a_path_leads_past_the_door(
    fortress: Fortress, path: str
) -> None:
    """No redirect, no page: the path as it is declared or nothing."""
    async with fortress.untouched():
        status, answer = await _raw(fortress, "GET", path)
        assert status in {400, 401, 404}, answer
        known, _ = await _raw(fortress, "GET", path, f"X-Auth-Token: {SECRET}")
        assert known in ({200} if path == "/m%61ilouts" else {400, 404}), path


async def test_44_the_method_is_the_one_that_is_sent(
    fortress: Fortress, keys: dict[str, str]
) -> None:
    mailout = await fortress.arrange.mailout("draft")
    reader = f"X-Auth-Token: {keys['read']}"
    owner = f"X-Auth-Token: {SECRET}"
    async with fortress.untouched(USED):
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            status, _ = await _raw(
                fortress, "GET", f"/mailouts/{mailout}", reader, f"{name}: DELETE"
            )
            assert status == 200
            status, _ = await _raw(
                fortress, "POST", f"/mailouts/{mailout}", owner, f"{name}: DELETE"
            )
            assert status == 405
        status, _ = await _raw(fortress, "GET", f"/mailouts/{mailout}?_method=DELETE", owner)
        assert status == 422
        for method in ("TRACE", "CONNECT", "PUT", "PROPFIND", "get", "Get", "OPTIONS", "MERGE"):
            status, answer = await _raw(fortress, method, f"/mailouts/{mailout}", owner)
            assert status in {400, 405}, (method, answer)
            assert SECRET.encode() not in answer


async def test_44_a_verb_that_isnt_declared_is_refused_everywhere(fortress: Fortress) -> None:
    found = await operations(fortress)
    declared = {(one.path, one.method) for one in found}
    turns = ("DELETE", "PUT", "PATCH", "POST", "GET")
    async with fortress.untouched():
        for place, path in enumerate(sorted({one.path for one in found})):
            for method in (turns[place % 5], turns[(place + 2) % 5]):
                if (path, method) in declared:
                    continue
                odd = Operation(method, path, {}, None)
                # 422: /templates/starters is no id of /templates/{template_id}
                answer = await odd.call(fortress, b"{}", **BEARER)
                assert answer.status_code in {405, 422}, (path, method)
