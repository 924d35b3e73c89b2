"""Is it alive, and does it work?"""

from __future__ import annotations

from fastapi import APIRouter

from app import __version__
from app.api.answers.service import HealthReport, Live
from app.api.http.deps import ApiRoute, ServicesDep
from app.api.http.description import answers
from app.api.http.responses import JsonAnswer

router = APIRouter(tags=["health"], route_class=ApiRoute)

LIVE = {"status": "ok", "version": __version__}


@router.get("/health", responses=answers(HealthReport) | answers(HealthReport, 503))
async def health(services: ServicesDep) -> JsonAnswer:
    """Checks of each part, at most 2 s old."""
    status, report = await services.health()
    return JsonAnswer(report, status, headers={"Cache-Control": "no-store"})


@router.get("/health/live", responses=answers(Live))
async def live() -> dict[str, str]:
    """Answers while the process lives; touches nothing else."""
    return LIVE
