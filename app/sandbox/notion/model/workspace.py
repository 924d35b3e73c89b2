"""A workspace: everything by its id, who may see it, and what happened in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from app.sandbox.notion.errors import invalid, not_found
from app.sandbox.notion.model import richtext
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.files import Files
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
    new_id,
)

Kind = TypeVar("Kind", bound=Thing)

WORDS: dict[type[Thing], str] = {
    Page: "page",
    Block: "block",
    Database: "database",
    DataSource: "data source",
    Comment: "comment",
    Upload: "file upload",
    View: "view",
}


@dataclass(frozen=True)
class Event:
    """Something a webhook tells: type, what it is about, and more about it."""

    type: str
    entity: Json
    data: Json
    author: Author


@dataclass
class Workspace:
    """listen: hears every event. home: the page everything a person makes is under; it is shared
    with the connection. copies_show: whether the copy of a synced block answers the original's
    children as its own; it happens that it answers none."""

    base_url: str
    listen: list[Callable[[Event], None]] = field(default_factory=list)
    id: str = field(default_factory=new_id)
    things: dict[str, Thing] = field(default_factory=dict)
    copies_show: bool = True

    def __post_init__(self) -> None:
        self.bot = Author(new_id(), "bot", "AmazonSender")
        self.person = Author(new_id(), "person", "Ann Owner")
        self.files = Files(self.base_url, self.id)
        self.home = Page(parent=None, author=self.person, shared=True)
        self.home.values["title"] = richtext.plain("Letters")
        self.things[self.home.id] = self.home

    def add(self, thing: Kind) -> Kind:
        self.things[thing.id] = thing
        return thing

    def get(self, kind: type[Kind], thing_id: str) -> Kind:
        """Raises NotionError (404) when there is no such thing."""
        found = self.things.get(thing_id)
        if not isinstance(found, kind):
            raise not_found(WORDS.get(kind, "block"), thing_id)
        return found

    def visible(self, kind: type[Kind], thing_id: str) -> Kind:
        """The same, but also 404 when it isn't shared with the connection."""
        found = self.get(kind, thing_id)
        if not self.shared(found):
            raise not_found(WORDS.get(kind, "block"), thing_id)
        return found

    def shared(self, thing: Thing) -> bool:
        for at in self.ancestry(thing):
            own = getattr(at, "shared", None)
            if own is not None:
                return bool(own)
        return False

    def trashed(self, thing: Thing) -> bool:
        return any(at.in_trash for at in self.ancestry(thing))

    def ancestry(self, thing: Thing) -> Iterable[Thing]:
        """Itself, its parent, and so on."""
        at: Thing | None = thing
        while at is not None:
            yield at
            at = self.things.get(at.parent) if at.parent else None

    def children(self, thing: Thing) -> list[Thing]:
        """What stands in a page or block, without what is in the trash."""
        found = [self.things[child] for child in getattr(thing, "children", [])]
        if not found and self.copies_show and isinstance(thing, Block):
            origin = (thing.content.get("synced_from") or {}).get("block_id", "")
            if thing.type == "synced_block" and origin in self.things:
                found = self.children(self.things[origin])
        return [child for child in found if not child.in_trash]

    def page_of(self, thing: Thing) -> Page:
        """The page a block, or a page, is on. Raises NotionError when there is none."""
        for at in self.ancestry(thing):
            if isinstance(at, Page):
                return at
        raise not_found("page", thing.id)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [thing for thing in self.things.values() if isinstance(thing, kind)]

    def source_of(self, page: Page) -> DataSource | None:
        """The data source whose row a page is."""
        parent = self.things.get(page.parent) if page.parent else None
        return parent if isinstance(parent, DataSource) else None

    def only_source(self, database: Database) -> DataSource:
        """Raises NotionError when a database has several."""
        if len(database.sources) != 1:
            raise invalid(
                f"Databases with multiple data sources are not supported in this API version: "
                f"{database.id}."
            )
        return self.get(DataSource, database.sources[0])

    def title(self, page: Page) -> str:
        return richtext.said(page.values.get("title"))

    # What webhooks tell

    def tell(self, name: str, thing: Thing, by: Author, **data: object) -> None:
        """name: `page.created`; the entity is the page, database or data source `thing`."""
        entity = {"id": thing.id, "type": name.partition(".")[0]}
        event = Event(name, entity, {"parent": self.event_parent(thing), **data}, by)
        for listener in self.listen:
            listener(event)

    def event_parent(self, thing: Thing) -> Json:
        parent = self.things.get(thing.parent) if thing.parent else None
        match parent:
            case DataSource():
                return {"id": parent.parent, "type": "database", "data_source_id": parent.id}
            case Database():
                return {"id": parent.id, "type": "database"}
            case Page():
                return {"id": parent.id, "type": "page"}
            case None:
                return {"id": self.id, "type": "space"}
            case _:
                return {"id": parent.id, "type": "block"}
