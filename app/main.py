"""The service: wiring and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
import structlog
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app import __version__
from app.adapters.aws.ses import sns_client
from app.adapters.aws.sns import SnsConfirmer, SnsVerifier
from app.adapters.database.migrations import check_schema
from app.api import (
    access,
    assets,
    export,
    health,
    jobs,
    mail_templates,
    metrics,
    notion_events,
    ses_events,
    standing,
    subscribers,
    unsubscribe,
)
from app.api.audience import audience, segments
from app.api.dashboard import access as dashboard_access
from app.api.dashboard import account as dashboard_account
from app.api.dashboard import audit as dashboard_audit
from app.api.dashboard import designs as dashboard_designs
from app.api.dashboard import domain as dashboard_domain
from app.api.dashboard import imports as dashboard_imports
from app.api.dashboard import jobs as dashboard_jobs
from app.api.dashboard import keys as dashboard_keys
from app.api.dashboard import notion as dashboard_notion
from app.api.dashboard import people as dashboard_people
from app.api.dashboard import slack as dashboard_slack
from app.api.dashboard import standing as dashboard_standing
from app.api.dashboard.audience import pages as dashboard_audience
from app.api.dashboard.engagement import links as dashboard_link_map
from app.api.dashboard.engagement import mailout as dashboard_engagement
from app.api.dashboard.fallback import pages as dashboard_fallback
from app.api.dashboard.hooks import acts as dashboard_hook_acts
from app.api.dashboard.hooks import pages as dashboard_hooks
from app.api.dashboard.mailouts import audience as dashboard_audience_of
from app.api.dashboard.mailouts import listing as dashboard_mailouts
from app.api.dashboard.mailouts import overview as dashboard_overview
from app.api.dashboard.mailouts import previews as dashboard_previews
from app.api.dashboard.mailouts import recipients as dashboard_recipients
from app.api.dashboard.mailouts import releasing as dashboard_releasing
from app.api.dashboard.mailouts import scheduling as dashboard_scheduling
from app.api.dashboard.mailouts import steer as dashboard_steer
from app.api.dashboard.mailouts import testing as dashboard_testing
from app.api.dashboard.mailouts import writing as dashboard_writing
from app.api.dashboard.pacing import warmup as dashboard_warmup
from app.api.dashboard.readership import engagement as dashboard_readership
from app.api.dashboard.readership import why as dashboard_why
from app.api.dashboard.session import Sessions
from app.api.hooks import routes as hooks
from app.api.http import description, problems
from app.api.http.body_limit import BodyLimit
from app.api.http.deps import Services
from app.api.http.request_log import RequestLog
from app.api.http.responses import NoSniffing
from app.api.http.single_headers import SingleHeaders
from app.api.imports import routes as imports
from app.api.mailouts import (
    drafts,
    engagement,
    lists,
    preflight,
    previews,
    schedules,
    starting,
    steering,
    testing,
)
from app.api.pacing import routes as pacing
from app.api.providers import events as provider_events
from app.api.providers import fallback
from app.api.readership import engagement as readership
from app.api.readership import why
from app.api.reference import page as reference
from app.api.signup import confirm, subscribe
from app.api.strangers.refusing import RefusalLimit
from app.domain.tokens import UnsubscribeTokens
from app.keeping import shelf_at
from app.outside import OUTSIDE
from app.processes.member import Member
from app.running.loops import Loops
from app.running.resting import Resting
from app.runtime import open_database
from app.services.access.keys import Keys
from app.services.access.sign_ins import SignIns
from app.services.assets.serve import ServePictures
from app.services.audience.segments import Segments
from app.services.checks.preflight import Preflight
from app.services.dashboard.views import Dashboard
from app.services.drafts.drafts import Drafts
from app.services.drafts.subjects import Subjects
from app.services.engagement.reports import EngagementReports
from app.services.hooks.hooks import Hooks
from app.services.imports.imports import Imports
from app.services.notion.rows.asking import AskRow
from app.services.notion.webhook import NotionWebhook
from app.services.people.many import ManyPeople
from app.services.preview.preview import Preview
from app.services.providers.fallback import Fallback
from app.services.providers.webhooks import ProviderWebhooks
from app.services.rendering.renderer import RENDERER
from app.services.sending.pausing import Guards, guard_limits
from app.services.signup.sign_up import SignUp
from app.services.starting.dry_run import DryRuns
from app.services.starting.orders import CarryOut
from app.services.starting.schedule_mailout import ScheduleMailout
from app.services.starting.start_mailout import StartMailout, nobody_to_wake
from app.services.templates.templates import Templates
from app.services.watching.health import Health
from app.services.watching.record_events import RecordEvents
from app.services.watching.take_message import TakeMessage
from app.services.watching.watchdog import Watchdog
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore
from app.telemetry.cloudwatch import telling_cloudwatch
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.log_bounds import LINES, WINDOW_SECONDS
from app.working import require_secrets, working

log = structlog.get_logger(__name__)

RENDERER_SECONDS = 2.0
"""After the start, what renders is started, so that the first request for it needn't wait."""

