"""`amazonsender doctor`: would sending work? The checks of a preflight, and the database's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from app.domain.reports.findings import Finding
from app.errors import AppError, ConfigurationError
from app.ports import Database
from app.services.checks.asking import Outside
from app.services.checks.database import check_database
from app.services.checks.pictures import keeps_pictures
from app.services.checks.preflight import Preflight, check_around
from app.services.checks.settings import (
    check_clients,
    check_settings,
    check_signup,
    check_unsubscribing,
)
from app.services.hooks.check import check_hooks
from app.services.notion.check import check_notion, check_notion_settings
from app.services.providers.check import check_fallback
from app.services.queues.check import (
    check_events_queue,
    check_rabbitmq,
    check_request_queue,
)
from app.services.telling.check import check_slack
from app.settings import Settings
from app.store import Store

DATABASE_SECONDS = 20.0

OpenDatabase = Callable[[Settings], AbstractAsyncContextManager[Database]]


async def examine(
    settings: Settings,
    mailout_id: UUID | None = None,
    *,
    links: bool = False,
    open_db: OpenDatabase,
    outside: Outside,
) -> list[Finding]:
    """All findings, in the order in which one would set things up; of a mailout, too, when it is
    named (links: and of its links). Sends and changes nothing, except that an embedded database is
    made and migrated.

    Raises MailoutNotFound.
    """
    database = await _check_database(settings, open_db)
    findings = [
        *check_settings(settings),
        *check_unsubscribing(settings),
        *check_signup(settings),
        *check_clients(settings),
        *database,
        *await check_around(settings, outside),
        *await check_fallback(outside.fallback(settings)),
        *await check_notion_part(settings, outside),
        *await _check_slack_part(settings, outside),
        *await check_queues_part(settings, outside),
    ]
    asked = mailout_id is not None or keeps_pictures(settings)
    if not asked or any(finding.level == "fail" for finding in database):
        return findings
    async with open_db(settings) as opened:
        preflight = Preflight(Store(opened), settings, outside)
        findings += await preflight.of_pictures()
        if mailout_id is not None:
            findings += await preflight.of_mailout(mailout_id, links=links)
    return findings


async def check_notion_part(settings: Settings, outside: Outside) -> list[Finding]:
    """Nothing where Notion isn't used."""
    if not settings.uses_notion or outside.notion is None:
        return list(check_notion_settings(settings))
    async with outside.notion(settings) as notion:
        return await check_notion(notion, settings)


async def _check_slack_part(settings: Settings, outside: Outside) -> list[Finding]:
    """Nothing where no Slack is to be told."""
    if not settings.uses_slack or outside.slack is None:
        return []
    async with outside.slack(settings) as slack:
        return await check_slack(slack, settings)


async def check_queues_part(settings: Settings, outside: Outside) -> list[Finding]:
    """Nothing for queues that aren't set."""
    findings: list[Finding] = []
    if settings.rabbitmq_url is not None and outside.broker is not None:
        findings += await check_rabbitmq(outside.broker(settings), settings.rabbitmq_url)
    if outside.sqs is not None:
        facts = outside.sqs(settings)
        if settings.sqs_queue_url:
            findings += await check_request_queue(facts, settings.sqs_queue_url)
        for url in settings.ses_events_queue_url:
            findings += await check_events_queue(facts, url, settings)
    return findings


async def _check_database(settings: Settings, open_db: OpenDatabase) -> list[Finding]:
    try:
        async with asyncio.timeout(DATABASE_SECONDS), open_db(settings) as database:
            store = Store(database)
            about = list(
                check_database(
                    await store.examine_database(), embedded=settings.uses_embedded_database
                )
            )
            about += check_hooks(await store.list_hooks())
    except TimeoutError:
        return [
            Finding(
                "fail",
                f"The database does not answer within {DATABASE_SECONDS:.0f} seconds.",
                "check that its address is right and that this machine may reach it.",
            )
        ]
    except ConfigurationError as exc:
        return [Finding("fail", exc.detail)]  # it names its remedy
    except AppError as exc:
        names = "DATABASE_URL" if settings.database_url else "SUPABASE_URL and its key"
        return [
            Finding(
                "fail",
                exc.detail,
                f"check {names}, and that the database runs and can be reached from here.",
            )
        ]
    if settings.uses_embedded_database:
        there = Finding(
            "warn",
            f"The embedded database in {settings.data_dir} is used.",
            "set DATABASE_URL, or SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, to use your own.",
        )
    else:
        there = Finding("ok", "The database answers and has the right tables and functions.")
    return [there, *about]
