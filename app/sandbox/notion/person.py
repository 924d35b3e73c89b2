"""What a person does in Notion's app; nothing is refused here that the app would let happen."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.sandbox.notion.errors import invalid
from app.sandbox.notion.model import richtext, schema, values
from app.sandbox.notion.model.answers import Answers
from app.sandbox.notion.model.blocks import New, from_person
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.edits import Edits, by_hand
from app.sandbox.notion.model.records import (
    Block,
    Comment,
    Database,
    DataSource,
    Page,
    Thing,
)
from app.sandbox.notion.model.workspace import Workspace

Content = Sequence[Mapping[str, Any] | str]


class Person:
    """Takes and gives JSON: ids as text, blocks in the shape of the API or plain texts."""

    def __init__(self, space: Workspace) -> None:
        self._space, self._edits, self._answers = space, Edits(space), Answers(space)
        self._parse = by_hand(space)

    def acts(self) -> dict[str, Any]:
        """By the name under which the control API has them."""
        return {
            name: getattr(self, name)
            for name in dir(type(self))
            if not name.startswith("_") and name != "acts"
        }

    # Databases

    def make_database(
        self, properties: Json, title: str = "Newsletters", parent: str | None = None
    ) -> Json:
        page = self._page(parent) if parent else self._space.home
        made = schema.create(properties, "properties")
        database = self._edits.add_database(page, richtext.plain(title), made, self._space.person)
        return {"database_id": database.id, "data_source_id": database.sources[0]}

    def change_schema(self, properties: Json, source: str | None = None) -> Json:
        """Rename (`{"Status": {"name": "State"}}`), remove (null), or set up a property."""
        found = self._source(source)
        done = schema.change(found.properties, properties, "properties")
        self._edits.schema_changed(found, done, self._space.person)
        return self._answers.source(found)

    def make_option(self, prop_name: str, option: str, source: str | None = None) -> None:
        """A new option of a select, or of a status in its group In progress."""
        found = self._source(source)
        prop = self._property(found, prop_name)
        made = {"id": option, "name": option, "color": "default", "description": None}
        prop[prop["type"]]["options"].append(made)
        if prop["type"] == "status":
            prop["status"]["groups"][1]["option_ids"].append(option)
        done = [{"id": prop["id"], "name": prop_name, "action": "updated"}]
        self._edits.schema_changed(found, done, self._space.person)

    # Pages

    def make_page(
        self,
        properties: Json | None = None,
        blocks: Content = (),
        parent: str | None = None,
        icon: str | None = None,
    ) -> str:
        """A row of the first database, unless `parent` names a page, database or data source."""
        at = self._parent(parent)
        source = at if isinstance(at, DataSource) else None
        given = properties or {}
        if source is None and "Name" in given:
            given = {"title": given["Name"]}
        kept, grown = self._edits.assigned(source, given, "properties", self._parse)
        page = self._edits.add_page(
            at,
            kept,
            self._content(blocks),
            self._space.person,
            icon={"type": "emoji", "emoji": icon} if icon else None,
        )
        self._grown(source, grown)
        return page.id

    def set(self, page: str, properties: Json) -> None:
        """Type values into a row: `{"Status": "Send", "Audience": ["spring"]}`; null empties."""
        found = self._page(page)
        source = self._space.source_of(found)
        kept, grown = self._edits.assigned(source, properties, "properties", self._parse)
        self._edits.set_values(found, kept, grown, self._space.person)

    def values(self, page: str) -> Json:
        """What stands in a row, as a person reads it: texts, numbers, names."""
        found = self._page(page)
        source = self._space.source_of(found)
        if source is None:
            return {"title": self._space.title(found)}
        return {
            prop["name"]: _read(prop["type"], values.content(prop, found))
            for prop in source.properties.values()
        }

    def page(self, page: str) -> Json:
        """As the API answers it."""
        return self._answers.page(self._page(page))

    def rows(self, source: str | None = None) -> list[str]:
        """The ids of a database's pages, also of those in the trash, in the order of creation."""
        return list(self._source(source).rows)

    def trash(self, page: str) -> None:
        self._edits.trash(self._thing(page), self._space.person)

    def restore(self, page: str) -> None:
        self._edits.trash(self._thing(page), self._space.person, back=True)

    def delete_forever(self, page: str) -> None:
        found = self._page(page)
        source = self._space.source_of(found)
        if source:
            source.rows.remove(found.id)
        del self._space.things[found.id]

    def lock(self, page: str, locked: bool = True) -> None:
        self._edits.lock(self._page(page), locked, self._space.person)

    def move(self, page: str, to: str | None = None) -> None:
        """Into another database or page; by default out of the database, under the home page."""
        at = self._parent(to) if to else self._space.home
        if isinstance(at, Block):
            raise invalid("A page can't be moved into a block.")
        self._edits.move(self._page(page), at, self._space.person)

    def duplicate(self, page: str) -> str:
        return self._edits.duplicate(self._page(page), self._space.person).id

    def share(self, thing: str, shared: bool | None = True) -> None:
        """With the connection, or not. null: as its parent is."""
        found = self._thing(thing)
        if not isinstance(found, Page | Database):
            raise invalid("Only pages and databases are shared.")
        found.shared = shared

    # What stands on a page

    def append(self, parent: str, blocks: Content, after: str | None = None) -> list[str]:
        at = self._container(parent)
        place = at.children.index(_id(after)) + 1 if after else None
        made = self._edits.place(at, self._content(blocks), self._space.person, place)
        return [block.id for block in made]

    def edit_block(self, block: str, content: Mapping[str, Any] | str) -> None:
        """content: the whole block anew; a text alone keeps the type."""
        found = self._space.get(Block, _id(block))
        if isinstance(content, str):
            said = {"rich_text": content}
            content = {"type": found.type, found.type: {**found.content, **said}}
        new = from_person(content, self._space.files.place)
        self._edits.rewrite(found, new, self._space.person)

    def delete_block(self, block: str) -> None:
        self._edits.trash(self._thing(block), self._space.person)

    def blocks(self, page: str) -> list[Json]:
        """As the API answers them, each with its `children`."""
        return [
            self._answers.block(child) | {"children": self.blocks(child.id)}
            for child in self._space.children(self._thing(page))
        ]

    def upload(self, name: str, content: str, content_type: str) -> Json:
        """A file kept by Notion, to be put into a block or property. content: base64."""
        return self._space.files.keep(name, content_type, base64.b64decode(content))

    # Comments

    def comment(self, on: str, text: str | list[Json], discussion_id: str | None = None) -> Json:
        made = self._edits.comment(
            self._container(on),
            richtext.lenient(text),
            self._space.person,
            discussion_id=discussion_id,
        )
        return self._answers.comment(made)

    def comments(self, on: str) -> list[Json]:
        said = [c for c in self._space.of(Comment) if c.parent == _id(on)]
        return [self._answers.comment(comment) for comment in said]

    # Finding things

    def _thing(self, thing: str) -> Thing:
        return self._space.get(Thing, _id(thing))

    def _page(self, page: str) -> Page:
        return self._space.get(Page, _id(page))

    def _container(self, thing: str) -> Page | Block:
        found = self._thing(thing)
        if not isinstance(found, Page | Block):
            raise invalid(f"{thing} is no page and no block.")
        return found

    def _source(self, source: str | None) -> DataSource:
        found = self._parent(source)
        if not isinstance(found, DataSource):
            raise invalid(f"{source} is no database.")
        return found

    def _parent(self, parent: str | None) -> Page | Block | DataSource:
        if parent is None:
            sources = self._space.of(DataSource)
            if not sources:
                raise invalid("There is no database yet.")
            return sources[0]
        found = self._thing(parent)
        if isinstance(found, Database):
            found = self._space.only_source(found)
        if not isinstance(found, Page | Block | DataSource):
            raise invalid(f"Nothing can be put into {parent}.")
        return found

    def _property(self, source: DataSource, name: str) -> Json:
        prop = schema.find(source.properties, name)
        if prop is None:
            raise schema.missing(name)
        return prop

    def _content(self, content: Content) -> list[New]:
        return [from_person(block, self._space.files.place) for block in content]

    def _grown(self, source: DataSource | None, grown: list[Json]) -> None:
        if source:
            done = [{"id": p["id"], "name": p["name"], "action": "updated"} for p in grown]
            self._edits.schema_changed(source, done, self._space.person)


def _id(thing: str) -> str:
    try:
        return str(UUID(thing))
    except ValueError:
        return thing


def _read(kind: str, value: Any) -> Any:
    match kind:
        case "title" | "rich_text":
            return richtext.said(value)
        case "select" | "status":
            return value["name"] if value else None
        case "multi_select":
            return [item["name"] for item in value]
        case "date":
            return value["start"] if value else None
        case "files":
            return [item["name"] for item in value]
        case _:
            return value
