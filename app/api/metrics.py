"""`GET /metrics` of the service, and the little application by which a worker shows the same."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.http.body_limit import BodyLimit
from app.api.http.deps import ApiRoute, ServicesDep
from app.api.http.description import a_file
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.metrics import Metrics

router = APIRouter(tags=["health"], route_class=ApiRoute)

PATH = "/metrics"


@router.get(PATH, response_class=Response, responses={200: a_file("text/plain")})
async def metrics(services: ServicesDep) -> Response:
    """This process's counters and the database's gauges, in Prometheus's text format."""
    return await _page(services.metrics, services.database_gauges)


def metrics_app(metrics: Metrics, gauges: DatabaseGauges) -> Starlette:
    """Nothing but `GET /metrics`, for a process without the service's routes."""

    async def show(_: Request) -> Response:
        return await _page(metrics, gauges)

    return Starlette(routes=[Route(PATH, show)], middleware=[Middleware(BodyLimit)])


async def _page(metrics: Metrics, gauges: DatabaseGauges) -> Response:
    await gauges.refresh()
    return Response(
        metrics.page(),
        media_type=CONTENT_TYPE_PLAIN_0_0_4,
        headers={"Cache-Control": "no-store"},
    )
