"""The sender and the background jobs: wiring, and none of HTTP, so that a process that does the
work starts without it and doesn't carry it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from app.adapters.aws.ses import SesSender
from app.adapters.database.postgres import PostgresDatabase
from app.adapters.providers import fallback_senders
from app.errors import ConfigurationError
from app.hooks import hook_work
from app.notion import notion_work
from app.outside import slack_way, watch_domains
from app.ports import Database, FallbackSender
from app.queues import queue_work
from app.running.loops import Loops
from app.services.domains.watch import WatchDomains
from app.services.engagement.judge_recipients import JudgeRecipients
from app.services.imports.run_import import RunImport, import_kinds
from app.services.jobs.runner import JobRunner, Kind
from app.services.pacing.keep import KeepPacing
from app.services.people.many import ChangeMany
from app.services.rendering.renderer import RENDERER
from app.services.sending.routes import Outlet
from app.services.sending.send_batch import FAST_BULK_CALLS, SINGLE_CALLS
from app.services.sending.sender import Sender
from app.services.sending.sender_report import SenderReport
from app.services.starting.dry_run import RunDryRun
from app.services.starting.start_mailout import StartMailout
from app.services.telling.slack import TellSlack
from app.services.telling.slack_news import TellSlackNews
from app.services.watching.find_work import FindWork
from app.services.watching.watchdog import SuppressionWatch
from app.settings import Settings
from app.standing import standing_work
from app.store import Store
from app.store.jobs import JobStore
from app.telemetry.metered_ses import MeteredSes
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


def require_secrets(settings: Settings) -> None:
    """Raises ConfigurationError when no shared secret is set, since anybody could start mailouts
    then.
    """
    if not settings.executor_secrets:
        raise ConfigurationError(
            "EXECUTOR_SHARED_SECRET is not set: callers could not be told from strangers. Make one "
            'with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
        )


@dataclass(frozen=True)
class Work:
    """sender: None where sending is not configured."""

    sender: Sender | None
    jobs: JobRunner


def job_kinds(store: Store, settings: Settings) -> list[Kind]:
    """Every kind of background job, and what does it."""
    start = StartMailout(store, settings)
    return [
        Kind("dry_run", RunDryRun(store, settings, start).as_job, at_once=2),
        *import_kinds(RunImport(store)),
        Kind("change_people", ChangeMany(store).as_job),
    ]


def outlets_of(settings: Settings) -> list[Outlet]:
    """Where mail leaves, the preferred one first. Reads AWS's files: call it in a thread."""
    connections = FAST_BULK_CALLS + SINGLE_CALLS
    return [
        Outlet(region, SesSender(settings, region, max_connections=connections))
        for region in settings.ses_regions
    ]


@asynccontextmanager
async def telling_slack(
    store: Store, settings: Settings, meters: Metrics, loops: Loops
) -> AsyncIterator[None]:
    """Nothing where no Slack is to be told."""
    if not settings.uses_slack:
        yield
        return
    async with slack_way(settings) as slack:
        TellSlack(store, slack, settings, meters).start(loops)
        TellSlackNews(store, slack, settings.app_base_url).start(loops)
        yield


@asynccontextmanager
async def working(
    database: Database, settings: Settings, meters: Metrics, service_id: UUID, loops: Loops
) -> AsyncIterator[Work]:
    """Start the sender and the background jobs, which no request waits for, each in loops.

    loops: this process's. The sender has loops of its own, so that at a stop it can still record
    the results of calls under way.
    """
    store = Store(database)
    async with (
        notion_work(store, settings, meters) as notion,
        telling_slack(store, settings, meters, loops),
        hook_work(store, settings, meters) as hooks,
        queue_work(store, settings, meters) as queues,
    ):
        hooks.start(loops)
        looks = await asyncio.to_thread(standing_work, store, settings)
        kinds = [*job_kinds(store, settings), *(notion.kinds if notion else ())]
        if looks:
            kinds.append(looks.kind)
        jobs = JobRunner(JobStore(database), kinds)
        jobs.start(loops)
        JudgeRecipients(store, settings).start(loops)
        if notion:
            notion.start(loops)
        queues.start(loops)
        if looks:
            looks.start(loops, jobs.wake)
        sender: Sender | None = None
        domains: WatchDomains | None = None
        providers: Sequence[FallbackSender] = ()
        if missing := settings.missing_to_send():
            log.warning("sending_not_configured", missing=missing)
        else:
            outlets = await asyncio.to_thread(outlets_of, settings)
            providers = fallback_senders(settings, max_connections=FAST_BULK_CALLS + SINGLE_CALLS)
            sender = Sender(store, outlets, settings, meters, providers, resting=loops.resting)
            for route in sender.routes:
                route.account.start(loops)
            one = len(outlets) == 1
            for outlet in outlets:
                watch = SuppressionWatch(
                    store, MeteredSes(outlet.ses, meters, outlet.name), outlet.name
                )
                watch.start(loops, "suppression" if one else f"suppression {outlet.name}")
            KeepPacing(store, settings).start(loops)
            accounts = {outlet.name: outlet.ses for outlet in outlets}
            domains = await asyncio.to_thread(watch_domains, store, settings, accounts)
            if domains:
                domains.start(loops)
            SenderReport(store, sender, meters, service_id, loops).start(loops)
            sender.start()
        if loops.resting is not None:
            # Supabase's API tells nothing by itself.
            listen = database.listen if isinstance(database, PostgresDatabase) else None
            # What renders takes half a second to start: it begins while the start is still checked.
            FindWork(store, loops.resting, listen, get_ready=RENDERER.start).start(loops)
        try:
            yield Work(sender, jobs)
        finally:
            if sender:
                sender.stop()
            queues.stop()
            await loops.close()
            await queues.close()
            await jobs.close()
            await hooks.close()
            if domains:
                domains.close()
            if sender:
                await sender.close()
            for provider in providers:
                provider.close()
