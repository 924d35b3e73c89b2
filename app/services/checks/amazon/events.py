"""Do events of bounces, complaints and deliveries arrive here? A finding each, with its remedy.

Source: the SES developer guide's page "Set up event publishing"; the SNS developer guide's page
"Fanout to HTTP/S endpoints".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from app.domain.queues.sqs import queue_arn, queue_of
from app.domain.reports.findings import Finding
from app.domain.sending.batches import Account
from app.domain.ses.tracking import check_plain_set, check_tracking_set
from app.errors import Unavailable
from app.ports import SesAccount, Subscription
from app.services.checks.asking import Outside, ask, remedy_for
from app.settings import Settings

# The event types from which recipients' outcomes are learned, as SES's API names them.
EVENT_TYPES = (
    "SEND",
    "DELIVERY",
    "BOUNCE",
    "COMPLAINT",
    "REJECT",
    "RENDERING_FAILURE",
    "DELIVERY_DELAY",
)
_NO_EVENTS = (
    "Bounces and complaints will not arrive, so people who don't want mail keep getting it, "
    "and recipients whose outcome is unknown stay so."
)


async def check_events(
    settings: Settings,
    ses: SesAccount,
    outside: Outside,
    *,
    account: Account,
    tracking: bool | None,
) -> list[Finding]:
    """Whether SES publishes all events that we need, tracks what it should and nothing else, and
    SNS sends the events to this service.

    tracking: whether SES_CONFIGURATION_SET is that of a mailout with tracking; None: it is not, and
    SES_TRACKING_CONFIGURATION_SET is looked at, too.
    """
    name = settings.ses_configuration_set
    findings: list[Finding] = []
    if name is None:
        findings.append(
            Finding(
                "warn",
                f"SES_CONFIGURATION_SET is missing. {_NO_EVENTS}",
                "make a configuration set with an SNS destination in the SES console, and set it.",
            )
        )
    sets = {name: bool(tracking)} if name else {}
    other = settings.ses_tracking_configuration_set if tracking is None else None
    if other is not None and other == name:
        findings.append(
            Finding(
                "warn",
                f"{other} is SES_CONFIGURATION_SET and SES_TRACKING_CONFIGURATION_SET: all "
                "mailouts are tracked, or none.",
                "make a set of its own for mailouts with tracking.",
            )
        )
    elif other is not None:
        sets[other] = True
    topics: set[str] = set()
    for each, tracked in sets.items():
        found, published = await _check_set(settings, ses, account, each, tracked=tracked)
        findings += found
        topics |= published.keys() & set(settings.sns_allowed_topic_arns)
    return [*findings, *await _check_subscriptions(settings, sorted(topics), outside)]


async def _check_set(
    settings: Settings, ses: SesAccount, account: Account, name: str, *, tracked: bool
) -> tuple[list[Finding], dict[str, set[str]]]:
    """What is to be said of one configuration set, and its event types by topic."""
    try:
        destinations = await ask(ses.event_destinations, name)
        # One that tracks by the account's manager may say no by itself.
        asked = destinations is not None and (tracked or account.engagement_metrics is not None)
        options = await ask(ses.configuration_set, name) if asked else None
    except Unavailable as exc:
        what = f"The configuration set {name} can't be checked: {exc.detail}"
        return [Finding("warn", what, remedy_for(exc.detail))], {}
    if destinations is None:
        variable = "SES_TRACKING_CONFIGURATION_SET" if tracked else "SES_CONFIGURATION_SET"
        return [
            Finding(
                "fail",
                f"There is no configuration set {name} in {settings.aws_region}: SES refuses mail.",
                f"make it in the SES console, or correct {variable}.",
            )
        ], {}
    published = _published(destinations)
    findings = list(_check_topics(settings, name, published))
    if tracked:
        believed = published.keys() & set(settings.sns_allowed_topic_arns)
        arriving = set().union(*(published[topic] for topic in believed))
        findings += check_tracking_set(name, arriving, options)
    else:
        findings += check_plain_set(name, destinations, options, account.engagement_metrics)
    return findings, published


def _published(destinations: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Event types by topic."""
    published: dict[str, set[str]] = {}
    for destination in destinations:
        topic = destination.get("SnsDestination", {}).get("TopicArn")
        if topic and destination.get("Enabled"):
            published.setdefault(topic, set()).update(destination.get("MatchingEventTypes", []))
    return published


def _check_topics(
    settings: Settings, name: str, published: dict[str, set[str]]
) -> Iterator[Finding]:
    if not published:
        yield Finding(
            "warn",
            f"The configuration set {name} has no SNS destination. {_NO_EVENTS}",
            "add one in the SES console, with the topic whose subscription is this service.",
        )
        return
    believed = published.keys() & set(settings.sns_allowed_topic_arns)
    if not believed:
        yield Finding(
            "warn",
            f"SNS_ALLOWED_TOPIC_ARNS lacks {', '.join(sorted(published))}. {_NO_EVENTS}",
            "add the topic to it.",
        )
        return
    arriving = set().union(*(published[topic] for topic in believed))
    missing = [kind for kind in EVENT_TYPES if kind not in arriving]
    if missing:
        yield Finding(
            "warn",
            f"The configuration set {name} does not publish {', '.join(missing)}.",
            "tick these types in its SNS destination in the SES console.",
        )
    else:
        yield Finding("ok", f"The configuration set {name} publishes every event that we need.")


async def _check_subscriptions(
    settings: Settings, topics: list[str], outside: Outside
) -> list[Finding]:
    """Whether SNS sends to this service what the configuration set publishes to our topics."""
    findings: list[Finding] = []
    for topic in topics:
        endpoint, protocol = f"{settings.app_base_url}/ses-events", "HTTPS"
        if settings.ses_events_queue_url:
            queue = queue_of(topic, settings.ses_events_queue_url)
            endpoint, protocol = queue_arn(queue, topic, settings.aws_region), "SQS"
        try:
            sns = await asyncio.to_thread(outside.sns, settings)
            found = await ask(sns.subscriptions, topic, endpoint)
        except Unavailable as exc:
            what = f"Who gets the events of {topic} can't be checked: {exc.detail}"
            findings.append(Finding("warn", what, remedy_for(exc.detail)))
        else:
            findings.append(_check_subscription(topic, endpoint, protocol, found))
    return findings


def _check_subscription(
    topic: str, endpoint: str, protocol: str, found: list[Subscription] | None
) -> Finding:
    if found is None:
        return Finding(
            "warn",
            f"There is no topic {topic}. {_NO_EVENTS}",
            "make it in the SNS console, or correct SNS_ALLOWED_TOPIC_ARNS.",
        )
    if not found:
        return Finding(
            "warn",
            f"The events of {topic} are not sent to {endpoint}. {_NO_EVENTS}",
            f"subscribe it in the SNS console: protocol {protocol}, raw message delivery off.",
        )
    if all(each.raw for each in found):
        return Finding(
            "warn",
            f"{topic} sends raw messages, which carry no signature and are refused. {_NO_EVENTS}",
            "switch raw message delivery off for the subscription.",
        )
    if not any(each.confirmed for each in found):
        return Finding(
            "warn",
            f"The subscription of {endpoint} is not confirmed yet. {_NO_EVENTS}",
            "request the confirmation again in the SNS console while the service runs.",
        )
    return Finding("ok", f"SNS sends the events to {endpoint}.")
