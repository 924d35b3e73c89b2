"""Writing a mailout on its pages: drafts are kept, nothing typed is lost, two may write at once."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from app.services.rendering.renderer import Renderer
from tests.support.dashboard import Visitor
from tests.support.factories import Arrange

LETTER = {"subject": "News", "format": "markdown", "body": "Hello {{ name }}"}


async def row(arrange: Arrange, mailout: UUID) -> dict[str, Any]:
    done = await arrange.sql.execute("select * from mailouts where id = %s", [mailout])
    found = await done.fetchone()
    assert found is not None
    return found


async def saved(visitor: Visitor, mailout: object, **fields: str) -> Any:
    """Of the version that is there now."""
    html = (await visitor.get(f"/mailouts/{mailout}/edit")).text
    version = re.search(r'name="version" value="(\d+)"', html)
    assert version is not None
    return await visitor.post(f"/mailouts/{mailout}/edit", version=version[1], **fields)


async def test_a_draft_is_made_and_written(visitor: Visitor, arrange: Arrange) -> None:
    answer = await visitor.post("/mailouts/new", subject="  News of the winter ")
    place = answer.headers["location"].removeprefix("/dashboard")
    mailout = UUID(place.split("/")[2])
    assert place == f"/mailouts/{mailout}/edit"
    assert (await row(arrange, mailout))["subject"] == "News of the winter"
    answer = await saved(
        visitor,
        mailout,
        subject="Snow",
        preheader="It fell",
        format="html",
        body="<p>Hi\r\n{{ name }}</p>",
        body_text="Hi",
        from_name="Ann",
        from_email="ann@example.com",
        reply_to="bob@example.com",
        tracking="yes",
    )
    assert answer.headers["location"].endswith("/edit?notice=saved")
    found = await row(arrange, mailout)
    wanted = {
        "subject": "Snow",
        "preheader": "It fell",
        "body_html": "<p>Hi\n{{ name }}</p>",
        "body_markdown": None,
        "body_text": "Hi",
        "from_name": "Ann",
        "from_email": "ann@example.com",
        "reply_to": "bob@example.com",
        "tracking": True,
        "status": "draft",
    }
    assert {name: found[name] for name in wanted} == wanted
    answer = await saved(visitor, mailout, **LETTER)
    found = await row(arrange, mailout)
    assert (found["body_html"], found["body_markdown"]) == (None, "Hello {{ name }}")
    assert (found["from_email"], found["tracking"], found["preheader"]) == (None, False, None)
    html = (await visitor.get(f"/mailouts/{mailout}/edit")).text
    assert "Hello {{ name }}</textarea>" in html
    assert await arrange.one("select count(*) from audit_log where by <> 'dashboard'") == 0


async def test_what_cannot_be_saved_is_kept_in_the_form(visitor: Visitor, arrange: Arrange) -> None:
    """With the reason beside its field, also where the page's script asks."""
    mailout = await arrange.mailout("draft", subject="Before")
    wrong = LETTER | {"subject": " ", "from_email": "nonsense", "body": "Typed <b>for hours</b>"}
    answer = await saved(visitor, mailout, **wrong)
    assert answer.status_code == 422
    assert "Typed &lt;b&gt;for hours&lt;/b&gt;</textarea>" in answer.text
    assert 'value="nonsense"' in answer.text
    for field in ("subject", "from_email"):
        assert f'id="problem-{field}"' in answer.text
        assert f'href="#{field}"' in answer.text
    assert (await row(arrange, mailout))["subject"] == "Before"
    visitor.http.headers["Accept"] = "application/json"
    answer = await visitor.post(f"/mailouts/{mailout}/edit", version="1", **wrong)
    assert answer.status_code == 422
    assert set(answer.json()["problems"]) == {"subject", "from_email"}
    answer = await visitor.post("/mailouts/new", subject=" ")
    assert answer.status_code == 422
    assert "a mail needs a subject" in answer.text


