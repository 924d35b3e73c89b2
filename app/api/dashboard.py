"""`/dashboard`: pages for people. What happens, and pause, resume, cancel and resend.

Steering goes the same ways as the API's endpoints (api/mailouts.py).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from app.api import mailouts as api
from app.api.dashboard_pages import asset, page
from app.api.deps import Services, ServicesDep, limited_body
from app.api.session import COOKIE, Session, forget_cookie, from_own_page, set_cookie
from app.domain.progress import Progress
from app.domain.states import MAILOUT_STATUSES, MailoutStatus
from app.domain.words import duration, plural
from app.errors import AppError, InvalidRequest, NotFound, TransitionNotAllowed
from app.services.dashboard import ACTIVE, MailoutView

log = structlog.get_logger(__name__)

HOME = "/dashboard"
MAX_FORM_BYTES = 10_000
LIVE_SECONDS, IDLE_SECONDS = 2, 10
"""How often a page asks for news, while something is sent and else."""


class SignInNeeded(AppError):
    status, code, title = 401, "sign_in_needed", "Sign in first"


class FormRefused(AppError):
    status, code, title = 403, "form_refused", "This form can't be taken"


class Page(APIRoute):
    """Problems as pages, not as problem+json."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInNeeded:
                # A form's own address has no page to come back to.
                back = request.url.path if request.method == "GET" else HOME
                return RedirectResponse(f"{HOME}/login?{urlencode({'next': back})}", 303)
            except RequestValidationError:
                return _error_page(request, NotFound())
            except AppError as error:
                return _error_page(request, error)

        return handler


router = APIRouter(prefix=HOME, route_class=Page, include_in_schema=False)


def _error_page(request: Request, error: AppError) -> Response:
    if error.status == 500:
        log.error("request_failed", code=error.code, exc_info=error)
    elif error.status == 503:
        log.warning("request_unavailable", code=error.code, error=error.detail)
    again = error.status == 503 and request.method == "GET"
    return page(
        "error.html",
        error.status,
        title=error.title,
        detail=(
            "Sending is not disturbed by this page; try again in a moment."
            if error.status in {500, 503}
            else error.detail
        ),
        back=str(request.url.path) if again else HOME,
        back_words="Try again" if again else "To the mailouts",
    )


async def require_session(request: Request, services: ServicesDep) -> Session:
    session = await services.sessions.find(request.cookies.get(COOKIE))
    if session is None:
        raise SignInNeeded
    return session


SignedIn = Annotated[Session, Depends(require_session)]


def _secure(services: Services) -> bool:
    return urlsplit(services.settings.app_base_url).scheme == "https"


async def _form(request: Request, services: Services) -> dict[str, list[str]]:
    """The fields of a form of our own pages. Raises FormRefused for any other."""
    if not from_own_page(request, services.settings.app_base_url):
        raise FormRefused(
            "It didn't come from this service's own pages. Open the dashboard by the address in "
            "APP_BASE_URL and try again."
        )
    try:
        return parse_qs((await limited_body(request, MAX_FORM_BYTES)).decode(), max_num_fields=20)
    except ValueError as exc:
        raise InvalidRequest("The form is damaged.") from exc


async def own_form(
    request: Request, services: ServicesDep, session: SignedIn
) -> dict[str, list[str]]:
    """A form of this very session."""
    form = await _form(request, services)
    if not session.owns_form(form.get("form_token", [""])[0]):
        raise FormRefused("It belongs to another session. Go back, reload the page and try again.")
    return form


OwnForm = Annotated[dict[str, list[str]], Depends(own_form)]


@router.get("/assets/{name}")
async def show_asset(name: str) -> Response:
    found = asset(name)
    if found is None:
        raise NotFound
    return found


# Signing in and out


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
    attempts, now = services.sessions.attempts, time.monotonic()
    if wait := attempts.wait(client, now):
        answer = _login(
            services,
            next_page,
            f"Too many tries. Wait {duration(wait).removeprefix('about ')}.",
            429,
        )
        answer.headers["Retry-After"] = str(int(wait) + 1)
        return answer
    cookie = services.sessions.sign_in(form.get("secret", [""])[0].strip())
    if cookie is None:
        attempts.failed(client, now)
        log.warning("dashboard_sign_in_refused")
        return _login(services, next_page, "That is not the shared secret.", 401)
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
    return path if inside and "\\" not in path and path.isprintable() else HOME


# Looking


def _page(services: Services, session: Session, template: str, **context: Any) -> Response:
    return page(template, org_name=services.settings.org_name, session=session, **context)


