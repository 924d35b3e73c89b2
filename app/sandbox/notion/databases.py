"""Databases, data sources, their rows, and views."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from app.sandbox.notion.api import OLDEST, Call, Door
from app.sandbox.notion.errors import NotionError, in_trash, misshapen
from app.sandbox.notion.model import check, query, richtext, schema
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import Database, DataSource, Page, View

VIEW_TYPES = (
    "table", "board", "list", "calendar", "timeline", "gallery", "form", "chart", "map",
    "dashboard",
)  # fmt: skip
_TRUNCATED = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}


def routes(door: Door) -> list[Route]:
    return [
        door.route("databases", "POST", create_database),
        door.route("databases/{id}", "GET", get_database),
        door.route("databases/{id}/query", "POST", query_database),
        door.route("data_sources/{id}", "GET", get_source),
        door.route("data_sources/{id}", "PATCH", update_source),
        door.route("data_sources/{id}/query", "POST", query_source),
        door.route("views", "POST", create_view),
        door.route("search", "POST", search),
    ]


async def create_database(call: Call) -> Json:
    call.guard.needs("insert_content")
    old = call.version == OLDEST
    names = ("parent", "title", "description", "is_inline", "icon", "cover")
    body = check.mapping(
        call.body, "body", (*names, "properties" if old else "initial_data_source")
    )
    parent = check.mapping(body.get("parent"), "body.parent")
    if "page_id" not in parent:
        raise misshapen("body.parent.page_id", "defined")
    page = call.space.visible(Page, check.identifier(parent["page_id"], "body.parent.page_id"))
    if call.space.trashed(page):
        raise in_trash()
    path = "body.properties" if old else "body.initial_data_source.properties"
    first = body if old else check.mapping(body.get("initial_data_source", {}), path)
    properties = schema.create(first.get("properties"), path)
    database = call.edits.add_database(
        page, richtext.parse(body.get("title", []), "body.title"), properties, call.space.bot
    )
    database.is_inline = bool(body.get("is_inline"))
    database.description = richtext.parse(body.get("description", []), "body.description")
    return call.answers.database(database)


async def get_database(call: Call) -> Json:
    call.guard.needs("read_content")
    wanted = call.id("database_id")
    found = call.space.things.get(wanted)
    if isinstance(found, Page) and call.space.shared(found):
        raise NotionError(
            400,
            "validation_error",
            f"Provided ID {wanted} is a page, not a database. Use the pages API instead, or pass "
            "the ID of the database itself.",
        )
    return call.answers.database(call.space.visible(Database, wanted))


async def get_source(call: Call) -> Json:
    call.guard.needs("read_content")
    return call.answers.source(call.space.visible(DataSource, call.id("data_source_id")))


async def update_source(call: Call) -> Json:
    call.guard.needs("update_content")
    names = ("title", "icon", "properties", "in_trash", "archived", "parent")
    body = check.mapping(call.body, "body", names)
    source = call.space.visible(DataSource, call.id("data_source_id"))
    if call.space.trashed(source) and body.get("in_trash") is not False:
        raise in_trash()
    if "title" in body:
        source.title = richtext.parse(body["title"], "body.title")
    done = schema.change(source.properties, body.get("properties", {}), "body.properties")
    call.edits.schema_changed(source, done, call.space.bot)
    return call.answers.source(source)


async def query_database(call: Call) -> Json:
    """Of the oldest version."""
    if call.version != OLDEST:
        raise NotionError(400, "invalid_request_url", "Invalid request URL.")
    database = call.space.visible(Database, call.id("database_id"))
    return _rows(call, call.space.only_source(database))


async def query_source(call: Call) -> Json:
    return _rows(call, call.space.visible(DataSource, call.id("data_source_id")))


def _rows(call: Call, source: DataSource) -> Json:
    call.guard.needs("read_content")
    names = ("filter", "sorts", "start_cursor", "page_size", "in_trash", "archived")
    body = check.mapping(call.body, "body", (*names, "result_type", "attributes_to_get"))
    trash = bool(body.get("in_trash", False))
    rows = [call.space.get(Page, row) for row in source.rows]
    rows = [row for row in rows if call.space.trashed(row) == trash]
    if body.get("filter") is not None:
        meets = query.matching(source, body["filter"])
        rows = [row for row in rows if meets(row)]
    rows = query.ordered(source, rows, body.get("sorts"))
    cut = len(rows) > query.MAX_ROWS
    rows = rows[: query.MAX_ROWS]
    answer = call.page_of_list(rows, "page_or_data_source", [row.id for row in rows], body)
    only = call.request.query_params.getlist("filter_properties") or None
    answer["results"] = [call.answers.page(row, only) for row in answer["results"]]
    ends = answer["next_cursor"] is None
    answer["request_status"] = _TRUNCATED if cut and ends else {"type": "complete"}
    return answer


async def create_view(call: Call) -> Json:
    call.guard.needs("insert_content")
    names = (
        "database_id", "data_source_id", "name", "type", "filter", "sorts", "quick_filters",
        "configuration", "position", "view_id", "create_database",
    )  # fmt: skip
    body = check.mapping(call.body, "body", names)
    for name in ("data_source_id", "name", "type"):
        if name not in body:
            raise misshapen(f"body.{name}", "defined")
    source = call.space.visible(
        DataSource, check.identifier(body["data_source_id"], "body.data_source_id")
    )
    kind = check.one_of(body["type"], "body.type", VIEW_TYPES)
    if body.get("filter") is not None:
        query.matching(source, body["filter"])
    query.ordered(source, [], body.get("sorts"))
    configuration = _configuration(source, kind, body.get("configuration"))
    view = View(
        parent=source.parent,
        author=call.space.bot,
        name=check.text(body["name"], "body.name", 100),
        type=kind,
        data_source_id=source.id,
        filter=body.get("filter"),
        sorts=body.get("sorts"),
        configuration=configuration,
    )
    call.space.add(view)
    return call.answers.view(view)


def _configuration(source: DataSource, kind: str, value: Any) -> Json | None:
    """A board says what it groups by, a calendar its date."""
    path = "body.configuration"
    if value is None:
        if kind in ("board", "calendar"):
            raise misshapen(path, "defined")
        return None
    body = check.mapping(value, path)
    check.one_of(body.get("type"), f"{path}.type", (kind,))
    if kind == "board":
        group = check.mapping(body.get("group_by"), f"{path}.group_by")
        _property_id(source, group.get("property_id"), f"{path}.group_by.property_id")
    if kind == "calendar":
        _property_id(source, body.get("date_property_id"), f"{path}.date_property_id")
    for n, shown in enumerate(body.get("properties") or []):
        where = f"{path}.properties[{n}]"
        _property_id(source, check.mapping(shown, where).get("property_id"), f"{where}.property_id")
    return body


def _property_id(source: DataSource, value: Any, path: str) -> None:
    if schema.find(source.properties, check.text(value, path)) is None:
        raise misshapen(path, "the id of a property", value)


async def search(call: Call) -> Json:
    """Titles that contain the query; without one everything that is shared."""
    call.guard.needs("read_content")
    names = ("query", "filter", "sort", "start_cursor", "page_size")
    body = check.mapping(call.body, "body", names)
    text = check.text(body.get("query", ""), "body.query").casefold()
    kind = (body.get("filter") or {}).get("value")
    found: list[Any] = []
    if kind != "data_source":
        found += [p for p in call.space.of(Page) if text in call.space.title(p).casefold()]
    if kind != "page":
        sources = call.space.of(DataSource)
        found += [s for s in sources if text in richtext.said(s.title).casefold()]
    found = [thing for thing in found if call.space.shared(thing)]
    ids = [thing.id for thing in found]
    answer = call.page_of_list(found, "page_or_data_source", ids, body)
    answer["results"] = [
        call.answers.page(thing) if isinstance(thing, Page) else call.answers.source(thing)
        for thing in answer["results"]
    ]
    return answer
