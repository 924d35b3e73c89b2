"""The service: wiring and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
import structlog
from fastapi import FastAPI

from app import __version__
from app.adapters.job_store import JobStore
from app.adapters.ses import SesSender, sns_client
from app.adapters.sns import SnsConfirmer, SnsVerifier
from app.adapters.store import Store
from app.api import (
    dashboard,
    dashboard_access,
    dashboard_jobs,
    health,
    jobs,
    mailouts,
    metrics,
    preflight,
    problems,
    ses_events,
    subscribers,
    unsubscribe,
)
from app.api.body_limit import BodyLimit
from app.api.deps import Services
from app.api.request_log import RequestLog
from app.api.session import Sessions
from app.api.single_headers import SingleHeaders
from app.domain.tokens import UnsubscribeTokens
from app.errors import ConfigurationError
from app.metrics import Metrics
from app.runtime import open_database
from app.services.account import AccountMonitor
from app.services.cloudwatch import telling_cloudwatch
from app.services.dashboard import Dashboard
from app.services.database_gauges import DatabaseGauges
from app.services.dry_run import DryRuns, RunDryRun
from app.services.guards import Guards, guard_limits
from app.services.health import Health
from app.services.jobs.runner import JobRunner, Kind
from app.services.metered_ses import MeteredSes
from app.services.preflight import Preflight
from app.services.record_events import RecordEvents
from app.services.send_batch import BULK_CALLS, SINGLE_CALLS
from app.services.sender import Sender
from app.services.start_mailout import StartMailout, nobody_to_wake
from app.services.watchdog import SuppressionWatch, Watchdog
from app.settings import Settings

log = structlog.get_logger(__name__)

DESCRIPTION = """\
Sends one mailout from Postgres or Supabase through Amazon SES, never twice to anyone, never losing
anyone. Callers present the shared secret as `Authorization: Bearer …`, `X-Auth-Token: …`, or
`auth_token` in the body of `/send-mailout`."""


def create_app(services: Services) -> FastAPI:
    """The ASGI application over running services (see `running`)."""
    app = FastAPI(
        title="AmazonSender",
        version=__version__,
        description=DESCRIPTION,
        redirect_slashes=False,
    )
    app.state.services = services
    problems.install(app)
    app.add_middleware(ses_events.StraightToEvents)
    app.add_middleware(SingleHeaders)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLog)
    for router in (
        mailouts.router,
        mailouts.protected,
        preflight.router,
        subscribers.router,
        jobs.router,
        ses_events.router,
        unsubscribe.router,
        health.router,
        dashboard_access.router,
        dashboard.router,
        dashboard_jobs.router,
        metrics.router,
    ):
        app.include_router(router)
    return app


@asynccontextmanager
async def running(
    settings: Settings, *, with_sender: bool, stopping: asyncio.Event | None = None
) -> AsyncIterator[Services]:
    """Everything behind the routes, started; stopped in good order at the end.

    stopping: see open_database.
    """
    if not settings.executor_secrets:
        raise ConfigurationError(
            "EXECUTOR_SHARED_SECRET is not set: callers could not be told from strangers. Make one "
            'with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings, stopping=stopping))
        http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=False))
        store = Store(database)
        meters = Metrics()
        await stack.enter_async_context(telling_cloudwatch(settings, meters))
        sender, account = await stack.enter_async_context(
            sending(store, settings, meters, with_sender=with_sender)
        )
        start = StartMailout(store, settings, sender.wake if sender else nobody_to_wake)
        job_store = JobStore(database)
        runner = None
        if with_sender:
            kinds = job_kinds(store, settings, start)
            runner = await stack.enter_async_context(doing_jobs(JobRunner(job_store, kinds)))
        dry_runs = DryRuns(store, settings, start, runner.wake if runner else nobody_to_wake)
        watchdog = await stack.enter_async_context(watching(store))
        checks = Health(database, settings.missing_to_send(), account, sender, watchdog)
        pages = Dashboard(store, settings, checks)
        stack.push_async_callback(pages.close)
        yield Services(
            settings=settings,
            store=store,
            jobs=job_store,
            start_mailout=start,
            record_events=RecordEvents(store, Guards(store, guard_limits(settings)), meters),
            verifier=SnsVerifier(
                allowed_topic_arns=frozenset(settings.sns_allowed_topic_arns),
                sandbox_endpoint=settings.aws_endpoint_url_sns,
                http=http,
            ),
            confirmer=SnsConfirmer(partial(sns_client, settings)),
            tokens=(
                UnsubscribeTokens(settings.unsubscribe_secrets)
                if settings.unsubscribe_secrets
                else None
            ),
            health=checks,
            dry_runs=dry_runs,
            preflight=Preflight(store, settings),
            metrics=meters,
            database_gauges=DatabaseGauges(store, meters),
            sender=sender,
            watchdog=watchdog,
            dashboard=pages,
            sessions=Sessions(settings.executor_secrets, store),
        )


def job_kinds(store: Store, settings: Settings, start: StartMailout) -> list[Kind]:
    """Every kind of background job, and what does it."""
    return [Kind("dry_run", RunDryRun(store, settings, start).as_job, at_once=2)]


@asynccontextmanager
async def doing_jobs(runner: JobRunner) -> AsyncIterator[JobRunner]:
    """The runner of background jobs, as a task."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(stopping))
        try:
            yield runner
        finally:
            stopping.set()


@asynccontextmanager
async def watching(store: Store) -> AsyncIterator[Watchdog]:
    """The watchdog, as a task."""
    watchdog, stopping = Watchdog(store), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watchdog.run(stopping))
        try:
            yield watchdog
        finally:
            stopping.set()


@asynccontextmanager
async def sending(
    store: Store, settings: Settings, meters: Metrics, *, with_sender: bool
) -> AsyncIterator[tuple[Sender | None, AccountMonitor | None]]:
    """The sender and the watch over the SES account, as tasks, where sending is configured."""
    missing = settings.missing_to_send()
    if missing:
        log.warning("sending_not_configured", missing=missing)
        yield None, None
        return
    assert settings.aws_region is not None
    ses = await asyncio.to_thread(SesSender, settings, max_connections=BULK_CALLS + SINGLE_CALLS)
    sender = Sender(store, ses, settings, meters) if with_sender else None
    metered = MeteredSes(ses, meters)
    wake = sender.wake if sender else nobody_to_wake
    breaker = sender.breaker if sender else None
    account = AccountMonitor(store, metered, settings.aws_region, wake, breaker)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        watches = [
            group.create_task(account.run(stopping)),
            group.create_task(SuppressionWatch(store, metered, settings.aws_region).run(stopping)),
        ]
        if sender:
            group.create_task(sender.run())
        try:
            yield sender, account
        finally:
            stopping.set()
            for watch in watches:  # one may hang in a call to SES
                watch.cancel()
            if sender:
                sender.stop()
