"""A person's browser, as far as cookies and forms go."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from app.api.dashboard.session import COOKIE
from tests.support.service import SECRET, Service

ORIGIN = {"Origin": "http://service"}


class Visitor:
    """The dashboard of a service, with a cookie jar of its own."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.http = httpx.AsyncClient(
            transport=service.http._transport, base_url="http://service", headers=ORIGIN
        )

    async def sign_in(self, secret: str = SECRET, *, to: str = "/dashboard") -> httpx.Response:
        return await self.http.post("/dashboard/login", data={"secret": secret, "next": to})

    async def get(self, path: str = "") -> httpx.Response:
        return await self.http.get(f"/dashboard{path}")

    async def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """With this session's token, as its pages' forms send it."""
        token = form_token((await self.get("/account")).text)
        return await self.http.post(f"/dashboard{path}", data={"form_token": token, **fields})

    @property
    def cookie(self) -> str:
        return self.http.cookies[COOKIE]


@asynccontextmanager
async def signed_in(service: Service) -> AsyncIterator[Visitor]:
    """Somebody who signed in to it."""
    person = Visitor(service)
    await person.sign_in()
    try:
        yield person
    finally:
        await person.http.aclose()


def form_token(html: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', html)
    assert found is not None
    return found[1]
