"""A mailout keeps the template that it started with, whatever becomes of that."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.content.render import Content, Footer, compile_content, template_variables
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import Arrange, claim_mailout
from tests.support.service import Service
from tests.support.templates import Author
from tests.support.waiting import eventually
from tests.support.wide import examples


async def test_a_mailout_is_sent_in_its_template_as_it_was_at_the_start(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    author = Author(service)
    await arrange.subscriber("ann@example.com", name="Ann")
    await author.template('<a href="{{ url }}">{{ label }}</a>', name="button")
    frame = await author.template("<main>{{ content }}</main>")
    letter = await author.template(
        "<h1>Hi {{ name }}</h1>{{ content }}{% render 'button', url: 'https://x', label: 'On' %}",
        layout_id=frame["id"],
    )
    mailout = await author.mailout(
        template_id=letter["id"], body_markdown="**News** for {{ name }}"
    )
    assert (await author.ask("POST", f"/mailouts/{mailout}/test")).status_code == 202
    assert (await service.show(mailout))["tested"]["current"] is True
    changed = {"body_html": "<h1>Dear {{ name }}</h1>{{ content }}"}
    path = f"/templates/{letter['id']}"
    await author.ask("PATCH", path, json=changed, headers={"If-Match": "*"})
    assert (await service.show(mailout))["tested"]["current"] is False
    ready = await author.ask("POST", f"/mailouts/{mailout}/ready")
    assert ready.status_code == 200, ready.text
    assert (await service.send(mailout)).status_code == 202
    shown = await eventually(
        lambda: service.show(mailout), until=lambda shown: shown["status"] == "sent"
    )
    assert shown["counts"]["sent"] == 1
    [sent] = sandbox.mails("ann@")
    mail = sandbox.mail(sent["message_id"])
    flat = " ".join(mail["html"].split())
    assert "<main><h1>Dear Ann</h1><p><strong>News</strong> for Ann</p>" in flat
    assert "News for Ann" in mail["text"].replace("*", "")
    # It needs the template no longer; a copy of it has none that is gone.
    assert (await author.ask("DELETE", path)).status_code == 204
    copied = await author.ask("POST", f"/mailouts/{mailout}/duplicate")
    assert copied.status_code == 201
    copy = await service.show(copied.json()["id"])
    assert copy["template_id"] is None


async def test_a_template_that_broke_meanwhile_keeps_a_draft_from_being_ready(
    quiet: Service, arrange: Arrange
) -> None:
    """What is said names the template, and its line."""
    author = Author(quiet)
    await arrange.subscriber()
    letter = await author.template()
    mailout = await author.mailout(template_id=letter["id"], body_html="<p>x</p>")
    change = {"body_html": "<p>\n{{ naem }} {{ content }}</p>"}
    saved = await author.ask(
        "PATCH", f"/templates/{letter['id']}", json=change, headers={"If-Match": "*"}
    )
    assert saved.json()["findings"]
    refused = await author.ask("POST", f"/mailouts/{mailout}/ready")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_sendable")
    assert f"template “{letter['name']}”, line 2: unknown variable “naem”" in refused.text


_bodies = st.sampled_from(
    [
        "<p>{{ name }}</p>{{ content }}",
        "{% assign x = 'a' %}<b>{{ content }}{{ x }}</b>",
        "{% render 'part', v: name %}{{ content }}",
        "<style>p{color:#aa0000}</style><p>new</p>{{ content }}",
    ]
)
_edits = st.lists(st.tuples(st.sampled_from(["letter", "frame", "part"]), _bodies), max_size=4)


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(letter=_bodies, frame=_bodies, edits=_edits)
async def test_what_has_started_renders_the_same_after_any_edit(
    direct_store: Store, arrange: Arrange, letter: str, frame: str, edits: list[tuple[str, str]]
) -> None:
    store, unique = direct_store, uuid4().hex[:8]
    part = f"part {unique}"

    async def made(name: str, body: str, layout: UUID | None = None) -> UUID:
        body = body.replace("'part'", f"'{part}'")
        row = {"name": f"{name} {unique}", "body_html": body, "layout_id": layout and str(layout)}
        return UUID((await store.create_template(row, by="owner"))["template"]["id"])

    ids = {"part": await made("part", "({{ v }})"), "frame": await made("frame", frame)}
    ids["letter"] = await made("letter", letter, ids["frame"])
    await arrange.subscriber()
    mailout = await arrange.mailout(template_id=ids["letter"], body_html="<i>{{ name }}</i>")
    assert (await claim_mailout(store, mailout)).outcome == "claimed"
    before = await _rendered(store, mailout)
    for name, body in edits:
        body = "(else)" if name == "part" else body.replace("'part'", f"'{part}'")
        await store.change_template(ids[name], None, {"body_html": body}, by="owner")
    await store.delete_template(ids["letter"], by="owner")
    assert await _rendered(store, mailout) == before


async def _rendered(store: Store, mailout: UUID) -> Any:
    content, content_hash = await store.snapshot_content(mailout)
    compiled = compile_content(
        Content("News", content.body_html, None, None, sources=content.sources),
        Footer("Example", "1 Road"),
    )
    variables = template_variables(
        email="a@example.com", name="Ann", fields={}, mailout_id="1", unsubscribe_url="https://u"
    )
    return compiled.paste(compiled.values(variables)), content_hash
