"""Stand-ins over HTTP, and what posts their webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.providers.model import Answer, Post, StandIn
from app.sandbox.ses.wire import Cut, Dropped, Hanging

HANGS_SECONDS = 600.0
"""Longer than any client waits."""
COLLECT_SECONDS = 0.2
"""Between two looks for something to post."""
REPEAT_SECONDS = (0.5, 5.0)
"""First and longest wait before a webhook is repeated, far shorter than the providers'."""
MOST_REPEATS = 60
POST_SECONDS = 15.0
POSTS_AT_ONCE = 20
"""More would wait within httpx, whose pool looks at all that wait whenever one ends."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(name: str, standin: StandIn, *paths: str) -> list[Route]:
    """What the stand-in answers, and `/sandbox/NAME/…`: what it has sent, and its faults."""
    shown = f"/sandbox/{name}"
    return [
        *(Route(path, _answering(standin), methods=["POST", "GET"]) for path in paths),
        Route(f"{shown}/mails", _mails(standin), methods=["GET"]),
        Route(f"{shown}/faults", _faults(standin), methods=["PUT"]),
    ]


def _answering(standin: StandIn) -> Handler:
    async def handle(request: Request) -> Response:
        body = await request.body()
        return response(standin.answer(request.url.path, body, dict(request.headers)))

    return handle


def response(given: Answer) -> Response:
    """Faults of the connection need the server of `app.sandbox.main.run`."""
    whole = Response(given.body, given.status, given.headers)
    match given.ending:
        case "drop" | "reset":
            return Dropped(reset=given.ending == "reset")
        case "hang":
            return Hanging(HANGS_SECONDS)
        case "cut":
            return Cut(whole, len(given.body) // 2)
    return whole


def _mails(standin: StandIn) -> Handler:
    async def handle(request: Request) -> Response:
        to = request.query_params.get("to")
        mails = [asdict(mail) for mail in list(standin.mails) if to in (None, mail.to)]
        return Response(orjson.dumps({"mails": mails[::-1]}), media_type="application/json")

    return handle


def _faults(standin: StandIn) -> Handler:
    """The body: a Fault's members; empty: none any more."""

    async def handle(request: Request) -> Response:
        try:
            said = orjson.loads(await request.body() or b"{}")
            if "body" in said:
                said["body"] = said["body"].encode()
            standin.fail(**said) if said else standin.heal()
        except (ValueError, TypeError, AttributeError) as exc:
            return Response(f"no fault: {exc}", 400)
        return Response(b"{}", media_type="application/json")

    return handle


@asynccontextmanager
async def posting(standin: StandIn, url: str) -> AsyncIterator[None]:
    """Post what happens to `url` while the context is open."""
    async with httpx.AsyncClient(timeout=POST_SECONDS, trust_env=False) as client:
        task = asyncio.create_task(_post(standin, url, client))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _post(standin: StandIn, url: str, client: httpx.AsyncClient) -> None:
    at_once = asyncio.Semaphore(POSTS_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        while True:
            for post in standin.pending():
                group.create_task(_deliver(standin, post, url, client, at_once))
            await asyncio.sleep(COLLECT_SECONDS)


async def _deliver(
    standin: StandIn, post: Post, url: str, client: httpx.AsyncClient, at_once: asyncio.Semaphore
) -> None:
    wait, longest = REPEAT_SECONDS
    while post.attempts < MOST_REPEATS:
        async with at_once:
            headers, body = standin.signed(post)
            try:
                status = (await client.post(url, content=body, headers=headers)).status_code
            except httpx.HTTPError:
                status = 0
        post.answers.append(status)
        if not standin.repeats(status):
            return
        await asyncio.sleep(wait)
        wait = min(2 * wait, longest)
