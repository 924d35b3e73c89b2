"""How the dashboard's pages are made: templates, words for figures, and what browsers are told."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from app.api.dashboard.around import AROUND
from app.api.http.problems import RETRY_AFTER_SECONDS
from app.domain.hooks.words import shown_host
from app.domain.providers.words import provider_name
from app.domain.reports.acts import caller_words
from app.domain.reports.remedies import without_addresses
from app.domain.reports.words import duration, part_name, plural

_CODE = re.compile(r"`([^`]+)`")
_FOLDER = Path(__file__).parent / "templates"
_ASSET_TYPES = {
    "audience.css": "text/css",
    "audience.js": "text/javascript",
    "dashboard.css": "text/css",
    "domain.css": "text/css",
    "domain.js": "text/javascript",
    "dashboard.js": "text/javascript",
    "mailouts.css": "text/css",
    "designs.css": "text/css",
    "hooks.css": "text/css",
    "engagement.css": "text/css",
    "write.js": "text/javascript",
    "preview.css": "text/css",
    "readership.css": "text/css",
    "standing.css": "text/css",
    "preview.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_ASSETS = {name: (_FOLDER / name).read_bytes() for name in _ASSET_TYPES}
_VERSIONS = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in _ASSETS.items()}

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE = _SECURITY | {
    "Cache-Control": "no-store",
    # Not `no-referrer`, with which browsers send `Origin: null` with forms.
    "Referrer-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
}


def number(value: float) -> str:
    return f"{value:,.0f}"


def percent(share: float) -> str:
    """With as many digits as matter: `98.2 %`, `0.04 %`; 0 and 100 only where they are exact."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f} %"
    if value < 0.001:
        return "<0.001 %"
    digits = next(digits for digits, least in ((1, 1.0), (2, 0.01), (3, 0.0)) if value >= least)
    return f"{min(value, 99.9):.{digits}f}".rstrip("0").rstrip(".") + " %"


def pace(per_second: float) -> str:
    digits = 0 if per_second >= 100 or per_second == 0 else 1
    return f"{per_second:,.{digits}f}".removesuffix(".0") + " a second"


def when(iso: str) -> str:
    """A time in the zone of the pages (TIMEZONE), which is named: `3 Dec 2026, 09:00 CET`."""
    at = datetime.fromisoformat(iso).astimezone(AROUND.get().zone)
    return f"{at.day} {at:%b %Y, %H:%M} {zone_name(at)}"


def zone_city(zone: str) -> str:
    """`New York` of `America/New_York`."""
    return zone.rsplit("/", 1)[-1].replace("_", " ")


def zone_name(at: datetime) -> str:
    """`CET`; `UTC+05:45` where a zone has no letters of its own."""
    name = at.tzname() or ""
    return name if name.isalpha() else f"UTC{at.isoformat()[-6:]}"


def with_code(text: str) -> Markup:
    """`text` as HTML, in which `` `words` `` between backticks become `<code>`."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  it is escaped


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    caller=caller_words,
    carrier=provider_name,
    with_code=with_code,
    duration=duration,
    masked=without_addresses,
    number=number,
    pace=pace,
    part_name=part_name,
    percent=percent,
    plural=plural,
    sentence=sentence,
    shown_host=shown_host,
    when=when,
    zone_city=zone_city,
)
_TEMPLATES.globals.update(
    asset=lambda name: f"/dashboard/assets/{name}?v={_VERSIONS[name]}",
    org_name=None,
    session=None,
    section=None,
    notice=None,
    live_seconds=None,
    here="/dashboard",
    pages=(
        ("mailouts", "/dashboard", "Mailouts"),
        ("subscribers", "/dashboard/subscribers", "Subscribers"),
        ("segments", "/dashboard/segments", "Segments"),
        ("templates", "/dashboard/templates", "Templates"),
        ("jobs", "/dashboard/jobs", "Jobs"),
        ("account", "/dashboard/account", "Account"),
        ("access", "/dashboard/keys", "Access"),
    ),
)


def page(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    headers = dict(_PAGE)
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return HTMLResponse(rendered(template, **context), status, headers)


def rendered(template: str, **context: Any) -> str:
    """A page or a piece of one."""
    return _TEMPLATES.get_template(template).render(around=AROUND.get(), **context)


def asset(name: str) -> Response | None:
    """A style sheet, script or icon of ours; its address changes with its content."""
    if name not in _ASSETS:
        return None
    headers = _SECURITY | {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_ASSETS[name], media_type=_ASSET_TYPES[name], headers=headers)
