"""`/templates`: writing, changing, looking, deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from app.services.templates.starters import starters
from tests.support.databases import DatabaseServer
from tests.support.service import in_process, settings_for
from tests.support.templates import Author


@pytest.fixture(scope="module")
async def author(postgres_server: DatabaseServer) -> AsyncIterator[Author]:
    """One service for all tests of this module."""
    with postgres_server.database() as database:
        settings = settings_for(postgres_server.dsn(database), None, AWS_REGION=None)
        async with in_process(settings, with_sender=False) as running:
            yield Author(running)


async def test_a_template_is_made_shown_and_listed(author: Author) -> None:
    body = {"name": " A letter ", "subject": "Hi {{ name }}", "body_html": "<p>{{ content }}</p>"}
    made = await author.ask("POST", "/templates", json=body)
    template = made.json()
    assert (made.status_code, template["version"], template["findings"]) == (201, 1, [])
    path = f"/templates/{template['id']}"
    assert (made.headers["Location"], made.headers["ETag"]) == (path, '"1"')
    shown = await author.ask("GET", path)
    assert shown.headers["ETag"] == '"1"'
    assert shown.json() | {"findings": []} == template
    assert shown.json()["name"] == "A letter"
    assert shown.json()["subject"] == "Hi {{ name }}"
    first = (await author.ask("GET", "/templates?limit=1")).json()
    assert [row["name"] for row in first["items"]] == ["A letter"]
    assert "body_html" not in first["items"][0]
    await author.template(None, name="B", body_markdown="# {{ content }}")
    first = (await author.ask("GET", "/templates?limit=1")).json()
    rest = (await author.ask("GET", f"/templates?cursor={first['next_cursor']}")).json()
    assert rest["items"][0]["name"] == "B"
    assert rest["items"][0]["kind"] == "markdown"


async def test_a_change_needs_the_version_that_was_read(author: Author) -> None:
    template = await author.template(subject="One")
    path = f"/templates/{template['id']}"
    change = {"body_markdown": "# {{ content }}"}
    assert (await author.ask("PATCH", path, json=change)).status_code == 428
    done = await author.ask("PATCH", path, json=change, headers={"If-Match": '"1"'})
    assert (done.status_code, done.headers["ETag"]) == (200, '"2"')
    assert done.json()["body_html"] is None
    assert done.json()["subject"] == "One"
    late = await author.ask("PATCH", path, json={"subject": "x"}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["etag"]) == (412, '"2"')
    odd = await author.ask("PATCH", path, json={"subject": "x"}, headers={"If-Match": "2"})
    assert odd.status_code == 412
    same = await author.ask("PATCH", path, json=change, headers={"If-Match": "*"})
    assert same.json()["version"] == 2
    gone = await author.ask("DELETE", path, headers={"If-Match": '"1"'})
    assert gone.status_code == 412


async def test_versions_are_kept_and_restored(author: Author) -> None:
    template = await author.template("<p>one</p>")
    path = f"/templates/{template['id']}"
    await author.ask("PATCH", path, json={"body_html": "two"}, headers={"If-Match": "*"})
    await author.ask("PATCH", path, json={"name": "Else"}, headers={"If-Match": "*"})
    listed = (await author.ask("GET", f"{path}/versions?limit=2")).json()
    assert [row["version"] for row in listed["items"]] == [3, 2]
    rest = await author.ask("GET", f"{path}/versions?cursor={listed['next_cursor']}")
    assert [row["version"] for row in rest.json()["items"]] == [1]
    first = (await author.ask("GET", f"{path}/versions/1")).json()
    assert (first["body_html"], first["newest"]) == ("<p>one</p>", False)
    restored = (await author.ask("POST", f"{path}/versions/1/restore")).json()
    assert (restored["version"], restored["body_html"], restored["name"]) == (
        4,
        "<p>one</p>",
        "Else",
    )
    assert (await author.ask("GET", f"{path}/versions/9")).status_code == 404
    assert (await author.ask("POST", f"{path}/versions/9/restore")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"body_html": "a\n{% if %}"}, "body_html", "template “T”, line 2: "),
        ({"body_markdown": "a\n\n{{ name | shout }}"}, "body_markdown", "line 3: there is no"),
        ({"body_html": "x", "subject": "{{ nme }}"}, "subject", "unknown variable “nme”"),
        ({"body_html": "x", "subject": "a\nb"}, "subject", "in one line"),
        ({"body_html": "{{ content }}{{ content }}"}, "body_html", "second content block"),
        ({"body_html": "x\n{% include 't' %}"}, "body_html", "line 2: template “T” would include"),
        ({"body_html": "{% for i in (1..99999) %}x{% endfor %}"}, "body_html", "line 1: "),
        ({"body_html": "<p>x\n<!-- never closed"}, "body_html", "never closed"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_field_and_line(
    author: Author, body: dict[str, Any], field: str, said: str
) -> None:
    answer = await author.ask("POST", "/templates", json={"name": "T", **body})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "template_invalid"), answer.text
    assert problem["field"] == field
    assert said in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "T"},
        {"name": "T", "body_html": "x", "body_markdown": "x"},
        {"name": "", "body_html": "x"},
        {"name": 'a"b', "body_html": "x"},
        {"name": "x" * 81, "body_html": "x"},
        {"name": "T", "body_html": "\0"},
        {"name": "T", "body_html": "x" * 1_000_001},
        {"name": "T", "body_html": "x", "layout_id": str(uuid4())},
        {"name": "T", "body_html": "x", "layout_id": "x"},
        {"name": "T", "body_html": "x", "html": "x"},
    ],
)
async def test_a_malformed_template_is_refused(author: Author, body: dict[str, Any]) -> None:
    answer = await author.ask("POST", "/templates", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_unknown_variables_are_found_when_saved(author: Author) -> None:
    """They may be a partial's own, so they are findings; what to write instead is said."""
    made = await author.template("<p>{{ naem }}</p>\n{{ title }} {% render 'gone' %}")
    found = [finding["what"] for finding in made["findings"]]
    assert "line 1: unknown variable “naem”" in found[1]
    assert "Did you mean name?" in found[1]
    assert "title: … %}" in found[2]
    assert "line 2: there is no template “gone”" in found[0]
    path = f"/templates/{made['id']}"
    headers = {"If-Match": "*"}
    mended = await author.ask("PATCH", path, json={"body_html": "{{ name }}"}, headers=headers)
    assert mended.json()["findings"] == []


