"""`/openapi.json`, and `/docs`: the same as a page to read and to try, which needs nothing from
elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "templates"
_CODE = re.compile(r"`([^`]+)`")
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE, _SCRIPT = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("docs.css", "docs.js"))
_REF = "#/components/schemas/"
_METHODS = ("get", "post", "put", "patch", "delete")
MAX_DEPTH = 4
"""Of an example that is made of a schema."""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# This very script and style, and no others, whatever the page may come to contain. The page shares
# its origin with the dashboard: so it sends no form, and its script asks without cookies.
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src '{_hash(_SCRIPT)}'; style-src '{_hash(_STYLE)}'; "
        "img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def install(app: FastAPI) -> None:
    """Both are made when one of them is asked for first, which takes a second, and kept as bytes:
    everybody may ask, so it has to cost nothing."""
    kept: dict[str, bytes] = {}
    making = asyncio.Lock()

    async def made(path: str) -> bytes:
        async with making:
            if not kept:
                document = await asyncio.to_thread(app.openapi)
                kept["/docs"] = (await asyncio.to_thread(_page, document)).encode()
                kept["/openapi.json"] = orjson.dumps(document)
        return kept[path]

    async def described(request: Request) -> Response:
        return Response(await made(request.url.path), media_type="application/json")

    async def docs(request: Request) -> Response:
        return HTMLResponse(await made(request.url.path), headers=_HEADERS)

    app.add_route("/openapi.json", described, include_in_schema=False)
    app.add_route("/docs", docs, include_in_schema=False)


def _page(document: Mapping[str, Any]) -> str:
    schemas = document["components"]["schemas"]
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                one = operations[method]
                shown = _operation(method, path, one, schemas)
                tags.setdefault(one.get("tags", ["other"])[0], []).append(shown)
    return _TEMPLATES.get_template("docs.html").render(
        info=document["info"],
        tags=dict(sorted(tags.items())),
        schemas={name: _properties(schema) for name, schema in sorted(schemas.items())},
        about={name: schema.get("description", "") for name, schema in schemas.items()},
        style=Markup(_STYLE),  # noqa: S704  files of ours
        script=Markup(_SCRIPT),  # noqa: S704
        words=_words,
    )


def _operation(
    method: str, path: str, one: Mapping[str, Any], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    """What the page says of an operation."""
    bodies = one.get("requestBody", {}).get("content", {})
    media_type = next(iter(bodies), "")
    schema = bodies.get(media_type, {}).get("schema", {})
    security = [scope for each in one.get("security", ()) for scope in next(iter(each.values()))]
    return {
        "id": re.sub(r"\W+", "-", f"{method}{path}").strip("-"),
        "method": method.upper(),
        "path": path,
        "summary": one.get("summary", ""),
        "description": one.get("description", ""),
        "scopes": list(dict.fromkeys(security)),
        "parameters": [
            {
                "name": each["name"],
                "in": each["in"],
                "required": each.get("required", False),
                "type": _type(each.get("schema", {})),
                "description": each.get("description", ""),
            }
            for each in one.get("parameters", ())
        ],
        "media_type": media_type,
        "body_type": _type(schema),
        "body": _example(schema, schemas) if media_type == "application/json" else "",
        "answers": [
            {
                "status": status,
                "description": answer.get("description", ""),
                "content": [
                    (kind, _type(content.get("schema", {})))
                    for kind, content in answer.get("content", {}).items()
                ],
            }
            for status, answer in one["responses"].items()
        ],
    }


def _type(schema: Mapping[str, Any]) -> Markup:
    """A schema in a few words; one with a name leads to its description below."""
    if name := schema.get("$ref", "").removeprefix(_REF):
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return Markup(" or ").join(_type(each) for each in schema[several])
    if "enum" in schema:
        return Markup(" or ").join(f"“{each}”" for each in schema["enum"])
    if "const" in schema:
        return escape(f"“{schema['const']}”")
    if schema.get("type") == "array":
        return Markup("list of {}").format(_type(schema.get("items", {})))
    words = schema.get("format") or schema.get("type", "anything")
    limits = [
        f"{word} {schema[key]:,}"
        for key, word in (
            ("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"),
        )
        if isinstance(schema.get(key), int)
    ]  # fmt: skip
    return escape(", ".join([str(words), *limits]))


def _properties(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    needed = schema.get("required", ())
    if "properties" not in schema:
        return [{"name": "", "type": _type(schema), "required": False, "description": ""}]
    return [
        {
            "name": name,
            "type": _type(each),
            "required": name in needed,
            "description": each.get("description", ""),
        }
        for name, each in schema["properties"].items()
    ]


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A body to begin with: what has to be there, or the example that the schema has."""
    made = _value(schema, schemas, 0)
    return orjson.dumps(made, option=orjson.OPT_INDENT_2).decode()


def _value(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int) -> Any:
    if name := schema.get("$ref", "").removeprefix(_REF):
        schema = schemas[name]
    if "example" in schema:
        return schema["example"]
    if schema.get("examples"):
        return schema["examples"][0]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _value(schema[several][0], schemas, depth)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        if depth == MAX_DEPTH:
            return {}
        return {
            key: _value(schema.get("properties", {}).get(key, {}), schemas, depth + 1)
            for key in schema.get("required", ())
        }
    return {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}.get(
        str(kind), ""
    )


def _words(text: str) -> Markup:
    """Text with `code` in it, in paragraphs."""
    paragraphs = [
        Markup("<p>{}</p>").format(
            Markup(_CODE.sub(r"<code>\1</code>", str(escape(part))))  # noqa: S704
        )
        for part in text.split("\n\n")
        if part.strip()
    ]
    return Markup("").join(paragraphs)
