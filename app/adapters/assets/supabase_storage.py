"""Supabase Storage as a place for pictures and PDFs: `ASSETS_STORE=supabase://BUCKET`.

Its API over httpx, as Supabase documents it ("Storage", "Standard uploads") and storage-js calls
it: an upload is the file's bytes with its type and cache headers; errors are JSON with a
`statusCode` of their own, mostly in answers with status 400.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

import httpx

from app.adapters.assets.fetch import tls
from app.domain.assets.sizes import MAX_SOURCE_BYTES
from app.domain.untrusted import page_words, read_json
from app.errors import ShelfRefused, Unavailable
from app.outbound.bounded import BoundedClient
from app.settings import Settings

FOR_EVER = "public, max-age=31536000, immutable"
SECONDS = 30.0
CALL_SECONDS = 120.0
"""One request, until its answer begins: a file of 20 MB may be in it."""


class SupabaseShelf:
    """ports.PictureShelf. Raises ShelfRefused when SUPABASE_URL and its key aren't set."""

    def __init__(self, settings: Settings, bucket: str) -> None:
        if settings.supabase_url is None or settings.supabase_service_role_key is None:
            raise ShelfRefused(
                "ASSETS_STORE names a bucket at Supabase: set SUPABASE_URL and "
                "SUPABASE_SERVICE_ROLE_KEY, too."
            )
        self._bucket = bucket.strip("/")
        self._url = f"{settings.supabase_url}/storage/v1"
        key = settings.supabase_service_role_key.get_secret_value()
        self._headers = {"Authorization": f"Bearer {key}", "apikey": key}

    @property
    def place(self) -> str:
        return f"supabase://{self._bucket}"

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        headers = {"Content-Type": media_type, "Cache-Control": FOR_EVER, "x-upsert": "false"}
        answer = await self._ask("POST", self._object(name), headers, content)
        if answer.is_success or _status(answer) == 409:  # it is there: the same, by its name
            return
        raise self._refusal(answer)

    async def get(self, name: str) -> bytes | None:
        answer = await self._ask("GET", self._object(name))
        if answer.is_success:
            return answer.content
        if _status(answer) == 404 and not _says_bucket(answer):
            return None
        raise self._refusal(answer)

    async def check(self) -> None:
        answer = await self._ask("GET", f"{self._url}/bucket/{quote(self._bucket, safe='')}")
        if not answer.is_success:
            raise self._refusal(answer)

    def _object(self, name: str) -> str:
        return f"{self._url}/object/{quote(self._bucket, safe='')}/{quote(name, safe='')}"

    async def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        try:
            async with BoundedClient(
                MAX_SOURCE_BYTES,
                head_seconds=CALL_SECONDS,
                timeout=SECONDS,
                trust_env=False,
                follow_redirects=False,
                verify=tls(),
            ) as http:
                return await http.request(
                    method, url, headers={**self._headers, **(headers or {})}, content=content
                )
        except httpx.HTTPError as exc:
            raise Unavailable(
                f"Supabase Storage can't be reached ({type(exc).__name__}): check SUPABASE_URL."
            ) from None

    def _refusal(self, answer: httpx.Response) -> Unavailable | ShelfRefused:
        status = _status(answer)
        if status == 404:
            return ShelfRefused(
                f"The bucket {self._bucket} of ASSETS_STORE isn't there: make it in Supabase under "
                "Storage, or correct ASSETS_STORE."
            )
        words = page_words(str(_body(answer).get("message") or "")) or "no reason given"
        if status in (401, 403):
            return ShelfRefused(
                f"Supabase Storage refuses the key ({words}): check SUPABASE_SERVICE_ROLE_KEY."
            )
        if status == 429 or status >= 500:
            return Unavailable(f"Supabase Storage can't keep pictures now: it answers {status}.")
        return ShelfRefused(
            f"Supabase Storage refuses a picture in the bucket {self._bucket} ({status}: {words}): "
            "let the bucket take PNG, JPEG and GIF of 5 MB, and PDF of 20 MB."
        )


def _body(answer: httpx.Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        body = read_json(answer.content)
        if isinstance(body, dict):
            return body
    return {}


def _status(answer: httpx.Response) -> int:
    """Its own, in the body, tells more than that of HTTP."""
    own = str(_body(answer).get("statusCode") or "") if answer.is_error else ""
    return int(own) if own.isdecimal() else answer.status_code


def _says_bucket(answer: httpx.Response) -> bool:
    return "bucket" in str(_body(answer).get("message") or "").lower()
