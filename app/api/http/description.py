"""`/openapi.json`: what FastAPI writes of the routes, with every answer as it is really given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from app.api.http.problems import PROBLEM, PROBLEM_SCHEMA, problems
from app.errors import (
    BodyTooSlow,
    DuplicateHeader,
    HeadersTooLarge,
    InvalidRequest,
    MalformedHttp,
    PayloadTooLarge,
    TooManyRequests,
    Unavailable,
)

_REF = "#/components/schemas/"
_ANSWERS: dict[str, Any] = {}
"""The types that routes say they answer (`answers`), by the names that the document gives them."""
_EVERYWHERE = problems(
    DuplicateHeader,
    MalformedHttp,
    BodyTooSlow,
    PayloadTooLarge,
    InvalidRequest,
    TooManyRequests,
    HeadersTooLarge,
    Unavailable,
)
"""What the service answers before it asks which route it is."""
_HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": {"schema": {"type": "string"}}},
    "412": {"ETag": {"schema": {"type": "string"}, "description": "The present version."}},
    "429": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}


def answers(
    answer: Any, status: int = 200, *, example: Any = None, headers: tuple[str, ...] = ()
) -> dict[int | str, dict[str, Any]]:
    """Part of a route's `responses`: the type (of app/api/answers) of what it answers when all is
    well. headers: further ones that come with it."""
    name = _name(answer)
    assert _ANSWERS.setdefault(name, answer) == answer, f"two answers are called {name}"
    content: dict[str, Any] = {"schema": {"$ref": _REF + name}}
    if example is not None:
        content["example"] = example
    found: dict[str, Any] = {"content": {"application/json": content}}
    if headers:
        found["headers"] = {header: {"schema": {"type": "string"}} for header in headers}
    return {status: found}


def answers_or_text(answer: Any) -> dict[int | str, dict[str, Any]]:
    """The same, where `Accept` may ask for HTML or plain text instead."""
    found = answers(answer)
    found[200]["content"] |= a_file("text/html", "text/plain")["content"]
    return found


def a_page(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """Part of a route's `responses`: a page for people."""
    return {
        status: {
            "description": description,
            "content": {"text/html": {"schema": {"type": "string"}}},
        }
    }


def a_file(*media_types: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """`content` of an answer that isn't JSON."""
    return {"content": {each: {"schema": schema or {"type": "string"}} for each in media_types}}


def takes(media_type: str, schema: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """`openapi_extra` of a route that reads its body itself."""
    content = {media_type: {"schema": schema or {"type": "object"}}}
    return {"requestBody": {"required": True, "content": content}}


CSV: dict[int | str, dict[str, Any]] = {
    200: a_file("text/csv") | {"headers": {"Content-Disposition": {"schema": {"type": "string"}}}}
}


def install(app: FastAPI) -> None:
    """The description is made when it is asked for first, and kept."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _described(app: FastAPI) -> dict[str, Any]:
    # A copy: parts of it are the routes' own.
    found = deepcopy(
        get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
    )
    schemas = found["components"]["schemas"]
    schemas[PROBLEM] = PROBLEM_SCHEMA
    schemas |= _schemas_of_answers()
    for operations in found["paths"].values():
        for operation in operations.values():
            _complete(operation)
    for name, schema in list(_taken_out(found["paths"])):
        schemas[name] = schema
    _drop_unused(found)
    return found


def _complete(operation: dict[str, Any]) -> None:
    """Add the answers that any route may give, and let one answer have one schema."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):  # FastAPI's own refusal
        del answers["422"]
    for number, ours in _EVERYWHERE.items():
        if number == 413 and "requestBody" not in operation:
            continue
        present = answers.setdefault(str(number), deepcopy(ours))
        present["content"] = ours["content"] | present.get("content", {})
    if "text/html" in answers.get("200", {}).get("content", {}):
        answers["429"]["content"] |= a_file("text/html")["content"]  # strangers/refusing.py
    for status, answer in answers.items():
        if status in _HEADERS:
            answer["headers"] = _HEADERS[status] | answer.get("headers", {})
        for content in answer.get("content", {}).values():
            schema = content.get("schema", {})
            if "$ref" in schema:  # FastAPI's `dict[str, Any]` is beside it
                content["schema"] = {"$ref": schema["$ref"]}
    operation["responses"] = dict(sorted(answers.items()))


def _name(answer: Any) -> str:
    """`ListOf[Mailout]` is a MailoutList."""
    items = getattr(answer, "__args__", ())
    return f"{items[0].__name__}List" if items else str(answer.__name__)


def _schemas_of_answers() -> dict[str, Any]:
    adapters = [(name, "serialization", TypeAdapter(answer)) for name, answer in _ANSWERS.items()]
    roots, whole = TypeAdapter.json_schemas(adapters, ref_template=_REF + "{model}")  # type: ignore[arg-type]
    found: dict[str, Any] = whole.get("$defs", {})
    for (key, _), schema in roots.items():
        root, name = schema.get("$ref", "").removeprefix(_REF), str(key)
        if root != name:  # a list, by pydantic's name or by none
            found[name] = found.pop(root, schema)
    return found


def _drop_unused(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    while True:
        used = set(re.findall(rf"'{_REF}([^']+)'", str(document)))
        unused = schemas.keys() - used
        if not unused:
            return
        for name in unused:
            del schemas[name]


def _taken_out(node: Any) -> Iterator[tuple[str, Any]]:
    """The schemas that a route's own description of its body brings with it (`$defs`), which are
    taken out; what refers to them does so in the whole document."""
    for child in list(node.values() if isinstance(node, dict) else node):
        if isinstance(child, (dict, list)):
            yield from _taken_out(child)
    if isinstance(node, dict):
        yield from node.pop("$defs", {}).items()
        if str(node.get("$ref")).startswith("#/$defs/"):
            node["$ref"] = node["$ref"].replace("#/$defs/", "#/components/schemas/")
