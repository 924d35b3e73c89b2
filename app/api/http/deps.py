"""Where FastAPI meets the services: what a route may ask for, and who may call it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, Request, Response, Security, params
from fastapi.dependencies.utils import get_flat_params, get_validation_alias
from fastapi.security import APIKeyHeader, HTTPBearer

from app.api.dashboard.session import Sessions
from app.api.http.body_limit import BodyRefused, announced_size
from app.api.http.late_route import LateRoute
from app.api.http.problems import problems
from app.api.strangers.refusing import stranger
from app.domain.access import SCOPES, Caller, Scope
from app.domain.given.bodies import Text as Text
from app.domain.given.bodies import without_nul as without_nul
from app.domain.given.strict_json import NotStrictJson, read_strict
from app.domain.tokens import UnsubscribeTokens
from app.domain.untrusted import plain
from app.errors import InvalidRequest, PayloadTooLarge, ScopeMissing, Unauthorized
from app.ports import SnsVerifier
from app.services.access.callers import known_caller
from app.services.access.keys import Keys, require_scope
from app.services.access.sign_ins import SignIns
from app.services.assets.serve import ServePictures
from app.services.audience.segments import Segments
from app.services.checks.preflight import Preflight
from app.services.dashboard.views import Dashboard
from app.services.drafts.drafts import Drafts
from app.services.drafts.subjects import Subjects
from app.services.engagement.reports import EngagementReports
from app.services.hooks.hooks import Hooks
from app.services.imports.imports import Imports
from app.services.notion.webhook import NotionWebhook
from app.services.people.many import ManyPeople
from app.services.preview.preview import Preview
from app.services.providers.fallback import Fallback
from app.services.providers.webhooks import ProviderWebhooks
from app.services.sending.sender import Sender
from app.services.signup.sign_up import SignUp
from app.services.starting.dry_run import DryRuns
from app.services.starting.orders import CarryOut
from app.services.starting.schedule_mailout import ScheduleMailout
from app.services.starting.start_mailout import StartMailout
from app.services.templates.templates import Templates
from app.services.watching.health import Health
from app.services.watching.record_events import RecordEvents
from app.services.watching.take_message import TakeMessage
from app.services.watching.watchdog import Watchdog
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.metrics import Metrics

MAX_NAME_CHARS = 100
"""Of a parameter's name, in the answer that refuses it."""


@dataclass(frozen=True)
class Services:
    """Everything a route can need, wired once in main.py and kept in `app.state.services`."""

    settings: Settings
    store: Store
    segments: Segments
    jobs: JobStore
    imports: Imports
    start_mailout: StartMailout
    carry_out: CarryOut
    record_events: RecordEvents
    provider_webhooks: ProviderWebhooks
    fallback: Fallback
    verifier: SnsVerifier
    take_message: TakeMessage
    notion_webhook: NotionWebhook
    tokens: UnsubscribeTokens | None
    health: Health
    dry_runs: DryRuns
    schedules: ScheduleMailout
    drafts: Drafts
    subjects: Subjects
    engagement_reports: EngagementReports
    preflight: Preflight
    preview: Preview
    metrics: Metrics
    database_gauges: DatabaseGauges
    sender: Sender | None
    watchdog: Watchdog
    dashboard: Dashboard
    sessions: Sessions
    keys: Keys
    hooks: Hooks
    sign_ins: SignIns
    sign_up: SignUp
    templates: Templates
    many_people: ManyPeople
    pictures: ServePictures

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


async def find_caller(
    request: Request, services: Services, body_token: object = None
) -> Caller | None:
    """Who presents the shared secret (compared in constant time) or an API key; None: a stranger.

    Two `Authorization` or two `X-Auth-Token` headers are ambiguous, so nobody is known then; nor
    when one of each, or body_token, are of different callers.
    Raises DatabaseUnavailable when nobody can say whether a key is valid.
    """
    presented = [body_token] if isinstance(body_token, str) else []
    authorizations = request.headers.getlist("authorization")
    tokens = request.headers.getlist("x-auth-token")
    if len(authorizations) > 1 or len(tokens) > 1:
        stranger(request).brought("secret")
        return None
    for value in authorizations:
        scheme, _, credential = value.partition(" ")
        if scheme.lower() == "bearer":
            presented.append(credential.strip())
    presented += tokens
    them = stranger(request)
    limited = them.is_limited("secret")
    caller = await known_caller(presented, services.settings, services.keys, in_haste=limited)
    if caller:
        them.is_known()
    elif any(presented):
        them.brought("secret")
    return caller


