"""The workspace in a browser: its databases' rows, and a page as a person sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from app.domain.notion.properties import STATUSES
from app.sandbox.config import SandboxConfig
from app.sandbox.notion.errors import NotionError
from app.sandbox.notion.model import richtext
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import Database, DataSource, Page
from app.sandbox.notion.person import Person
from app.sandbox.notion.standin import NotionStandIn

_TEMPLATES = Path(__file__).parents[1] / "templates"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src https: "
    "http://localhost:* http://127.0.0.1:*; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
_SHOWN = ("Status", "Delivery", "Progress", "Accepted")
"""Of a row in the list, where the database has them."""
_PREFIX = {"bulleted_list_item": "• ", "numbered_list_item": "1. ", "divider": "―"}


class NotionPages:
    """`/notion`, `/notion/{page}`, and the forms by which a person acts."""

    def __init__(self, standin: NotionStandIn, config: SandboxConfig) -> None:
        self._standin, self._config = standin, config
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def routes(self) -> list[Route]:
        return [
            Route("/notion", self._workspace, methods=["GET"]),
            Route("/notion/{id}", self._page, methods=["GET"]),
            Route("/notion/{id}/{action}", self._act, methods=["POST"]),
        ]

    def _answer(self, template: str, status: int = 200, **shown: Any) -> Response:
        html = self._templates.get_template(template).render(config=self._config, **shown)
        return HTMLResponse(html, status, _HEADERS)

    async def _workspace(self, _request: Request) -> Response:
        space, person = self._standin.space, Person(self._standin.space)
        databases = []
        for database in space.of(Database):
            source = space.get(DataSource, database.sources[0])
            names = {prop["name"] for prop in source.properties.values()}
            rows = [space.get(Page, row) for row in reversed(source.rows)]
            databases.append(
                {
                    "id": database.id,
                    "title": richtext.said(database.title),
                    "shown": [name for name in _SHOWN if name in names],
                    "rows": [
                        {"page": row, "title": space.title(row), "values": person.values(row.id)}
                        for row in rows
                        if not space.trashed(row)
                    ],
                }
            )
        return self._answer(
            "notion.html", databases=databases, home=space.home, token=self._standin.config.token
        )

    async def _page(self, request: Request) -> Response:
        space, person = self._standin.space, Person(self._standin.space)
        try:
            page = space.get(Page, str(UUID(request.path_params["id"])))
        except (ValueError, NotionError):
            return self._answer("notion_gone.html", 404)
        source = space.source_of(page)
        values = person.values(page.id)
        return self._answer(
            "notion_page.html",
            page=page,
            title=space.title(page),
            database=richtext.said(source.title) if source else None,
            values=values,
            statuses=STATUSES if "Status" in values else (),
            blocks=[shown(block) for block in person.blocks(page.id)],
            comments=[
                {"text": richtext.said(said["rich_text"]), "by": said["display_name"]}
                for said in person.comments(page.id)
            ],
        )

    async def _act(self, request: Request) -> Response:
        """The forms: a new row in a database, a status, a comment."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("This form belongs to the sandbox's own pages.", 403)
        person, at = Person(self._standin.space), request.path_params["id"]
        form = parse_qs((await request.body()).decode())
        said = form.get("value", [""])[0].strip()
        try:
            match request.path_params["action"]:
                case "row" if said:
                    at = person.make_page({"Name": said}, [f"Hello, this is “{said}”."], parent=at)
                case "status" if said:
                    person.set(at, {"Status": said})
                case "comment" if said:
                    person.comment(at, said)
        except NotionError as error:
            return PlainTextResponse(error.message, 400)
        return RedirectResponse(f"/notion/{at}" if said else "/notion", status_code=303)


def shown(block: Json) -> Json:
    """A block as the page shows it: kind, text, a picture's address, and its children."""
    kind = block["type"]
    content = block[kind]
    text = richtext.said(content.get("rich_text") or content.get("caption"))
    if kind == "table_row":
        text = " | ".join(richtext.said(cell) for cell in content["cells"])
    if kind == "to_do":
        text = f"{'☑' if content.get('checked') else '☐'} {text}"
    file = content.get(content.get("type") or "", {}) if kind in ("image", "video", "file") else {}
    return {
        "kind": kind,
        "text": _PREFIX.get(kind, "") + (text or content.get("url") or content.get("title") or ""),
        "level": int(kind[-1]) if kind.startswith("heading_") else 0,
        "picture": file.get("url") if kind == "image" else None,
        "children": [shown(child) for child in block["children"]],
    }