async def test_leftovers_of_other_programs_are_found_when_saved(author: Author) -> None:
    made = await author.template("<p>Dear *|FNAME|*</p>{{ content }}")
    [finding] = made["findings"]
    assert finding["level"] == "fail"
    assert "“*|FNAME|*”" in finding["what"]
    assert "{{ name }}" in finding["remedy"]


async def test_names_are_unique_and_those_of_partials_stay(author: Author) -> None:
    button = await author.template("<a>{{ label }}</a>", name="button")
    again = await author.ask("POST", "/templates", json={"name": "BUTTON", "body_html": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "template_exists")
    await author.template("{% render 'button', label: name %}", name="uses it")
    path = f"/templates/{button['id']}"
    renamed = await author.ask("PATCH", path, json={"name": "knob"}, headers={"If-Match": "*"})
    assert (renamed.status_code, renamed.json()["code"]) == (409, "template_in_use")
    assert "the template “uses it”" in renamed.json()["detail"]


async def test_layouts_close_no_ring_and_have_a_place(author: Author) -> None:
    outer = await author.template("<main>{{ content }}</main>")
    inner = await author.template("<p>{{ content }}</p>", layout_id=outer["id"])
    assert inner["layout_id"] == outer["id"]
    ring = await author.ask(
        "PATCH",
        f"/templates/{outer['id']}",
        json={"layout_id": inner["id"]},
        headers={"If-Match": "*"},
    )
    assert (ring.status_code, ring.json()["code"]) == (422, "template_invalid")
    assert "layout of itself" in ring.json()["detail"]
    closed = await author.template("<p>no place</p>")
    body = {"name": "T", "body_html": "x", "layout_id": closed["id"]}
    answer = await author.ask("POST", "/templates", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "layout_id")


async def test_a_used_template_is_not_deleted(author: Author) -> None:
    template = await author.template()
    path = f"/templates/{template['id']}"
    mailout = await author.mailout(template_id=template["id"], body_html="<p>x</p>")
    refused = await author.ask("DELETE", path)
    assert (refused.status_code, refused.json()["code"]) == (409, "template_in_use")
    assert f"the mailout “News” ({mailout})" in refused.json()["detail"]
    assert refused.json()["users"] == [{"mailout_id": mailout, "subject": "News"}]
    await author.ask("DELETE", f"/mailouts/{mailout}")
    assert (await author.ask("DELETE", path)).status_code == 204
    for method, where in (
        ("GET", path),
        ("DELETE", path),
        ("GET", f"{path}/versions"),
        ("GET", f"{path}/versions/1"),
        ("POST", f"{path}/preview"),
    ):
        assert (await author.ask(method, where)).status_code == 404
    late = await author.ask(
        "POST", "/mailouts", json={"subject": "x", "template_id": template["id"]}
    )
    assert late.status_code in (404, 409, 422)


async def test_a_preview_shows_the_template_with_a_sample_text(author: Author) -> None:
    body = (
        "<style>h2{color:#123456}</style><p>Dear {{ name }} of {{ fields.city }}</p>{{ content }}"
    )
    template = await author.template(body, subject="For {{ name }}")
    path = f"/templates/{template['id']}/preview"
    shown = (await author.ask("POST", path)).json()
    assert shown["subject"] == "For Ann Example"
    assert "Dear Ann Example of city" in shown["html"]
    assert "Here stands the text of the mailout" in shown["html"]
    assert "color: #123456" in shown["html"]
    assert "Unsubscribe" in shown["text"]
    assert (shown["size"], shown["problems"]) == (len(shown["html"].encode()), [])
    added = await author.ask("POST", "/subscribers", json={"email": "bo@example.com", "name": "Bo"})
    assert added.status_code == 201
    person = (await author.ask("POST", path, json={"email": "BO@example.com"})).json()
    assert "Dear Bo of </p>" in person["html"]
    assert person["problems"] == [
        "fields.city is missing: say what to show instead with `default`."
    ]
    nobody = await author.ask("POST", path, json={"email": "no@example.com"})
    assert nobody.status_code == 404
    unsaved = await author.ask("POST", path, json={"body_markdown": "*{{ name }}*"})
    assert "<em>Ann Example</em>" in unsaved.json()["html"]
    broken = await author.ask("POST", path, json={"body_html": "{% if %}"})
    assert (broken.status_code, broken.json()["code"]) == (422, "template_invalid")


async def test_a_preview_in_a_page_can_do_nothing(author: Author) -> None:
    template = await author.template("<script>alert(1)</script>{{ content }}")
    path = f"/templates/{template['id']}/preview"
    page = await author.ask("POST", path, headers={"Accept": "text/html"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    text = await author.ask("POST", path, headers={"Accept": "text/plain"})
    assert text.text.startswith("Here stands the text")


async def test_starters_are_offered_and_can_be_stored_as_they_are(author: Author) -> None:
    offered = (await author.ask("GET", "/templates/starters")).json()["items"]
    assert [row["key"] for row in offered] == ["letter", "digest", "announcement"]
    assert offered == [starter.to_row() for starter in starters()]
    for row in offered:
        made = await author.template(row["body_html"], name=row["name"], subject=row["subject"])
        assert made["findings"] == []
