"""The control API under `/sandbox/`: what was accepted, and how the sandbox should behave."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.sandbox.faults import FaultPlan, Probability
from app.sandbox.ses.mime import build_message, wire_headers
from app.sandbox.ses.quota import Enforcement
from app.sandbox.ses.sets import HttpsPolicy, Switch
from app.sandbox.ses.wire import open_connections
from app.sandbox.standing.state import Standing
from app.sandbox.state import Sandbox
from app.sandbox.store import Mail, iso

Body = TypeVar("Body", bound=BaseModel)

MAX_PAGE = 1000
UNSUBSCRIBE_TIMEOUT_SECONDS = 15.0


class AccountChange(BaseModel):
    """The body of `PUT /sandbox/account`; what isn't named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    max_send_rate: Annotated[float, Field(gt=0)] | None = None
    max_24h_send: Annotated[float, Field(ge=-1)] | None = None
    production_access: bool | None = None
    sending_enabled: bool | None = None
    enforcement_status: Enforcement | None = None
    verified: frozenset[str] | None = None
    engagement_metrics: Switch | None = None
    """Of the account's Virtual Deliverability Manager."""


class SetChange(BaseModel):
    """The body of `PUT /sandbox/configuration-sets/{name}`; what isn't named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    events: list[str] | None = None
    enabled: bool | None = None
    custom_redirect_domain: str | None = None
    https_policy: HttpsPolicy | None = None
    engagement_metrics: Switch | None = None


class Release(BaseModel):
    """The body of `POST /sandbox/events/release`; see Publisher.release."""

    model_config = ConfigDict(extra="forbid")

    shuffle: bool = False
    duplicate: Probability = 0.0
    new_ids: bool = False
    drop: Probability = 0.0
    seed: int = 0


class Open(BaseModel):
    """The body of `POST /sandbox/mails/{id}/open`. What isn't named is as of nobody in particular.

    The event is published whether or not the mail is tracked: events do come that nobody asked for.
    """

    model_config = ConfigDict(extra="forbid")

    ip: str | None = None
    user_agent: str | None = None

    def details(self) -> dict[str, Any]:
        named = {"ipAddress": self.ip, "userAgent": self.user_agent}
        return {name: value for name, value in named.items() if value is not None}


class Click(Open):
    """The body of `POST /sandbox/mails/{id}/click`."""

    link: str = "https://example.com/"
    tags: dict[str, list[str]] | None = None

    def details(self) -> dict[str, Any]:
        return {**super().details(), "link": self.link, "linkTags": self.tags}


class ControlApi:
    """JSON in, JSON out; refusals are `{"error": …}`."""

    def __init__(self, sandbox: Sandbox, reset: Callable[[], None]) -> None:
        """reset: all regions and providers, whose accept log is one."""
        self._sandbox, self._reset_all = sandbox, reset

    def routes(self) -> list[Route]:
        mail = "/sandbox/mails/{id}"
        return [
            _route("GET", "/sandbox/mails", self._mails),
            _route("GET", mail, self._mail),
            _route("POST", f"{mail}/open", self._open),
            _route("POST", f"{mail}/click", self._click),
            _route("POST", f"{mail}/unsubscribe", self._unsubscribe),
            _route("GET", "/sandbox/stats", self._stats),
            Route("/sandbox/accepted", self._accepted),
            _route("POST", "/sandbox/reset", self._reset),
            _route("GET", "/sandbox/faults", self._get_faults),
            _route("PUT", "/sandbox/faults", self._put_faults),
            _route("DELETE", "/sandbox/faults", self._delete_faults),
            _route("PUT", "/sandbox/account", self._put_account),
            _route("PUT", "/sandbox/configuration-sets/{name}", self._put_set),
            _route("PUT", "/sandbox/standing", self._put_standing),
            _route("POST", "/sandbox/events/hold", self._hold),
            _route("POST", "/sandbox/events/release", self._release),
        ]

    async def _mails(self, request: Request) -> Any:
        query = request.query_params
        try:
            limit = int(query.get("limit", 50))
        except ValueError as exc:
            raise Refused("limit is not a number") from exc
        if not 1 <= limit <= MAX_PAGE:
            raise Refused(f"limit is 1 to {MAX_PAGE}")
        mails = self._sandbox.store.newest(
            to=query.get("to", ""), after=query.get("after", ""), limit=limit
        )
        return {
            "mails": [summary(mail) for mail in mails],
            "next": mails[-1].message_id if len(mails) == limit else None,
        }

    async def _mail(self, request: Request) -> Any:
        mail = self._found(request)
        region = self._sandbox.config.region
        delivered = self._sandbox.tracker.delivered(mail)
        html = delivered.html if delivered else None
        return {
            **summary(mail),
            "html": html,
            "text": mail.render(mail.call.text),
            "pixel": delivered.pixel if delivered else None,
            "links": [
                {"url": link.url, "tracked": link.tracked, "tags": link.tags}
                for link in delivered.links
            ]
            if delivered
            else [],
            "headers": [
                {"name": name, "value": value} for name, value in wire_headers(mail, region)
            ],
            "failure": mail.failure,
            "events": mail.events,
            "raw": build_message(mail, region, html).as_bytes().decode("ascii", "replace"),
        }

    def _found(self, request: Request) -> Mail:
        mail = self._sandbox.store.get(request.path_params["id"])
        if mail is None:
            raise Refused("There is no such mail, or it is no longer kept", 404)
        return mail

    async def _open(self, request: Request) -> Any:
        mail, opened = self._found(request), await _parsed(request, Open)
        self._sandbox.publisher.publish(
            "Open", mail, next(iter(mail.fates)), details=opened.details(), forced=True
        )
        return {"published": "Open"}

    async def _click(self, request: Request) -> Any:
        mail, click = self._found(request), await _parsed(request, Click)
        self._sandbox.publisher.publish(
            "Click", mail, next(iter(mail.fates)), details=click.details(), forced=True
        )
        return {"published": "Click"}

    async def _unsubscribe(self, request: Request) -> Any:
        return await unsubscribe(self._found(request))

    async def _stats(self, request: Request) -> Any:
        return {**self._sandbox.stats(), "connections": open_connections(request.scope)}

    async def _accepted(self, _request: Request) -> Response:
        """Of all regions and providers."""
        return StreamingResponse(self._sandbox.accepted.read(), media_type="application/x-ndjson")

    async def _reset(self, _request: Request) -> Any:
        self._reset_all()
        return {"reset": iso(time.time())}

    async def _get_faults(self, _request: Request) -> Any:
        return self._sandbox.injector.remaining().model_dump(mode="json", exclude_defaults=True)

    async def _put_faults(self, request: Request) -> Any:
        self._sandbox.injector.set(await _parsed(request, FaultPlan))
        return await self._get_faults(request)

    async def _delete_faults(self, request: Request) -> Any:
        self._sandbox.injector.set(FaultPlan())
        return await self._get_faults(request)

    async def _put_account(self, request: Request) -> Any:
        account, change = self._sandbox.account, await _parsed(request, AccountChange)
        changed = change.model_dump(exclude_none=True)
        sets = self._sandbox.sets
        sets.account_metrics = changed.pop("engagement_metrics", sets.account_metrics)
        for name, value in changed.items():
            setattr(account, name, value)
        own = AccountChange.model_fields.keys() - {"engagement_metrics"}
        shown = {name: getattr(account, name) for name in own - {"verified"}}
        named = {"verified": sorted(account.verified), "engagement_metrics": sets.account_metrics}
        return {**shown, **named}

    async def _put_set(self, request: Request) -> Any:
        found = self._sandbox.sets.get(request.path_params["name"])
        if found is None:
            raise Refused("There is no such configuration set", 404)
        change = await _parsed(request, SetChange)
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(found, name, tuple(value) if name == "events" else value)
        return dataclasses.asdict(found)

    async def _put_standing(self, request: Request) -> Any:
        self._sandbox.standing = await _parsed(request, Standing)
        return self._sandbox.standing.model_dump(mode="json", exclude_defaults=True)

    async def _hold(self, _request: Request) -> Any:
        self._sandbox.publisher.hold()
        return {"holding": True}

    async def _release(self, request: Request) -> Any:
        options = await _parsed(request, Release)
        return {"released": await self._sandbox.publisher.release(**options.model_dump())}


class Refused(Exception):
    """A control call that makes no sense; `status` is 422 or 404."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def summary(mail: Mail) -> dict[str, Any]:
    """A mail in a list."""
    return {
        "message_id": mail.message_id,
        "time": iso(mail.time),
        "operation": mail.call.operation,
        "configuration_set": mail.call.configuration_set,
        "from": mail.call.source,
        "to": list(mail.fates),
        "subject": mail.subject,
        "tags": mail.tags,
        "fates": mail.fates,
    }


