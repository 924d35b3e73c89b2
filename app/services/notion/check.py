"""`amazonsender notion check`, also a part of `doctor`: would newsletters from Notion work?"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import UUID

from app.domain.content.links import is_local
from app.domain.notion.database.drift import drift
from app.domain.notion.schema import Schema
from app.domain.reports.findings import Finding
from app.errors import ConfigurationError, NotionAway, NotionRefused
from app.ports import NotionBuilder
from app.services.notion.capabilities import check_capabilities
from app.services.notion.workspace import find_place
from app.settings import Settings

HOW_TO_CONNECT = (
    "make a connection at notion.so/profile/integrations (New connection, of type Internal) and "
    "put its secret into NOTION_API_TOKEN."
)


NO_TEST_EMAILS = Finding(
    "warn",
    "TEST_EMAILS is empty, so “Send test” has nobody to send to.",
    "set it to your own address in .env, and restart.",
)


def check_notion_settings(settings: Settings) -> Iterator[Finding]:
    """Nothing where Notion isn't used at all, or is set up."""
    if settings.notion_database_id and not settings.notion_api_token:
        yield Finding(
            "fail", "NOTION_DATABASE_ID is set, and NOTION_API_TOKEN is not.", HOW_TO_CONNECT
        )
    if settings.notion_api_token and not settings.notion_database_id:
        yield Finding(
            "fail",
            "NOTION_API_TOKEN is set, and NOTION_DATABASE_ID is not.",
            "run `amazonsender notion init --parent PAGE`, which makes the database, or set it to "
            "the link of one that you have.",
        )


async def check_notion(notion: NotionBuilder, settings: Settings) -> list[Finding]:
    """settings: both of NOTION_API_TOKEN and NOTION_DATABASE_ID are set. Changes nothing."""
    findings: list[Finding] = []
    try:
        findings += _where(await notion.me(), settings)
        findings += await _check_database(notion, settings)
        findings += await check_capabilities(notion)
    except NotionAway as exc:
        findings.append(Finding("warn", exc.detail, "check again in a while."))
    except (NotionRefused, ConfigurationError) as exc:
        findings.append(Finding("fail", exc.detail))  # it names its remedy
    if not settings.test_emails:
        findings.append(NO_TEST_EMAILS)
    return [*findings, *check_ways_in(settings)]


def _where(me: dict[str, object], settings: Settings) -> Iterator[Finding]:
    if _is_stand_in(settings):
        yield Finding(
            "warn",
            f"Rows are read from {settings.notion_api_url}, not from Notion.",
            "remove NOTION_API_URL to use your Notion.",
        )
    bot = me.get("bot")
    workspace = bot.get("workspace_name") if isinstance(bot, dict) else None
    there = f" of the workspace “{workspace}”" if workspace else ""
    yield Finding("ok", f"Notion answers. We are the connection “{me.get('name')}”{there}.")


def _is_stand_in(settings: Settings) -> bool:
    return is_local(urlsplit(settings.notion_api_url).hostname or "")


async def _check_database(notion: NotionBuilder, settings: Settings) -> list[Finding]:
    place = await find_place(notion, settings.notion_database_id or "")
    source = await notion.data_source(place.data_source_id)
    whole = await _is_in_trash(notion, place.database_id)
    if whole or source.get("in_trash") or source.get("archived"):
        return [
            Finding(
                "fail",
                "The Notion database lies in the trash.",
                "in Notion open Trash in the sidebar, find it there, and click Restore.",
            )
        ]
    return list(drift(Schema.from_api(source, settings.notion_names)))


async def _is_in_trash(notion: NotionBuilder, database_id: UUID | None) -> bool:
    if database_id is None:
        return False
    database = await notion.database(database_id)
    return bool(database.get("in_trash") or database.get("archived"))


def check_ways_in(settings: Settings) -> Iterator[Finding]:
    """How we learn that somebody set a Status."""
    pace = f"{settings.notion_poll_seconds:g} s"
    local = is_local(urlsplit(settings.app_base_url).hostname or "")
    if local and not _is_stand_in(settings):
        yield Finding(
            "warn" if settings.notion_webhook_verification_token else "ok",
            f"Notion can't reach APP_BASE_URL ({settings.app_base_url}), so no webhook of it "
            f"arrives. The rows are looked at every {pace}.",
            "set APP_BASE_URL to the service's public https address to answer sooner."
            if settings.notion_webhook_verification_token
            else "",
        )
    elif settings.notion_webhook_verification_token:
        yield Finding("ok", f"Notion's events are taken at {settings.app_base_url}/notion-events.")
    else:
        yield Finding(
            "ok",
            "NOTION_WEBHOOK_VERIFICATION_TOKEN isn't set, so Notion's events aren't taken. The "
            f"rows are looked at every {pace}; commands in comments, too.",
        )
