"""Would SES let us send, and would its events come back? A finding each, with its remedy.

Sources: the SES developer guide's pages "Verified identities", "Request production access" and
"Set up event publishing".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from botocore.exceptions import BotoCoreError

from app.adapters.ses import SesSender
from app.domain.batches import Account
from app.domain.findings import Finding
from app.errors import Unavailable
from app.settings import Settings

SES_SECONDS = 15.0
THROTTLE_PAUSES = (1.0, 2.0)  # seconds

# Of GetConfigurationSetEventDestinations: what we count and settle recipients by.
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

T = TypeVar("T")


class SesAccount(Protocol):
    """What is asked of SES. Blocking; each raises Unavailable."""

    def get_account(self) -> Account: ...

    def identity(self, name: str) -> dict[str, Any] | None: ...

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None: ...


def ses_account(settings: Settings) -> SesAccount:
    """Raises Unavailable when botocore refuses its configuration, such as an unknown profile."""
    try:
        return SesSender(settings, max_connections=1)
    except BotoCoreError as exc:
        raise Unavailable(f"SES can't be asked: {exc}") from exc


async def check_ses(
    settings: Settings, ses_factory: Callable[[Settings], SesAccount]
) -> list[Finding]:
    if settings.aws_region is None:
        return []  # that is a finding already
    try:
        ses = await asyncio.to_thread(ses_factory, settings)
        account = await _ask(ses.get_account)
    except Unavailable as exc:
        return [Finding("fail", exc.detail, _ses_remedy(exc.detail))]
    return [
        *_check_account(settings, account),
        *await _check_sender(settings, ses),
        *await _check_events(settings, ses),
    ]


async def _ask(question: Callable[..., T], *arguments: str) -> T:
    """The answer of a blocking call to SES. Raises Unavailable.

    SES takes one such call a second, so a throttled one is made again.
    """
    for pause in (*THROTTLE_PAUSES, None):
        try:
            async with asyncio.timeout(SES_SECONDS):
                return await asyncio.to_thread(question, *arguments)
        except TimeoutError as exc:
            raise Unavailable(f"SES did not answer within {SES_SECONDS:.0f} seconds.") from exc
        except Unavailable as exc:
            if pause is None or "TooManyRequests" not in exc.detail:
                raise
            await asyncio.sleep(pause)
    raise AssertionError("the last try returns or raises")


# By what AWS and botocore call it.
_SES_REMEDIES = {
    "credentials": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of an IAM user.",
    "profile": "set AWS_PROFILE to a profile of your AWS configuration, or leave it out.",
    "UnrecognizedClient": "the key is wrong or was deleted: make another for the IAM user.",
    "InvalidClientTokenId": "the key is wrong or was deleted: make another for the IAM user.",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID.",
    "InvalidSignature": "AWS_SECRET_ACCESS_KEY does not belong to the key, or the clock is wrong.",
    "ExpiredToken": "the temporary credentials are over: get new ones.",
    "AccessDenied": "give the IAM user the permission that the message names.",
}


def _ses_remedy(detail: str) -> str:
    for words, remedy in _SES_REMEDIES.items():
        if words in detail:
            return remedy
    return "check AWS_REGION, and that this machine may reach Amazon SES."


def _check_account(settings: Settings, account: Account) -> Iterator[Finding]:
    yield Finding("ok", f"SES answers in {settings.aws_region}.")
    if account.enforcement_status == "SHUTDOWN":
        yield Finding(
            "fail",
            "Amazon has shut down sending for this account.",
            "answer the case in the AWS Support Center.",
        )
    elif not account.sending_enabled:
        yield Finding(
            "fail",
            "Sending is switched off for this account.",
            "switch it on in the SES console, or see the case in the AWS Support Center.",
        )
    elif account.enforcement_status != "HEALTHY":
        yield Finding(
            "warn",
            f"Amazon has this account under review ({account.enforcement_status}).",
            "see the case in the AWS Support Center before you send.",
        )
    if not account.production_access:
        yield Finding(
            "warn",
            "The account is in the SES sandbox: only verified addresses get mail.",
            "request production access in the SES console.",
        )
    yield from _check_quota(settings, account)


def _check_quota(settings: Settings, account: Account) -> Iterator[Finding]:
    rate, own = account.max_send_rate, settings.rate_limit_per_sec
    if rate <= 0:
        yield Finding("fail", "SES gives this account no sending rate.", "ask AWS for one.")
    elif own is not None and own > rate:
        yield Finding(
            "warn",
            f"RATE_LIMIT_PER_SEC is {own:g}, but SES allows {rate:g} a second, which holds.",
            f"set it to {rate:g} or less, or ask AWS for more.",
        )
    if account.quota_left < 1:
        yield Finding(
            "warn",
            f"All {account.max_24h_send:,.0f} mails of these 24 hours are used up.",
            "mailouts wait until SES takes mail again; ask AWS for a larger quota.",
        )
    elif rate > 0:
        quota = (
            "without a daily limit"
            if account.max_24h_send < 0
            else f"{account.quota_left:,.0f} of {account.max_24h_send:,.0f} left in these 24 hours"
        )
        yield Finding("ok", f"SES takes {rate:g} mails a second, {quota}.")


async def _check_sender(settings: Settings, ses: SesAccount) -> list[Finding]:
    """Whether SES lets us send as SES_FROM_EMAIL: by the address, its domain or one above it."""
    address = settings.ses_from_email
    if address is None:
        return []  # that is a finding already
    labels = address.rpartition("@")[2].split(".")
    domains = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    known = verified = False
    for name in (address, *domains):
        try:
            identity = await _ask(ses.identity, name)
        except Unavailable as exc:
            return [
                Finding(
                    "warn",
                    f"Whether {address} is verified can't be checked: {exc.detail}",
                    _ses_remedy(exc.detail),
                )
            ]
        if identity is None:
            continue
        known = True
        if not identity.get("VerifiedForSendingStatus"):
            continue
        verified = True
        if identity.get("DkimAttributes", {}).get("Status") == "SUCCESS":
            return [Finding("ok", f"SES has verified {name} for {address}, with DKIM.")]
    if verified:
        return [
            Finding("ok", f"SES has verified {address}."),
            Finding(
                "warn",
                f"Mails of {address} get no DKIM signature, so many end as spam.",
                f"verify the domain {domains[0]} in the SES console and add its DNS records.",
            ),
        ]
    if known:
        return [
            Finding(
                "fail",
                f"SES has not verified {address} yet.",
                "add the DNS records that the SES console shows, or open the link in AWS's mail.",
            )
        ]
    return [
        Finding(
            "fail",
            f"SES does not know {address} or its domain in {settings.aws_region}.",
            'add the domain in the SES console under "Identities", in this region.',
        )
    ]


async def _check_events(settings: Settings, ses: SesAccount) -> list[Finding]:
    """Whether bounces and complaints, and proof of unknown sends, find their way back."""
    name = settings.ses_configuration_set
    if name is None:
        return [
            Finding(
                "warn",
                f"SES_CONFIGURATION_SET is missing. {_NO_EVENTS}",
                "make a configuration set with an SNS destination in the SES console, and set it.",
            )
        ]
    try:
        destinations = await _ask(ses.event_destinations, name)
    except Unavailable as exc:
        return [
            Finding(
                "warn",
                f"The configuration set {name} can't be checked: {exc.detail}",
                _ses_remedy(exc.detail),
            )
        ]
    if destinations is None:
        return [
            Finding(
                "fail",
                f"There is no configuration set {name} in {settings.aws_region}: SES refuses mail.",
                "make it in the SES console, or correct SES_CONFIGURATION_SET.",
            )
        ]
    return list(_check_destinations(settings, name, destinations))


def _check_destinations(
    settings: Settings, name: str, destinations: list[dict[str, Any]]
) -> Iterator[Finding]:
    published: dict[str, set[str]] = {}  # event types by topic
    for destination in destinations:
        topic = destination.get("SnsDestination", {}).get("TopicArn")
        if topic and destination.get("Enabled"):
            published.setdefault(topic, set()).update(destination.get("MatchingEventTypes", []))
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
