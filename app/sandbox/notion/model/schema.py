"""The properties of a data source: their types, options and names."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from app.sandbox.notion.errors import NotionError, invalid, misshapen
from app.sandbox.notion.model import check
from app.sandbox.notion.model.check import Json

OPTION_COLORS = (
    "default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red",
)  # fmt: skip
WRITABLE = (
    "title", "rich_text", "number", "select", "multi_select", "status", "date", "people", "files",
    "checkbox", "url", "email", "phone_number", "relation",
)  # fmt: skip
READ_ONLY = (
    "formula", "rollup", "created_time", "created_by", "last_edited_time", "last_edited_by",
    "unique_id", "button", "verification", "place",
)  # fmt: skip
MAX_OPTION = 100
MAX_OPTIONS = 100
"""In one request; a property may have more."""
_GROUPS = (("To-do", "gray"), ("In progress", "blue"), ("Complete", "green"))
_STATUSES = (("Not started", "default"), ("In progress", "blue"), ("Done", "green"))
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:;<>?@[]^_`{|}~="

Schema = dict[str, Json]


def property_id() -> str:
    """Four characters, some of which are escaped in answers, as Notion's are."""
    return quote("".join(secrets.choice(_ALPHABET) for _ in range(4)), safe="~_")


def find(schema: Schema, key: str) -> Json | None:
    """By name, or by id in either spelling."""
    for prop in schema.values():
        if prop["name"] == key:
            return prop
    return next((p for p in schema.values() if key == p["id"] or unquote(p["id"]) == key), None)


def create(value: Any, path: str) -> Schema:
    """A new data source's properties. One is the title, called Name unless it is named."""
    schema: Schema = {}
    for name, config in check.mapping(value or {}, path).items():
        prop = _new(name, config, f"{path}.{name}")
        if prop["type"] == "title" and "title" in schema:
            raise invalid("Only one title property is allowed.")
        schema[prop["id"]] = prop
    if "title" not in schema:
        if value:
            raise invalid("Title is not provided.")
        schema["title"] = _new("Name", {"title": {}}, path)
    return schema


def change(schema: Schema, value: Any, path: str) -> list[Json]:
    """Change properties as `PATCH /v1/data_sources` does; gives what was done: id, name, action."""
    done: list[Json] = []
    for key, config in check.mapping(value, path).items():
        prop = find(schema, key)
        if prop is None:
            if config is None:
                raise invalid(f"{key} is not a property that exists.")
            prop = _new(key, config, f"{path}.{key}")
            if prop["type"] == "title":
                raise invalid("Only one title property is allowed.")
            schema[prop["id"]] = prop
            done.append({"id": prop["id"], "name": prop["name"], "action": "created"})
        elif config is None:
            if prop["type"] == "title":
                raise invalid("Cannot delete title property.")
            del schema[prop["id"]]
            done.append({"id": prop["id"], "name": None, "action": "deleted"})
        else:
            _changed(schema, prop, check.mapping(config, f"{path}.{key}"), f"{path}.{key}")
            done.append({"id": prop["id"], "name": prop["name"], "action": "updated"})
    return done


def option(prop: Mapping[str, Any], wanted: Any, path: str) -> tuple[Json, bool]:
    """The option of a select or multi-select that a request names by id or name; a name that
    doesn't exist yet becomes one. Whether it is new."""
    body = check.mapping(wanted, path, ("id", "name", "color", "description"))
    options: list[Json] = prop[prop["type"]]["options"]
    if "name" not in body:
        if "id" not in body:
            raise misshapen(f"{path}.name", "defined")
        found = next((o for o in options if o["id"] == body["id"]), None)
        if found is None:
            raise invalid(f'Select option id "{body["id"]}" does not exist.')
        return found, False
    name = check.text(body["name"], f"{path}.name")
    if "," in name:
        raise invalid(f"Invalid select option, commas not allowed: {name}")
    if not name:
        raise misshapen(f"{path}.name.length", "≥ `1`", 0)
    check.text(name, f"{path}.name", MAX_OPTION)
    found = next((o for o in options if o["name"] == name), None)
    if found:
        return found, False
    made = _option(name, body.get("color") or secrets.choice(OPTION_COLORS[1:]))
    options.append(made)
    return made, True


def status(prop: Mapping[str, Any], wanted: Any, path: str) -> Json:
    """A status must exist. One of the group In progress can't be written through the API
    (makenotion/notion-mcp-server issues 232 and 347)."""
    body = check.mapping(wanted, path, ("id", "name", "color", "description"))
    key = "name" if "name" in body else "id"
    options: list[Json] = prop["status"]["options"]
    found = next((o for o in options if o[key] == body.get(key)), None)
    if found is None:
        raise invalid(f'Invalid status option. Status option "{body.get(key)}" does not exist".')
    busy = next(g for g in prop["status"]["groups"] if g["name"] == "In progress")
    if found["id"] in busy["option_ids"]:
        raise invalid(f'Invalid status option. Status option "{found["name"]}" can\'t be set.')
    return found


def brief(chosen: Mapping[str, Any]) -> Json:
    """An option as a page's property answers it."""
    return {"id": chosen["id"], "name": chosen["name"], "color": chosen["color"]}


