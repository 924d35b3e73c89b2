"""What each route asks of its callers: nothing, a scope, or a session of the dashboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args, get_type_hints

import pytest
from fastapi import APIRouter

from app.api.dashboard.access import Page
from app.api.http.deps import Protected, needs
from app.domain.access import OWNER, Caller, Scope
from tests.support.databases import DatabaseServer
from tests.support.routes import IN_THE_BODY, PROTECTED, PUBLIC, ROUTES, Route
from tests.support.service import BEARER, Service, in_process, settings_for

# Looking needs `read`, and changing needs `manage`, but for these.
OTHERWISE: dict[tuple[str, str], Scope] = {
    ("POST", "/mailouts/{mailout_id}/preflight"): "read",
    ("POST", "/mailouts/{mailout_id}/preview"): "read",
    ("POST", "/audience/count"): "read",
    ("POST", "/templates/{template_id}/preview"): "read",
    ("POST", "/mailouts/{mailout_id}/pause"): "send",
    ("POST", "/mailouts/{mailout_id}/resume"): "send",
    ("POST", "/mailouts/{mailout_id}/cancel"): "send",
    ("POST", "/mailouts/{mailout_id}/resend"): "send",
    ("POST", "/mailouts/{mailout_id}/test"): "send",
    ("POST", "/mailouts/{mailout_id}/schedule"): "send",
    ("DELETE", "/mailouts/{mailout_id}/schedule"): "send",
    ("POST", "/fallback/open"): "send",
    ("POST", "/fallback/close"): "send",
    ("GET", "/keys"): "manage",
    ("GET", "/audit"): "manage",
    ("GET", "/hooks"): "manage",
    ("GET", "/hooks/samples/{event}"): "manage",
    ("GET", "/hooks/{hook_id}"): "manage",
    ("GET", "/hooks/{hook_id}/deliveries"): "manage",
}
# Whoever changes people or imports them may look at what became of it, without `read`.
ALSO_MANAGE = {
    ("GET", "/subscribers/{email:address}"), ("GET", "/jobs/{job_id}"), ("GET", "/imports"),
    ("GET", "/segments"), ("GET", "/segments/{segment_id}"),
    ("GET", "/imports/{import_id}"), ("GET", "/imports/{import_id}/rejected.csv"),
    ("GET", "/templates"), ("GET", "/templates/starters"), ("GET", "/templates/{template_id}"),
    ("GET", "/templates/{template_id}/versions"),
    ("GET", "/templates/{template_id}/versions/{version}"),
    ("POST", "/templates/{template_id}/preview"),
}  # fmt: skip


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.fixture(scope="module")
async def scoped(
    postgres_server: DatabaseServer,
) -> AsyncIterator[tuple[Service, dict[str, dict[str, str]]]]:
    """A service, and for each scope the headers of a key that has nothing else."""
    with postgres_server.database() as database:
        settings = settings_for(postgres_server.dsn(database), None, AWS_REGION=None)
        async with in_process(settings, with_sender=False) as service:
            made = {
                scope: await service.services.keys.create(f"only {scope}", [scope], OWNER)
                for scope in get_args(Scope)
            }
            yield (
                service,
                {s: {"Authorization": f"Bearer {key['key']}"} for s, key in made.items()},
            )


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_a_route_says_who_may_call_it(route: Route) -> None:
    """A new one fails closed."""
    place = (route.method, route.path)
    if isinstance(route.declared, Page) or place in PUBLIC | IN_THE_BODY:
        assert route.scope is None
    else:
        usual = "read" if route.method == "GET" else "manage"
        also = ("manage",) if place in ALSO_MANAGE else ()
        assert route.scopes == (OTHERWISE.get(place, usual), *also)


@pytest.mark.parametrize("route", PROTECTED, ids=name)
def test_what_changes_something_knows_who_asks(route: Route) -> None:
    """So that the histories and the audit log can say it."""
    if route.method != "GET" and route.scope != "read":
        annotations = get_type_hints(route.declared.endpoint).values()
        assert Caller in annotations


@pytest.mark.parametrize("scopes", [(), ("read", "send"), ("everything",)])
def test_a_route_without_one_scope_cannot_be_made(scopes: tuple[Scope, ...]) -> None:
    router = APIRouter(route_class=Protected)

    async def anything() -> None:
        """Never called."""

    with pytest.raises(TypeError, match="/x: say"):
        router.get("/x", dependencies=[needs(scope) for scope in scopes])(anything)


@pytest.mark.few_variants(8)  # tests/security/access asks every route in one test
@pytest.mark.parametrize("route", PROTECTED, ids=name)
async def test_a_key_opens_what_its_scope_is_for(
    scoped: tuple[Service, dict[str, dict[str, str]]], route: Route
) -> None:
    """Whoever lacks the scope learns nothing but that, not even what is wrong with the request.
    Whoever has it gets to hear of a parameter that nobody knows, and nothing is done."""
    service, keys = scoped
    body = b"{" if route.method in {"POST", "PATCH", "PUT"} else None
    for scope, headers in [*keys.items(), (route.scope, BEARER)]:
        answer = await service.http.request(
            route.method, f"{route.url}?nonsense=1", headers=headers, content=body
        )
        problem = answer.json()
        if scope in route.scopes:
            assert (answer.status_code, problem["code"]) == (422, "invalid_request")
            assert problem["detail"].startswith("nonsense: ")
        else:
            assert (answer.status_code, problem["code"]) == (403, "scope_missing")
            assert problem["scope"] == route.scope


async def test_sending_needs_its_scope_wherever_the_key_stands(
    scoped: tuple[Service, dict[str, dict[str, str]]],
) -> None:
    service, keys = scoped
    mailout = {"mailout_id": "00000000-0000-0000-0000-000000000007"}
    for scope, headers in keys.items():
        key = headers["Authorization"].removeprefix("Bearer ")
        for with_headers, extra in (
            (headers, {}),
            ({"X-Auth-Token": key}, {}),
            ({}, {"auth_token": key}),
        ):
            answer = await service.http.post(
                "/send-mailout", json=mailout | extra, headers=with_headers
            )
            expected = (404, None) if scope == "send" else (403, "send")
            assert (answer.status_code, answer.json().get("scope")) == expected
        odd = await service.http.post(
            "/send-mailout?dry_run=true", json=mailout | {"auth_token": key}
        )
        assert odd.status_code == (422 if scope == "send" else 403)


async def test_unknown_parameters_are_named_with_the_known_ones(
    scoped: tuple[Service, dict[str, dict[str, str]]],
) -> None:
    """A filter with a spelling mistake must not be none."""
    service, _ = scoped
    refused = await service.http.get("/mailouts?state=sent", headers=BEARER)
    assert refused.status_code == 422
    assert refused.json()["detail"] == (
        "state: there is no such query parameter here; known: cursor, limit, q, since, status, "
        "until."
    )
    none = await service.http.get("/health?a=1")
    assert none.json()["detail"] == ("a: there is no such query parameter here; none is known.")
    for odd in ("/health?=", "/health?%00", "/health?a&a=1"):
        assert (await service.http.get(odd)).status_code == 422
    notion = {"source": {}, "data": {"id": "00000000-0000-0000-0000-000000000007"}}
    told = await service.http.post("/send-mailout?x=1", json=notion, headers=BEARER)
    assert (told.status_code, told.json()["started"]) == (200, False)
    for path in ("/dashboard/login?utm_source=mail", "/unsubscribe?token=x&utm_source=mail"):
        assert (await service.http.get(path)).status_code in {200, 400}


async def test_the_description_tells_of_keys_and_scopes(
    scoped: tuple[Service, dict[str, dict[str, str]]],
) -> None:
    service, _ = scoped
    described = (await service.http.get("/openapi.json")).json()
    schemes = described["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["token"] | {"description": ""} == {
        "type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "",
    }  # fmt: skip
    for path, method, scope in (
        ("/send-mailout", "post", "send"),
        ("/jobs", "get", "read"),
        ("/keys", "post", "manage"),
    ):
        operation = described["paths"][path][method]
        assert operation["security"] == [{"bearer": [scope]}, {"token": [scope]}]
        assert "403" in operation["responses"]
    assert "security" not in described["paths"]["/health"]["get"]
