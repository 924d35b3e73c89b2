"""The part of SNS's query API that subscribing needs.

Source: SNS API reference, version 2010-03-31; errors as in "Common errors".
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from starlette.requests import Request
from starlette.responses import Response

from app.sandbox.auth import check_signature
from app.sandbox.errors import SesError
from app.sandbox.sns.publish import Subscription
from app.sandbox.state import Sandbox

NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"
Parameters = Mapping[str, str]


class SnsApi:
    """Each action reads its parameters and fills the `…Result` element of the answer.

    One address plays SNS of every region: a request counts as sent to the region of its topic.
    """

    def __init__(self, sandboxes: Sequence[Sandbox]) -> None:
        """sandboxes: of all regions, the first for what names no topic."""
        self._home = sandboxes[0]
        self._by_topic = {sandbox.config.topic_arn: sandbox for sandbox in sandboxes}
        self._actions: dict[str, Callable[[Sandbox, Parameters, ET.Element], None]] = {
            "ConfirmSubscription": _confirm,
            "Subscribe": _subscribe,
            "Unsubscribe": _unsubscribe,
            "ListSubscriptionsByTopic": _list,
            "GetTopicAttributes": _topic_attributes,
            "SetTopicAttributes": _set_topic_attribute,
            "GetSubscriptionAttributes": _subscription_attributes,
        }

    async def post(self, request: Request) -> Response:
        """`POST /`: a form with `Action`, as boto3 sends it."""
        body = await request.body()
        try:
            parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        except UnicodeDecodeError:
            return _error(SesError("MalformedQueryString", "The form is not UTF-8."))
        return self.answer(request, body, parameters)

    def answer(self, request: Request, body: bytes, parameters: Parameters) -> Response:
        """Do the action; also for the GET of a SubscribeURL."""
        name = parameters.get("Action", "")
        topic = parameters.get("SubscriptionArn", "").rpartition(":")[0]
        topic = parameters.get("TopicArn", topic)
        sandbox = self._by_topic.get(topic, self._home)
        sandbox.requests[f"sns:{name}"] += 1
        if name not in self._actions:
            return _error(SesError("InvalidAction", f"The action {name!r} is not valid here."))
        try:
            # Without AuthenticateOnUnsubscribe the token is all that confirming takes.
            if name not in ("ConfirmSubscription", "Unsubscribe") or (
                parameters.get("AuthenticateOnUnsubscribe") == "true"
            ):
                config = sandbox.config
                check_signature(request, body, "sns", config.region, config.credentials)
            self._check_topic(name, topic)
            root = ET.Element(f"{name}Response", xmlns=NAMESPACE)
            self._actions[name](sandbox, parameters, ET.SubElement(root, f"{name}Result"))
        except SesError as error:
            return _error(error)
        metadata = ET.SubElement(root, "ResponseMetadata")
        ET.SubElement(metadata, "RequestId").text = str(uuid.uuid4())
        return _xml(root)

    def _check_topic(self, action: str, topic: str) -> None:
        if action not in _OF_A_SUBSCRIPTION and topic not in self._by_topic:
            raise SesError("NotFound", "Topic does not exist", 404)


def _confirm(sandbox: Sandbox, parameters: Parameters, result: ET.Element) -> None:
    subscription = sandbox.publisher.confirm(parameters.get("Token", ""))
    if subscription is None:
        raise SesError("InvalidParameter", "Invalid parameter: Token")
    ET.SubElement(result, "SubscriptionArn").text = subscription.arn


def _subscribe(sandbox: Sandbox, parameters: Parameters, result: ET.Element) -> None:
    endpoint = parameters.get("Endpoint", "")
    if not endpoint.startswith(f"{parameters.get('Protocol')}://"):
        raise SesError("InvalidParameter", "Invalid parameter: Endpoint must match Protocol")
    sandbox.publisher.subscribe(endpoint)
    ET.SubElement(result, "SubscriptionArn").text = "pending confirmation"


def _unsubscribe(sandbox: Sandbox, parameters: Parameters, _result: ET.Element) -> None:
    sandbox.publisher.unsubscribe(parameters.get("SubscriptionArn", ""))


def _list(sandbox: Sandbox, _parameters: Parameters, result: ET.Element) -> None:
    members = ET.SubElement(result, "Subscriptions")
    for subscription in sandbox.publisher.subscriptions.values():
        member = ET.SubElement(members, "member")
        for name, value in _described(sandbox, subscription).items():
            ET.SubElement(member, name).text = value


def _described(sandbox: Sandbox, subscription: Subscription) -> dict[str, str]:
    return {
        "SubscriptionArn": subscription.arn if subscription.confirmed else _PENDING,
        "Owner": sandbox.config.account_id,
        "Protocol": subscription.endpoint.partition(":")[0],
        "Endpoint": subscription.endpoint,
        "TopicArn": sandbox.config.topic_arn,
    }


def _topic_attributes(sandbox: Sandbox, _parameters: Parameters, result: ET.Element) -> None:
    publisher, config = sandbox.publisher, sandbox.config
    confirmed = sum(each.confirmed for each in publisher.subscriptions.values())
    _attributes(
        result,
        {
            "TopicArn": config.topic_arn,
            "Owner": config.account_id,
            "SignatureVersion": publisher.signature_version,
            "SubscriptionsConfirmed": str(confirmed),
            "SubscriptionsPending": str(len(publisher.subscriptions) - confirmed),
        },
    )


def _set_topic_attribute(sandbox: Sandbox, parameters: Parameters, _result: ET.Element) -> None:
    name, value = parameters.get("AttributeName"), parameters.get("AttributeValue")
    if name != "SignatureVersion" or value not in ("1", "2"):
        raise SesError("InvalidParameter", "Only SignatureVersion 1 or 2 can be set here")
    sandbox.publisher.signature_version = value


def _subscription_attributes(sandbox: Sandbox, parameters: Parameters, result: ET.Element) -> None:
    arn = parameters.get("SubscriptionArn", "")
    subscription = sandbox.publisher.subscriptions.get(arn)
    if subscription is None:
        raise SesError("NotFound", "Subscription does not exist", 404)
    _attributes(
        result,
        {
            **_described(sandbox, subscription),
            "PendingConfirmation": str(not subscription.confirmed).lower(),
            "RawMessageDelivery": "false",
        },
    )


_PENDING = "PendingConfirmation"
_OF_A_SUBSCRIPTION = ("Unsubscribe", "GetSubscriptionAttributes")


def _attributes(result: ET.Element, values: Mapping[str, str]) -> None:
    attributes = ET.SubElement(result, "Attributes")
    for name, value in values.items():
        entry = ET.SubElement(attributes, "entry")
        ET.SubElement(entry, "key").text = name
        ET.SubElement(entry, "value").text = value


def _xml(root: ET.Element, status: int = 200) -> Response:
    return Response(ET.tostring(root, encoding="utf-8"), status, media_type="text/xml")


def _error(error: SesError) -> Response:
    root = ET.Element("ErrorResponse", xmlns=NAMESPACE)
    detail = ET.SubElement(root, "Error")
    for name, value in (("Type", "Sender"), ("Code", error.code), ("Message", error.message)):
        ET.SubElement(detail, name).text = value
    ET.SubElement(root, "RequestId").text = str(uuid.uuid4())
    return _xml(root, error.status)
