"""Refusals as Notion words them (developers.notion.com, "Status codes")."""

from __future__ import annotations

import json
from typing import Any


class NotionError(Exception):
    """A refusal on the wire. more: `additional_data`. headers: of the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.more = headers or {}, more


def invalid(message: str) -> NotionError:
    return NotionError(400, "validation_error", message)


def misshapen(path: str, should: str, was: Any = ...) -> NotionError:
    """A member of the request that isn't as it should be; path: `body.properties.Name`."""
    root = path.partition(".")[0]
    shown = "undefined" if was is ... else json.dumps(was, ensure_ascii=False)
    if len(shown) > 200:
        shown = f"{shown[:200]}…"
    return invalid(f"{root} failed validation: {path} should be {should}, instead was `{shown}`.")


def not_found(kind: str, thing_id: str) -> NotionError:
    return NotionError(
        404,
        "object_not_found",
        f"Could not find {kind} with ID: {thing_id}. Make sure the relevant pages and databases "
        'are shared with your integration "AmazonSender".',
    )


def restricted() -> NotionError:
    return NotionError(403, "restricted_resource", "Insufficient permissions for this endpoint.")


def unauthorized() -> NotionError:
    return NotionError(401, "unauthorized", "API token is invalid.")


def in_trash() -> NotionError:
    return invalid(
        "Can't edit block that is archived. You must unarchive the block before editing."
    )
