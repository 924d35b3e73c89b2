"""A message that asks for a send, read: the JSON body of `POST /send-mailout` with
`idempotency_key`."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from app.domain.given.strict_json import NotStrictJson, read_strict
from app.domain.notion.pages import is_integration_webhook
from app.errors import InvalidRequest
from app.ports import Waiting
from app.services.starting.orders import (
    INTEGRATION_WEBHOOK,
    MAX_KEY_CHARS,
    Order,
    read_order,
)
from app.services.starting.start_mailout import fingerprint

MAX_BODY_BYTES = 262_144
"""As large as a message of SQS was for most of its life. A request has about 100 bytes, Notion's
with all properties of a row some 20 KB."""

BY = "queue"
"""Who asks, for the audit log, where the message presents nothing."""

_FORM = 'The message must be a JSON object like {"mailout_id": "…", "idempotency_key": "…"}.'


@dataclass(frozen=True)
class Asked:
    """auth_token: what the message presents itself with, if it does."""

    order: Order
    auth_token: str | None


def read_request(message: Waiting) -> Asked:
    """Raises InvalidRequest."""
    if len(message.body) > MAX_BODY_BYTES:
        raise InvalidRequest(
            f"The message has {len(message.body):,} bytes; a request has at most "
            f"{MAX_BODY_BYTES:,}."
        )
    try:
        body = read_strict(message.body)
    except NotStrictJson as exc:
        raise InvalidRequest(f"{exc.named('The message')}. {_FORM}") from None
    if not isinstance(body, dict):
        raise InvalidRequest(_FORM)
    if is_integration_webhook(body):
        raise InvalidRequest(INTEGRATION_WEBHOOK)
    key = body.pop("idempotency_key", None)
    if key is None:
        key = message.id
    if not isinstance(key, str) or "\0" in key or not 1 <= len(key) <= MAX_KEY_CHARS:
        raise InvalidRequest(
            f"idempotency_key: give a text of 1 to {MAX_KEY_CHARS} characters, by which a message "
            "that comes twice is known."
        )
    token = body.get("auth_token")
    # Of what it says, whatever the order of its members: a producer may write it anew.
    asks = {name: value for name, value in body.items() if name != "auth_token"}
    said = orjson.dumps(asks, option=orjson.OPT_SORT_KEYS)
    order = read_order(body, key=key, fingerprint=fingerprint(said), by=BY)
    return Asked(order, token if isinstance(token, str) else None)
