"""Calls to AWS without what boto3 does anew for each: half the CPU of SendBulkEmail.

What differs between two calls is the body. What boto3 makes of the rest is the same each time:
address, headers, and how it is signed. So that is taken down once (`learn`); each call after that
is signed and sent by the same client's own parts, with its credentials, connections, proxies and
limits (answers.py). Left out are parameters, endpoint rules, events that nobody listens to,
retries, which are off, and the generic parser where the answer is the usual one (bulk_calls.py,
sqs/calls.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import ClientError


class _Learned(Exception):
    """Ends a call before it is signed."""

    def __init__(self, model: Any, request: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.request = request


_learning = threading.local()


def teachable(client: Any) -> None:
    """Have the client stop before the signature where `learn` asks. The last of these events: what
    others change in the request is in it."""
    client.meta.events.register_last("before-call", _stop_if_learning)


def _stop_if_learning(model: Any, params: dict[str, Any], **_: Any) -> None:
    if getattr(_learning, "now", False):
        raise _Learned(model, params)


class PreparedCalls(NamedTuple):
    """How a client makes this call. model: botocore's of it. template: the request as it was
    learnt, body and all."""

    client: Any
    model: Any
    template: dict[str, Any]

    def request(self, body: bytes) -> AWSPreparedRequest:
        """A signed call with that body. Raises what boto3 raises when it can't sign."""
        retries = {"attempt": 1, "invocation-id": str(uuid4()), "max": 1}
        whole = {
            **self.template,
            "headers": dict(self.template["headers"]),
            "context": {**self.template["context"], "retries": retries},
            "body": body,
        }
        made: AWSPreparedRequest = self.client._endpoint.create_request(  # noqa: SLF001
            whole, self.model
        )
        return made

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """The answer, whatever its status. Raises what boto3 raises when there is none."""
        answer: AWSResponse = self.client._endpoint.http_session.send(request)  # noqa: SLF001
        return answer

    def read(self, answer: AWSResponse) -> dict[str, Any]:
        """What boto3's call would give. Raises ClientError for a refusal, and what its parser
        raises."""
        response = convert_to_response_dict(answer, self.model)
        parsed: Any = self.client._response_parser.parse(  # noqa: SLF001
            response, self.model.output_shape
        )
        if answer.status_code >= 300:
            raise ClientError(parsed, self.model.name)
        return dict(parsed)


def learn(client: Any, call: Callable[[], object]) -> PreparedCalls:
    """client: `teachable`. call: one of its calls; it ends before it is signed.
    Raises what it raises when boto3 can't prepare it."""
    _learning.now = True
    try:
        call()
    except _Learned as learned:
        return PreparedCalls(client, learned.model, learned.request)
    finally:
        _learning.now = False
    raise AssertionError("boto3 sent a call without asking before")
