"""What the service says of itself, as far as hostile input needs it: its operations and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.security.fortress import Fortress

NOBODY = "00000000-0000-0000-0000-00000000000f"
_PARAMETERS = {
    "email": "nobody@example.com",
    "event": "recipient.bounced",
    "route": "us-east-1",
    "version": "7",
    "name": "x",
}


@dataclass(frozen=True)
class Operation:
    """schema: of its JSON body, references resolved; None: it takes none."""

    method: str
    path: str
    described: dict[str, Any]
    schema: dict[str, Any] | None

    def url(self, named: str = NOBODY) -> str:
        """With something of the right form, that isn't there, for each parameter. named: an id."""
        return re.sub(r"{(\w+)(?::\w+)?}", lambda it: _PARAMETERS.get(it[1], named), self.path)

    @property
    def scopes(self) -> list[str]:
        """That open it; empty: no credential does."""
        return [s for way in self.described.get("security", ()) for s in way.get("bearer", ())]

    async def call(
        self, fortress: Fortress, body: bytes, named: str = NOBODY, **headers: str
    ) -> httpx.Response:
        """A body, as JSON."""
        return await fortress.http.request(
            self.method,
            self.url(named),
            content=body,
            headers={"Content-Type": "application/json", "If-Match": "*", **headers},
        )


async def operations(fortress: Fortress) -> list[Operation]:
    document = (await fortress.http.get("/openapi.json")).raise_for_status().json()
    schemas = document["components"]["schemas"]
    return [
        Operation(method.upper(), path, described, _body(described, schemas))
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


async def json_operations(fortress: Fortress) -> list[Operation]:
    """Those that take JSON. What services post is known by its signature before it is read."""
    found = [
        one
        for one in await operations(fortress)
        if one.schema is not None and "events" not in one.described["tags"]
    ]
    assert len(found) > 25
    return found


def objects(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object within a body that has members of its own, by its place (a.b, a[])."""
    if "properties" in schema:
        yield place, schema
        for name, member in schema["properties"].items():
            yield from objects(member, f"{place}.{name}" if place else name)
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from objects(inner, place)
    if isinstance(schema.get("items"), dict):
        yield from objects(schema["items"], f"{place}[]")


def kinds(schema: dict[str, Any]) -> set[str]:
    """The types that a member may have; `any` where it doesn't say."""
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if inner:
        return {kind for one in inner for kind in kinds(one)}
    return {"string"} if "const" in schema or "enum" in schema else {schema.get("type", "any")}


def _body(described: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any] | None:
    content = described.get("requestBody", {}).get("content", {})
    found = content.get("application/json", {}).get("schema")
    return None if found is None else _resolved(found, schemas, ())


def _resolved(node: Any, schemas: dict[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_resolved(one, schemas, within) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return {} if name in within else _resolved(schemas[name], schemas, (*within, name))
    return {name: _resolved(member, schemas, within) for name, member in node.items()}
