"""No mail with the address of a file at Notion leaves, whoever wrote it and wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.content.render import Content, Footer, compile_content
from app.errors import NotionFileLeft
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, in_process, settings_for
from tests.support.waiting import eventually

FILE = "https://prod-files-secure.s3.us-west-2.amazonaws.com/ab/cat.png?X-Amz-Signature=secret"
PICTURE = f'<p>Hello</p>\n<img src="{FILE}" alt="a cat">'


def compiled(begun: bool = False, **parts: Any) -> object:
    content: dict[str, Any] = {
        "subject": "News",
        "body_html": "<p>Hello</p>",
        "body_markdown": None,
        "body_text": None,
        **parts,
    }
    footer = content.pop("footer", Footer("Org", "Street"))
    return compile_content(Content(**content), footer, begun=begun)


def template(body: str, content_block: bool = True, **more: Any) -> dict[str, Any]:
    block = "\n{{ content }}" if content_block else ""
    return {
        "id": more.get("name", "Frame"),
        "name": "Frame",
        "version": 1,
        "body_html": f"{body}{block}",
        "body_markdown": None,
        "layout_id": None,
        **more,
    }


INNER = template("<p>in</p>", name="Inner", layout_id="Frame")
PARTIAL = template(PICTURE, content_block=False, name="cat")


@pytest.mark.parametrize(
    ("parts", "field", "line"),
    [
        ({"body_html": PICTURE}, "body_html", 2),
        ({"body_html": f"<a href='{FILE}'>the file</a>"}, "body_html", 1),
        ({"body_html": f"<img srcset='a.png 1x, {FILE} 2x'>"}, "body_html", 1),
        ({"body_html": f"<style>\ntd{{background:url({FILE})}}</style>"}, "body_html", 2),
        ({"body_html": f"<table><tr><td background='{FILE}'>x</table>"}, "body_html", 1),
        ({"body_html": f"<!--[if mso]>\n\n<v:fill src='{FILE}'><![endif]-->"}, "body_html", 3),
        ({"body_html": f"{{% assign cat = '{FILE}' %}}<img src='{{{{ cat }}}}'>"}, "body_html", 1),
        (
            {"body_html": f"<img src='{{{{ fields.cat | default: \"{FILE}\" }}}}'>"},
            "body_html",
            1,
        ),
        ({"body_html": None, "body_markdown": f"Hello\n\n![a cat]({FILE})"}, "body_markdown", 3),
        ({"body_html": None, "body_markdown": f"[the file]({FILE})"}, "body_markdown", 1),
        ({"body_text": f"The file:\n{FILE}"}, "body_text", 2),
        ({"preheader": f"See {FILE}"}, "preheader", 1),
        ({"footer": Footer("Org", "Street", html=PICTURE)}, "FOOTER_HTML", 2),
        (
            {"sources": {"template_id": "Frame", "templates": [template(PICTURE)]}},
            "template “Frame”",
            2,
        ),
        (
            {"sources": {"template_id": "Inner", "templates": [INNER, template(PICTURE)]}},
            "template “Frame”",
            2,
        ),
        (
            {
                "body_html": '<p>Hello</p>{% render "cat" %}',
                "sources": {"template_id": None, "templates": [PARTIAL]},
            },
            "template “cat”",
            2,
        ),
        # Put together only when the mail is made: the place is known, the line isn't.
        (
            {"body_html": "{% assign host = 'file.notion.so' %}<img src='https://{{ host }}/x'>"},
            "body_html",
            None,
        ),
        (
            {"body_html": "{% if name %}{{ 'https://file.' | append: 'notion.so/x' }}{% endif %}"},
            "body_html",
            None,
        ),
        (
            {"body_html": None, "body_markdown": "See www.notion.so/image/cat"},
            "body_markdown",
            None,
        ),
    ],
)
def test_it_is_refused_with_its_place(parts: dict[str, Any], field: str, line: int | None) -> None:
    with pytest.raises(NotionFileLeft) as refused:
        compiled(**parts)
    assert (refused.value.field, refused.value.line) == (field, line)
    assert field in refused.value.detail and "at Notion" in refused.value.detail
    assert "secret" not in refused.value.detail, "the signature opens the file"
    compiled(begun=True, **parts)


@pytest.mark.parametrize(
    "body",
    [
        '<a href="https://www.notion.so/My-page-1f0d">the page</a>',
        '<a href="https://ann.notion.site/Welcome">the site</a>',
        '<img src="https://example.com/file.notion.so.png">',
        "<p>Files at file.notion.so end within the hour.</p>",
    ],
)
def test_links_to_pages_at_notion_are_fine(body: str) -> None:
    compiled(body_html=body)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


async def test_every_way_to_send_it_is_refused_but_what_has_begun_goes_on(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com")
    mailout = await arrange.mailout(body_html=PICTURE)
    draft = await arrange.mailout("draft", body_html=PICTURE)
    async with in_process(settings_for(dsn, sandbox.url)) as service:

        async def ask(path: str, **body: Any) -> tuple[int, dict[str, Any]]:
            answer = await service.http.post(path, json=body, headers=BEARER)
            return answer.status_code, answer.json()

        at = {"at": "2040-01-01T09:00", "zone": "UTC"}
        for path, body in (
            ("/send-mailout", {"mailout_id": str(mailout)}),
            (f"/mailouts/{mailout}/test", {}),
            (f"/mailouts/{mailout}/schedule", at),
        ):
            status, problem = await ask(path, **body)
            assert (status, problem["code"]) == (409, "template_invalid"), path
            assert (problem["field"], problem["line"]) == ("body_html", 2)
        status, problem = await ask(f"/mailouts/{draft}/ready")
        assert (status, problem["code"]) == (409, "not_sendable")
        assert "at Notion" in str(problem["findings"])
        status, problem = await ask("/templates", name="Cat", body_html=PICTURE)
        assert (status, problem["code"], problem["field"]) == (422, "template_invalid", "body_html")

        _, report = await ask(f"/mailouts/{mailout}/preflight")
        assert not report["ok"]
        assert any("at Notion" in finding["what"] for finding in report["findings"])
        status, shown = await ask(f"/mailouts/{mailout}/preview")
        assert status == 200 and "a cat" in shown["html"], "its author sees what they wrote"
        assert any(
            finding["level"] == "fail" and "at Notion" in finding["what"]
            for finding in shown["problems"]
        )
        assert not sandbox.accepted()

        # As an earlier version let it begin, before an upgrade.
        found = await service.services.store.find_mailout(mailout)
        assert found is not None
        await service.services.store.claim_mailout(
            mailout, found.content_hash, request_key=None, request_hash=None
        )
        service.services.wake()
        await eventually(lambda: service.show(mailout), until=lambda row: row["status"] == "sent")
        assert len(sandbox.accepted()) == 1
