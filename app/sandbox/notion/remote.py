"""A stand-in's control API as Python calls, for tests and the demo."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx

from app.domain.notion.database import making
from app.domain.notion.properties import PROPERTIES
from app.sandbox.notion.control import PREFIX

Content = Sequence[Mapping[str, Any] | str]


class NotionRemote:
    """What a person does is named as in the app; the rest are faults and webhooks.

    Raises RuntimeError with the stand-in's word when it can't be done.
    """

    url: str
    control: httpx.Client
    token: str
    database_id: str
    data_source_id: str

    def connect(self, url: str) -> None:
        self.url = url
        self.control = httpx.Client(base_url=url, trust_env=False, timeout=60)

    # What a person does

    def make_newsletters(self, **names: str) -> dict[str, str]:
        """The database that `notion init` makes, kept as `database_id` and `data_source_id`.
        names: what its properties are called instead."""
        ours = {each.name: names.get(each.name, each.name) for each in PROPERTIES}
        wanted = making.database(UUID(int=0), ours, "UTC")
        made = self.make_database(wanted["initial_data_source"]["properties"])
        self.database_id, self.data_source_id = made["database_id"], made["data_source_id"]
        return made

    def make_database(
        self, properties: Mapping[str, Any], title: str = "Newsletters", parent: str | None = None
    ) -> dict[str, str]:
        """{"database_id", "data_source_id"}."""
        found: dict[str, str] = self.person(
            "make_database", properties=dict(properties), title=title, parent=parent
        )
        return found

    def make_page(
        self,
        properties: Mapping[str, Any] | None = None,
        blocks: Content = (),
        parent: str | None = None,
        icon: str | None = None,
    ) -> str:
        """The id of a new row of the first database, or of a page in `parent`.

        properties: `{"Name": "June", "Status": "Draft", "Audience": ["spring"]}`. blocks: texts, or
        blocks in the API's shape, in which rich text may be a plain text and children stand inside
        or beside the type's object.
        """
        return str(
            self.person(
                "make_page",
                properties=dict(properties or {}),
                blocks=list(blocks),
                parent=parent,
                icon=icon,
            )
        )

    def set(self, page: str, properties: Mapping[str, Any] | None = None, **more: Any) -> None:
        """`notion.set(page, Status="Send")`; None empties a property."""
        self.person("set", page=page, properties={**(properties or {}), **more})

    def values(self, page: str) -> dict[str, Any]:
        """What a person reads in the row: texts, numbers, the names of options."""
        found: dict[str, Any] = self.person("values", page=page)
        return found

    def page(self, page: str) -> dict[str, Any]:
        """As the API answers it."""
        found: dict[str, Any] = self.person("page", page=page)
        return found

    def rows(self, source: str | None = None) -> list[str]:
        return list(self.person("rows", source=source))

    def append(self, parent: str, blocks: Content, after: str | None = None) -> list[str]:
        """The ids of the new blocks."""
        return list(self.person("append", parent=parent, blocks=list(blocks), after=after))

    def edit_block(self, block: str, content: Mapping[str, Any] | str) -> None:
        self.person("edit_block", block=block, content=content)

    def delete_block(self, block: str) -> None:
        self.person("delete_block", block=block)

    def blocks(self, page: str) -> list[dict[str, Any]]:
        return list(self.person("blocks", page=page))

    def upload(self, name: str, content: bytes, content_type: str) -> dict[str, Any]:
        """A file kept by Notion: `{"type": "image", "image": notion.upload(…)}`."""
        found: dict[str, Any] = self.person(
            "upload",
            name=name,
            content=base64.b64encode(content).decode(),
            content_type=content_type,
        )
        return found

    def trash(self, page: str) -> None:
        self.person("trash", page=page)

    def restore(self, page: str) -> None:
        self.person("restore", page=page)

    def lock(self, page: str, locked: bool = True) -> None:
        self.person("lock", page=page, locked=locked)

    def move(self, page: str, to: str | None = None) -> None:
        self.person("move", page=page, to=to)

    def duplicate(self, page: str) -> str:
        return str(self.person("duplicate", page=page))

    def share(self, thing: str, shared: bool | None = True) -> None:
        self.person("share", thing=thing, shared=shared)

    def comment(self, on: str, text: str, discussion_id: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.person(
            "comment", on=on, text=text, discussion_id=discussion_id
        )
        return found

    def comments(self, on: str) -> list[dict[str, Any]]:
        return list(self.person("comments", on=on))

    def rename_property(self, old: str, new: str, source: str | None = None) -> None:
        self.person("change_schema", properties={old: {"name": new}}, source=source)

    def change_schema(self, properties: Mapping[str, Any], source: str | None = None) -> None:
        """A null removes a property."""
        self.person("change_schema", properties=dict(properties), source=source)

    # Faults

    def reset(self) -> None:
        self.act("reset")

    def fail(self, status: int = 429, times: int | None = None, **more: Any) -> None:
        """Answer `status` `times` times, or until `heal`. more: see guard.Fault."""
        self.act("fail", status=status, times=times, **more)

    def heal(self) -> None:
        self.act("heal")

    def revoke_token(self) -> None:
        self.act("revoke_token")

    def capabilities(self, *, without: Sequence[str]) -> None:
        self.act("capabilities", without=list(without))

    def expire_files(self) -> None:
        """Every file address that was answered until now is dead."""
        self.act("expire_files")

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """What the API was asked, the oldest first: method, path, query, body, status."""
        return [
            asked
            for asked in self.act("requests")
            if method in ("", asked["method"]) and asked["path"].startswith(path)
        ]

    def forget_requests(self) -> None:
        self.act("forget_requests")

    # Webhooks

    def subscribe(self, url: str, token: str | None = None) -> str:
        """Post the verification token to `url`, then paste it back; gives the token."""
        told = self.act("subscribe", url=url, token=token)
        self.act("verify", token=told["token"])
        return str(told["token"])

    def automation(self, url: str, headers: Mapping[str, str], **more: Any) -> str:
        """A "Send webhook" action. more: property, values, properties (see webhooks.Automation)."""
        return str(self.act("automation", url=url, headers=dict(headers), **more))

    def hold_webhooks(self) -> None:
        self.act("hold_webhooks")

    def release_webhooks(self, **how: Any) -> int:
        """how: drop (a share), double, shuffle, seed."""
        return int(self.act("release_webhooks", **how))

    def settle_webhooks(self) -> list[dict[str, Any]]:
        """Wait until none is under way; what was posted: type, attempts, answer, body."""
        return list(self.act("settle_webhooks"))

    # Calling

    def person(self, act: str, **arguments: Any) -> Any:
        return self.act(f"person/{act}", **arguments)

    def act(self, act: str, **arguments: Any) -> Any:
        response = self.control.post(f"{PREFIX}/{act}", json=arguments)
        if response.is_error:
            raise RuntimeError(response.text)
        return response.json()["result"]
