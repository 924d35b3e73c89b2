"""59: `/openapi.json` is whole and valid, and `/docs` needs nothing from elsewhere. All of it is
walked, so a new route that isn't described fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.routing import Match, Route

from tests.security.fortress import Fortress
from tests.support.routes import IN_THE_BODY, PUBLIC, ROUTES, bare_app

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"}
ALL = [route for route in bare_app().routes if isinstance(route, Route)]
EVERYWHERE = {"400", "408", "422", "429", "431", "503"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    bare_app().openapi()
    return bare_app().openapi()  # and not of the first one alone


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield method.upper(), path, operation


@pytest.mark.short
def test_59_the_document_is_valid(described: dict[str, Any]) -> None:
    # Here, not above: it takes 2 s, which each worker would need to collect the tests.
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert described["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(described).iter_errors()) == []


def test_59_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(described))) == schemas


def test_59_every_route_of_the_api_is_described(described: dict[str, Any]) -> None:
    """HEAD aside, which says what GET does; and the dashboard's pages, which are for people."""
    there = {
        (route.method, re.sub(r":\w+}", "}", route.path))
        for route in ROUTES
        if route.method != "HEAD" and not route.path.startswith("/dashboard")
    }
    assert {(method, path) for method, path, _ in operations(described)} == there


def test_59_every_protected_operation_says_which_credential_it_needs(
    described: dict[str, Any],
) -> None:
    scopes = {
        (route.method, re.sub(r":\w+}", "}", route.path)): list(route.scopes) for route in ROUTES
    }
    assert set(described["components"]["securitySchemes"]) == {"bearer", "token"}
    for method, path, operation in operations(described):
        place = (method, path)
        if place in PUBLIC:
            assert "security" not in operation, place
            continue
        needed = ["send"] if place in IN_THE_BODY else scopes[place]
        assert operation["security"] == [{"bearer": needed}, {"token": needed}], place
        assert {"401", "403"} <= set(operation["responses"]), place


def test_59_the_credential_in_the_body_is_described(described: dict[str, Any]) -> None:
    body = described["paths"]["/send-mailout"]["post"]["requestBody"]["content"]
    for form in body["application/json"]["schema"]["anyOf"]:
        assert form["properties"]["auth_token"]["description"]


def test_59_every_answer_has_its_type_and_schema(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        place = (method, path)
        answers = operation["responses"]
        assert set(answers) >= EVERYWHERE, place
        assert ("413" in answers) == ("requestBody" in operation), place
        for status, answer in answers.items():
            content = answer.get("content", {})
            assert bool(content) == (status not in {"204", "304"}), (*place, status)
            for kind, shape in content.items():
                schema = shape.get("schema")
                assert schema, (*place, status, kind)
                if kind == "application/problem+json":
                    assert schema == {"$ref": "#/components/schemas/Problem"}
                elif kind == "application/json":
                    assert is_precise(schema, described), (*place, status)
            if status[0] in "45" and path not in {"/health"}:
                assert "application/problem+json" in content, (*place, status)
                assert set(content) <= {"application/problem+json", "text/html"}, (*place, status)
    assert "HTTPValidationError" not in json.dumps(described)


def is_precise(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether a client's types can be made of it."""
    if "$ref" in schema:
        named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return is_precise(named, document)
    if "anyOf" in schema:
        return all(is_precise(each, document) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return is_precise(schema["items"], document)
    return bool(schema.get("properties"))


async def test_59_the_document_is_what_is_answered(
    fortress: Fortress, described: dict[str, Any]
) -> None:
    async with fortress.untouched():
        for _ in range(2):
            answer = await fortress.http.get("/openapi.json")
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == described


@pytest.mark.short
async def test_59_other_methods_are_refused_alike(
    fortress: Fortress, described: dict[str, Any]
) -> None:
    """Which there are, is said."""
    async with fortress.untouched():
        for path in described["paths"]:
            url = re.sub(r"{\w+}", "a@example.com", path)
            known = methods_at(url)
            for method in sorted(METHODS - known):
                answer = await fortress.http.request(method, url)
                assert answer.status_code == 405, (method, path)
                assert set(answer.headers["allow"].split(", ")) == known, (method, path)
                if method != "HEAD":
                    assert answer.json()["code"] == "method_not_allowed"


def methods_at(path: str) -> set[str]:
    """Also those of a route with an id where another one has a word: `/warmup/plan`."""
    scope = {"type": "http", "path": path, "method": "GET"}
    found = [route for route in ALL if route.matches(scope)[0] is not Match.NONE]
    return {method for route in found for method in route.methods or ()}


class Parts(HTMLParser):
    """What a page would fetch, and what in it could act."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "srcset", "action"} or (tag == "link" and name == "href"):
                self.fetched.append(value or "")
            if name.startswith("on") or name == "style":
                self.handlers.append(name)


async def test_59_the_page_of_it_has_all_it_needs(fortress: Fortress) -> None:
    answer = await fortress.http.get("/docs")
    assert answer.status_code == 200
    parts = Parts()
    parts.feed(answer.text)
    assert (parts.fetched, parts.handlers) == (["data:,"], [])
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy and "http" not in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "Authorize" in answer.text
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert (await fortress.http.get(path)).status_code == 404


async def test_59_the_page_of_it_names_every_operation(
    fortress: Fortress, described: dict[str, Any]
) -> None:
    text = (await fortress.http.get("/docs")).text
    for method, path, _ in operations(described):
        assert f'data-method="{method}" data-path="{path}"' in text


def test_the_walk_sees_what_is_vague() -> None:
    whole = {"type": "object", "properties": {"a": {"type": "string"}}}
    document = {"components": {"schemas": {"A": whole}}}
    assert is_precise({"$ref": "#/components/schemas/A"}, document)
    assert not is_precise({"type": "object", "additionalProperties": True}, document)
    assert not is_precise({}, document)
