"""A stand-in for Supabase Storage, as its documentation and its own client have it.

Sources: Supabase's docs ("Storage": standard uploads, serving, error codes), storage-js and
storage3 (paths, headers); supabase/storage answers errors as JSON with `statusCode`, `error` and
`message`, most of them with status 400 (its issues 110 and 748 show them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.support.local_server import LocalServer, Reply

KEY = "sb_secret_of_this_project"


@dataclass(frozen=True)
class Stored:
    content: bytes
    media_type: str
    cache: str


@dataclass
class StorageStandIn(LocalServer):
    buckets: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    objects: dict[tuple[str, str], Stored] = field(default_factory=dict)

    def make_bucket(self, name: str, takes: tuple[str, ...] | None = None) -> None:
        self.buckets[name] = takes

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        root, _, rest = path.partition("/storage/v1/")
        if root:
            return Reply(503, b"<html>upstream</html>")
        if headers.get("Authorization") != f"Bearer {KEY}" or headers.get("apikey") != KEY:
            return _error(403, "Unauthorized", "Invalid Compact JWS")
        kind, bucket, *names = (unquote(part) for part in rest.split("/"))
        if bucket not in self.buckets:
            return _error(404, "Bucket not found", "Bucket not found")
        if kind == "bucket":
            return Reply.json({"id": bucket, "name": bucket, "public": True})
        name = "/".join(names)
        if not body:
            found = self.objects.get((bucket, name))
            if found is None:
                return _error(404, "not_found", "Object not found")
            return Reply(200, found.content, {"Content-Type": found.media_type})
        takes, media_type = self.buckets[bucket], headers["Content-Type"]
        if takes is not None and media_type not in takes:
            return _error(415, "invalid_mime_type", f"mime type {media_type} is not supported")
        if (bucket, name) in self.objects and headers.get("x-upsert") != "true":
            return _error(409, "Duplicate", "The resource already exists")
        self.objects[bucket, name] = Stored(body, media_type, headers["Cache-Control"])
        return Reply.json({"Key": f"{bucket}/{name}", "Id": "1"})


def _error(status: int, error: str, message: str) -> Reply:
    return Reply.json({"statusCode": str(status), "error": error, "message": message}, 400)
