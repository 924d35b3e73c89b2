"""SendBulkEmail without what boto3 does anew for each call: half the CPU of it.

Of a bulk call boto3 is given the body as it is. What it then makes of empty parameters is the same
each time: address, headers, and how it is signed. So that is taken down once (`learn`); each call
after that is signed and sent by the same client's own parts, with its credentials, connections,
proxies and limits (answers.py). Left out are parameters, endpoint rules, events that nobody listens
to, retries, which are off, and the generic parser where everybody was accepted.

tests/integration/test_bulk_calls.py compares both ways.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import ClientError

MESSAGE_ID_MAX_CHARS = 255


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


class BulkCalls(NamedTuple):
    """How a client makes this call. model: botocore's of it. template: the request without what is
    different in each."""

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


def learn(client: Any, call: Callable[[], object]) -> BulkCalls:
    """client: `teachable`. call: its bulk call with empty parameters; it ends before it is signed.
    Raises what it raises when boto3 can't prepare it."""
    _learning.now = True
    try:
        call()
    except _Learned as learned:
        return BulkCalls(client, learned.model, learned.request)
    finally:
        _learning.now = False
    raise AssertionError("boto3 sent a call without asking before")


def accepted_ids(body: bytes, entries: int) -> list[str] | None:
    """SES's message ids, when it accepted every entry; None for any other answer, which boto3's
    parser is to read."""
    try:
        results = orjson.loads(body)["BulkEmailEntryResults"]
        ids: list[str] = [one["MessageId"] for one in results if one["Status"] == "SUCCESS"]
        together = "".join(ids)
    except (ValueError, LookupError, TypeError):
        return None
    if not len(ids) == len(results) == entries:
        return None
    fit = together.isascii() and together.isprintable() and " " not in together
    return ids if fit and all(0 < len(i) <= MESSAGE_ID_MAX_CHARS for i in ids) else None