def presents_credential(request: Request) -> bool:
    """Whether it has one of the kinds that we know; `Basic …` is for a proxy in front."""
    schemes = [one.partition(" ")[0].lower() for one in request.headers.getlist("authorization")]
    return "bearer" in schemes or "x-auth-token" in request.headers


def refuse_unknown_parameters(request: Request, known: Collection[str] = ()) -> None:
    """Raises InvalidRequest for a query parameter that isn't among the known ones: a filter with a
    spelling mistake would otherwise be none."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        name = plain(unknown[0], MAX_NAME_CHARS) or "without a name"
        raise InvalidRequest(
            f"{name}: there is no such query parameter here; "
            + (f"known: {', '.join(sorted(known))}." if known else "none is known."),
            known=sorted(known),
        )


def refuse_doubled_parameters(request: Request, repeatable: Collection[str]) -> None:
    """Raises InvalidRequest for a query parameter that comes twice and takes one value: a door in
    front may have looked at the first, and we at the last."""
    names = [name for name, _ in request.query_params.multi_items() if name not in repeatable]
    if len(names) != len(set(names)):
        name = plain(next(name for name in names if names.count(name) > 1), MAX_NAME_CHARS)
        raise InvalidRequest(f"{name}: it stands in the address twice; leave one of both out.")


async def only_token(request: Request, token: str = "") -> str:
    """Of a link. One that comes twice is as good as none."""
    return token if len(request.query_params.getlist("token")) == 1 else ""


LinkToken = Annotated[str, Depends(only_token)]


def _takes_many(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_takes_many, get_args(annotation)))


class _StrictRequest(Request):
    async def json(self) -> Any:
        try:
            return read_strict(await self.body())
        except NotStrictJson as exc:
            raise BodyRefused(InvalidRequest(exc.named("body"))) from None


class ApiRoute(LateRoute):
    """A route of the API. Unlike pages and links that others add parameters to, it takes only query
    parameters that it knows, and each once, but where it takes a list. more_known: how further ones
    begin that it reads itself."""

    more_known: str | None = None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_many = {
            get_validation_alias(field): _takes_many(field.field_info.annotation)
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, params.Query)
        }
        repeatable = {name for name, many in takes_many.items() if many}

        async def handler(request: Request) -> Response:
            await self.admit(request)
            refuse_unknown_parameters(request, takes_many.keys() | self._more(request))
            refuse_doubled_parameters(request, repeatable)
            return await handle(_StrictRequest(request.scope, request.receive))

        return handler

    def _more(self, request: Request) -> set[str]:
        if self.more_known is None:
            return set()
        return {name for name in request.query_params if name.startswith(self.more_known)}

    async def admit(self, request: Request) -> None:
        """Everybody may call it."""


class Protected(ApiRoute):
    """A route for callers whose credential has a scope that `needs` names for it.

    The credential is checked before FastAPI reads the body (which FastAPI does before any
    dependency), so a stranger learns nothing, not even whether the body was valid.
    """

    def __init__(self, path: str, *arguments: Any, **options: Any) -> None:
        options["responses"] = problems(ScopeMissing) | (options.get("responses") or {})
        super().__init__(path, *arguments, **options)
        scopes = [
            [scope for scope in SCOPES if scope in (dependency.scopes or ())]
            for dependency in options.get("dependencies") or ()
            if isinstance(dependency, params.Security)
        ]
        if len(scopes) != 1 or not scopes[0]:
            raise TypeError(f"{path}: say `dependencies=[needs(…)]`, of {', '.join(SCOPES)}")
        self.scopes: tuple[Scope, ...] = tuple(scopes[0])

    async def admit(self, request: Request) -> None:
        caller = await find_caller(request, await get_services(request))
        if caller is None:
            raise Unauthorized(
                "Present the shared secret or an API key as `Authorization: Bearer …` or "
                "`X-Auth-Token: …`."
            )
        require_scope(caller, *self.scopes)
        request.state.caller = caller


_BEARER = HTTPBearer(
    scheme_name="bearer",
    auto_error=False,
    description="The shared secret, or an API key (`as_…`) with the scope of the operation.",
)
_TOKEN = APIKeyHeader(
    name="X-Auth-Token", scheme_name="token", auto_error=False, description="The same, bare."
)


async def get_caller(
    request: Request,
    _bearer: Annotated[object, Security(_BEARER)],
    _token: Annotated[object, Security(_TOKEN)],
) -> Caller:
    """On a Protected route: who was let in. The two schemes are for OpenAPI."""
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(get_caller)]


def needs(*scopes: Scope) -> params.Security:
    """For the `dependencies` of a Protected route, or of a router of such routes: any of these."""
    security: params.Security = Security(get_caller, scopes=scopes)
    return security


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
