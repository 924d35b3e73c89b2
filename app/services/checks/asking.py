"""How the checks ask AWS: bounded in time, patient with its throttling, and with a remedy for what
it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import httpx
from botocore.exceptions import BotoCoreError

from app.adapters.aws.ses import SesSender, sns_client
from app.adapters.aws.topics import SnsTopics, Subscription
from app.adapters.web import Web, web_client
from app.domain.sending.batches import Account
from app.errors import Unavailable
from app.settings import Settings

AWS_SECONDS = 15.0
THROTTLE_PAUSES = (1.0, 2.0)  # seconds

T = TypeVar("T")


class SesAccount(Protocol):
    """What is asked of SES. Blocking; each raises Unavailable."""

    def get_account(self) -> Account: ...

    def identity(self, name: str) -> dict[str, Any] | None: ...

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None: ...


class Topics(Protocol):
    """What is asked of SNS. Blocking; raises Unavailable."""

    def subscriptions(self, topic_arn: str, endpoint: str) -> list[Subscription] | None: ...


def ses_account(settings: Settings) -> SesAccount:
    """Raises Unavailable when botocore refuses its configuration, such as an unknown profile."""
    try:
        return SesSender(settings, max_connections=1)
    except BotoCoreError as exc:
        raise Unavailable(f"SES can't be asked: {exc}") from exc


def sns_topics(settings: Settings) -> Topics:
    return SnsTopics(partial(sns_client, settings))


@dataclass(frozen=True)
class Outside:
    """Ways to what is outside, so that a test can put others in their place.

    http: for our own public address. web: for whatever an author links to.
    """

    ses: Callable[[Settings], SesAccount] = ses_account
    sns: Callable[[Settings], Topics] = sns_topics
    http: Callable[[], httpx.AsyncClient] = web_client
    web: Callable[[httpx.AsyncClient], Web] = Web


async def ask(question: Callable[..., T], *arguments: Any) -> T:
    """The answer of a blocking call to AWS. Raises Unavailable.

    SES takes one such call a second, so a throttled one is made again.
    """
    for pause in (*THROTTLE_PAUSES, None):
        try:
            async with asyncio.timeout(AWS_SECONDS):
                return await asyncio.to_thread(question, *arguments)
        except TimeoutError as exc:
            raise Unavailable(f"AWS did not answer within {AWS_SECONDS:.0f} seconds.") from exc
        except Unavailable as exc:
            if pause is None or not any(word in exc.detail for word in ("TooMany", "Throttl")):
                raise
            await asyncio.sleep(pause)
    raise AssertionError("the last try returns or raises")


# By what AWS and botocore call it.
_REMEDIES = {
    "credentials": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of an IAM user.",
    "profile": "set AWS_PROFILE to a profile of your AWS configuration, or leave it out.",
    "UnrecognizedClient": "the key is wrong or was deleted: make another for the IAM user.",
    "InvalidClientTokenId": "the key is wrong or was deleted: make another for the IAM user.",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID.",
    "InvalidSignature": "AWS_SECRET_ACCESS_KEY does not belong to the key, or the clock is wrong.",
    "ExpiredToken": "the temporary credentials are over: get new ones.",
    "AccessDenied": "give the IAM user the permission that the message names.",
    "AuthorizationError": "give the IAM user the permission that the message names.",
}


def remedy_for(detail: str) -> str:
    """What to do about a call that AWS refused or didn't answer."""
    for words, remedy in _REMEDIES.items():
        if words in detail:
            return remedy
    return "check AWS_REGION, and that this machine may reach AWS."
