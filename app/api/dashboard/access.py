"""Who may use the dashboard: signing in and out, forms of its own pages, and problems as pages."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse

from app.api.dashboard.around import AROUND, around
from app.api.dashboard.pages import page
from app.api.dashboard.session import (
    COOKIE,
    PATH,
    Session,
    forget_cookie,
    from_own_page,
    set_cookie,
)
from app.api.http.deps import Services, ServicesDep, limited_body
from app.api.http.late_route import LateRoute
from app.api.strangers.refusing import stranger, too_many
from app.domain.reports.words import duration
from app.errors import AppError, InvalidRequest, NotFound, TooManyRequests, Unavailable

log = structlog.get_logger(__name__)

HOME = PATH
MAX_FORM_BYTES = 10_000
MAX_FIELDS = 300
PAGE_SECONDS = 8.0
"""A page that takes longer to make is answered with an error."""


class SignInNeeded(AppError):
    status, code, title = 401, "sign_in_needed", "Sign in first"


class FormRefused(AppError):
    status, code, title = 403, "form_refused", "This form can't be taken"


class Page(LateRoute):
    """Problems as pages, not as problem+json."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            AROUND.set(around(request.app.state.services.settings))
            try:
                async with asyncio.timeout(PAGE_SECONDS if request.method == "GET" else None):
                    return await handle(request)
            except TimeoutError:
                return _error_page(request, Unavailable("The database didn't answer in time."))
            except SignInNeeded:
                # The address that a form is sent to shows no page, so signing in can't lead back
                # there.
                back = request.url.path if request.method == "GET" else HOME
                return RedirectResponse(f"{HOME}/login?{urlencode({'next': back})}", 303)
            except RequestValidationError:
                return _error_page(request, NotFound())
            except AppError as error:
                return _error_page(request, error)

        return handler


def _error_page(request: Request, error: AppError) -> Response:
    if error.status == 500:
        log.error("request_failed", code=error.code, exc_info=error)
    elif error.status == 503:
        log.warning("request_unavailable", code=error.code, error=error.detail)
    state = request.scope.get("state", {})
    again = error.status == 503 and request.method == "GET"
    back, words = HOME, "To the mailouts"
    if again:
        back, words = str(request.url.path), "Try again"
    elif isinstance(error, TooManyRequests):  # their cookie may just be old: signing in helps
        back, words = f"{HOME}/login", "Sign in"
    answer = page(
        "error.html",
        error.status,
        session=state.get("dashboard_session"),
        org_name=state.get("dashboard_org_name"),
        title=error.title,
        detail=(
            "Sending is not disturbed by this page; try again in a moment."
            if error.status in {500, 503}
            else error.detail
        ),
        back=back,
        back_words=words,
    )
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(error.extra["retry_after"])
    return answer


async def require_session(request: Request, services: ServicesDep) -> Session:
    them, cookie = stranger(request), request.cookies.get(COOKIE)
    session = await services.sessions.find(cookie)
    if session is None:
        if cookie:
            them.brought("secret")
            if wait := them.refused():
                raise too_many(wait)
        raise SignInNeeded
    them.is_known()
    # For the page about what may go wrong later on, which keeps its way to the others.
    request.state.dashboard_session = session
    request.state.dashboard_org_name = services.settings.org_name
    return session


SignedIn = Annotated[Session, Depends(require_session)]


def _secure(services: Services) -> bool:
    return urlsplit(services.settings.app_base_url).scheme == "https"


async def _form(
    request: Request, services: Services, limit: int = MAX_FORM_BYTES
) -> dict[str, list[str]]:
    """The fields of a form of our own pages. Raises FormRefused for any other, InvalidRequest for
    what no browser sends, such as a NUL, which PostgreSQL can't hold."""
    require_own_page(request, services)
    try:
        fields = parse_qs((await limited_body(request, limit)).decode(), max_num_fields=MAX_FIELDS)
    except ValueError as exc:
        raise InvalidRequest("The form is damaged.") from exc
    if any("\0" in value for values in fields.values() for value in values):
        raise InvalidRequest("The form is damaged: a NUL character can't stand in it.")
    return fields


def require_own_page(request: Request, services: Services) -> None:
    """Raises FormRefused for a form that another site sent."""
    if not from_own_page(request, services.settings.app_base_url):
        raise FormRefused(
            "It didn't come from this service's own pages. Open the dashboard by the address in "
            "APP_BASE_URL and try again."
        )


def require_own_form(session: Session, form: dict[str, list[str]]) -> None:
    """Raises FormRefused for a form that no page of this very session sent."""
    if not session.owns_form(form.get("form_token", [""])[0]):
        raise FormRefused("It belongs to another session. Go back, reload the page and try again.")


async def own_form(
    request: Request, services: Services, session: Session, limit: int = MAX_FORM_BYTES
) -> dict[str, list[str]]:
    """The form, when a page of this very session sent it. Raises FormRefused for any other."""
    form = await _form(request, services, limit)
    require_own_form(session, form)
    return form


async def _own_form(
    request: Request, services: ServicesDep, session: SignedIn
) -> dict[str, list[str]]:
    return await own_form(request, services, session)


OwnForm = Annotated[dict[str, list[str]], Depends(_own_form)]


router = APIRouter(prefix=HOME, route_class=Page, include_in_schema=False)


@router.get("/login")
async def show_login(
    services: ServicesDep, next_page: Annotated[str, Query(alias="next")] = HOME
) -> Response:
    return _login(services, next_page)


@router.post("/login")
async def sign_in(request: Request, services: ServicesDep) -> Response:
    form = await _form(request, services)
    next_page = form.get("next", [HOME])[0]
    client = request.client.host if request.client else ""
    cookie = services.sessions.sign_in(form.get("secret", [""])[0].strip())
    if cookie is None:
        them = stranger(request)
        them.brought("sign_in")
        if wait := them.refused():
            return _too_many(services, next_page, wait)
        log.warning("dashboard_sign_in_refused")
        await services.sign_ins.refused(client)
        return _login(services, next_page, "That is not the shared secret.", 401)
    stranger(request).is_known()
    await services.sign_ins.accepted(client)
    log.info("dashboard_signed_in")
    answer = RedirectResponse(_own_path(next_page), 303)
    set_cookie(answer, cookie, secure=_secure(services))
    return answer


@router.post("/logout")
async def sign_out(services: ServicesDep, session: SignedIn, _form: OwnForm) -> Response:
    await services.sessions.end(session)
    log.info("dashboard_signed_out")
    answer = RedirectResponse(f"{HOME}/login", 303)
    forget_cookie(answer, secure=_secure(services))
    return answer


def _too_many(services: Services, next_page: str, wait: float) -> Response:
    """The right secret is taken all the same: somebody else may have been wrong from here."""
    after = duration(wait).removeprefix("about ")
    words = f"Too many wrong secrets came from your network. Wait {after}."
    answer = _login(services, next_page, words, 429)
    answer.headers["Retry-After"] = str(math.ceil(wait))
    return answer


def _login(services: Services, next_page: str, problem: str = "", status: int = 200) -> Response:
    return page(
        "login.html",
        status,
        org_name=services.settings.org_name,
        next=_own_path(next_page),
        problem=problem,
    )


def _own_path(path: str) -> str:
    """`path` when it leads to a page of the dashboard, else the first page."""
    inside = path == HOME or path.startswith((f"{HOME}/", f"{HOME}?"))
    ways_out = "\\" in path or "/." in unquote(path)
    return path if inside and not ways_out and path.isprintable() else HOME
