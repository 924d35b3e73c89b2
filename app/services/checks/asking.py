"""How the checks ask AWS: for a limited time, again where it throttles, and with a remedy for each
refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from app.errors import Unavailable
from app.ports import (
    Broker,
    Dns,
    FallbackSender,
    NotionBuilder,
    PictureShelf,
    QueueFacts,
    SesAccount,
    Slack,
    Topics,
)
from app.services.checks.web import Web, web_client
from app.settings import Settings

AWS_SECONDS = 15.0
THROTTLE_PAUSES = (1.0, 2.0)  # seconds

T = TypeVar("T")


@dataclass(frozen=True)
class Outside:
    """What makes the clients for SES, SNS and the web; tests give others.

    http: for our own public address. web: for what an author links to. notion, slack, broker (of
    RabbitMQ), sqs: None: it isn't asked. dns: gives None where it isn't asked. shelf: for pictures,
    in a place as ASSETS_STORE has it. fallback: who would send in SES's place.
    """

    ses: Callable[[Settings], SesAccount]
    sns: Callable[[Settings], Topics]
    http: Callable[[], httpx.AsyncClient] = web_client
    web: Callable[[httpx.AsyncClient], Web] = Web
    notion: Callable[[Settings], AbstractAsyncContextManager[NotionBuilder]] | None = None
    slack: Callable[[Settings], AbstractAsyncContextManager[Slack]] | None = None
    dns: Callable[[Settings], Dns | None] = lambda _: None
    shelf: Callable[[Settings, str], PictureShelf | None] = lambda *_: None
    broker: Callable[[Settings], Broker] | None = None
    sqs: Callable[[Settings], QueueFacts] | None = None
    fallback: Callable[[Settings], Sequence[FallbackSender]] = lambda _: ()


class RememberedSes:
    """Asks for each identity once: SES takes one such call a second."""

    def __init__(self, ses: SesAccount) -> None:
        self._identities: dict[str, dict[str, Any] | None] = {}
        self._ses = ses
        self.get_account = ses.get_account
        self.event_destinations = ses.event_destinations
        self.configuration_set = ses.configuration_set

    def identity(self, name: str) -> dict[str, Any] | None:
        if name not in self._identities:
            self._identities[name] = self._ses.identity(name)
        return self._identities[name]


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


# By a word that the message of AWS or botocore contains.
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
