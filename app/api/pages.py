"""The pages that recipients see: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.api.http.problems import RETRY_AFTER_SECONDS
from app.settings import Settings

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# The token is in the address: it must not leak through caches, referrers or search engines.
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}


def page(template: str, settings: Settings, *, status: int = 200, **context: Any) -> HTMLResponse:
    html = _TEMPLATES.get_template(template).render(
        style=_STYLE, org_name=settings.org_name, signup=settings.signup, **context
    )
    headers = dict(_HEADERS)
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return HTMLResponse(html, status, headers)


def unavailable_page(settings: Settings) -> HTMLResponse:
    """Try again: a part that is needed is away."""
    return page("unavailable.html", settings, status=503)
