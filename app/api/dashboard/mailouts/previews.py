"""The preview of a mailout: a page of its own, or in a frame beside what is being written
(templates/mailouts/preview_pane.html).

The mail stands in a sandboxed frame within the page, so what its author wrote has an origin of its
own and runs no script, and inherits the page's policy, which loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.api.dashboard.access import HOME, Page, SignedIn
from app.api.dashboard.mailouts.fields import Written, one
from app.api.dashboard.mailouts.findings import page_words
from app.api.dashboard.mailouts.steps import show
from app.api.dashboard.mailouts.writing import LargeForm
from app.api.dashboard.pages import sentence
from app.api.dashboard.session import Session
from app.api.http.deps import Services, ServicesDep
from app.api.http.mail_page import picture_sources
from app.errors import AppError, MailoutNotFound
from app.services.preview.preview import Who

_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src {pictures}; "
    "form-action 'self'; base-uri 'none'; frame-src 'none'; frame-ancestors 'self'"
)
WIDTHS, SCHEMES = ("desktop", "phone", "text"), ("light", "dark")

router = APIRouter(prefix=f"{HOME}/mailouts", route_class=Page, include_in_schema=False)


def mail_policy(*, pictures: bool) -> str:
    """Of a page with a mail in its frame. pictures: whether those of others are loaded."""
    return _POLICY.format(pictures=picture_sources(pictures))


Choices = Mapping[str, str]
"""Fields of the pane: preview_who, preview_email, preview_pictures, preview_width,
preview_scheme."""


@router.get("/{mailout_id}/preview")
async def preview_stored(
    mailout_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    who: Annotated[str, Query(alias="preview_who", max_length=20)] = "",
    email: Annotated[str, Query(alias="preview_email", max_length=320)] = "",
    pictures: Annotated[str, Query(alias="preview_pictures", max_length=10)] = "",
    width: Annotated[str, Query(alias="preview_width", max_length=20)] = "",
    scheme: Annotated[str, Query(alias="preview_scheme", max_length=20)] = "",
    bare: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    choices = {"who": who, "email": email, "pictures": pictures, "width": width, "scheme": scheme}
    return await _preview(services, session, mailout_id, choices, None, bare=bool(bare))


@router.post("/{mailout_id}/preview")
async def preview_written(
    mailout_id: UUID, services: ServicesDep, session: SignedIn, form: LargeForm
) -> Response:
    """Of what stands in the form, saved or not; nothing is stored."""
    names = ("who", "email", "pictures", "width", "scheme")
    choices = {name: one(form, f"preview_{name}") for name in names}
    changes = Written.of_form(form).columns()
    return await _preview(services, session, mailout_id, choices, changes, bare=True)


async def _preview(
    services: Services,
    session: Session,
    mailout_id: UUID,
    choices: Choices,
    changes: Mapping[str, Any] | None,
    *,
    bare: bool,
) -> Response:
    who: Who = "awkward" if choices["who"] == "awkward" else "sample"
    email = choices["email"].strip() or None if choices["who"] == "chosen" else None
    mail: dict[str, Any] | None = None
    refusal = None
    try:
        mail = await services.preview(mailout_id, email=email, who=who, changes=changes)
    except MailoutNotFound:
        raise
    except AppError as error:  # shown where the mail would stand
        if error.status == 500:
            raise
        refusal = sentence(page_words(error.detail))
    if mail:
        for each in mail["problems"]:
            each |= {name: page_words(each[name]) for name in ("what", "remedy")}
    answer = show(
        services,
        session,
        "preview.html",
        mailout_id=mailout_id,
        mail=mail,
        refusal=refusal,
        bare=bare,
        choices=choices,
        width=choices["width"] if choices["width"] in WIDTHS else WIDTHS[0],
        scheme=choices["scheme"] if choices["scheme"] in SCHEMES else SCHEMES[0],
    )
    answer.headers["Content-Security-Policy"] = mail_policy(pictures=bool(choices["pictures"]))
    answer.headers["X-DNS-Prefetch-Control"] = "off"
    return answer
