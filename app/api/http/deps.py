"""Where FastAPI meets the services: what a route may ask for, and who may call it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator

from app.api.dashboard.session import Sessions
from app.api.http.body_limit import announced_size
from app.domain.tokens import UnsubscribeTokens
from app.errors import PayloadTooLarge, Unauthorized
from app.ports import SnsConfirmer, SnsVerifier
from app.services.checks.preflight import Preflight
from app.services.dashboard.views import Dashboard
from app.services.sending.sender import Sender
from app.services.starting.dry_run import DryRuns
from app.services.starting.start_mailout import StartMailout
from app.services.watching.health import Health
from app.services.watching.record_events import RecordEvents
from app.services.watching.watchdog import Watchdog
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Services:
    """Everything a route can need, wired once in main.py and kept in `app.state.services`."""

    settings: Settings
    store: Store
    jobs: JobStore
    start_mailout: StartMailout
    record_events: RecordEvents
    verifier: SnsVerifier
    confirmer: SnsConfirmer
    tokens: UnsubscribeTokens | None
    health: Health
    dry_runs: DryRuns
    preflight: Preflight
    metrics: Metrics
    database_gauges: DatabaseGauges
    sender: Sender | None
    watchdog: Watchdog
    dashboard: Dashboard
    sessions: Sessions

    def wake(self) -> None:
        """Tell the sender of this process that there is work."""
        if self.sender:
            self.sender.wake()

    def stop_sending(self) -> None:
        """Have this process's sender claim nothing more; it still records the calls in flight."""
        if self.sender:
            self.sender.stop()


async def get_services(request: Request) -> Services:  # a plain `def` would cost a thread each time
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


def is_authorized(request: Request, settings: Settings, body_token: object = None) -> bool:
    """Whether any credential presented is one of the shared secrets; constant-time.

    Two `Authorization` or two `X-Auth-Token` headers are ambiguous, so nobody is authorized then.
    """
    presented = [body_token] if isinstance(body_token, str) else []
    authorizations = request.headers.getlist("authorization")
    tokens = request.headers.getlist("x-auth-token")
    if len(authorizations) > 1 or len(tokens) > 1:
        return False
    for value in authorizations:
        scheme, _, credential = value.partition(" ")
        if scheme.lower() == "bearer":
            presented.append(credential.strip())
    presented += tokens
    matches = [
        hmac.compare_digest(candidate.encode(), secret.encode())
        for candidate in presented
        for secret in settings.executor_secrets
    ]
    return any(matches)


@dataclass(frozen=True)
class Caller:
    """Who calls. by: as it stands in histories and in the audit log; `owner` is whoever has the
    shared secret."""

    by: str


class Protected(APIRoute):
    """A route for callers with the secret. It checks the credential before FastAPI reads the body
    (which FastAPI does before any dependency), so a stranger learns nothing, not even whether the
    body was valid."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            services = await get_services(request)
            if not is_authorized(request, services.settings):
                raise Unauthorized(
                    "Present the shared secret as `Authorization: Bearer …` or `X-Auth-Token: …`."
                )
            request.state.caller = Caller("owner")
            return await handle(request)

        return handler


async def get_caller(request: Request) -> Caller:
    """On a Protected route: who was let in."""
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character can't stand here")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
"""A caller's text that goes to PostgreSQL, which can't hold NUL."""


async def limited_body(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes: where a route takes less than BodyLimit lets through. What
    is announced to be larger isn't read.

    Raises PayloadTooLarge.
    """
    too_large = PayloadTooLarge(f"The body may have at most {limit:,} bytes.")
    if (announced_size(request.headers) or 0) > limit:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise too_large
    return bytes(body)