def _new(name: str, config: Any, path: str) -> Json:
    body = check.mapping(config, path)
    kinds = [kind for kind in (*WRITABLE, *READ_ONLY) if kind in body]
    if len(kinds) != 1 or body.get("type", kinds[0]) != kinds[0]:
        raise misshapen(path, "one property configuration", config)
    kind = kinds[0]
    check.text(name, f"{path}.name")
    made: Json = {
        "id": "title" if kind == "title" else property_id(),
        "name": name,
        "description": body.get("description"),
        "type": kind,
        kind: _settings(kind, check.mapping(body[kind], f"{path}.{kind}"), f"{path}.{kind}"),
    }
    return made


def _settings(kind: str, body: Json, path: str) -> Json:
    match kind:
        case "select" | "multi_select":
            check.mapping(body, path, ("options",))
            return {"options": _options(body.get("options", []), f"{path}.options")}
        case "status":
            return _statuses(body, path)
        case "number":
            check.mapping(body, path, ("format",))
            return {"format": body.get("format", "number")}
        case "formula":
            return {"expression": body.get("expression", "")}
        case "relation":
            if "data_source_id" not in body:
                raise misshapen(f"{path}.data_source_id", "defined")
            return body | {"type": "single_property", "single_property": {}}
        case "unique_id":
            return {"prefix": body.get("prefix")}
        case "rollup":
            return body
        case _:
            check.mapping(body, path, ())
            return {}


def _options(value: Any, path: str, old: tuple[Json, ...] = ()) -> list[Json]:
    """Those of the request; an old one keeps its id, and its colour, which can't be changed."""
    made: list[Json] = []
    for place, item in enumerate(check.array(value, path, MAX_OPTIONS)):
        where = f"{path}[{place}]"
        body = check.mapping(item, where, ("id", "name", "color", "description"))
        known = next(
            (o for o in old if o["id"] == body.get("id") or o["name"] == body.get("name")), None
        )
        if known is None and "name" not in body:
            raise misshapen(f"{where}.name", "defined")
        if "color" in body:
            check.one_of(body["color"], f"{where}.color", OPTION_COLORS)
        if known:
            if body.get("color", known["color"]) != known["color"]:
                raise invalid(f"Cannot update color of select with name: {known['name']}.")
            made.append(known | {"name": body.get("name", known["name"])})
            continue
        name = check.text(body["name"], f"{where}.name", MAX_OPTION)
        if "," in name:
            raise invalid(f"Invalid select option, commas not allowed: {name}")
        if any(o["name"] == name for o in made):
            raise invalid(f"Duplicate option name: {name}")
        made.append(_option(name, body.get("color", "default"), body.get("description")))
    return made


def _statuses(body: Json, path: str) -> Json:
    """Groups in a request are ignored: new options land in To-do (notion-mcp-server 347)."""
    given = body.get("options")
    if given is None:
        options = [_option(name, color) for name, color in _STATUSES]
        members = [[o["id"]] for o in options]
    else:
        options = _options(given, f"{path}.options")
        members = [[o["id"] for o in options], [], []]
    groups = [
        {"id": str(uuid4()), "name": name, "color": color, "option_ids": ids}
        for (name, color), ids in zip(_GROUPS, members, strict=True)
    ]
    return {"options": options, "groups": groups}


def _option(name: str, color: str, description: str | None = None) -> Json:
    return {"id": str(uuid4()), "name": name, "color": color, "description": description}


def _changed(schema: Schema, prop: Json, body: Json, path: str) -> None:
    if "name" in body:
        name = check.text(body["name"], f"{path}.name")
        other = next((p for p in schema.values() if p["name"] == name), None)
        if other and other is not prop:
            raise invalid(f"Property with name {name} already exists.")
        prop["name"] = name
    if "description" in body:
        prop["description"] = body["description"]
    kind = next((k for k in (*WRITABLE, *READ_ONLY) if k in body), None)
    if kind is None:
        return
    if kind == prop["type"] and kind in ("select", "multi_select", "status"):
        settings = check.mapping(body[kind], f"{path}.{kind}")
        if "options" not in settings:
            return
        old = prop[kind]["options"]
        options = _options(settings["options"], f"{path}.{kind}.options", tuple(old))
        if kind == "status":
            _regroup(prop, {o["id"] for o in old}, options)
        prop[kind]["options"] = options
    elif kind == prop["type"]:
        prop[kind] |= _settings(kind, body[kind], f"{path}.{kind}")
    elif "title" in (kind, prop["type"]):
        raise invalid("Cannot change the type of the title property.")
    else:
        del prop[prop["type"]]
        prop |= {"type": kind, kind: _settings(kind, body[kind], f"{path}.{kind}")}


def _regroup(prop: Json, known: set[str], options: list[Json]) -> None:
    ids = {o["id"] for o in options}
    for group in prop["status"]["groups"]:
        group["option_ids"] = [i for i in group["option_ids"] if i in ids]
    prop["status"]["groups"][0]["option_ids"] += [o["id"] for o in options if o["id"] not in known]


def missing(key: str) -> NotionError:
    return invalid(f"{key} is not a property that exists.")
