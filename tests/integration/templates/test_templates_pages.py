"""The pages about templates: choose, write, look, go back, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.dashboard import Visitor, signed_in
from tests.support.databases import DatabaseServer
from tests.support.service import in_process, settings_for
from tests.support.templates import Author


@pytest.fixture(scope="module")
async def author(postgres_server: DatabaseServer) -> AsyncIterator[Author]:
    with postgres_server.database() as database:
        settings = settings_for(postgres_server.dsn(database), None, AWS_REGION=None)
        async with in_process(settings, with_sender=False) as running:
            yield Author(running)


@pytest.fixture
async def person(author: Author) -> AsyncIterator[Visitor]:
    """Somebody who signed in."""
    async with signed_in(author.service) as visitor:
        yield visitor


@pytest.mark.short
async def test_one_begins_with_a_starter_as_often_as_one_likes(
    author: Author, person: Visitor
) -> None:
    assert "Begin with this" in (await person.get("/templates/new")).text
    for name in ("Digest", "Digest 2"):
        made = await person.post("/templates/new", **{"from": "digest"})
        page = await person.http.get(made.headers["Location"])
        assert f"<h1>{name}</h1>" in page.text
        assert "Made. Change the words to yours." in page.text
        assert "The Harbour Digest" in page.text
    blank = await person.post("/templates/new", **{"from": "blank"})
    assert "{{ content }}" in (await person.http.get(blank.headers["Location"])).text
    listed = (await person.get("/templates")).text
    assert all(name in listed for name in ("Digest", "Digest 2", "My template"))


async def test_what_is_written_is_saved_and_nobody_overwrites_unseen(
    author: Author, person: Visitor
) -> None:
    template = await author.template("<p>{{ content }}</p>", name="Mine")
    path = f"/templates/{template['id']}"
    form = {"name": "Mine", "subject": " Hi ", "format": "html", "body": "<b>\r\n{{ content }}</b>"}
    saved = await person.post(path, version="1", **form)
    assert saved.headers["Location"] == f"/dashboard{path}?notice=saved"
    shown = (await author.ask("GET", path)).json()
    assert (shown["version"], shown["subject"]) == (2, "Hi")
    assert shown["body_html"] == "<b>\n{{ content }}</b>"
    same = await person.post(path, version="2", **form)
    assert same.headers["Location"].endswith("?notice=same")
    late = await person.post(path, version="1", **(form | {"body": "<i>mine, {{ content }}</i>"}))
    assert late.status_code == 412
    assert "&lt;i&gt;mine, {{ content }}&lt;/i&gt;" in late.text  # what was typed
    assert "&lt;b&gt;\n{{ content }}&lt;/b&gt;" in late.text  # and theirs
    assert 'name="version" value="2"' in late.text
    for wrong, said in (
        ({"body": "a\n{% if %}"}, "line 2"),
        ({"body": " "}, "write something"),
        ({"name": ""}, "give it a name"),
        ({"layout_id": template["id"]}, "layout of itself"),
        ({"layout_id": "x"}, "doesn&#39;t fit"),
        ({"version": "²"}, "Not saved"),
    ):
        refused = await person.post(path, **({"version": "2"} | form | wrong))
        assert refused.status_code in (412, 422)
        assert said in refused.text


async def test_findings_stand_on_the_page(author: Author, person: Visitor) -> None:
    template = await author.template("<p>{{ naem }}</p>")
    page = (await person.get(f"/templates/{template['id']}")).text
    assert "unknown variable “naem”" in page


async def test_a_mail_is_shown_in_a_frame_that_can_do_nothing(
    author: Author, person: Visitor
) -> None:
    template = await author.template("<script>alert(1)</script><p>{{ content }}</p>")
    path = f"/templates/{template['id']}/preview"
    form = {"name": "x", "format": "html", "body": "<b>unsaved {{ content }}</b>"}
    starter = await person.get("/templates/starters/letter/preview")
    saved, typed = await person.get(path), await person.post(path, **form)
    broken = await person.post(path, **(form | {"body": "{% if %}"}))
    for frame in (saved, typed, starter, broken):
        policy = frame.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'; ")
        assert "frame-ancestors 'self'" in policy
        assert "script-src" not in policy
    assert "Here stands the text of the mailout" in saved.text
    assert "<b>unsaved" in typed.text
    assert "the ice went out" in starter.text
    assert "It can’t be shown like this" in broken.text
    page = (await person.get(f"/templates/{template['id']}")).text
    assert f'src="/dashboard{path}"' in page
    assert 'sandbox=""' in page
    assert (await person.get("/templates/starters/nothing/preview")).status_code == 404


async def test_an_earlier_version_comes_back(author: Author, person: Visitor) -> None:
    template = await author.template("<p>first</p>")
    path = f"/templates/{template['id']}"
    await author.ask("PATCH", path, json={"body_html": "second"}, headers={"If-Match": "*"})
    page = (await person.get(f"{path}/versions/1")).text
    assert "Make it the newest again" in page
    assert "Make it the newest again" not in (await person.get(f"{path}/versions/2")).text
    done = await person.post(f"{path}/versions/1")
    assert (
        "The earlier version is the newest one again"
        in (await person.http.get(done.headers["Location"])).text
    )
    assert (await author.ask("GET", path)).json()["version"] == 3
    assert (await person.get(f"{path}/versions/9")).status_code == 404


async def test_a_used_one_is_not_deleted(author: Author, person: Visitor) -> None:
    template = await author.template(name="Used")
    path = f"/templates/{template['id']}/delete"
    mailout = await author.mailout(template_id=template["id"])
    assert "Delete Used?" in (await person.get(path)).text
    refused = await person.post(path)
    assert refused.status_code == 409
    assert "the mailout “News”" in refused.text
    await author.ask("DELETE", f"/mailouts/{mailout}")
    done = await person.post(path)
    assert done.headers["Location"] == "/dashboard/templates?notice=deleted"
    assert "Used" not in (await person.get("/templates")).text
    assert (await person.get(f"/templates/{template['id']}")).status_code == 404
