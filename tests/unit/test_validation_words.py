"""A malformed request is told in words that name the field and what to do."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.api.http import problems
from app.domain.given.bodies import invalid_request


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=5)]
    events: Annotated[list[Annotated[str, Field(max_length=3)]], Field(max_length=1)] = []
    rate: Annotated[float, Field(ge=0.01, le=10_000)] = 1
    at: datetime | None = None
    on: bool = True

    @model_validator(mode="after")
    def _no_x(self) -> Order:
        if self.url == "x":
            raise ValueError("url: anything but x.")
        return self


app = FastAPI()
problems.install(app)


@app.post("/orders")
def take(body: Order) -> None:
    """Takes one."""


@app.get("/orders/{order_id}")
def show(
    order_id: UUID,
    by: Literal["day", "week"] = "day",
    group: Annotated[list[Literal["a", "b"]] | None, Query()] = None,
    state: Annotated[str, Query(pattern="^(done|dead|gone)$")] = "done",
    days: Annotated[int, Query(ge=1)] = 1,
) -> None:
    """Shows one."""


async def refusal(method: str, path: str, content: str | None = None) -> str:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.request(
            method, path, content=content, headers={"Content-Type": "application/json"}
        )
    assert answer.status_code == 422
    return str(answer.json()["detail"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "url: it is missing, and needed"),
        (
            {"url": "a", "foo": 1},
            "foo: there is no such field here; check its name, or leave it out",
        ),
        ({"url": ""}, "url: it is empty"),
        ({"url": "abcdef"}, "url: at most 5 characters"),
        ({"url": 7}, "url: text is needed, in quotes"),
        ({"url": "a", "events": ["abcd"]}, "events.0: at most 3 characters"),
        ({"url": "a", "events": ["a", "b"]}, "events: at most 1 entry"),
        ({"url": "a", "rate": 0}, "rate: it has to be at least 0.01"),
        ({"url": "a", "rate": 10**9}, "rate: it has to be at most 10,000"),
        ({"url": "a", "rate": "fast"}, "rate: a number is needed"),
        ({"url": "a", "on": "perhaps"}, "on: true or false is needed"),
        ({"url": "x"}, "body: url: anything but x."),
        ([], "body: a JSON object is needed, such as {…}"),
        ("{bad", "body: it isn't JSON"),
    ],
)
async def test_bodies(body: Any, said: str) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    assert await refusal("POST", "/orders", content) == said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("abc", "order_id: an id is needed, such as 0b8f4d3a-6c1e-4f57-9a52-3d1c7e5b9f10"),
        (f"{UUID(int=1)}?by=year", "by: choose 'day' or 'week'"),
        (f"{UUID(int=1)}?group=c", "group: choose 'a' or 'b'"),
        (f"{UUID(int=1)}?state=on", "state: choose done, dead or gone"),
        (f"{UUID(int=1)}?days=0", "days: it has to be at least 1"),
        (f"{UUID(int=1)}?days=x", "days: a whole number is needed"),
    ],
)
async def test_addresses(path: str, said: str) -> None:
    assert await refusal("GET", f"/orders/{path}") == said


def test_a_body_that_is_read_by_ourselves() -> None:
    with pytest.raises(ValidationError) as found:
        Order.model_validate({"url": "x"})
    assert invalid_request(found.value.errors()).detail == "body: url: anything but x."
