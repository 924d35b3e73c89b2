"""A request to send in Notion's form: an automation's or a button's "Send webhook".

It is answered at once and only has the row looked at; Notion isn't asked meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.given.lines import plain_line
from app.domain.notion.pages import NotAPage, database_id
from app.domain.notion.properties import read
from app.domain.notion.schema import ids_of_parent
from app.domain.writing.drafts import MAX_SUBJECT_CHARS
from app.settings import Settings
from app.store import Store


@dataclass(frozen=True)
class AskRow:
    """wake: tells a runner of jobs in this process that there is one."""

    store: Store
    settings: Settings
    wake: Callable[[], None]

    async def __call__(
        self, page_id: UUID, page: Mapping[str, Any], *, event: str | None
    ) -> dict[str, Any] | None:
        """Have the row's page read, and what it asks for done; gives `mailout_id` and `status`.
        None: the page is none of the database's rows, or a mailout that was made by hand has it.

        page: as the request has it. event: names the request; of a repeat nothing comes.
        Raises DatabaseUnavailable.
        """
        if not self.settings.uses_notion or not await self._may_be_ours(page.get("parent")):
            return None
        said = page.get("properties")
        properties = said if isinstance(said, dict) else {}
        answer = await self.store.ask_notion_row(
            page_id,
            self._value(properties, "Name"),
            # With its Status the page says itself what is asked for, and by Draft nothing.
            calls=self.settings.notion_names["Status"] not in properties,
            request_key=f"notion:{event}:{page_id.hex}" if event else None,
            request_hash=page_id.hex,
        )
        if answer is not None:
            self.wake()
        return answer

    def _value(self, properties: Mapping[str, Any], name: str) -> str | None:
        try:
            value = read(properties.get(self.settings.notion_names[name]))
        except (AttributeError, LookupError, TypeError):  # in no form of Notion's
            return None
        if not isinstance(value, str):
            return None
        return plain_line(value)[:MAX_SUBJECT_CHARS]

    async def _may_be_ours(self, parent: Any) -> bool:
        """Whether a page with this parent may be a row of the database. The look makes sure."""
        if not isinstance(parent, dict):
            return True
        try:
            ids = ids_of_parent(parent)
        except ValueError:
            return False
        if not ids:
            return not parent
        configured = self.settings.notion_database_id or ""
        try:
            if database_id(configured) in ids:
                return True
        except NotAPage:
            return False
        known = await self.store.notion_source(configured)
        return known is None or not ids.isdisjoint(known)
