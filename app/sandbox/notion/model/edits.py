"""What changes in a workspace, by a person or through the API: each change tells its webhooks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from app.sandbox.notion.errors import invalid
from app.sandbox.notion.model import blocks, schema, values
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import (
    Author,
    Block,
    Comment,
    Database,
    DataSource,
    Page,
    Thing,
    new_id,
)
from app.sandbox.notion.model.workspace import Event, Workspace

Parse = Callable[[Json, Any, str], tuple[Any, bool]]
"""A property and the value it is given → the value to keep, and whether it made an option."""


class Edits:
    """Every method takes who does it (`by`)."""

    def __init__(self, workspace: Workspace) -> None:
        self._space = workspace

    # Pages and their properties

    def assigned(
        self, source: DataSource | None, given: Mapping[str, Any], path: str, parse: Parse
    ) -> tuple[dict[str, Any], list[Json]]:
        """The values of a request by the property's id, and the properties that got an option.
        Without a data source it is a plain page, which has a title only. Raises NotionError."""
        properties = source.properties if source else _PLAIN
        kept: dict[str, Any] = {}
        grown: list[Json] = []
        for key, value in given.items():
            prop = schema.find(properties, key) if source or key == "title" else None
            if prop is None:
                raise schema.missing(key)
            kept[prop["id"]], new = parse(prop, value, f"{path}.{key}")
            grown += [prop] if new else []
        return kept, grown

    def add_page(
        self,
        parent: Page | Block | DataSource,
        given: dict[str, Any],
        content: list[blocks.New],
        by: Author,
        *,
        icon: Json | None = None,
        cover: Json | None = None,
    ) -> Page:
        page = Page(parent=parent.id, author=by, values=given, icon=icon, cover=cover)
        self._space.add(page)
        (parent.rows if isinstance(parent, DataSource) else parent.children).append(page.id)
        self._put(page, content, by, 0)
        self._space.tell("page.created", page, by)
        return page

    def set_values(
        self, page: Page, given: Mapping[str, Any], grown: list[Json], by: Author
    ) -> None:
        """Only what differs is a change."""
        changed = [key for key, value in given.items() if page.values.get(key) != value]
        page.values.update(given)
        source = self._space.source_of(page)
        if grown and source:
            self.schema_changed(
                source,
                [{"id": p["id"], "name": p["name"], "action": "updated"} for p in grown],
                by,
            )
        if changed:
            page.touched(by)
            self._space.tell("page.properties_updated", page, by, updated_properties=changed)

    def trash(self, thing: Thing, by: Author, *, back: bool = False) -> None:
        """Into the trash, or out of it. Of a block, its page tells."""
        if thing.in_trash is not back:
            return
        thing.in_trash = not back
        thing.touched(by)
        if isinstance(thing, Block):
            self.content_changed(thing, [thing.id], by)
        elif isinstance(thing, Page | Database | DataSource):
            kind = {Page: "page", Database: "database", DataSource: "data_source"}[type(thing)]
            self._space.tell(f"{kind}.{'undeleted' if back else 'deleted'}", thing, by)

    def lock(self, page: Page, locked: bool, by: Author) -> None:
        """Only the app's editing is locked; the API goes on."""
        if page.is_locked is not locked:
            page.is_locked = locked
            page.touched(by)
            self._space.tell(f"page.{'locked' if locked else 'unlocked'}", page, by)

    def move(self, page: Page, parent: Page | DataSource, by: Author) -> None:
        """What it is moved to has other properties: those of the same name and type stay."""
        old = self._space.things[str(page.parent)]
        if isinstance(old, DataSource):
            old.rows.remove(page.id)
            page.values = _carried(old, parent, page.values)
        elif isinstance(old, Page | Block):
            old.children.remove(page.id)
        page.parent = parent.id
        (parent.rows if isinstance(parent, DataSource) else parent.children).append(page.id)
        page.touched(by)
        self._space.tell("page.moved", page, by)

    def duplicate(self, page: Page, by: Author) -> Page:
        """With all it has: figures, status and title; of comments nothing."""
        parent = self._space.things[str(page.parent)]
        if not isinstance(parent, Page | Block | DataSource):
            raise invalid("A page without a parent can't be duplicated.")
        content = [self._again(child) for child in self._space.children(page)]
        return self.add_page(
            parent, copy.deepcopy(page.values), content, by, icon=page.icon, cover=page.cover
        )

    def _again(self, thing: Thing) -> blocks.New:
        kind, content = (
            (thing.type, copy.deepcopy(thing.content))
            if isinstance(thing, Block)
            else ("child_page", {"title": "Untitled"})
        )
        own = getattr(thing, "children", [])
        return blocks.New(kind, content, [self._again(self._space.things[c]) for c in own])

    # Blocks

    def place(
        self, parent: Page | Block, content: list[blocks.New], by: Author, at: int | None = None
    ) -> list[Thing]:
        """The new blocks of the first level. at: before which child; None: at the end."""
        made = self._put(parent, content, by, len(parent.children) if at is None else at)
        self.content_changed(parent, [block.id for block in made], by)
        return made

    def _put(
        self, parent: Page | Block, content: list[blocks.New], by: Author, at: int
    ) -> list[Thing]:
        made: list[Thing] = []
        for new in content:
            block = self._space.add(
                Block(parent=parent.id, author=by, type=new.type, content=new.content)
            )
            made.append(block)
            self._put(block, new.children, by, 0)
        parent.children[at:at] = [block.id for block in made]
        return made

    def rewrite(self, block: Block, new: blocks.New, by: Author) -> None:
        block.type, block.content = new.type, new.content
        block.touched(by)
        if new.children:
            block.children.clear()
            self._put(block, new.children, by, 0)
        self.content_changed(block, [block.id], by)

    def content_changed(self, where: Thing, ids: list[str], by: Author) -> None:
        page = self._space.page_of(where)
        page.touched(by)
        updated = [{"id": block_id, "type": "block"} for block_id in ids]
        self._space.tell("page.content_updated", page, by, updated_blocks=updated)

    # Databases

    def add_database(
        self, parent: Page, title: list[Json], properties: schema.Schema, by: Author
    ) -> Database:
        database = self._space.add(Database(parent=parent.id, author=by, title=title))
        source = self._space.add(
            DataSource(parent=database.id, author=by, title=title, properties=properties)
        )
        database.sources.append(source.id)
        parent.children.append(database.id)
        self._space.tell("database.created", database, by)
        self._space.tell("data_source.created", source, by)
        return database

    def schema_changed(self, source: DataSource, done: list[Json], by: Author) -> None:
        if done:
            source.touched(by)
            self._space.tell("data_source.schema_updated", source, by, updated_properties=done)

    # Comments

    def comment(
        self,
        on: Page | Block,
        rich_text: list[Json],
        by: Author,
        *,
        discussion_id: str | None = None,
        display_name: Json | None = None,
        attachments: list[Json] | None = None,
    ) -> Comment:
        kind = "integration" if by.type == "bot" else "user"
        comment = self._space.add(
            Comment(
                parent=on.id,
                author=by,
                discussion_id=discussion_id or new_id(),
                rich_text=rich_text,
                display_name=display_name or {"type": kind, "resolved_name": by.name},
                attachments=attachments or [],
            )
        )
        parent = {"id": on.id, "type": "page" if isinstance(on, Page) else "block"}
        event = Event(
            "comment.created",
            {"id": comment.id, "type": "comment"},
            {"parent": parent, "page_id": self._space.page_of(on).id},
            by,
        )
        for listener in self._space.listen:
            listener(event)
        return comment


