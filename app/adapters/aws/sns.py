"""Amazon SNS: is a message genuine, and the answer to a subscription's confirmation.

The certificate is the only address of a message that is ever fetched; subscriptions are
confirmed through SNS's API.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import httpx
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from app.adapters.aws.certificates import Certificates
from app.domain.ses.sns_message import (
    BadSignature,
    ForbiddenSource,
    MalformedSnsMessage,
    SnsMessage,
    check_certificate_url,
    string_to_sign,
    topic_region,
)
from app.domain.untrusted import plain
from app.errors import AppError, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# The hash of each SignatureVersion; SNS knows no other.
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303  the version that SNS uses unless the topic says 2
    "2": hashes.SHA256(),
}


class SubscriptionNotConfirmed(Unavailable):
    """SNS couldn't be asked, or doesn't let us: after the remedy a repeated try may succeed."""

    code, title = "subscription_not_confirmed", "The subscription could not be confirmed"
    concerns_one = True


class ConfirmationRefused(AppError):
    """SNS refuses the token for good: it is two days old, or was never one."""

    status, code, title = 400, "confirmation_refused", "SNS refused the confirmation"


class SnsVerifier:
    """Says whether a message is from one of our topics and signed by SNS."""

    def __init__(
        self,
        *,
        allowed_topic_arns: frozenset[str],
        sandbox_endpoint: Callable[[str], str | None],
        http: httpx.AsyncClient,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """sandbox_endpoint: gives AWS_ENDPOINT_URL_SNS of a region. now: judges a certificate's
        dates (aware)."""
        self._allowed_topic_arns = allowed_topic_arns
        # Of a topic's region: asked for each message, of the topics that are allowed.
        self._sandbox_endpoint = cache(sandbox_endpoint)
        self._now = now
        self._certificates = Certificates(http, monotonic)

    def require_allowed(self, topic_arn: str) -> None:
        """Raises ForbiddenSource for a topic that isn't ours."""
        if topic_arn not in self._allowed_topic_arns:
            raise ForbiddenSource(
                "This topic is not in SNS_ALLOWED_TOPIC_ARNS. Add its ARN there if it is yours."
            )

    def knows(self, message: SnsMessage) -> bool:
        """Whether `verify` waits for nothing: the certificate is there."""
        return self._certificates.knows(message.signing_cert_url)

    async def verify(self, message: SnsMessage, *, at: datetime | None = None) -> None:
        """Return when the message is genuine and from an allowed topic.

        at: when it came (aware), for one that waited in a queue since: its certificate may have
        ended meanwhile. A genuine signature only proves that some topic sent it; the list of
        topics makes it ours.
        Raises ForbiddenSource (topic, address of the certificate), BadSignature, and
        CertificateUnavailable, after which SNS should come again. What can be refused without
        fetching anything is refused first.
        """
        self.require_allowed(message.topic_arn)
        algorithm = _HASHES.get(message.signature_version)
        if algorithm is None:
            raise BadSignature("SignatureVersion is neither 1 nor 2.")
        signed = string_to_sign(message)
        try:
            signature = base64.b64decode(message.signature, validate=True)
        except (binascii.Error, ValueError) as exc:  # ValueError: other than ASCII
            raise BadSignature("Signature is not base64.") from exc
        sandbox = self._sandbox_endpoint(topic_region(message.topic_arn))
        check_certificate_url(message.signing_cert_url, message.topic_arn, sandbox)
        certificate = await self._certificates.get(message.signing_cert_url)
        came = at or self._now()
        if not certificate.not_valid_before_utc <= came <= certificate.not_valid_after_utc:
            raise BadSignature("The signing certificate is not valid today.")
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise BadSignature("The signing certificate holds no RSA key.")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        except InvalidSignature as exc:
            raise BadSignature from exc
        self._certificates.prove(message.signing_cert_url)


class SnsConfirmer:
    """Confirms subscriptions of our topics through SNS's API."""

    def __init__(self, client_factory: Callable[[str], SNSClient]) -> None:
        """client_factory: makes the client of a region, with retries and endpoint set."""
        self._client_factory = client_factory
        self._clients: dict[str, SNSClient] = {}
        self._lock = threading.Lock()  # boto3 clients may be shared by threads, not built in two

    async def confirm(self, message: SnsMessage) -> str:
        """Confirm the subscription that a verified message offers; gives the subscription's ARN.

        Confirming twice is harmless. Raises MalformedSnsMessage when the message carries no
        token, ConfirmationRefused when SNS refuses it, SubscriptionNotConfirmed when SNS can't be
        asked or our credentials don't suffice.
        """
        if message.token is None:
            raise MalformedSnsMessage("The message carries no Token to confirm with.")
        region = topic_region(message.topic_arn)
        return await asyncio.to_thread(self._confirm, region, message.topic_arn, message.token)

    def _confirm(self, region: str, topic_arn: str, token: str) -> str:
        try:
            # AuthenticateOnUnsubscribe: each notification carries an unsigned UnsubscribeURL.
            # With this, whoever gets hold of one (a log, a proxy) can't cut us off from events.
            confirmed = self._client(region).confirm_subscription(
                TopicArn=topic_arn, Token=token, AuthenticateOnUnsubscribe="true"
            )
            return str(confirmed["SubscriptionArn"])
        except ClientError as exc:
            raise _translated(exc) from exc
        except Exception as exc:  # a strange answer is one with members missing
            raise SubscriptionNotConfirmed(
                f"SNS can't be reached ({type(exc).__name__}). Check the AWS credentials and the "
                "network, then request the confirmation again."
            ) from exc

    def _client(self, region: str) -> SNSClient:
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._client_factory(region)
            return self._clients[region]


def _translated(error: ClientError) -> AppError:
    """https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html#API_ConfirmSubscription_Errors"""
    code = plain(error.response.get("Error", {}).get("Code"), 100)
    if code in ("InvalidParameter", "NotFound"):
        return ConfirmationRefused(
            f"SNS refused the token ({code}). Tokens work for two days: request the confirmation "
            "again in the SNS console."
        )
    remedy = (
        "Allow sns:ConfirmSubscription to the AWS credentials in use, then request"
        if code in ("AuthorizationError", "AccessDenied")
        else "Request"
    )
    return SubscriptionNotConfirmed(f"SNS answered {code}. {remedy} the confirmation again.")
