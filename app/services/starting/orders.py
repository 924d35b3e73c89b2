"""What somebody asks for with a request to send: a body of JSON, posted to `/send-mailout` or left
in a queue; and its being carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field

from app.domain.given.bodies import Id, StrictBody, Text, read_body
from app.domain.notion.pages import page_id
from app.errors import InvalidRequest
from app.services.notion.rows.asking import AskRow
from app.services.starting.dry_run import DryRuns
from app.services.starting.start_mailout import SendRequest, StartMailout
from app.settings import Settings

MAX_KEY_CHARS = 255
"""Of an Idempotency-Key, by which a repeated request is known."""
INTEGRATION_WEBHOOK = (
    "This is what Notion posts for an integration's webhook, which belongs to /notion-events. "
    '/send-mailout takes the "Send webhook" action of an automation or a button, with the shared '
    "secret in one of its headers."
)


AuthToken = Annotated[
    str | None,
    Field(description="The shared secret or an API key, for callers that can't set a header."),
]


class SendBody(StrictBody):
    """What a caller posts. confirm_audience: the number
    of recipients, where the answer `audience_changed` asked for it."""

    mailout_id: Id
    test: bool = False
    dry_run: bool = False
    confirm_audience: Annotated[int, Field(ge=0, le=2**53)] | None = None
    auth_token: AuthToken = None


class NotionSource(BaseModel):
    event_id: Annotated[Text, Field(max_length=MAX_KEY_CHARS)] | None = None


class NotionPage(BaseModel):
    id: Annotated[UUID, BeforeValidator(lambda v: page_id(v) if isinstance(v, str) else v)]


class NotionBody(BaseModel):
    """The payload of a Notion automation's "send webhook" action, as far as it matters here."""

    source: NotionSource
    data: NotionPage
    auth_token: AuthToken = None


_OURS = SendBody.model_fields.keys() - {"auth_token"}
"""What would count for nothing in Notion's form: `"test": true` beside it must not be a start."""


@dataclass(frozen=True)
class Order:
    """page: Notion's, as its request has it; event: Notion's name for the request."""

    send: SendRequest
    test: bool = False
    dry_run: bool = False
    page: Mapping[str, Any] | None = None
    event: str | None = None


def is_of_notion(body: Mapping[str, Any]) -> bool:
    return "source" in body and "data" in body


def check_key(key: str | None) -> None:
    """Raises InvalidRequest."""
    if key is not None and ("\0" in key or not 1 <= len(key) <= MAX_KEY_CHARS):
        raise InvalidRequest(f"Idempotency-Key: use 1 to {MAX_KEY_CHARS} characters.")


def read_order(body: Mapping[str, Any], *, key: str | None, fingerprint: str, by: str) -> Order:
    """key: makes it a repeat. fingerprint: of the body; of a repeat it has to be the same. by: who
    asks, for the audit log. Raises InvalidRequest."""
    if is_of_notion(body):
        return _notion_order(body, key, by)
    parsed = read_body(SendBody, body)
    return Order(
        SendRequest(
            mailout_id=parsed.mailout_id,
            key=f"key:{key}" if key else None,
            fingerprint=fingerprint,
            by=by,
            confirm_audience=parsed.confirm_audience,
        ),
        test=parsed.test,
        dry_run=parsed.dry_run,
    )


def _notion_order(body: Mapping[str, Any], key: str | None, by: str) -> Order:
    """Notion's own name for the request goes before the caller's key: it stays when Notion asks
    again."""
    if ours := sorted(body.keys() & _OURS):
        raise InvalidRequest(
            f"{', '.join(ours)}: a request in Notion's form (source and data) takes none of these."
        )
    notion = read_body(NotionBody, body)
    page, event = notion.data.id.hex, notion.source.event_id
    name = event or key
    return Order(
        SendRequest(
            notion_page=page,
            key=f"notion:{name}:{page}" if name else None,
            fingerprint=page,  # a repeat differs in `attempt` and times, so the page alone counts
            by=by,
        ),
        page=body["data"],
        event=name,
    )


@dataclass(frozen=True)
class CarryOut:
    """The one way of every request to send."""

    settings: Settings
    start: StartMailout
    dry_runs: DryRuns
    ask_row: AskRow

    async def __call__(self, order: Order) -> dict[str, Any]:
        """Gives the answer of what was begun; of a repeat, what the first one got.

        Raises as StartMailout and DryRuns; then nothing was changed.
        """
        send = order.send
        if order.page is not None:
            assert send.notion_page is not None
            row = await self.ask_row(UUID(send.notion_page), order.page, event=order.event)
            if row is not None:
                return row
        if order.dry_run or self.settings.dry_run_send:
            return await self.dry_runs.start(send)
        if order.test:
            return await self.start.test(send)
        return await self.start(send)
