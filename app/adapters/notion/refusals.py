"""What Notion's refusals mean, in words for the owner of the database. Pure.

Sources: Notion's API, "Status codes", "Integration capabilities".
"""

from __future__ import annotations

import re

from app.errors import NotionRefused

CONNECTIONS = "notion.so/profile/integrations"
SHARE = "in Notion open it, then ••• → Connections, and add the connection there"
_LONGEST_QUOTE = 400  # characters of Notion's own words

# The property's name is all that stands before; or in quotes behind.
_NO_PROPERTY = (
    re.compile(r"(?P<property>.{1,100}) is not a property that exists"),
    re.compile(r"Could not find property with name or id:? \W?(?P<property>[^\"“”]{1,100})"),
)
_WRONG_TYPE = re.compile(r"(?P<property>.{1,100}) is expected to be (?P<kind>[a-z_]+)")
_IN_TRASH = re.compile(r"(?i)\barchived\b|\bin (?:the )?trash\b")
_NO_OPTION = re.compile(r"(?i)option \W?(?P<option>[^\"“”]{1,100}?)\W? does not exist")


def refusal(status: int, code: str, message: str, method: str, path: str) -> NotionRefused:
    """message: Notion's own. path: as after /v1/."""
    return NotionRefused(
        _explain(status, code, message, method, path), notion_code=code, notion_status=status
    )


def _explain(status: int, code: str, message: str, method: str, path: str) -> str:
    if status == 401:
        return (
            "Notion doesn't accept NOTION_API_TOKEN: it was revoked, or mistyped. Copy the "
            f"connection's secret from {CONNECTIONS} again and restart the service."
        )
    if status == 403:
        return (
            f"The Notion connection lacks the capability “{capability(method, path)}”: open it at "
            f"{CONNECTIONS}, tick that under Capabilities, and save."
        )
    if status == 404:
        return (
            f"Notion shows us no such {_thing(path)}: it was deleted, or isn't shared "
            f"with the connection ({SHARE})."
        )
    return _explain_invalid(message)


def capability(method: str, path: str) -> str:
    """The one that a request needs, as Notion's settings name it."""
    what, _, rest = path.partition("/")
    if what == "comments":
        return "Read comments" if method == "GET" else "Insert comments"
    if what == "users":
        return "Read user information"
    if method == "GET" or rest.endswith("query") or what == "search":
        return "Read content"
    if method == "PATCH" and not rest.endswith("children"):
        return "Update content"
    return "Insert content"


def _thing(path: str) -> str:
    what = path.partition("/")[0]
    return {"databases": "database", "data_sources": "data source", "blocks": "page or block"}.get(
        what, "page"
    )


def _explain_invalid(message: str) -> str:
    check = "`amazonsender notion check` says what to do"
    for pattern in _NO_PROPERTY:
        if found := pattern.search(message):
            return f"The property “{found['property']}” is missing in the Notion database: {check}."
    if found := _WRONG_TYPE.search(message):
        return (
            f"The property “{found['property']}” of the Notion database is of another type than "
            f"{found['kind']}: {check}."
        )
    if found := _NO_OPTION.search(message):
        return (
            f"The option “{found['option']}” is missing in the Notion database ({message[:200]}): "
            f"{check}."
        )
    if _IN_TRASH.search(message):
        return "It lies in Notion's trash: open Trash in the sidebar, find it there, and Restore."
    return f"Notion refuses a request: {message[:_LONGEST_QUOTE]}"
