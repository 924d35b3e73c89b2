"""Writing mailouts: create, edit, delete, duplicate, release and take back."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Response

from app.api.answers.mailouts import Mailout
from app.api.http.deps import CallerDep, Protected, Services, ServicesDep, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.api.mailouts.content import Content
from app.api.mailouts.lists import shown
from app.errors import (
    AudienceEmpty,
    InvalidRequest,
    MailoutNotEditable,
    MailoutNotFound,
    NotionPageTaken,
    NotSendable,
    PayloadTooLarge,
    PreconditionFailed,
    PreconditionRequired,
    TransitionNotAllowed,
    Unauthorized,
)
from app.services.access.keys import require_scope
from app.services.drafts.drafts import Versions

router = APIRouter(tags=["mailouts"], route_class=Protected)


class MailoutChange(Content):
    """Only what is there is changed; null clears it. What each may be: docs/mailouts.md."""

    audience: dict[str, Any] | None = None
    canary: dict[str, Any] | None = None
    region: str | None = None
    schedule: dict[str, Any] | None = None
    notion_page_id: str | None = None

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class NewMailout(MailoutChange):
    """A draft, finished or not."""

    subject: str


_made = answers(Mailout, 201, headers=("ETag", "Location"))
_writing = problems(Unauthorized, MailoutNotFound, InvalidRequest, NotionPageTaken, PayloadTooLarge)


@router.post(
    "/mailouts",
    status_code=201,
    dependencies=[needs("manage")],
    responses=problems(Unauthorized, InvalidRequest, NotionPageTaken, PayloadTooLarge) | _made,
)
async def create_mailout(
    body: NewMailout, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """Store a draft. It may be unfinished: what couldn't be sent is refused when it is released."""
    created = await services.drafts.create(body.given(), by=caller.by)
    return await _new(services, created.id, response)


# A proxy that compresses answers makes W/"7" of "7". For a version it is as good: it names one
# state of what is edited.
_TAG = re.compile(r'(?:W/)?"(\d{1,18})"')

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The `ETag` of the mailout as you read it, or `*`."),
]


def versions(if_match: str | None) -> Versions:
    """The versions that a header names. What isn't one of our tags names none."""
    if if_match is None or not if_match.strip():
        raise PreconditionRequired(
            "Send If-Match with the ETag of the mailout as you read it (GET /mailouts/{id}), so "
            "that nobody's change is lost; `*` overwrites whatever is there."
        )
    if if_match.strip() == "*":
        return None
    tags = (_TAG.fullmatch(tag.strip()) for tag in if_match.split(","))
    return {int(tag[1]) for tag in tags if tag}


@router.patch(
    "/mailouts/{mailout_id}",
    dependencies=[needs("manage")],
    responses=_writing
    | problems(MailoutNotEditable, PreconditionFailed, PreconditionRequired)
    | answers(Mailout, headers=("ETag",)),
)
async def edit_mailout(
    mailout_id: UUID,
    body: MailoutChange,
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Change a draft or a ready mailout as it was when you read it; of a paused one, its region
    alone. A ready one that couldn't be
    sent any more goes back to draft: `findings` say why."""
    read = versions(if_match)
    findings = await services.drafts.edit(mailout_id, body.given(), read, by=caller.by)
    found = await shown(services, mailout_id, response)
    return found | ({"findings": [each.to_row() for each in findings]} if findings else {})


@router.delete(
    "/mailouts/{mailout_id}",
    status_code=204,
    dependencies=[needs("manage")],
    responses=problems(
        Unauthorized,
        MailoutNotFound,
        TransitionNotAllowed,
        PreconditionFailed,
        PreconditionRequired,
    ),
)
async def delete_mailout(
    mailout_id: UUID, services: ServicesDep, caller: CallerDep, if_match: IfMatch = None
) -> Response:
    """Delete a draft, if it is as you read it (`If-Match`, where you send it)."""
    read = None if if_match is None else versions(if_match)
    await services.drafts.delete(mailout_id, read, by=caller.by)
    return Response(status_code=204)


@router.post(
    "/mailouts/{mailout_id}/duplicate",
    status_code=201,
    dependencies=[needs("manage")],
    responses=problems(Unauthorized, MailoutNotFound) | _made,
)
async def duplicate_mailout(
    mailout_id: UUID, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """A new draft with its content, audience and template; not its Notion page or schedule."""
    copy = await services.drafts.duplicate(mailout_id, by=caller.by)
    return await _new(services, copy, response)


_releasing = problems(Unauthorized, MailoutNotFound, TransitionNotAllowed)


@router.post(
    "/mailouts/{mailout_id}/ready",
    dependencies=[needs("manage")],
    responses=_releasing
    | problems(TransitionNotAllowed, NotSendable, AudienceEmpty)
    | answers(Mailout, headers=("ETag",)),
)
async def release_mailout(
    mailout_id: UUID, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """draft → ready: a request to send is taken from now on. Refused with the `findings` of the
    preflight when it couldn't be sent; SES isn't asked. One that names its `schedule` is scheduled
    with it, which needs the scope `send`, too."""
    if (await services.store.mailout_headline(mailout_id))["schedule"]:
        require_scope(caller, "send")
    await services.drafts.release(mailout_id, by=caller.by)
    return await shown(services, mailout_id, response)


@router.post(
    "/mailouts/{mailout_id}/unready",
    dependencies=[needs("manage")],
    responses=_releasing | answers(Mailout, headers=("ETag",)),
)
async def take_back_mailout(
    mailout_id: UUID, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """ready → draft: a request to send is refused from now on."""
    await services.drafts.take_back(mailout_id, by=caller.by)
    return await shown(services, mailout_id, response)


async def _new(services: Services, mailout_id: UUID, response: Response) -> dict[str, Any]:
    response.headers["Location"] = f"/mailouts/{mailout_id}"
    return await shown(services, mailout_id, response)
