"""Does our public address lead here, and does the unsubscribe link work through it?

As seen from this machine. That says little about a router that treats its own network differently,
so what fails is a warning.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit
from uuid import UUID

import httpx

from app.domain.content.links import is_local
from app.domain.reports.findings import Finding
from app.domain.tokens import UnsubscribeTokens
from app.services.checks.web import explain
from app.settings import Settings

CERTIFICATE_DAYS = 14
"""Certificates are commonly renewed 30 days before they end. With fewer left than this, the renewal
has failed."""
_TOO_LARGE = 100_000  # bytes; ours have a few hundred


async def check_public(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """http: follows no redirects (`web_client`). Unsubscribes nobody: the token is a test's."""
    if is_local(urlsplit(settings.app_base_url).hostname or ""):
        return []  # check_unsubscribing says whether that is right
    reached = await _check_reachable(settings.app_base_url, http)
    if any(finding.level != "ok" for finding in reached) or not settings.unsubscribe_secrets:
        return reached
    return [*reached, await _check_unsubscribing(settings, http)]


async def _check_reachable(base: str, http: httpx.AsyncClient) -> list[Finding]:
    url = f"{base}/health/live"
    remedy = "check DNS, the reverse proxy in front of the service, and that the service runs."
    try:
        async with http.stream("GET", url) as answer:
            ends = _certificate_ends(answer)
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _TOO_LARGE:
                    break
    except httpx.HTTPError as exc:
        return [Finding("warn", f"{base} {explain(exc)}, seen from this machine.", remedy)]
    if answer.is_redirect:
        return [
            Finding(
                "warn",
                f"{url} redirects to {answer.headers['location']}. Mail programs that unsubscribe "
                "by one click don't follow (RFC 8058).",
                "set APP_BASE_URL to the address that answers itself.",
            )
        ]
    if answer.status_code != 200 or b'"status"' not in body:
        what = f"{url} answers {answer.status_code}, but not as this service does."
        return [Finding("warn", what, remedy)]
    findings = [Finding("ok", f"{base} is reached from here.")]
    if ends is not None and ends < datetime.now(UTC) + timedelta(days=CERTIFICATE_DAYS):
        findings.append(
            Finding(
                "warn",
                f"The certificate of {base} ends on {ends:%d %B %Y}.",
                "renew it, and look why that didn't happen by itself.",
            )
        )
    return findings


def _certificate_ends(answer: httpx.Response) -> datetime | None:
    stream = answer.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream else None
    if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
        return None
    ends = (tls.getpeercert() or {}).get("notAfter")
    if not isinstance(ends, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)


async def _check_unsubscribing(settings: Settings, http: httpx.AsyncClient) -> Finding:
    """Unsubscribe as a mail program does by one click: RFC 8058, section 3.1."""
    nobody = UUID(int=0)
    token = UnsubscribeTokens(settings.unsubscribe_secrets).sign(nobody, nobody, test=True)
    url = f"{settings.app_base_url}/unsubscribe"
    remedy = "let the proxy pass POST requests to /unsubscribe, and give all instances one secret."
    try:
        answer = await http.post(
            f"{url}?token={quote(token, safe='')}", data={"List-Unsubscribe": "One-Click"}
        )
    except httpx.HTTPError as exc:
        return Finding("warn", f"{url} {explain(exc)} when a reader unsubscribes.", remedy)
    if answer.status_code != 200:
        what = f"{url} answers {answer.status_code} when a reader unsubscribes by one click."
        return Finding("warn", what, remedy)
    return Finding("ok", "Unsubscribing by one click works through the public address.")
