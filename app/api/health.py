"""Is it alive, and does it work?"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import ORJSONResponse

from app import __version__
from app.api.deps import ServicesDep

router = APIRouter(tags=["health"])


@router.get("/health", responses={503: {"description": "The database or its schema is missing."}})
async def health(services: ServicesDep) -> ORJSONResponse:
    """Checks of each part, at most 2 s old."""
    status, report = await services.health()
    return ORJSONResponse(report, status, headers={"Cache-Control": "no-store"})


@router.get("/health/live")
async def live() -> dict[str, str]:
    """Answers while the process lives; touches nothing else."""
    return {"status": "ok", "version": __version__}
