"""Notion's API under `/v1/`: pages, blocks, comments, users. Databases and uploads: beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.notion.errors import NotionError, in_trash, invalid, misshapen
from app.sandbox.notion.guard import Guard, answered, json_body, refusal
from app.sandbox.notion.model import blocks, check, richtext, schema
from app.sandbox.notion.model.answers import NEWEST, VERSIONS, Answers, listed
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.edits import Edits, by_request
from app.sandbox.notion.model.records import Block, Comment, Database, DataSource, Page, Thing
from app.sandbox.notion.model.workspace import Workspace


class Call:
    """One request that was let in."""

    def __init__(self, request: Request, version: str, space: Workspace, guard: Guard) -> None:
        self.request, self.version, self.space, self.guard = request, version, space, guard
        self.answers, self.edits = Answers(space, version), Edits(space)
        self.body: Json = {}
        self.is_newest = version == NEWEST

    def id(self, name: str) -> str:
        return check.identifier(self.request.path_params["id"], f"path.{name}")

    def page_of_list(self, found: list[Any], kind: str, ids: list[str], asked: Any) -> Json:
        """One page of `found`. asked: the query's or body's members; ids: a cursor for each."""
        size = check.page_size(asked.get("page_size", check.MAX_ITEMS), "query.page_size")
        size = min(size, self.guard.config.page_size)
        start = 0
        if (cursor := asked.get("start_cursor")) is not None:
            if cursor not in ids:
                raise invalid(f"The start_cursor provided is invalid: {cursor}")
            start = ids.index(cursor)
        following = ids[start + size] if start + size < len(ids) else None
        return listed(found[start : start + size], kind, following)


Endpoint = Callable[[Call], Awaitable[Json]]


class Door:
    """Makes routes of endpoints: lets requests in, takes refusals, keeps what was asked."""

    def __init__(self, space: Callable[[], Workspace], guard: Callable[[], Guard]) -> None:
        self._space, self._guard = space, guard

    def route(self, path: str, method: str, endpoint: Endpoint, *, is_json: bool = True) -> Route:
        async def handle(request: Request) -> Response:
            guard = self._guard()
            call: Call | None = None
            body: Any = None
            fault = guard.fault(request)
            if fault:
                await fault.wait()
            try:
                if fault and fault.status and not fault.after:
                    response = fault.failure()
                else:
                    version = guard.admit(request)
                    call = Call(request, version, self._space(), guard)
                    if is_json and method != "GET":
                        call.body = body = await json_body(request)
                    response = answered(await endpoint(call))
                    if fault and fault.status:
                        response = fault.failure()
            except NotionError as error:
                response = refusal(error)
            guard.record(request, body, response.status_code)
            return response

        return Route(f"/v1/{path}", handle, methods=[method])


def routes(door: Door) -> list[Route]:
    return [
        door.route("users/me", "GET", me),
        door.route("users/{id}", "GET", user),
        door.route("pages", "POST", create_page),
        door.route("pages/{id}", "GET", get_page),
        door.route("pages/{id}", "PATCH", update_page),
        door.route("pages/{id}/properties/{property}", "GET", get_property),
        door.route("blocks/{id}", "GET", get_block),
        door.route("blocks/{id}/children", "GET", get_children),
        door.route("blocks/{id}/children", "PATCH", append_children),
        door.route("comments", "POST", create_comment),
        door.route("comments", "GET", list_comments),
        door.route("comments/{id}", "GET", get_comment),
    ]


# Users


async def me(call: Call) -> Json:
    return call.answers.user(call.space.bot)


async def user(call: Call) -> Json:
    call.guard.needs("read_user_information")
    wanted = call.id("user_id")
    for author in (call.space.bot, call.space.person):
        if author.id == wanted:
            return call.answers.user(author)
    raise NotionError(404, "object_not_found", f"Could not find user with ID: {wanted}.")


# Pages


async def get_page(call: Call) -> Json:
    call.guard.needs("read_content")
    page = call.space.visible(Page, call.id("page_id"))
    only = call.request.query_params.getlist("filter_properties")
    return call.answers.page(page, only or None)


async def create_page(call: Call) -> Json:
    call.guard.needs("insert_content")
    names = ("parent", "properties", "children", "content", "icon", "cover", "position")
    body = check.mapping(call.body, "body", (*names, "markdown", "template"))
    parent = _new_parent(call, body.get("parent", ...))
    if call.space.trashed(parent):
        raise in_trash()
    source = parent if isinstance(parent, DataSource) else None
    given, grown = call.edits.assigned(
        source,
        check.mapping(body.get("properties", {}), "body.properties"),
        "body.properties",
        by_request(call.space),
    )
    content = blocks.parse(
        body.get("children", body.get("content", [])), "body.children", call.space.files.attach
    )
    icon, cover = _decoration(call, body)
    page = call.edits.add_page(parent, given, content, call.space.bot, icon=icon, cover=cover)
    if source:
        done = [{"id": p["id"], "name": p["name"], "action": "updated"} for p in grown]
        call.edits.schema_changed(source, done, call.space.bot)
    return call.answers.page(page)


def _new_parent(call: Call, value: Any) -> Page | DataSource:
    if value is ...:
        raise misshapen("body.parent", "defined")
    parent = check.mapping(value, "body.parent")
    for name in ("page_id", "data_source_id", "database_id"):
        if name not in parent:
            continue
        wanted = check.identifier(parent[name], f"body.parent.{name}")
        if name == "page_id":
            return call.space.visible(Page, wanted)
        if name == "data_source_id":
            return call.space.visible(DataSource, wanted)
        return call.space.only_source(call.space.visible(Database, wanted))
    raise misshapen("body.parent.page_id", "defined")


def _decoration(call: Call, body: Json) -> tuple[Json | None, Json | None]:
    attach = call.space.files.attach
    icon, cover = (
        attach(body[name], f"body.{name}") if body.get(name) else None for name in ("icon", "cover")
    )
    return icon, cover


async def update_page(call: Call) -> Json:
    call.guard.needs("update_content")
    names = ["properties", "icon", "cover", "in_trash", "is_locked", "erase_content", "template"]
    names += ["is_archived"] if call.is_newest else ["archived"]
    body = check.mapping(call.body, "body", names)
    page = call.space.visible(Page, call.id("page_id"))
    out = body.get("in_trash", body.get("archived"))
    if call.space.trashed(page) and out is not False:
        raise in_trash()
    properties = check.mapping(body.get("properties", {}), "body.properties")
    given, grown = call.edits.assigned(
        call.space.source_of(page), properties, "body.properties", by_request(call.space)
    )
    icon, cover = _decoration(call, body)
    if "is_locked" in body:
        locked = check.boolean(body["is_locked"], "body.is_locked")
        call.edits.lock(page, locked, call.space.bot)
    if out is not None:
        call.edits.trash(page, call.space.bot, back=not check.boolean(out, "body.in_trash"))
    page.icon = icon if "icon" in body else page.icon
    page.cover = cover if "cover" in body else page.cover
    if body.get("erase_content"):
        for child in call.space.children(page):
            child.in_trash = True
        call.edits.content_changed(page, [], call.space.bot)
    call.edits.set_values(page, given, grown, call.space.bot)
    return call.answers.page(page)


async def get_property(call: Call) -> Json:
    call.guard.needs("read_content")
    page = call.space.visible(Page, call.id("page_id"))
    source = call.space.source_of(page)
    key = call.request.path_params["property"]
    prop = schema.find(source.properties, key) if source else None
    if prop is None:
        raise NotionError(404, "object_not_found", f"Could not find property with ID: {key}.")
    items = call.answers.property_item(prop, page)
    if prop["type"] not in ("title", "rich_text", "people", "relation"):
        return items[0]
    cursors = [str(n) for n in range(len(items))]
    answer = call.page_of_list(items, "property_item", cursors, call.request.query_params)
    about = {"id": prop["id"], "next_url": None, "type": prop["type"], prop["type"]: {}}
    return answer | {"property_item": about}


# Blocks


def _container(call: Call) -> Page | Block:
    wanted = call.id("block_id")
    found = call.space.things.get(wanted)
    kind: type[Page] | type[Block] = Page if isinstance(found, Page) else Block
    return call.space.visible(kind, wanted)


async def get_block(call: Call) -> Json:
    call.guard.needs("read_content")
    wanted = call.id("block_id")
    found = call.space.things.get(wanted)
    kind: type[Thing] = type(found) if isinstance(found, Page | Database) else Block
    return call.answers.block(call.space.visible(kind, wanted))


async def get_children(call: Call) -> Json:
    call.guard.needs("read_content")
    found = call.space.children(_container(call))
    ids = [child.id for child in found]
    answer = call.page_of_list(found, "block", ids, call.request.query_params)
    answer["results"] = [call.answers.block(child) for child in answer["results"]]
    return answer


async def append_children(call: Call) -> Json:
    call.guard.needs("insert_content")
    body = check.mapping(call.body, "body", ("children", "position" if call.is_newest else "after"))
    if "children" not in body:
        raise misshapen("body.children", "defined")
    parent = _container(call)
    if call.space.trashed(parent):
        raise in_trash()
    if isinstance(parent, Block):
        if not blocks.KINDS.get(parent.type, blocks.KINDS["divider"]).children:
            raise invalid("Block does not support children.")
        toggles = not parent.type.startswith("heading_") or parent.content.get("is_toggleable")
        if not toggles:
            raise invalid("Headings can only have children when they are toggleable.")
    content = blocks.parse(body["children"], "body.children", call.space.files.attach)
    made = call.edits.place(parent, content, call.space.bot, _place(parent, body))
    return listed([call.answers.block(block) for block in made], "block", None)


def _place(parent: Page | Block, body: Json) -> int | None:
    after = body.get("after")
    if position := body.get("position"):
        path = "body.position"
        kind = check.one_of(position.get("type"), f"{path}.type", ("after_block", "start", "end"))
        if kind != "after_block":
            return 0 if kind == "start" else None
        after = check.mapping(position.get(kind), f"{path}.{kind}").get("id")
    if after is None:
        return None
    wanted = check.identifier(after, "body.after")
    if wanted not in parent.children:
        raise invalid(f"The block to append after is no child of the parent: {wanted}.")
    return parent.children.index(wanted) + 1


# Comments


async def list_comments(call: Call) -> Json:
    call.guard.needs("read_comments")
    asked = call.request.query_params
    wanted = check.identifier(asked.get("block_id", ...), "query.block_id")
    found = call.space.things.get(wanted)
    on = call.space.visible(Page if isinstance(found, Page) else Block, wanted)
    said = [comment for comment in call.space.of(Comment) if comment.parent == on.id]
    answer = call.page_of_list(said, "comment", [comment.id for comment in said], asked)
    answer["results"] = [call.answers.comment(comment) for comment in answer["results"]]
    return answer


async def get_comment(call: Call) -> Json:
    call.guard.needs("read_comments")
    return call.answers.comment(call.space.visible(Comment, call.id("comment_id")))


async def create_comment(call: Call) -> Json:
    call.guard.needs("insert_comments")
    names = ("parent", "discussion_id", "rich_text", "markdown", "attachments", "display_name")
    body = check.mapping(call.body, "body", names)
    if ("parent" in body) == ("discussion_id" in body):
        raise invalid("Exactly one of body.parent and body.discussion_id should be defined.")
    if ("rich_text" in body) == ("markdown" in body):
        raise invalid("Exactly one of body.rich_text and body.markdown should be defined.")
    if "markdown" in body:
        said = richtext.plain(check.text(body["markdown"], "body.markdown"))
    else:
        said = richtext.parse(body["rich_text"], "body.rich_text")
    on, discussion_id = _commented(call, body)
    if call.space.trashed(on):
        raise in_trash()
    attached = [
        {
            "category": "productivity",
            "file": call.space.files.attach(
                {"file_upload": {"id": item.get("file_upload_id")}}, f"body.attachments[{n}]"
            ),
        }
        for n, item in enumerate(check.array(body.get("attachments", []), "body.attachments", 3))
    ]
    comment = call.edits.comment(
        on, said, call.space.bot, discussion_id=discussion_id, attachments=attached
    )
    if "read_comments" not in call.guard.capabilities:
        return {"object": "comment", "id": comment.id}
    return call.answers.comment(comment)


def _commented(call: Call, body: Json) -> tuple[Page | Block, str | None]:
    if "discussion_id" in body:
        wanted = check.identifier(body["discussion_id"], "body.discussion_id")
        thread = next((c for c in call.space.of(Comment) if c.discussion_id == wanted), None)
        if thread is None or not call.space.shared(thread):
            raise NotionError(
                404, "object_not_found", f"Could not find discussion with ID: {wanted}."
            )
        on = call.space.things[str(thread.parent)]
        assert isinstance(on, Page | Block)
        return on, wanted
    parent = check.mapping(body["parent"], "body.parent", ("type", "page_id", "block_id"))
    name = "page_id" if "page_id" in parent else "block_id"
    wanted = check.identifier(parent.get(name, ...), f"body.parent.{name}")
    if name == "page_id":
        return call.space.visible(Page, wanted), None
    return call.space.visible(Block, wanted), None


OLDEST = VERSIONS[0]