async def test_the_script_saves_and_hears_what_stands_in_the_way(
    visitor: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft")
    await arrange.subscriber()
    visitor.http.headers["Accept"] = "application/json"
    page = f"/mailouts/{mailout}/edit"
    answer = await visitor.post(page, version="1", **LETTER | {"body": "Hello {{ nome }}"})
    assert answer.status_code == 200
    assert "1 thing to put right" in answer.json()["findings"]
    assert f'href="/dashboard/mailouts/{mailout}/edit#body"' in answer.json()["findings"]
    assert "body_markdown" not in answer.json()["findings"]
    again = await visitor.post(page, version=str(answer.json()["version"]), **LETTER)
    assert again.status_code == 200
    assert "nome" not in again.json()["findings"]


async def test_two_who_write_at_once_lose_nothing(visitor: Visitor, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft", body_html=None, body_markdown="One\nTwo\nThree")
    page = f"/mailouts/{mailout}/edit"
    theirs = LETTER | {"subject": "Theirs", "body": "One\nTheirs 2\nThree", "preheader": "Same"}
    assert (await visitor.post(page, version="1", **theirs)).status_code == 303
    mine = theirs | {"subject": "Mine", "body": "One\nMine 2\nThree"}
    visitor.http.headers["Accept"] = "application/json"
    assert (await visitor.post(page, version="1", **mine)).status_code == 412
    del visitor.http.headers["Accept"]
    answer = await visitor.post(page, version="1", **mine)
    assert answer.status_code == 412
    assert "Preview text" not in answer.text  # in which they agree
    for text in ("Mine 2", "Theirs 2", "<b>Mine</b>", "<b>Theirs</b>"):
        assert text in answer.text
    assert "One\nTheirs 2\nMine 2\nThree</textarea>" in answer.text
    assert (await row(arrange, mailout))["subject"] == "Theirs"

    hidden = {f"mine.{name}": value for name, value in mine.items()}
    chosen = {"pick.subject": "mine", "pick.body": "both", "both.body": "One\nAll\nThree"}
    late = await visitor.post(f"/mailouts/{mailout}/merge", version="1", **hidden, **chosen)
    assert late.status_code == 412  # somebody was faster again: what was put together is there
    assert "All" in late.text
    answer = await visitor.post(f"/mailouts/{mailout}/merge", version="2", **hidden, **chosen)
    assert answer.headers["location"].endswith("notice=merged")
    found = await row(arrange, mailout)
    assert (found["subject"], found["body_markdown"]) == ("Mine", "One\nAll\nThree")
    assert found["preheader"] == "Same"


async def test_what_is_being_sent_by_now_shows_what_was_typed(
    visitor: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("sending")
    answer = await visitor.post(f"/mailouts/{mailout}/edit", version="1", **LETTER)
    assert answer.status_code == 409
    assert "Hello {{ name }}</textarea>" in answer.text
    assert (await visitor.get(f"/mailouts/{mailout}/edit")).status_code == 303


@pytest.mark.short
async def test_a_megabyte_of_html_is_taken(visitor: Visitor, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft")
    body = "<p>" + "é" * 500_000 + "</p>"
    answer = await visitor.post(
        f"/mailouts/{mailout}/edit", version="1", subject="Large", format="html", body=body
    )
    assert answer.status_code == 303
    assert (await row(arrange, mailout))["body_html"] == body


async def test_a_draft_is_copied_made_ready_taken_back_and_deleted(
    visitor: Visitor, arrange: Arrange
) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout("draft", subject="Once")
    page = f"/mailouts/{mailout}"
    copy = (await visitor.post(f"{page}/duplicate")).headers["location"]
    assert str(mailout) not in copy
    assert "Once" in (await visitor.get(copy.removeprefix("/dashboard"))).text
    answer = await visitor.post(f"{page}/ready")
    assert answer.headers["location"].endswith("notice=ready")
    assert (await visitor.get(f"{page}/delete")).headers["location"].endswith("notice=late")
    assert (await visitor.post(f"{page}/delete")).headers["location"].endswith("notice=late")
    answer = await visitor.post(f"{page}/unready")
    assert answer.headers["location"].endswith("notice=unready")
    assert "This can’t be undone" in (await visitor.get(f"{page}/delete")).text
    assert (await visitor.post(f"{page}/delete")).headers["location"].endswith("notice=deleted")
    assert await arrange.one("select count(*) from mailouts where id = %s", mailout) == 0
    assert (await visitor.get(page)).status_code == 404


async def test_who_looks_at_a_mailout_before_its_start_has_what_renders_started(
    person: Visitor, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have ended, for want of work, and takes half a second to start."""
    started: list[str] = []
    for status, pages in {"draft": ["", "/edit", "/test"], "sent": [""]}.items():
        mailout = await arrange.mailout(status)
        for page in pages:
            with monkeypatch.context() as patch:
                patch.setattr(Renderer, "start", lambda _, status=status: started.append(status))
                assert (await person.get(f"/mailouts/{mailout}{page}")).status_code == 200
    assert started == ["draft"] * 3
