"""Files kept by Notion, behind signed addresses that live for an hour, as S3's do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from app.sandbox.notion.errors import invalid, misshapen
from app.sandbox.notion.model import check
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import StoredFile, Upload, moment, new_id

LIFETIME_SECONDS = 3600
PATH = "/prod-files-secure"
ICONS = ("emoji", "custom_emoji", "icon")


@dataclass
class Files:
    """kept: by key. lifetime: seconds that an address is valid."""

    base_url: str
    workspace_id: str
    kept: dict[str, StoredFile] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    lifetime: float = LIFETIME_SECONDS
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    _generation: int = 0

    def keep(self, name: str, content_type: str, content: bytes, key: str | None = None) -> Json:
        """A file value, as it stands in a block or property of the workspace."""
        key = key or new_id()
        self.kept[key] = StoredFile(key, name, content_type, content)
        return {"type": "file", "file": {"key": key}}

    def expire(self) -> None:
        """No address given until now is valid any more."""
        self._generation += 1

    def attach(self, value: Any, path: str) -> Json:
        """What a request says of a file: an external URL, a file upload, or a file of Notion's as
        it was answered. Raises NotionError."""
        body = check.mapping(value, path)
        kind = next((k for k in ("external", "file_upload", "file", *ICONS) if k in body), None)
        if kind is None or body.get("type", kind) != kind:
            raise misshapen(f"{path}.external", "defined")
        if kind in ICONS:
            return {"type": kind, kind: body[kind]}
        inside = check.mapping(body[kind], f"{path}.{kind}")
        if kind == "external":
            return {
                "type": "external",
                "external": {"url": check.url(inside.get("url"), f"{path}.external.url")},
            }
        if kind == "file_upload":
            return self._uploaded(check.identifier(inside.get("id"), f"{path}.file_upload.id"))
        key = inside.get("key") or self._key(check.url(inside.get("url"), f"{path}.file.url"))
        if key not in self.kept:
            raise invalid(f"{path}.file.url is not a file of this workspace.")
        return {"type": "file", "file": {"key": key}}

    def place(self, value: Any, path: str) -> Json:
        """The same for what a person does, where nothing is refused: a picture may lack its file,
        or have an address that leads nowhere."""
        inside = value.get("file") if isinstance(value, dict) else None
        if not value or (isinstance(inside, dict) and inside.get("key") not in self.kept):
            return dict(value)
        return self.attach(value, path)

    def _uploaded(self, upload_id: str) -> Json:
        upload = self.uploads.get(upload_id)
        if upload is None:
            raise invalid(f"Could not find file upload with ID: {upload_id}.")
        if upload.status != "uploaded":
            raise invalid(
                f"File upload {upload_id} has status `{upload.status}`; only uploaded files can "
                "be attached."
            )
        upload.attached = True
        return {"type": "file", "file": {"key": upload.id}, "name": upload.filename}

    def _key(self, url: str) -> str:
        parts = urlsplit(url).path.split("/")
        return parts[3] if len(parts) > 3 and parts[1] == PATH.strip("/") else ""

    # Addresses

    def answered(self, value: Any) -> Any:
        """The same value with an address, which dies, in place of every kept file's key."""
        if isinstance(value, list):
            return [self.answered(item) for item in value]
        if not isinstance(value, dict):
            return value
        inside = value.get("file")
        if value.get("type") == "file" and isinstance(inside, dict) and "key" in inside:
            return {**value, "file": self.address(inside["key"])}
        return {name: self.answered(item) for name, item in value.items()}

    def address(self, key: str) -> Json:
        file = self.kept[key]
        now = datetime.now(UTC)
        path = f"{PATH}/{self.workspace_id}/{key}/{quote(file.name)}"
        until = now + timedelta(seconds=self.lifetime)
        query = urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"),
                "X-Amz-Expires": f"{self.lifetime:.0f}",
                "X-Amz-Signature": self._signature(key, until.timestamp()),
                "x-until": f"{until.timestamp():.3f}",
            }
        )
        return {"url": f"{self.base_url}{path}?{query}", "expiry_time": moment(until)}

    def fetch(self, key: str, until: str, signature: str) -> StoredFile | None:
        """None: the address isn't right, or no longer."""
        try:
            valid = float(until) > datetime.now(UTC).timestamp()
            right = hmac.compare_digest(self._signature(key, float(until)), signature)
        except ValueError:
            return None
        return self.kept.get(key) if valid and right else None

    def _signature(self, key: str, until: float) -> str:
        said = f"{self._generation}:{key}:{until:.3f}".encode()
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()