async def unsubscribe(mail: Mail) -> dict[str, Any]:
    """Press the mail program's unsubscribe button: RFC 8058's POST to List-Unsubscribe.

    Gives the address and the answer's status. Raises Refused when the mail has no such header
    or nothing answers there.
    """
    wanted = (mail.header("List-Unsubscribe") or "").split(",")
    links = [each.strip(" <>") for each in wanted if each.strip(" <").startswith("http")]
    if not links or mail.header("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        raise Refused("The mail has no one-click unsubscribe headers")
    try:
        async with httpx.AsyncClient(timeout=UNSUBSCRIBE_TIMEOUT_SECONDS, trust_env=False) as http:
            response = await http.post(links[0], data={"List-Unsubscribe": "One-Click"})
    except httpx.HTTPError as exc:
        raise Refused(f"{links[0]} does not answer: {exc}") from exc
    return {"url": links[0], "status": response.status_code}


async def _parsed(request: Request, model: type[Body]) -> Body:
    """The body as `model`; an empty body is an empty object. Raises Refused."""
    try:
        return model.model_validate_json(await request.body() or b"{}")
    except ValidationError as exc:
        raise Refused("; ".join(f"{e['loc']}: {e['msg']}" for e in exc.errors())) from exc


def _route(method: str, path: str, handler: Callable[[Request], Awaitable[Any]]) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return _json(await handler(request))
        except Refused as refused:
            return _json({"error": str(refused)}, refused.status)

    return Route(path, endpoint, methods=[method])


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
