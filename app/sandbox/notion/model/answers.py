"""How Notion answers what is in the workspace (types of makenotion/notion-sdk-js 5.26)."""

from __future__ import annotations

from typing import Any

from app.sandbox.notion.model import richtext, values
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import (
    Author,
    Block,
    Comment,
    Database,
    DataSource,
    Page,
    Thing,
    Upload,
    View,
    minute,
    moment,
    slug,
)
from app.sandbox.notion.model.workspace import Workspace

VERSIONS = ("2022-06-28", "2025-09-03", "2026-03-11")
NEWEST = VERSIONS[-1]


class Answers:
    """Every object as one version of the API has it."""

    def __init__(self, workspace: Workspace, version: str = NEWEST) -> None:
        self._space, self._version = workspace, version

    def user(self, author: Author, *, email: bool = True) -> Json:
        if author.type == "bot":
            bot: Json = {
                "owner": {"type": "workspace", "workspace": True},
                "workspace_name": "Letters",
                "workspace_id": self._space.id,
                "workspace_limits": {"max_file_upload_size_in_bytes": 5_368_709_120},
            }
            detail: Json = {"type": "bot", "bot": bot}
        else:
            person = {"email": "ann@example.com"} if email else {}
            detail = {"type": "person", "person": person}
        return {**author.partial, "name": author.name, "avatar_url": None, **detail}

    def page(self, page: Page, only: list[str] | None = None) -> Json:
        """only: ids of the properties asked for."""
        source = self._space.source_of(page)
        if source is None:
            title = {"id": "title", "type": "title", "title": page.values.get("title", [])}
            properties: Json = {"title": title}
        else:
            properties = {
                prop["name"]: values.answer(prop, page)
                for prop in source.properties.values()
                if only is None or prop["id"] in only
            }
        name = "-".join(filter(None, (slug(self._space.title(page)), page.id.replace("-", ""))))
        return {
            "object": "page",
            "id": page.id,
            **self._times(page),
            "cover": self._space.files.answered(page.cover),
            "icon": self._space.files.answered(page.icon),
            "parent": self._parent(page),
            **self._trash(page),
            "is_locked": page.is_locked,
            "properties": self._space.files.answered(properties),
            "url": f"https://www.notion.so/{name}",
            "public_url": None,
        }

    def property_item(self, prop: Json, page: Page) -> list[Json]:
        """The items of one property, whole, of a type that has several; else the one."""
        kind = prop["type"]
        about = {"object": "property_item", "id": prop["id"], "type": kind}
        found = self._space.files.answered(values.content(prop, page))
        if kind in ("title", "rich_text", "people", "relation"):
            return [about | {kind: item} for item in found]
        return [about | {kind: found}]

    def block(self, thing: Thing) -> Json:
        kind, content = self._as_block(thing)
        content = self._space.files.answered(content)
        return {
            "object": "block",
            "id": thing.id,
            "parent": self._parent(thing),
            **self._times(thing),
            "has_children": bool(self._space.children(thing)),
            **self._trash(thing),
            "type": kind,
            kind: content,
        }

    def _as_block(self, thing: Thing) -> tuple[str, Json]:
        match thing:
            case Block():
                return thing.type, thing.content
            case Page():
                return "child_page", {"title": self._space.title(thing)}
            case Database():
                return "child_database", {"title": richtext.said(thing.title)}
            case _:
                raise TypeError(type(thing).__name__)

    def database(self, database: Database) -> Json:
        sources = [self._space.get(DataSource, source) for source in database.sources]
        answer: Json = {
            "object": "database",
            "id": database.id,
            "title": database.title,
            "description": database.description,
            "parent": self._parent(database),
            "is_inline": database.is_inline,
            **self._trash(database),
            "is_locked": database.is_locked,
            "created_time": minute(database.created),
            "last_edited_time": minute(database.edited),
            "icon": database.icon,
            "cover": database.cover,
            "url": f"https://www.notion.so/{database.id.replace('-', '')}",
            "public_url": None,
        }
        if self._version == VERSIONS[0]:
            return answer | {"properties": self.schema(self._space.only_source(database))}
        listed = [{"id": source.id, "name": richtext.said(source.title)} for source in sources]
        return answer | {"data_sources": listed, "database_type": None}

    def source(self, source: DataSource) -> Json:
        database = self._space.get(Database, str(source.parent))
        return {
            "object": "data_source",
            "id": source.id,
            **self._times(source),
            "title": source.title,
            "description": [],
            "parent": {"type": "database_id", "database_id": database.id},
            "database_parent": self._parent(database),
            "is_inline": database.is_inline,
            **self._trash(source),
            "properties": self.schema(source),
            "icon": source.icon,
            "cover": None,
            "url": f"https://www.notion.so/{database.id.replace('-', '')}",
            "public_url": None,
        }

    def schema(self, source: DataSource) -> Json:
        return {prop["name"]: prop for prop in source.properties.values()}

    def view(self, view: View) -> Json:
        return {
            "object": "view",
            "id": view.id,
            "parent": {"type": "database_id", "database_id": view.parent},
            "name": view.name,
            "type": view.type,
            **self._times(view),
            "url": f"https://www.notion.so/{str(view.parent).replace('-', '')}?v={view.id}",
            "data_source_id": view.data_source_id,
            "filter": view.filter,
            "sorts": view.sorts,
            "quick_filters": None,
            "configuration": view.configuration,
        }

    def comment(self, comment: Comment) -> Json:
        answer: Json = {
            "object": "comment",
            "id": comment.id,
            "parent": self._parent(comment),
            "discussion_id": comment.discussion_id,
            "created_time": moment(comment.created),
            "last_edited_time": moment(comment.edited),
            "created_by": comment.author.partial,
            "rich_text": comment.rich_text,
            "display_name": comment.display_name,
        }
        if comment.attachments:
            answer["attachments"] = self._space.files.answered(comment.attachments)
        return answer

    def upload(self, upload: Upload) -> Json:
        until = upload.created.timestamp() + self._space.files.lifetime
        waits = upload.status == "pending"
        answer: Json = {
            "object": "file_upload",
            "id": upload.id,
            "created_time": moment(upload.created),
            "created_by": {"id": upload.author.id, "type": upload.author.type},
            "last_edited_time": moment(upload.edited),
            **self._trash(upload),
            "expiry_time": None
            if upload.attached
            else moment(upload.created.fromtimestamp(until, upload.created.tzinfo)),
            "status": upload.status,
            "filename": upload.filename,
            "content_type": upload.content_type,
            "content_length": upload.size,
        }
        if waits:
            answer["upload_url"] = f"{self._space.base_url}/v1/file_uploads/{upload.id}/send"
        return answer

    def _times(self, thing: Thing) -> Json:
        return {
            "created_time": minute(thing.created),
            "last_edited_time": minute(thing.edited),
            "created_by": thing.author.partial,
            "last_edited_by": thing.editor.partial,
        }

    def _trash(self, thing: Thing) -> Json:
        answer: Json = {"in_trash": self._space.trashed(thing)}
        if self._version != NEWEST:
            answer["archived"] = answer["in_trash"]
        elif isinstance(thing, Page):
            answer["is_archived"] = False
        return answer

    def _parent(self, thing: Thing) -> Json:
        parent = self._space.things.get(thing.parent) if thing.parent else None
        match parent:
            case None:
                return {"type": "workspace", "workspace": True}
            case DataSource() if self._version == VERSIONS[0]:
                return {"type": "database_id", "database_id": parent.parent}
            case DataSource():
                return {
                    "type": "data_source_id",
                    "data_source_id": parent.id,
                    "database_id": parent.parent,
                }
            case Page():
                return {"type": "page_id", "page_id": parent.id}
            case Database():
                return {"type": "database_id", "database_id": parent.id}
            case _:
                return {"type": "block_id", "block_id": parent.id}


def listed(results: list[Any], kind: str, cursor: str | None) -> Json:
    """A page of a list."""
    return {
        "object": "list",
        "results": results,
        "next_cursor": cursor,
        "has_more": cursor is not None,
        "type": kind,
        kind: {},
    }
