"""Calls the functions of `migrations/functions/` by name; method, function and file share it.

Rows become dataclasses here, so the services don't know how the database was reached. One module
per subject.
"""

from __future__ import annotations

from app.store.access import AccessCalls
from app.store.assets import AssetCalls
from app.store.audience import AudienceCalls
from app.store.domains import DomainCalls
from app.store.drafts import DraftCalls
from app.store.dry_runs import DryRunCalls
from app.store.engagement.judging import EngagementCalls
from app.store.events import EventCalls
from app.store.fallback.calls import FallbackCalls
from app.store.hooks.deliveries import HookDeliveryCalls
from app.store.hooks.hooks import HookCalls
from app.store.hooks.subscribing import HookSubscribingCalls
from app.store.imports import ImportCalls
from app.store.mailouts import MailoutCalls
from app.store.notion.rows import NotionRowCalls
from app.store.notion.talk import NotionTalkCalls
from app.store.notion.writes import NotionWriteCalls
from app.store.pacing import PacingCalls
from app.store.people import PeopleCalls
from app.store.readership.calls import ReadershipCalls
from app.store.reports import ReportCalls
from app.store.retention.calls import RetentionCalls
from app.store.sending import SendingCalls
from app.store.signup import SignupCalls
from app.store.standing import StandingCalls
from app.store.subscribers import SubscriberCalls
from app.store.telling.news import NewsCalls
from app.store.telling.slack import SlackCalls
from app.store.templates import TemplateCalls

__all__ = ["Store"]


class Store(
    MailoutCalls,
    DraftCalls,
    DryRunCalls,
    SendingCalls,
    FallbackCalls,
    EventCalls,
    EngagementCalls,
    SubscriberCalls,
    ImportCalls,
    SignupCalls,
    PacingCalls,
    PeopleCalls,
    ReadershipCalls,
    ReportCalls,
    RetentionCalls,
    AccessCalls,
    TemplateCalls,
    AudienceCalls,
    NotionWriteCalls,
    NotionTalkCalls,
    NotionRowCalls,
    AssetCalls,
    DomainCalls,
    HookCalls,
    HookDeliveryCalls,
    SlackCalls,
    NewsCalls,
    StandingCalls,
    HookSubscribingCalls,
):
    """All parts of the store, over one `Database`."""
