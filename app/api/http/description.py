"""`/openapi.json`: what FastAPI writes of the routes, with the problems as we answer them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.http.problems import PROBLEM, PROBLEM_SCHEMA, problems
from app.errors import InvalidRequest, TooManyRequests

_OURS_422 = problems(InvalidRequest)[422]
_OURS_429 = problems(TooManyRequests)[429]
"""Of every operation: what a client gets who was refused too often (strangers/refusing.py)."""


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
    # FastAPI's own refusals, which problems.py answers in our form.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operations in found["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            if "HTTPValidationError" in str(answers.get("422")):
                answers["422"] = _OURS_422
            answers.setdefault("429", _too_many(answers))
    for name, schema in list(_taken_out(found["paths"])):
        schemas[name] = schema
    return found


def _too_many(answers: dict[str, Any]) -> dict[str, Any]:
    pages = "text/html" in answers.get("200", {}).get("content", {})
    return _OURS_429 | {"content": _OURS_429["content"] | ({"text/html": {}} if pages else {})}


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


def shown(example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Part of a route's `responses`: what it answers when all is well."""
    return {status: {"content": {"application/json": {"example": example}}}}
