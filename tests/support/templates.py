"""Somebody who writes templates by API."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from tests.support.service import BEARER, Service

_numbers = count(1)


@dataclass
class Author:
    service: Service

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = BEARER | options.pop("headers", {})
        return await self.service.http.request(method, path, headers=headers, **options)

    async def template(self, body_html: str | None = "<p>{{ content }}</p>", **more: Any) -> Any:
        """A new one, with a name of its own unless one is given."""
        body = {"name": f"Template {next(_numbers)}", "body_html": body_html, **more}
        answer = await self.ask("POST", "/templates", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def mailout(self, **columns: Any) -> str:
        answer = await self.ask("POST", "/mailouts", json={"subject": "News", **columns})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])
