"""Routes whose parameters are analysed when they are first needed."""

from __future__ import annotations

from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query
from fastapi.routing import APIRoute

from app.api.http.late_route import LateRoute
from tests.support.routes import ROUTES, Route


async def _doubled(number: Annotated[int, Query(ge=1)]) -> int:
    return 2 * number


async def _broken(number: LateRoute) -> None:
    """Nothing that a query can have."""


def _client(*routes: APIRoute) -> httpx.AsyncClient:
    app = FastAPI()
    app.router.routes.extend(routes)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def _asked(client: httpx.AsyncClient, number: int, path: str = "/doubled") -> tuple[int, str]:
    answer = await client.get(path, params={"number": number})
    return answer.status_code, answer.text


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_can_be_analysed_and_is_then_what_fastapi_makes_of_it(route: Route) -> None:
    assert route.declared.dependant.call is route.declared.endpoint
    assert callable(route.declared.app)


async def test_it_answers_as_fastapis_own_and_is_analysed_by_the_first_request_for_it() -> None:
    late = LateRoute("/doubled", _doubled)
    async with _client(LateRoute("/other", _doubled), late) as client:
        assert (await client.post("/doubled")).status_code == 405
        assert "dependant" not in vars(late)

        answers = [await _asked(client, number) for number in (2, 3, 0)]
        assert "dependant" in vars(late)

    async with _client(APIRoute("/doubled", _doubled)) as client:
        assert answers == [await _asked(client, number) for number in (2, 3, 0)]
    assert [status for status, _ in answers] == [200, 200, 422]


async def test_what_is_wrong_with_an_endpoint_is_told_each_time() -> None:
    late = LateRoute("/broken", _broken)
    for _ in range(2):
        with pytest.raises(Exception, match="Invalid args"):
            _ = late.app
    async with _client(late) as client:
        assert (await _asked(client, 1, "/broken"))[0] == 500
