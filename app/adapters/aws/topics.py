"""Who gets the events of an SNS topic. Blocking; asked by the checks only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from app.domain.ses.sns_message import topic_region
from app.domain.untrusted import page_words
from app.errors import Unavailable
from app.ports import Subscription

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

PENDING = "PendingConfirmation"  # SNS's word in place of an ARN


class SnsTopics:
    def __init__(self, client_factory: Callable[[str], SNSClient]) -> None:
        """client_factory: makes the client of a region, with retries and endpoint set."""
        self._client_factory = client_factory

    def subscriptions(self, topic_arn: str, endpoint: str) -> list[Subscription] | None:
        """Those of `topic_arn` that lead to `endpoint`; None when there is no such topic.

        ListSubscriptionsByTopic, and GetSubscriptionAttributes for what it leaves out.
        Raises Unavailable in SNS's own words.
        """
        found = []
        try:
            client = self._client_factory(topic_region(topic_arn))
            pages = client.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
            for page in pages:
                for each in page.get("Subscriptions", []):
                    if each["Endpoint"].rstrip("/") != endpoint:
                        continue
                    arn = each["SubscriptionArn"]
                    confirmed = arn != PENDING
                    raw = confirmed and _is_raw(client, arn)
                    found.append(Subscription(each["Endpoint"], confirmed, raw))
        except Exception as exc:  # a strange answer is one with members missing
            if isinstance(exc, ClientError) and exc.response["Error"]["Code"] == "NotFound":
                return None
            words = page_words(str(exc)) or type(exc).__name__
            raise Unavailable(f"SNS did not answer: {words}") from exc
        return found


def _is_raw(client: SNSClient, arn: str) -> bool:
    attributes = client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return attributes.get("RawMessageDelivery") == "true"
