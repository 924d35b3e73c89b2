"""Sending a test: to whom, what became of the last one, and whether it was changed since."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.mailouts.fields import one
from app.api.dashboard.mailouts.findings import shown_findings
from app.api.dashboard.mailouts.overview import tested_words
from app.api.dashboard.mailouts.steps import BEFORE, back, find, show
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.addresses import InvalidAddress, typed_address
from app.errors import AppError
from app.services.starting.start_mailout import MAX_TEST_EMAILS, SendRequest

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)

_BETWEEN = re.compile(r"[\s,;]+")


@router.get("/{mailout_id}/test")
async def ask_to_whom(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    mailout = await find(services, mailout_id)
    if mailout["status"] not in BEFORE:
        return back(mailout_id, "late")
    return await _page(
        services,
        session,
        mailout,
        "\n".join(services.settings.test_emails),
        notice="The test is on its way: look into the inbox." if notice == "sent" else None,
    )


@router.post("/{mailout_id}/test")
async def send(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    typed = one(form, "to").replace("\r\n", "\n")
    mailout = await find(services, mailout_id)
    try:
        to = _addresses(typed)
    except ValueError as wrong:
        return await _page(services, session, mailout, typed, problem=str(wrong), status=422)
    try:
        await services.start_mailout.test(
            SendRequest(mailout_id=mailout_id, by=DASHBOARD.by, to=tuple(to))
        )
    except AppError as refusal:
        if refusal.status == 500:
            raise
        return await _page(
            services, session, mailout, typed, refusal=refusal.detail, status=refusal.status
        )
    log_action(session, "test", mailout_id=mailout_id)
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}/test?notice=sent", 303)


def _addresses(typed: str) -> list[str]:
    """Raises ValueError, saying what is wrong with which."""
    found = [each for each in _BETWEEN.split(typed) if each]
    if not found:
        raise ValueError("Write at least one address.")
    if len(found) > MAX_TEST_EMAILS:
        raise ValueError(f"At most {MAX_TEST_EMAILS} addresses: a test is for a few.")
    for each in found:
        try:
            typed_address(each)
        except InvalidAddress as exc:
            raise ValueError(f"“{each}” is not a usable address: {exc}.") from exc
    return found


async def _page(
    services: Services,
    session: Session,
    mailout: dict[str, Any],
    typed: str,
    *,
    problem: str | None = None,
    refusal: str | None = None,
    notice: str | None = None,
    status: int = 200,
) -> Response:
    """problem: with what was typed. refusal: why no test can be sent."""
    tone, tested = tested_words(mailout["tested"])
    findings = await shown_findings(services, mailout)
    return show(
        services,
        session,
        "test.html",
        status,
        mailout=mailout,
        typed=typed,
        problem=problem,
        refusal=refusal,
        notice=notice,
        tested=tested,
        tested_tone=tone,
        ever=mailout["tested"] is not None,
        findings=[each for each in findings if each.level == "fail"],
        sender=mailout["from_email"] or services.settings.ses_from_email,
    )