_PLAIN: schema.Schema = {
    "title": {"id": "title", "name": "title", "description": None, "type": "title", "title": {}}
}


def _carried(old: DataSource, new: Page | DataSource, kept: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(new, DataSource):
        return {"title": kept.get("title", [])}
    carried: dict[str, Any] = {}
    for prop in new.properties.values():
        same = schema.find(old.properties, prop["name"])
        plain = prop["type"] not in ("select", "multi_select", "status")
        if same and same["type"] == prop["type"] and plain and same["id"] in kept:
            carried[prop["id"]] = kept[same["id"]]
    return carried


def by_request(space: Workspace) -> Parse:
    """How a request's values are read: strictly."""
    return lambda prop, value, path: values.parse(prop, value, path, space.files.attach)


def by_hand(space: Workspace) -> Parse:
    """How a person's are: any status, names that don't exist yet, and what is only read."""

    def parse(prop: Json, value: Any, path: str) -> tuple[Any, bool]:
        kind = prop["type"]
        if kind in schema.READ_ONLY:
            return value, False
        given = values.from_person(prop, value)
        if kind == "status" and given[kind] is not None:
            name = given[kind]["name"]
            options = prop["status"]["options"]
            return next(o["id"] for o in options if o["name"] == name), False
        return values.parse(prop, given, path, space.files.place)

    return parse
