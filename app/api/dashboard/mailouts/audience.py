"""Who gets a mailout: the audience builder, for one mailout."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.audience.builder import Builder, Choices, reach
from app.api.dashboard.mailouts.fields import one, version_of
from app.api.dashboard.mailouts.steps import EDITABLE, back, find, show
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.audience.words import in_words
from app.errors import InvalidRequest, MailoutNotEditable, PreconditionFailed

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


@router.get("/{mailout_id}/audience")
async def ask_who(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    mailout = await find(services, mailout_id)
    if mailout["status"] not in EDITABLE:
        return back(mailout_id, "late")
    builder = Builder.of_rule(mailout["audience"])
    return await _page(
        services, session, mailout, builder, notice="Saved." if notice == "saved" else None
    )


@router.post("/{mailout_id}/audience")
async def save(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    builder, version = Builder.of_form(form), version_of(form)
    mailout = await find(services, mailout_id)
    if builder.pressed:
        return await _page(services, session, mailout, builder, version=version)
    try:
        change = {"audience": builder.rule()}
        await services.drafts.edit(mailout_id, change, [version], by=DASHBOARD.by)
    except InvalidRequest as refusal:
        return await _page(
            services, session, mailout, builder, version=version, refusal=refusal.detail
        )
    except PreconditionFailed:
        if mailout["audience"] == builder.rule():
            return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/audience?notice=saved", 303)
        return await _page(
            services,
            session,
            mailout,
            builder,
            refusal="Somebody else saved this mailout meanwhile. Its audience there is: "
            f"{await rule_words(services, mailout)}. Below is yours: save again to keep it.",
            status=412,
        )
    except MailoutNotEditable:
        return back(mailout_id, "late")
    log_action(session, "audience", mailout_id=mailout_id)
    page = "test" if one(form, "next") else "audience"
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/{page}?notice=saved", 303)


async def rule_words(services: Services, mailout: dict[str, Any]) -> str:
    segments = await services.store.list_segments(200)
    return in_words(mailout["audience"], {each["id"]: each["name"] for each in segments})


async def _page(
    services: Services,
    session: Session,
    mailout: dict[str, Any],
    builder: Builder,
    *,
    version: int | None = None,
    refusal: str | None = None,
    notice: str | None = None,
    status: int = 422,
) -> Response:
    """version: the one that was read by whoever chose this; None: the present one."""
    return show(
        services,
        session,
        "audience.html",
        status if refusal else 200,
        mailout=mailout,
        version=mailout["version"] if version is None else version,
        builder=builder,
        choices=await Choices.load(services),
        reach=await reach(services, builder, quick=builder.pressed != "count"),
        refusal=refusal,
        notice=notice,
    )
