"""The dashboard's pages: whatever others wrote is text there, never markup.

That each form has to be its own is in access/test_browsers.py, with every POST of the dashboard.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from app.api.dashboard.access import Page
from tests.security.fortress import BEARER, SECRET, Fortress
from tests.support.routes import ROUTES
from tests.support.service import client

SCRIPT = '"><script>alert(1)</script>'
PICTURE = "'><img src=x onerror=alert(2)>"
ATTRIBUTE = '" onmouseover="alert(3)'
RUNS = re.compile(
    r"<script>alert|<img src=x|\" onmouseover=|href=\"?\s*javascript:",
    re.IGNORECASE,
)
# The mail itself, as its author wrote it, in a frame without rights; files that are no pages.
OTHERS = {"/dashboard/assets/{name}", "/dashboard/login"}


async def seeded(fortress: Fortress) -> dict[str, str]:
    """Hostile texts in whatever a page shows; the ids, by the name that paths give them."""
    arrange, sql = fortress.arrange, fortress.sql
    person = await arrange.subscriber(
        "xss@example.com", name=SCRIPT, tags=[SCRIPT, PICTURE, ATTRIBUTE], fields={PICTURE: SCRIPT}
    )
    mailout = await arrange.mailout(
        "draft", subject=SCRIPT, body_html=f"<p>Hi {{{{ name }}}} {PICTURE}</p>",
        from_name=PICTURE, status_reason=SCRIPT, audience={"tags": [SCRIPT]},
    )  # fmt: skip
    sent = await arrange.mailout("sent", subject=PICTURE, status_reason=SCRIPT)
    await sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, error_code, "
        "error_message) values (%s, %s, 'xss@example.com', 'failed', %s, %s)",
        [sent, person, PICTURE, SCRIPT],
    )
    made = {"mailout_id": str(mailout), "subscriber_id": str(person)}
    for path, body, name in (
        ("/segments", {"name": SCRIPT, "audience": {"tags": [PICTURE]}}, "segment_id"),
        ("/templates", {"name": "<img src=x onerror=alert(2)>", "subject": SCRIPT,
                        "body_html": "<p>{{ content }}</p>"}, "template_id"),
        ("/keys", {"name": SCRIPT, "scopes": ["read"]}, "key_id"),
    ):  # fmt: skip
        answer = await fortress.http.post(path, json=body, headers=BEARER)
        assert answer.status_code == 201, answer.text
        made[name] = answer.json()["id"]
    done = await sql.execute(
        "insert into hooks (url, events, secret, description, created_by, state, reason) values "
        "(%s, '{recipient.bounced}', 'x', %s, %s, 'disabled', %s) returning id",
        [f"https://example.com/{SCRIPT}", SCRIPT, PICTURE, SCRIPT],
    )
    made["hook_id"] = str((await done.fetchone() or {})["id"])
    done = await sql.execute(
        "insert into imports (by, state, file_name, error, tags) values (%s, 'failed', %s, %s, %s)"
        " returning id",
        [PICTURE, SCRIPT, SCRIPT, [PICTURE]],
    )
    made["import_id"] = str((await done.fetchone() or {})["id"])
    return made | {"version": "1", "route": "us-east-1", "question": "delete", "act": "open",
                   "name": "overview", "key": "letter"}  # fmt: skip


@pytest.fixture
async def http(fortress: Fortress) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is signed in."""
    async with client(fortress.http.base_url, timeout=30) as signed_in:
        origin = str(fortress.http.base_url).rstrip("/")
        await signed_in.post(
            "/dashboard/login", data={"secret": SECRET}, headers={"Origin": origin}
        )
        yield signed_in


async def test_what_others_wrote_is_text_on_every_page(
    fortress: Fortress, http: httpx.AsyncClient
) -> None:
    ids = await seeded(fortress)
    shown: dict[str, httpx.Response] = {}
    for route in ROUTES:
        if not isinstance(route.declared, Page) or route.method != "GET" or route.path in OTHERS:
            continue
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda it: ids.get(it[1], "x"), route.path)
        answer = await http.get(path)
        assert answer.status_code < 500, (path, answer.text)
        if answer.headers.get("content-type", "").startswith("text/html"):
            shown[route.path] = answer
    assert len(shown) > 45
    mails = [
        path for path, it in shown.items() if "sandbox" in it.headers["content-security-policy"]
    ]
    for path, answer in shown.items():
        if path not in mails:
            found = RUNS.search(answer.text)
            assert found is None, (path, answer.text[max(0, found.start() - 99) : found.end() + 50])
        policy = answer.headers["content-security-policy"]
        assert "script-src 'unsafe-inline'" not in policy
    escaped = [path for path, it in shown.items() if "&lt;script&gt;alert(1)" in it.text]
    for path in (
        "/dashboard", "/dashboard/subscribers", "/dashboard/subscribers/{subscriber_id}",
        "/dashboard/keys", "/dashboard/hooks", "/dashboard/hooks/{hook_id}", "/dashboard/imports",
        "/dashboard/segments", "/dashboard/mailouts/{mailout_id}", "/dashboard/imports/{import_id}",
        "/dashboard/audit",
    ):  # fmt: skip
        assert path in escaped, path


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("text", [SCRIPT, PICTURE, ATTRIBUTE])
async def test_what_an_address_says_is_text_on_the_page(
    fortress: Fortress, http: httpx.AsyncClient, text: str
) -> None:
    """Reflected: searches, names, filters, problems."""
    async with fortress.untouched():
        for path, names in (
            ("/dashboard", ("q", "status", "cursor")), ("/dashboard/login", ("next",)),
            ("/dashboard/subscribers", ("q", "tag", "status", "segment", "notice", "cursor")),
            ("/dashboard/segments/new", ("name", "rule")),
            ("/dashboard/audit", ("by", "target")),
            ("/dashboard/subscribers/many", ("tag", "q")), ("/dashboard/keys", ("notice",)),
            ("/subscribe", ("tag", "email")), ("/unsubscribe", ("token",)),
            ("/confirm", ("token",)),
        ):  # fmt: skip
            for name in names:
                answer = await http.get(path, params={name: text})
                assert answer.status_code < 500, (path, name)
                assert RUNS.search(answer.text) is None, (path, name)


async def test_a_form_that_is_wrong_shows_what_was_typed_as_text(
    fortress: Fortress, http: httpx.AsyncClient
) -> None:
    origin = {"Origin": str(fortress.http.base_url).rstrip("/")}
    account = (await http.get("/dashboard/account")).text
    token = re.findall(r'name="form_token" value="([^"]+)"', account)[0]
    for path, fields in (
        ("/dashboard/subscribers/add", {"email": SCRIPT, "name": PICTURE, "tags": SCRIPT}),
        ("/dashboard/keys", {"name": SCRIPT * 9, "scope": SCRIPT}),
        ("/dashboard/hooks/new", {"url": SCRIPT, "description": PICTURE, "events": SCRIPT}),
        ("/dashboard/segments/new", {"name": SCRIPT, "raw": SCRIPT}),
        (
            "/dashboard/templates/new",
            {"name": SCRIPT, "body_html": SCRIPT, "subject": PICTURE},
        ),
        ("/dashboard/warmup", {"target": SCRIPT, "route": SCRIPT}),
    ):
        answer = await http.post(path, data={"form_token": token, **fields}, headers=origin)
        assert answer.status_code < 500, path
        assert RUNS.search(answer.text) is None, path
