"""Amazon S3 as a place for pictures and PDFs: `ASSETS_STORE=s3://BUCKET/PREFIX`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from app.adapters.aws.answers import AnswerTooLarge
from app.adapters.aws.ses import aws_client
from app.domain.assets.sizes import MAX_SOURCE_BYTES
from app.domain.untrusted import page_words
from app.errors import ShelfRefused, Unavailable
from app.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOR_EVER = "public, max-age=31536000, immutable"
"""A picture's name is the hash of its content."""
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Shelf:
    """ports.PictureShelf. prefix: of the keys; "" for none."""

    def __init__(self, settings: Settings, bucket: str, prefix: str = "") -> None:
        self._settings = settings
        self._bucket, self._prefix = bucket, prefix.strip("/")
        self._lock = threading.Lock()
        self._made: S3Client | None = None

    @property
    def place(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        await asyncio.to_thread(self._put, name, content, media_type)

    async def get(self, name: str) -> bytes | None:
        return await asyncio.to_thread(self._get, name)

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    def _put(self, name: str, content: bytes, media_type: str) -> None:
        try:
            self._client().put_object(
                Bucket=self._bucket,
                Key=self._key(name),
                Body=content,
                ContentType=media_type,
                CacheControl=FOR_EVER,
            )
        except Exception as exc:  # also for answers that make no sense
            raise self._refusal(exc, "s3:PutObject") from exc

    def _get(self, name: str) -> bytes | None:
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._key(name))
            return _content(answer["Body"])
        except Exception as exc:  # also for answers that make no sense
            if _code(exc) in _MISSING:
                return None
            raise self._refusal(exc, "s3:GetObject") from exc

    def _check(self) -> None:
        try:
            self._client().head_bucket(Bucket=self._bucket)
        except Exception as exc:  # also for answers that make no sense
            raise self._refusal(exc, "s3:ListBucket") from exc

    def _client(self) -> S3Client:
        with self._lock:
            if self._made is None:
                self._made = aws_client(self._settings, "s3", region=self._settings.aws_region)
            return self._made

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _refusal(self, exc: Exception, permission: str) -> Unavailable | ShelfRefused:
        words = page_words(str(exc)) or type(exc).__name__
        is_asked = isinstance(exc, ClientError | BotoCoreError)
        if isinstance(exc, HTTPClientError | BotoConnectionError) or not is_asked:
            return Unavailable(f"S3 can't be reached to keep pictures: {words}")
        if not isinstance(exc, ClientError):
            return ShelfRefused(
                f"S3 can't be asked to keep pictures ({words}): correct the AWS_… settings, or "
                "ASSETS_STORE."
            )
        status = int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = _code(exc)
        if code in ("NoSuchBucket", "404"):
            return ShelfRefused(
                f"The bucket {self._bucket} of ASSETS_STORE isn't there: make it in S3, or correct "
                "ASSETS_STORE."
            )
        if status == 403:
            return ShelfRefused(
                f"S3 refuses the bucket {self._bucket} of ASSETS_STORE: give the IAM user "
                f"{permission} for it ({words})."
            )
        if status == 429 or status >= 500 or code == "SlowDown":
            return Unavailable(f"S3 can't keep pictures now: {words}")
        return ShelfRefused(f"S3 refuses a picture in the bucket {self._bucket}: {words}")


def _content(body: Any) -> bytes:
    """All of it. Raises botocore's exceptions, also when it was cut."""
    content: bytes = body.read(MAX_SOURCE_BYTES)
    if body.read(1):  # finds out, too, whether all came that was announced
        raise AnswerTooLarge(most=MAX_SOURCE_BYTES)
    return content


def _code(exc: Any) -> str:
    return str(exc.response["Error"]["Code"]) if isinstance(exc, ClientError) else ""
