"""`POST /mailouts/{id}/preflight`: what could go wrong, before it does."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.http.deps import Protected, ServicesDep, needs
from app.api.http.problems import problems
from app.domain.given.bodies import StrictBody
from app.errors import InvalidRequest, MailoutNotFound, Unauthorized, Unavailable

router = APIRouter(tags=["mailouts"], route_class=Protected)


class PreflightBody(StrictBody):
    """links: ask every link of the mail whether it answers; takes up to a minute."""

    links: bool = False


class FindingRow(BaseModel):
    """fail: sending would fail. warn: it would work, but something is missing or unknown."""

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str


class PreflightReport(BaseModel):
    """ok: no finding says `fail`. quota_left, daily_quota, rate, seconds, days: see
    `/send-mailout`."""

    mailout_id: UUID
    status: str
    ok: bool
    findings: list[FindingRow]
    recipients: int
    links_checked: bool
    quota_left: float | None = None
    daily_quota: float | None = None
    rate: float | None = None
    seconds: float | None = None
    days: int | None = None


@router.post(
    "/mailouts/{mailout_id}/preflight",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, MailoutNotFound, InvalidRequest, Unavailable),
)
async def preflight(
    mailout_id: UUID, services: ServicesDep, body: PreflightBody | None = None
) -> PreflightReport:
    """Settings, SES account, events, public address, content and audience, each finding with its
    remedy. Sends and changes nothing. Takes some seconds: it asks SES and SNS."""
    report = await services.preflight(mailout_id, links=body is not None and body.links)
    return PreflightReport.model_validate(report)
