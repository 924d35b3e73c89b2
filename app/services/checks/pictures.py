"""Are pictures kept where ASSETS_STORE says, and do readers get them at ASSETS_BASE_URL?"""

from __future__ import annotations

import asyncio
import hashlib
from urllib.parse import urlsplit

import httpx

from app.domain.assets.kept import Asset
from app.domain.content.links import is_local
from app.domain.reports.findings import Finding
from app.errors import ShelfRefused, Unavailable
from app.services.checks.asking import Outside
from app.services.checks.web import explain
from app.settings import Settings

SHELF_SECONDS = 15.0


def keeps_pictures(settings: Settings) -> bool:
    return settings.uses_notion or settings.assets_store != "database"


async def check_pictures(
    settings: Settings, outside: Outside, known: Asset | None
) -> list[Finding]:
    """known: the latest that was kept; None: none yet."""
    findings = await _check_shelf(settings, outside)
    if known and not any(finding.level == "fail" for finding in findings):
        findings += await _check_address(settings, outside, known)
    return findings


async def _check_shelf(settings: Settings, outside: Outside) -> list[Finding]:
    try:
        shelf = outside.shelf(settings, settings.assets_store)
        if shelf is None:
            return []
        async with asyncio.timeout(SHELF_SECONDS):
            await shelf.check()
    except ShelfRefused as exc:
        return [Finding("fail", exc.detail)]  # it names its remedy
    except (Unavailable, TimeoutError) as exc:
        words = str(exc) or f"{settings.assets_store} does not answer in time."
        remedy = "check ASSETS_STORE, the credentials, and that this machine may reach it."
        return [Finding("fail", words, remedy)]
    return [Finding("ok", f"Pictures are kept in {settings.assets_store}.")]


async def _check_address(settings: Settings, outside: Outside, known: Asset) -> list[Finding]:
    """Ask for a picture as a reader does."""
    if is_local(urlsplit(settings.assets_url).hostname or ""):
        return []
    url = f"{settings.assets_url}/{known.name}"
    remedy = (
        "let everybody read the bucket, or leave ASSETS_BASE_URL out: then this service gives its "
        "pictures out at APP_BASE_URL/assets."
        if settings.assets_base_url
        else "let the proxy pass requests for /assets/ to this service."
    )
    try:
        async with outside.http() as http, http.stream("GET", url) as answer:
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > known.size:
                    break
    except httpx.HTTPError as exc:
        return [Finding("warn", f"{url} {explain(exc)}, seen from this machine.", remedy)]
    if answer.status_code != 200:
        what = f"Readers don't see pictures: {url} answers {answer.status_code}."
        return [Finding("fail", what, remedy)]
    if hashlib.sha256(content).hexdigest() != known.sha256:
        what = f"Readers don't see pictures: {url} gives something else."
        return [Finding("fail", what, remedy)]
    return [Finding("ok", "Readers get the pictures of mails.")]
