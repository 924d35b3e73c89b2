"""A mail as a page of its own, which can do nothing to our origin or to whoever looks at it.

Who wrote the mail decides what is in it. So it has an origin of its own, runs no script, sends no
form, goes nowhere and loads nothing; pictures only where they are asked for.
"""

from __future__ import annotations

from starlette.responses import HTMLResponse

_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def picture_sources(pictures: bool) -> str:
    """For `img-src`: pictures that are in the mail itself, or all."""
    return "data: https: http:" if pictures else "data:"


def mail_page(html: str, *, pictures: bool = False) -> HTMLResponse:
    headers = {
        "Content-Security-Policy": _POLICY.format(pictures=picture_sources(pictures)),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return HTMLResponse(html, headers=headers)