DESCRIPTION = """\
Sends one mailout from Postgres or Supabase through Amazon SES, never twice to anyone, never losing
anyone. Callers present the shared secret, or an API key with the scope that an operation names, as
`Authorization: Bearer …`, `X-Auth-Token: …`, or `auth_token` in the body of `/send-mailout`."""


class _Application(FastAPI):
    """Nearly all that a large mailout's readers cause are events: they go before the framework."""

    usual_events: ses_events.UsualEvents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.usual_events(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


def create_app(services: Services) -> FastAPI:
    """The ASGI application over running services (see `running`); without, it can be described."""
    is_described = not services or services.settings.api_docs
    app = _Application(
        title="AmazonSender",
        version=__version__,
        description=DESCRIPTION,
        redirect_slashes=False,
        openapi_url=None,  # nor FastAPI's pages of it, which run a script from elsewhere
    )
    app.state.services = services
    app.usual_events = ses_events.UsualEvents(app.framework, services)
    problems.install(app)
    description.install(app)
    if is_described:
        reference.install(app)
    app.add_middleware(ses_events.StraightToEvents)
    app.add_middleware(SingleHeaders)
    app.add_middleware(RefusalLimit, services=services)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLog)
    app.add_middleware(NoSniffing)
    for router in (
        starting.router,
        lists.router,
        why.router,
        drafts.router,
        steering.router,
        testing.router,
        schedules.router,
        previews.router,
        preflight.router,
        engagement.router,
        imports.router,
        export.router,
        readership.router,
        standing.router,
        subscribers.filtered,
        subscribers.router,
        audience.router,
        segments.router,
        jobs.router,
        mail_templates.router,
        access.router,
        hooks.router,
        pacing.router,
        ses_events.router,
        notion_events.router,
        provider_events.router,
        fallback.router,
        assets.router,
        unsubscribe.router,
        subscribe.router,
        confirm.router,
        health.router,
        dashboard_access.router,
        dashboard_account.router,
        dashboard_warmup.router,
        dashboard_domain.router,
        dashboard_standing.router,
        dashboard_mailouts.router,
        dashboard_writing.router,
        dashboard_overview.router,
        dashboard_audience_of.router,
        dashboard_testing.router,
        dashboard_previews.router,
        dashboard_releasing.router,
        dashboard_scheduling.router,
        dashboard_recipients.router,
        dashboard_engagement.router,
        dashboard_link_map.router,
        dashboard_why.router,
        dashboard_steer.router,
        dashboard_designs.router,
        dashboard_imports.router,
        dashboard_jobs.router,
        dashboard_keys.router,
        dashboard_hook_acts.new,
        dashboard_hooks.router,
        dashboard_hook_acts.router,
        dashboard_audit.router,
        dashboard_notion.router,
        dashboard_slack.router,
        dashboard_fallback.router,
        dashboard_audience.router,
        dashboard_readership.router,
        dashboard_people.router,
        metrics.router,
    ):
        # Not include_router, which analyses each route's signature a second time, for a prefix or
        # dependencies of its own (there are none), when the first request comes.
        app.router.routes.extend(router.routes)
    return app


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    with_sender: bool,
    stopping: asyncio.Event | None = None,
    member: Member | None = None,
) -> AsyncIterator[Services]:
    """Start everything that the routes need, and stop it in good order at the end.

    with_sender: this process also sends and does the jobs. stopping: see open_database. member:
    None where there is no supervisor.
    """
    require_secrets(settings)
    member = member or Member()
    async with AsyncExitStack() as stack:
        # Not at once, when all begin and the processor has enough to do; whoever needs it before
        # starts it.
        prepare = asyncio.get_running_loop().call_later(RENDERER_SECONDS, RENDERER.start)
        stack.callback(prepare.cancel)
        database = await stack.enter_async_context(open_database(settings, stopping=stopping))
        http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=False))
        store = Store(database)
        await store.tell_timezone(settings.timezone)
        meters = member.metrics(settings.region_names)
        loops = await stack.enter_async_context(Loops(resting=Resting()))
        if not member.is_supervised:
            await stack.enter_async_context(telling_cloudwatch(settings, meters, loops))
        work = None
        if with_sender:
            work = await stack.enter_async_context(
                working(database, settings, meters, member.service_id, loops)
            )
        sender = work.sender if work else None
        start = StartMailout(store, settings, sender.wake if sender else nobody_to_wake)
        dry_runs = DryRuns(store, settings, start, work.jobs.wake if work else nobody_to_wake)
        schedules = ScheduleMailout(store, settings, start)
        preflights = Preflight(store, settings, OUTSIDE)
        watchdog = Watchdog(store)
        watchdog.start(loops)
        loops.start("log", LINES.tell, WINDOW_SECONDS, first_after=WINDOW_SECONDS)
        stack.push_async_callback(LINES.tell)
        has_sender = with_sender or member.is_supervised
        checks = Health(
            partial(check_schema, database),
            store,
            settings,
            watchdog,
            service_id=member.service_id if has_sender else None,
            board=member.board,
            loops=loops,
        )
        subjects = Subjects(store)
        pages = Dashboard(store, settings, checks, subjects)
        stack.push_async_callback(pages.close)
        engagement_reports = EngagementReports(store, subjects)
        stack.push_async_callback(engagement_reports.close)
        record_events = RecordEvents(store, Guards(store, guard_limits(settings)), meters)
        yield Services(
            settings=settings,
            store=store,
            segments=Segments(store),
            jobs=JobStore(database),
            imports=Imports(store, work.jobs.wake if work else nobody_to_wake),
            start_mailout=start,
            carry_out=CarryOut(
                settings,
                start,
                dry_runs,
                AskRow(store, settings, work.jobs.wake if work else nobody_to_wake),
            ),
            record_events=record_events,
            provider_webhooks=ProviderWebhooks(store, record_events, settings),
            fallback=Fallback(store, settings),
            verifier=SnsVerifier(
                allowed_topic_arns=frozenset(settings.sns_allowed_topic_arns),
                sandbox_endpoint=settings.sns_endpoint,
                http=http,
            ),
            notion_webhook=NotionWebhook(store, settings),
            take_message=TakeMessage(
                store, record_events, SnsConfirmer(partial(sns_client, settings))
            ),
            tokens=(
                UnsubscribeTokens(settings.unsubscribe_secrets)
                if settings.unsubscribe_secrets
                else None
            ),
            health=checks,
            dry_runs=dry_runs,
            schedules=schedules,
            preview=Preview(store, settings),
            preflight=preflights,
            drafts=Drafts(store, settings, preflights, schedules),
            subjects=subjects,
            engagement_reports=engagement_reports,
            metrics=meters,
            database_gauges=DatabaseGauges(store, meters),
            sender=sender,
            watchdog=watchdog,
            dashboard=pages,
            sessions=Sessions(settings.executor_secrets, store),
            many_people=ManyPeople(store, work.jobs.wake if work else nobody_to_wake),
            keys=Keys(store),
            hooks=Hooks(store, settings),
            sign_ins=SignIns(store),
            sign_up=SignUp(store, settings),
            templates=Templates(store, settings),
            pictures=ServePictures(store, partial(shelf_at, settings)),
        )
