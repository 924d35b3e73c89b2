"""`/dashboard/subscribers`: the list, one person, and many at once.

Addresses of pages name people by their id, so that no address stands in a browser's history. What
is changed goes through the functions of the API (api/subscribers.py).
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError

from app.api import subscriber_bodies as bodies
from app.api import subscribers as api
from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.export import csv_of
from app.api.http.deps import Services, ServicesDep
from app.domain.csv_cells import read_tags, write_tags
from app.domain.given.bodies import invalid_request
from app.domain.people import Change, Filter
from app.domain.reports import people as words
from app.domain.states import SUBSCRIBER_STATUSES, SubscriberStatus
from app.errors import AppError, CountDiffers, InvalidRequest, NotFound, StatusProtected
from app.services.readership.person import person_engagement

BY = "dashboard"
LIST = f"{HOME}/subscribers"
PAGE_SIZE = 50
TAGS_SHOWN = 30
HISTORY_SHOWN = 200
MAILS_SHOWN = 10
"""With what became of them."""

router = APIRouter(prefix=LIST, route_class=Page, include_in_schema=False)

_NOTICES = {
    "added": "Added.",
    "changed": "Saved.",
    "status": "The status is changed.",
    "erased": "Erased. Nothing that tells of this person is left, and no import brings them back.",
}

_FormFields = dict[str, list[str]]
_Model = TypeVar("_Model", bound=BaseModel)


def _page(
    services: Services,
    session: Session,
    template: str,
    error: AppError | None = None,
    **context: Any,
) -> Response:
    """error: what the page says was wrong with the form. A fault of ours is raised."""
    if error is not None and error.status >= 500:
        raise error
    return page(
        f"people/{template}",
        error.status if error else 200,
        org_name=services.settings.org_name,
        session=session,
        section="subscribers",
        statuses=SUBSCRIBER_STATUSES,
        **context,
    )


# The list

Tag = Annotated[str, Query(max_length=100)]
Search = Annotated[str, Query(max_length=320)]
SegmentId = Annotated[str, Query(max_length=40)]


async def _filter(
    services: Services, status: SubscriberStatus | None, tag: str, q: str, segment: str
) -> Filter:
    """segment: its id, or nothing. Raises InvalidRequest."""
    wanted = _asked(status, tag, q)
    if segment:
        wanted["rule"] = await api.in_segment(services, _segment(segment))
    return wanted


def _asked(status: SubscriberStatus | None, tag: str, q: str) -> Filter:
    if "\0" in tag + q:
        raise InvalidRequest("A NUL character can't be looked for.")
    return api.list_filter(status, [tag] if tag else [], q)


def _segment(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as exc:
        raise InvalidRequest("There is no such segment (any more).") from exc


def _link(base: str, **parameters: str | None) -> str:
    given = {name: value for name, value in parameters.items() if value}
    return f"{base}?{urlencode(given)}" if given else base


@router.get("")
async def show_list(
    services: ServicesDep,
    session: SignedIn,
    status: SubscriberStatus | None = None,
    tag: Tag = "",
    q: Search = "",
    segment: SegmentId = "",
    cursor: Annotated[str | None, Query(max_length=api.MAX_CURSOR_CHARS)] = None,
    notice: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    wanted = await _filter(services, status, tag, q, segment)
    found = await api.read_page(services, wanted, PAGE_SIZE, cursor)
    overview = await services.store.people_overview(TAGS_SHOWN)
    chosen = {"status": status, "tag": tag, "q": q, "segment": segment}

    def link(**changes: str | None) -> str:
        return _link(LIST, **{**chosen, **changes})

    return _page(
        services,
        session,
        "list.html",
        people=found.items,
        overview=overview,
        total=sum(overview["statuses"].values()),
        chosen=chosen,
        segment=await services.store.show_segment(UUID(segment)) if segment else None,
        link=link,
        many=_link(f"{LIST}/many", **chosen),
        download=_link(f"{LIST}/export.csv", **chosen),
        further=cursor is not None,
        next=found.next_cursor and link(cursor=found.next_cursor),
        notice=_NOTICES.get(notice) or _many_words(notice),
    )


@router.get("/export.csv")
async def export_list(
    services: ServicesDep,
    session: SignedIn,
    status: SubscriberStatus | None = None,
    tag: Tag = "",
    q: Search = "",
    segment: SegmentId = "",
) -> Response:
    return await csv_of(services, await _filter(services, status, tag, q, segment))


# Adding and changing one


@router.get("/add")
async def ask_whom_to_add(services: ServicesDep, session: SignedIn) -> Response:
    return _form(services, session, None, {})


@router.post("/add")
async def add(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    try:
        given = _given(form)
        given["fields"] = {k: v for k, v in _fields(form, {}).items() if v is not None}
        added = await api.add(services, _read(bodies.NewSubscriber, given), BY, source="dashboard")
    except AppError as error:
        return _form(services, session, None, form, error)
    return _back(added["id"], "added")


def _given(form: _FormFields) -> dict[str, Any]:
    """What the form about a person says, fields aside."""
    return {
        "email": _one(form, "email"),
        "name": _one(form, "name") or None,
        "timezone": _one(form, "timezone") or None,
        "tags": read_tags(_one(form, "tags")),
    }


def _fields(form: _FormFields, known: dict[str, Any]) -> dict[str, Any]:
    try:
        return words.read_fields(_one(form, "fields"), known)
    except ValueError as exc:
        raise InvalidRequest(f"Fields, {exc}.") from exc


def _one(form: _FormFields, name: str) -> str:
    return form.get(name, [""])[0].strip()


def _read(model: type[_Model], given: dict[str, Any]) -> _Model:
    """Raises InvalidRequest."""
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        raise invalid_request(exc.errors()) from exc


def _form(
    services: Services,
    session: Session,
    person: dict[str, Any] | None,
    form: _FormFields,
    error: AppError | None = None,
) -> Response:
    """The form to add (person: None) or to edit, with what was typed, and what is wrong with it."""
    shown = {name: _one(form, name) for name in ("email", "name", "timezone", "tags", "fields")}
    if person is not None and not form:
        shown = {
            "email": person["email"],
            "name": person["name"] or "",
            "timezone": person["timezone"] or "",
            "tags": _tags(person["tags"]),
            "fields": words.write_fields(person["fields"]),
        }
    return _page(
        services,
        session,
        "form.html",
        error,
        person=person,
        shown=shown,
        problem=error and error.detail,
    )


def _tags(tags: list[str]) -> str:
    cell = write_tags(tags)
    return cell if cell.startswith("[") else ", ".join(tags)


async def _person(services: Services, subscriber_id: UUID) -> dict[str, Any]:
    found = await services.store.find_subscriber(subscriber_id)
    if found is None:
        raise NotFound("There is no such subscriber any more.")
    return found


# Many at once; before the pages of one, whose addresses look alike


@router.get("/many")
async def ask_what_to_change(
    services: ServicesDep,
    session: SignedIn,
    status: SubscriberStatus | None = None,
    tag: Tag = "",
    q: Search = "",
    segment: SegmentId = "",
) -> Response:
    chosen = {"status": status, "tag": tag, "q": q, "segment": segment}
    return await _many(services, session, chosen, {})


async def _many(
    services: Services,
    session: Session,
    chosen: dict[str, Any],
    form: _FormFields,
    error: AppError | None = None,
) -> Response:
    if error is not None and error.status >= 500:
        raise error  # before the database is asked again
    return _page(
        services,
        session,
        "many.html",
        error,
        chosen=chosen,
        segment=await services.store.show_segment(_segment(id_))
        if (id_ := chosen["segment"])
        else None,
        back=_link(LIST, **chosen),
        count=await services.many_people.count(await _filter(services, **chosen)),
        typed={
            name: _one(form, name) for name in ("what", "tags", "to", "reason", "asked", "force")
        },
        problem=error and error.detail,
    )


@router.post("/many")
async def change_many(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    status = _one(form, "status")
    chosen = {name: _one(form, name) for name in ("tag", "q")}
    wanted: dict[str, Any] = {"status": status if status in SUBSCRIBER_STATUSES else None, **chosen}
    segment = _one(form, "segment")
    in_it = {"rule": {"segment": segment}} if segment else {}
    number = _one(form, "expected")[:18]
    body = {
        "audience": _asked(**wanted) | in_it,
        "expected": int(number) if number.isdecimal() else number,
        "reason": _one(form, "reason") or None,
        "asked": "asked" in form,
        "force": "force" in form,
    }
    answer = Response()
    try:
        what = _one(form, "what")
        if what == "status":
            to_status = _read(bodies.StatusOfMany, body | {"status": _one(form, "to")})
            change = Change(status=to_status.status)
            done = await api.change_many(services, to_status, change, BY, answer)
        else:
            key = "add" if what == "add" else "remove"
            to_tags = _read(bodies.TagsOfMany, body | {key: read_tags(_one(form, "tags"))})
            if not to_tags.add and not to_tags.remove:
                raise InvalidRequest("Tags: name at least one.")
            change = Change(add_tags=to_tags.add, remove_tags=to_tags.remove)
            done = await api.change_many(services, to_tags, change, BY, answer)
    except CountDiffers as differs:
        differs.detail = (
            f"Meanwhile {differs.extra['count']:,} people fit. Nothing was changed: look at the "
            "number, and confirm again."
        )
        return await _many(services, session, wanted | {"segment": segment}, form, differs)
    except AppError as error:
        return await _many(services, session, wanted | {"segment": segment}, form, error)
    log_action(session, "change_people")
    if "job_id" in done:
        return RedirectResponse(f"{HOME}/jobs", 303)
    notice = f"many-{done['changed']}-{done['asked']}-{done['force']}"
    return RedirectResponse(_link(LIST, **wanted, segment=segment, notice=notice), 303)


def _many_words(notice: str) -> str | None:
    kind, *numbers = notice.split("-")
    if kind != "many" or len(numbers) != 3 or not all(n.isdecimal() for n in numbers):
        return None
    changed, asked, force = (int(number) for number in numbers)
    left = f" {asked:,} stay as they are: they left by themselves." if asked else ""
    hard = (
        f" {force:,} have a complaint or a permanent bounce, and stay as they are." if force else ""
    )
    people = "1 person" if changed == 1 else f"{changed:,} people"
    return f"{people} changed.{left}{hard}"


# One person


@router.get("/{subscriber_id}")
async def show_person(
    subscriber_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    person = await _person(services, subscriber_id)
    history = await services.store.subscriber_history(person["id"], HISTORY_SHOWN)
    return _page(
        services,
        session,
        "person.html",
        person=person,
        fields={name: words.as_text(value) for name, value in person["fields"].items()},
        consent=words.consent(person.get("consent")),
        history=[words.line(item) for item in history],
        all_of_it=len(history) < HISTORY_SHOWN,
        seen=await person_engagement(services.store, UUID(person["id"]), MAILS_SHOWN),
        by_whom=words.BY_WHOM,
        notice=_NOTICES.get(notice),
    )


@router.get("/{subscriber_id}/export")
async def export(subscriber_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    person = await _person(services, subscriber_id)
    return await api.personal_export(services, person["email"])


@router.get("/{subscriber_id}/edit")
async def ask_what_to_edit(
    subscriber_id: UUID, services: ServicesDep, session: SignedIn
) -> Response:
    return _form(services, session, await _person(services, subscriber_id), {})


@router.post("/{subscriber_id}/edit")
async def edit(
    subscriber_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    person = await _person(services, subscriber_id)
    try:
        given = _given(form) | {"fields": _fields(form, person["fields"])}
        if given["email"] == person["email"]:
            del given["email"]  # perhaps one from before addresses were checked
        await api.change(services, person["email"], _read(bodies.ChangedSubscriber, given), BY)
    except AppError as error:
        return _form(services, session, person, form, error)
    return _back(subscriber_id, "changed")


@router.get("/{subscriber_id}/status")
async def ask_which_status(
    subscriber_id: UUID, services: ServicesDep, session: SignedIn
) -> Response:
    return _status(services, session, await _person(services, subscriber_id), {})


def _status(
    services: Services,
    session: Session,
    person: dict[str, Any],
    form: _FormFields,
    error: AppError | None = None,
) -> Response:
    return _page(
        services,
        session,
        "status.html",
        error,
        person=person,
        typed={name: _one(form, name) for name in ("to", "reason", "asked", "force")},
        problem=_words_for_the_form(error),
    )


def _words_for_the_form(error: AppError | None) -> str | None:
    """What is wrong, and which tick on the page would do."""
    if isinstance(error, StatusProtected):
        return {
            "asked": "This person left the list, or never confirmed: they get mail again only when "
            "they asked for it themselves. If they did, say so with the tick below.",
            "force": "This person complained, or the address was found not to work. If you know "
            "better, say so with the tick below.",
        }[error.extra["needs"]]
    return error.detail if error else None


@router.post("/{subscriber_id}/status")
async def change_status(
    subscriber_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    person = await _person(services, subscriber_id)
    given = {
        "status": _one(form, "to"),
        "reason": _one(form, "reason"),
        "asked": "asked" in form,
        "force": "force" in form,
    }
    try:
        await api.change(services, person["email"], _read(bodies.ChangedSubscriber, given), BY)
    except AppError as error:
        return _status(services, session, person, form, error)
    log_action(session, "status")
    return _back(subscriber_id, "status")


@router.get("/{subscriber_id}/erase")
async def ask_to_erase(subscriber_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    person = await _person(services, subscriber_id)
    return _page(services, session, "erase.html", person=person)


@router.post("/{subscriber_id}/erase")
async def erase(
    subscriber_id: UUID, services: ServicesDep, session: SignedIn, _sent: OwnForm
) -> Response:
    person = await _person(services, subscriber_id)
    await services.store.erase_subscriber(person["email"], BY)
    log_action(session, "erase")
    return RedirectResponse(f"{LIST}?notice=erased", 303)


def _back(subscriber_id: object, notice: str) -> Response:
    return RedirectResponse(f"{LIST}/{subscriber_id}?notice={notice}", 303)
