"""`/assets/…`: the pictures and PDFs of mails, for everybody, for ever."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.http.deps import ServicesDep
from app.api.http.description import a_file
from app.api.http.problems import problem, problems
from app.errors import NotFound, Unavailable

router = APIRouter(tags=["assets"])

_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    # A picture is looked at alone, too: nothing in it may do anything.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# In a sandbox Safari shows some PDFs as an empty window, and Chrome long showed none. A viewer
# keeps a PDF apart from this service's pages anyway.
_PDF_POLICY = "default-src 'none'; frame-ancestors 'none'"


@router.head("/assets/{name}", include_in_schema=False)
@router.get(
    "/assets/{name}",
    response_class=Response,
    responses={
        200: a_file(
            "image/png", "image/jpeg", "image/gif", "application/pdf", schema={"format": "binary"}
        ),
        304: {"description": "As in `If-None-Match`"},
        **problems(NotFound, Unavailable),
    },
)
async def show(request: Request, services: ServicesDep, name: str) -> Response:
    """A picture or PDF by the hash of its content. It never changes."""
    picture = await services.pictures(name)
    if picture is None:
        answer = problem(NotFound("There is no picture or file of this name."))
        answer.headers["Cache-Control"] = "no-store"  # it may come
        return answer
    headers = _HEADERS | {"ETag": f'"{picture.sha256}"'}
    if picture.media_type == "application/pdf":
        headers["Content-Security-Policy"] = _PDF_POLICY
        headers["Content-Disposition"] = f'inline; filename="{name}"'
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or picture.sha256 in known:
        return Response(status_code=304, headers=headers)
    return Response(picture.content, media_type=picture.media_type, headers=headers)