@router.get("")
async def show_mailouts(
    services: ServicesDep,
    session: SignedIn,
    status: MailoutStatus | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    before = api.decode_cursor(cursor, 2)
    views, more = await services.dashboard.mailouts(
        status, (before[0], before[1]) if before else None
    )
    last = views[-1].mailout if more else None
    running = any(view.mailout["status"] in ACTIVE or _counting(view) for view in views)
    sending = sum(view.mailout["status"] == "sending" for view in views)
    return _page(
        services,
        session,
        "mailouts.html",
        section="mailouts",
        views=views,
        chosen=status,
        statuses=MAILOUT_STATUSES,
        active=ACTIVE,
        older=cursor is not None,
        next=api.encode_cursor(last["created_at"], last["id"]) if last else None,
        live_seconds=LIVE_SECONDS if running else IDLE_SECONDS,
        spoken=f"{plural(sending, 'mailout')} being sent",
    )


def _counting(view: MailoutView) -> bool:
    return view.outcomes is None and view.mailout["started_at"] is not None


_NOTICES = {
    "pause": "Paused. Calls under way are still recorded.",
    "resume": "It goes on.",
    "cancel": "Cancelled. Nobody else is mailed.",
    "resend": "Sending again to those who were missed.",
    "late": "Nothing was changed: its state was no longer the one you saw.",
    "nobody": "Nothing was sent: everyone you chose is unknown for less than 20 minutes.",
}


@router.get("/mailouts/{mailout_id}")
async def show_mailout(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    view = await services.dashboard.mailout(mailout_id)
    settings = services.settings
    return _page(
        services,
        session,
        "mailout.html",
        section="mailouts",
        here=f"{HOME}/mailouts/{mailout_id}",
        view=view,
        timeline=await services.dashboard.timeline(view),
        actions=_actions(view),
        active=ACTIVE,
        took=view.took,
        bounce_pause=settings.bounce_rate_pause,
        complaint_pause=settings.complaint_rate_pause,
        notice=_NOTICES.get(notice),
        live_seconds=LIVE_SECONDS if view.mailout["status"] in ACTIVE else IDLE_SECONDS,
        spoken=_spoken(view),
    )


def _spoken(view: MailoutView) -> str:
    """What a screen reader says when it changes: in tenths, not with every recipient."""
    status = view.mailout["status"]
    if view.outcomes is None or status not in ACTIVE:
        return f"Mailout {status}"
    tenths = int(10 * view.outcomes.progress.share(view.outcomes.progress.settled))
    return f"Mailout {status}, {tenths * 10} percent done"


@router.get("/account")
async def show_account(services: ServicesDep, session: SignedIn) -> Response:
    view = await services.dashboard.account()
    return _page(
        services,
        session,
        "account.html",
        section="account",
        here=f"{HOME}/account",
        view=view,
        findings=view.findings,
        live_seconds=LIVE_SECONDS,
        spoken=""
        if all(finding.level == "ok" for finding in view.findings)
        else "There are warnings",
    )


# Steering


@dataclass(frozen=True)
class Action:
    """name: in the address. question, effect: what is asked before it is done."""

    name: str
    label: str
    question: str
    effect: str
    states: frozenset[str]
    do: Callable[[UUID, Services], Awaitable[dict[str, Any]]] | None = None
    danger: bool = False


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "resume",
            "Resume",
            "Resume this mailout?",
            "It goes on with those who are waiting. Bounces and complaints are judged anew from "
            "now on.",
            frozenset({"paused"}),
            api.resume,
        ),
        Action(
            "pause",
            "Pause",
            "Pause this mailout?",
            "No new mail leaves from now on; calls under way are still recorded. You can resume "
            "it at any time.",
            frozenset({"sending"}),
            api.pause,
        ),
        Action(
            "resend",
            "Resend",
            "Send again to those who were missed?",
            "Nobody is mailed who got it, as far as it is known.",
            frozenset({"sent", "failed"}),
        ),
        Action(
            "cancel",
            "Cancel",
            "Cancel this mailout?",
            "Those who are waiting never get it. This can't be undone.",
            frozenset({"ready", "sending", "paused"}),
            api.cancel,
            danger=True,
        ),
    )
}


def _actions(view: MailoutView) -> list[Action]:
    missed = view.outcomes.progress.missed if view.outcomes else 0
    return [
        action
        for action in ACTIONS.values()
        if view.mailout["status"] in action.states and (action.name != "resend" or missed)
    ]


def _action(name: str) -> Action:
    if name not in ACTIONS:
        raise NotFound
    return ACTIONS[name]


@router.get("/mailouts/{mailout_id}/{name}")
async def ask(mailout_id: UUID, name: str, services: ServicesDep, session: SignedIn) -> Response:
    """What would happen, with the figures of now."""
    action = _action(name)
    view = await services.dashboard.mailout(mailout_id)
    if action not in _actions(view):
        return _back(mailout_id, "late")
    progress = view.outcomes.progress if view.outcomes else Progress({})
    return _page(
        services,
        session,
        "confirm.html",
        section="mailouts",
        view=view,
        action=action,
        started=view.outcomes is not None,
        p=progress,
    )


@router.post("/mailouts/{mailout_id}/{name}")
async def act(
    mailout_id: UUID, name: str, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    action = _action(name)
    try:
        if action.do is not None:
            await action.do(mailout_id, services)
        else:
            name = await _resend(mailout_id, services, form)
    except TransitionNotAllowed:
        return _back(mailout_id, "late")
    log.info("dashboard_action", action=name, mailout_id=str(mailout_id), session=session.id[:8])
    return _back(mailout_id, name)


async def _resend(mailout_id: UUID, services: Services, form: dict[str, list[str]]) -> str:
    statuses = [one for one in form.get("statuses", []) if one in {"failed", "unknown"}]
    if not statuses:
        raise InvalidRequest("Choose to whom it is sent again.")
    done = await api.resend(
        mailout_id, api.ResendBody(statuses=statuses, force="force" in form), services
    )
    return "resend" if done["requeued"] else "nobody"


def _back(mailout_id: UUID, notice: str) -> Response:
    return RedirectResponse(f"{HOME}/mailouts/{mailout_id}?notice={notice}", 303)
