"""File uploads of up to 20 MB in one part, and the addresses under which files are fetched."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import HTTP

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.notion.api import Call, Door
from app.sandbox.notion.errors import NotionError, invalid, misshapen
from app.sandbox.notion.model import check
from app.sandbox.notion.model.answers import listed
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.files import PATH, Files
from app.sandbox.notion.model.records import Upload

MAX_PART = 20 * 1024 * 1024
MAX_NAME = 900
"""Bytes."""
_EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message></Error>"
)


def routes(door: Door, files: Callable[[], Files]) -> list[Route]:
    async def fetch(request: Request) -> Response:
        """As S3 does: 403 with XML when the address is no longer valid."""
        query = request.query_params
        file = files().fetch(
            request.path_params["key"],
            query.get("x-until", ""),
            query.get("X-Amz-Signature", ""),
        )
        if file is None:
            return Response(_EXPIRED, 403, media_type="application/xml")
        return Response(file.content, media_type=file.content_type)

    return [
        door.route("file_uploads", "POST", create),
        door.route("file_uploads", "GET", several),
        door.route("file_uploads/{id}", "GET", get),
        door.route("file_uploads/{id}/send", "POST", send, is_json=False),
        Route(PATH + "/{space}/{key}/{name:path}", fetch),
    ]


async def create(call: Call) -> Json:
    call.guard.needs("insert_content")
    names = ("mode", "filename", "content_type", "number_of_parts", "external_url")
    body = check.mapping(call.body, "body", names)
    modes = ("single_part", "multi_part", "external_url")
    mode = check.one_of(body.get("mode", "single_part"), "body.mode", modes)
    if mode != "single_part":
        raise invalid(f"The stand-in takes no uploads of mode {mode}.")
    name = body.get("filename")
    if name is not None:
        size = len(check.text(name, "body.filename").encode())
        if size > MAX_NAME:
            raise misshapen("body.filename.length", f"≤ `{MAX_NAME}` bytes", size)
    kind = body.get("content_type") or (mimetypes.guess_type(name)[0] if name else None)
    if name is not None and kind is None:
        raise invalid("body.content_type is needed when the filename's extension is not known.")
    upload = Upload(parent=None, author=call.space.bot, filename=name, content_type=kind)
    call.space.add(upload)
    call.space.files.uploads[upload.id] = upload
    return call.answers.upload(upload)


async def send(call: Call) -> Json:
    call.guard.needs("insert_content")
    upload = _found(call)
    file = _file(call.request.headers.get("content-type", ""), await call.request.body())
    if file is None:
        raise misshapen("body.file", "defined")
    if upload.status != "pending":
        raise invalid(f"File upload {upload.id} has status `{upload.status}`, not `pending`.")
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    if len(content) > MAX_PART:
        raise NotionError(413, "validation_error", f"The file is larger than {MAX_PART} bytes.")
    kind = file.get_content_type() if "content-type" in file else None
    if upload.content_type and kind not in (None, upload.content_type):
        raise invalid(
            f"Content type {kind} does not match the file upload's {upload.content_type}."
        )
    upload.filename = upload.filename or file.get_filename()
    upload.content_type = upload.content_type or kind
    upload.status, upload.size = "uploaded", len(content)
    call.space.files.keep(
        upload.filename or "file",
        upload.content_type or "application/octet-stream",
        content,
        key=upload.id,
    )
    return call.answers.upload(upload)


async def get(call: Call) -> Json:
    return call.answers.upload(_found(call))


async def several(call: Call) -> Json:
    found = list(call.space.files.uploads.values())
    if status := call.request.query_params.get("status"):
        found = [upload for upload in found if upload.status == status]
    return listed([call.answers.upload(upload) for upload in found], "file_upload", None)


def _file(content_type: str, body: bytes) -> MIMEPart | None:
    """The part `file` of a form. Its parts are messages of mail, and read as such."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    form = message_from_bytes(head + body, policy=HTTP)
    assert isinstance(form, EmailMessage)
    for part in form.iter_parts() if form.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "file":
            return part
    return None


def _found(call: Call) -> Upload:
    return call.space.get(Upload, call.id("file_upload_id"))
