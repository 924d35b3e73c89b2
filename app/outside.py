"""How the service and the command line ask AWS and the web when they check their set-up: wiring."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

from botocore.exceptions import BotoCoreError

from app.adapters.aws.ses import SesSender, sns_client
from app.adapters.aws.sqs.facts import SqsFacts
from app.adapters.aws.topics import SnsTopics
from app.adapters.notion.client import NotionApi
from app.adapters.notion.pace import PER_SECOND
from app.adapters.providers import fallback_senders
from app.adapters.slack.client import SlackBot, SlackWebhook
from app.domain.content.links import is_local
from app.domain.reports.findings import Finding
from app.errors import Unavailable
from app.keeping import shelf_at
from app.ports import Broker, Dns, SesAccount
from app.runtime import open_database
from app.services.checks import doctor
from app.services.checks.asking import Outside
from app.services.domains.watch import WatchDomains
from app.services.sending.account import refresh_account
from app.settings import Settings
from app.store import Store


def ses_account(settings: Settings) -> SesSender:
    """Raises Unavailable when botocore refuses its configuration, such as an unknown profile."""
    try:
        return SesSender(settings, settings.home, max_connections=1)
    except BotoCoreError as exc:
        raise Unavailable(f"SES can't be asked: {exc}") from exc


def sns_topics(settings: Settings) -> SnsTopics:
    return SnsTopics(partial(sns_client, settings))


STAND_IN_PER_SECOND = 500.0
"""Requests, where NOTION_API_URL names a stand-in on this machine."""


def notion_api(settings: Settings) -> NotionApi:
    """To be opened once for a process, so that all its requests keep one pace; NOTION_API_TOKEN is
    set."""
    assert settings.notion_api_token is not None
    at_home = is_local(urlsplit(settings.notion_api_url).hostname or "")
    return NotionApi(
        settings.notion_api_token.get_secret_value(),
        settings.notion_api_url,
        per_second=STAND_IN_PER_SECOND if at_home else PER_SECOND,
    )


def slack_way(settings: Settings) -> SlackBot | SlackWebhook:
    """To be opened once for a process; SLACK_BOT_TOKEN or SLACK_WEBHOOK_URL is set. A bot goes
    before a webhook, since it can do more."""
    if settings.slack_bot_token and settings.slack_channel:
        return SlackBot(settings.slack_bot_token, settings.slack_channel, settings.slack_api_url)
    assert settings.slack_webhook_url is not None
    return SlackWebhook(settings.slack_webhook_url)


def dns_resolver(settings: Settings) -> Dns | None:
    """None where DNS_RESOLVERS is not set. The library takes a third of a second to load, so it is
    only where it is used."""
    if not settings.dns_resolvers:
        return None
    from app.adapters.dns.resolver import DnsResolver

    return DnsResolver(settings.dns_resolvers)


def rabbit_broker(settings: Settings) -> Broker:
    """RABBITMQ_URL is set."""
    # Imported here because most installations don't need it.
    from app.adapters.rabbitmq.look import RabbitBroker

    assert settings.rabbitmq_url is not None
    return RabbitBroker(settings.rabbitmq_url, settings.rabbitmq_queue)


def watch_domains(
    store: Store, settings: Settings, regions: Mapping[str, SesAccount]
) -> WatchDomains | None:
    """None where DNS_RESOLVERS is not set. Loads a library: call it in a thread."""
    dns = dns_resolver(settings)
    if dns is None:
        return None
    providers = fallback_senders(settings, max_connections=1)
    return WatchDomains(store, regions, dns, settings, providers=providers)


OUTSIDE = Outside(
    ses_account,
    sns_topics,
    notion=notion_api,
    slack=slack_way,
    dns=dns_resolver,
    shelf=shelf_at,
    fallback=partial(fallback_senders, max_connections=1),
    broker=rabbit_broker,
    sqs=SqsFacts,
)


async def examine(
    settings: Settings,
    mailout_id: UUID | None = None,
    *,
    links: bool = False,
    open_db: doctor.OpenDatabase = open_database,
    outside: Outside = OUTSIDE,
) -> list[Finding]:
    """What `amazonsender doctor` finds (services/checks/doctor.py). Raises MailoutNotFound."""
    return await doctor.examine(settings, mailout_id, links=links, open_db=open_db, outside=outside)


async def ask_account(store: Store, settings: Settings) -> None:
    """Ask SES for the account once, in each region, and record its answers. Raises Unavailable when
    one can't be asked."""
    if not settings.ses_regions:
        raise Unavailable("AWS_REGION is not set.")
    for region in settings.ses_regions:
        source = await asyncio.to_thread(ses_account, settings.of_region(region))
        await refresh_account(store, region.name, source)
