"""The dashboard's pages of webhooks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from app.domain.access import OWNER
from app.domain.hooks.events import EVENTS
from app.domain.hooks.words import EVENT_WORDS
from tests.support.dashboard import ORIGIN, Visitor, signed_in
from tests.support.factories import Arrange
from tests.support.service import Service, in_process, settings_for


@pytest.fixture
async def quiet(dsn: str) -> AsyncIterator[Service]:
    """The service without a sender and without SES."""
    settings = settings_for(dsn, None, AWS_REGION=None)
    async with in_process(settings, with_sender=False) as running:
        yield running


@pytest.fixture
async def visitor(quiet: Service) -> AsyncIterator[Visitor]:
    """Somebody who signed in to its dashboard."""
    async with signed_in(quiet) as person:
        yield person


URL = "https://hooks.example.com?catch=very-secret"
SECRET = re.compile(r"whsec_[\w+/=]{40,}")


async def make(service: Service, *events: str, url: str = URL) -> dict[str, Any]:
    return await service.services.hooks.create(url, events or ["mailout.finished"], OWNER)


async def delivered(arrange: Arrange, hook: str, *states: str) -> None:
    for state in states:
        await arrange.sql.execute(
            "insert into hook_deliveries (hook_id, event_id, type, subject, data, state, attempts,"
            " status, error, settled_at) values (%(hook)s, gen_random_uuid(), 'mailout.finished',"
            " gen_random_uuid(), '{}', %(state)s, %(tries)s, %(status)s, %(error)s, now())",
            {
                "hook": hook,
                "state": state,
                "tries": 0 if state == "waiting" else 10,
                "status": 204 if state == "done" else 500,
                "error": None if state == "done" else "It answered 500.",
            },
        )


def test_every_event_is_explained() -> None:
    named = [event for group in EVENT_WORDS.values() for event in group]
    assert tuple(named) == EVENTS


async def test_the_empty_page_tells_what_it_is_for(visitor: Visitor) -> None:
    page = (await visitor.get("/hooks")).text
    for words in ("Zapier", "Make", "n8n", "HOOKS_ALLOW_PRIVATE", "/dashboard/hooks/new"):
        assert words in page
    assert ">Webhooks</a>" in (await visitor.get("/keys")).text


async def test_a_webhook_is_made_and_its_secret_shown_once(
    quiet: Service, visitor: Visitor
) -> None:
    form = (await visitor.get("/hooks/new")).text
    for event in EVENTS:
        assert f'value="{event}"' in form
    made = await visitor.post(
        "/hooks", url=f" {URL} ", description="<b>CRM</b>",
        events=["recipient.bounced", "mailout.finished"],
    )  # fmt: skip
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    secret = SECRET.search(made.text)
    assert secret is not None
    [hook] = await quiet.services.hooks.list_all()
    assert (hook["url"], hook["created_by"]) == (URL, "dashboard")
    assert hook["events"] == ["mailout.finished", "recipient.bounced"]
    for path in ("/hooks", f"/hooks/{hook['id']}"):
        page = (await visitor.get(path)).text
        assert "Mailout finished, recipient bounced" in page
        assert "&lt;b&gt;CRM" in page
        assert "<b>CRM" not in page
        assert secret[0] not in page
    assert "very-secret" not in (await visitor.get("/hooks")).text


async def test_what_does_not_fit_is_said_and_what_was_typed_stays(
    quiet: Service, visitor: Visitor
) -> None:
    await make(quiet, "mailout.finished", "mailout.started")
    cases = {
        "Choose what it shall be told.": {"url": f"{URL}2"},
        "Use https": {"url": "http://example.com/x", "events": "mailout.failed"},
        "HOOKS_ALLOW_PRIVATE": {"url": "https://10.0.0.1/x", "events": "mailout.failed"},
        "to this address already": {"url": URL, "events": "mailout.started"},
    }
    for words, fields in cases.items():
        refused = await visitor.post("/hooks", description="My note", **fields)
        assert refused.status_code == 422
        for said in (words, 'value="My note"', f'value="{fields["url"]}"'):
            assert said in refused.text
        if "events" in fields:
            assert f'value="{fields["events"]}" checked' in refused.text
    assert len(await quiet.services.hooks.list_all()) == 1


async def test_it_is_changed(quiet: Service, visitor: Visitor) -> None:
    hook = await make(quiet)
    path = f"/hooks/{hook['id']}"
    form = (await visitor.get(f"{path}/change")).text
    assert 'value="mailout.finished" checked' in form
    fields: dict[str, Any] = {"url": f"{URL}new", "events": "subscriber.created", "description": ""}
    for rate in ("0", "x", "nan", "1e9", ""):
        refused = await visitor.post(f"{path}/change", rate_per_second=rate, **fields)
        assert (refused.status_code, "0.01 to 1,000" in refused.text) == (422, True)
    changed = await visitor.post(f"{path}/change", rate_per_second="2.5", **fields)
    assert changed.headers["location"] == f"/dashboard{path}?notice=changed"
    now = await quiet.services.hooks.show(hook["id"])
    assert (now["url"], now["events"], now["rate_per_second"]) == (
        f"{URL}new", ["subscriber.created"], 2.5,
    )  # fmt: skip


async def test_it_is_switched_off_and_on_rotated_and_deleted_after_a_question(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    hook = await make(quiet)
    path = f"/hooks/{hook['id']}"
    for question, words in (
        ("off", "isn’t told later"), ("rotate", "24 hours"), ("delete", "can’t be undone"),
    ):  # fmt: skip
        assert words in (await visitor.get(f"{path}/{question}")).text
    assert (await quiet.services.hooks.show(hook["id"]))["state"] == "active"
    assert (await visitor.post(f"{path}/off")).headers["location"].endswith("?notice=off")
    page = (await visitor.get(path)).text
    assert "It is off." in page
    assert "Send a sample" not in page
    assert (await visitor.post(f"{path}/on")).headers["location"].endswith("?notice=on")

    turned = await visitor.post(f"{path}/rotate")
    secret = SECRET.search(turned.text)
    assert secret is not None
    assert secret[0] != hook["secret"]
    assert turned.headers["cache-control"] == "no-store"
    assert "signs until" in (await visitor.get(path)).text

    await arrange.sql.execute("update hooks set state = 'gone', reason = 'It answered 410.'")
    assert "Make answers so while a scenario is off" in (await visitor.get(path)).text
    gone = await visitor.post(f"{path}/delete")
    assert gone.headers["location"] == "/dashboard/hooks?notice=deleted"
    assert (await visitor.get(path)).status_code == 404
    late = await visitor.post(f"{path}/delete")
    assert late.headers["location"] == "/dashboard/hooks?notice=gone"
    by = "select array_agg(distinct by) from audit_log where action like 'hook.%%'"
    assert await arrange.one(by) == ["dashboard", "owner"]
    acts = (await visitor.get("/audit?action=hook")).text
    assert "Webhook given a new secret" in acts


async def test_what_was_given_up_is_seen_with_its_reason_and_sent_again(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    hook = await make(quiet)
    path = f"/hooks/{hook['id']}"
    await delivered(arrange, hook["id"], "dead", "done", "dead", "waiting")
    page = (await visitor.get(path)).text
    assert page.count("Given up after 10 tries. It answered 500.") == 2
    assert page.count("Delivered: it answered 204.") == 1
    assert page.count("It waits for its turn.") == 1
    assert "Send again what was given up" in page
    assert "2 given up" in (await visitor.get("/hooks")).text
    only = (await visitor.get(f"{path}?state=done")).text
    assert only.count("Given up after") == 0
    [one] = re.findall(r'name="delivery" value="(\d+)"', only)
    again = await visitor.post(f"{path}/replay", delivery=one)
    assert again.headers["location"].endswith("?notice=again")
    assert (await visitor.post(f"{path}/replay")).headers["location"].endswith("?notice=again")
    assert (await quiet.services.hooks.show(hook["id"]))["waiting"] == 4
    assert (await visitor.post(f"{path}/replay")).headers["location"].endswith("?notice=none")
    assert (await visitor.post(f"{path}/replay", delivery="x")).status_code == 404
    await visitor.post(f"{path}/off")
    assert (await visitor.get(path)).text.count("It waits until the webhook is switched on") == 4
    assert "Nothing was given up." in (await visitor.get(f"{path}?state=dead")).text
    assert (await visitor.get(f"{path}?state=odd")).status_code == 404


async def test_older_deliveries_are_on_further_pages(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    hook = await make(quiet)
    path = f"/hooks/{hook['id']}"
    await delivered(arrange, hook["id"], *["done"] * 25)
    first = (await visitor.get(f"{path}?state=done")).text
    assert first.count("Delivered: it answered") == 20
    older = re.search(r'href="/dashboard(/hooks/[^"]+cursor=[^"]+)"', first)
    assert older is not None
    second = (await visitor.get(older[1].replace("&amp;", "&"))).text
    assert second.count("Delivered: it answered") == 5
    assert (await visitor.get(f"{path}?cursor=x")).status_code == 422
    assert (await visitor.get(f"{path}?test={2**63 - 1}")).status_code == 404


async def test_a_damaged_form_is_refused(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    hook = await make(quiet)
    typed = {"url": URL, "events": "mailout.started", "rate_per_second": "5"}
    for path in ("/hooks", f"/hooks/{hook['id']}/change"):
        damaged = await visitor.post(path, **typed, description="a\0b")
        assert damaged.status_code == 422
        assert "NUL" in damaged.text
    assert await arrange.one("select array_agg(events[1]) from hooks") == ["mailout.finished"]


async def test_forms_of_others_do_nothing(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    hook = await make(quiet)
    before = await quiet.services.hooks.list_all()
    acts = ("change", "test", "replay", "rotate", "off", "on", "delete")
    for path in ("", *(f"/{hook['id']}/{act}" for act in acts)):
        forged = await visitor.http.post(f"/dashboard/hooks{path}", data={"url": URL})
        assert forged.status_code == 403
        stranger = await quiet.http.post(f"/dashboard/hooks{path}", data={}, headers=ORIGIN)
        assert stranger.headers["location"].startswith("/dashboard/login")
    assert await quiet.services.hooks.list_all() == before
    assert await arrange.one("select count(*) from hook_deliveries") == 0
    for path in (f"/hooks/{uuid4()}", f"/hooks/{hook['id']}/odd", "/hooks/odd"):
        assert (await visitor.get(path)).status_code == 404
