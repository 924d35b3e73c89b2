"""Templates, their versions, and what of them a mailout keeps, over each way to the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.errors import InvalidRequest
from app.store import Store
from tests.support.factories import Arrange, claim_mailout

OWNER = "owner"


async def template(
    store: Store, name: str, body: str = "<p>{{ content }}</p>", **more: Any
) -> UUID:
    made = await store.create_template({"name": name, "body_html": body, **more}, by=OWNER)
    assert made["outcome"] == "created", made
    return UUID(made["template"]["id"])


async def change(store: Store, template_id: UUID, **changes: Any) -> str:
    changed = await store.change_template(template_id, None, changes, by=OWNER)
    return str(changed["outcome"])


async def test_every_saved_change_is_a_version_and_none_is_overwritten(
    store: Store, arrange: Arrange
) -> None:
    letter = await template(store, "Letter", "one", subject="News")
    assert await change(store, letter, body_html="two") == "changed"
    assert await change(store, letter, body_html="two") == "unchanged"
    assert await change(store, letter, body_markdown="three") == "changed"
    shown = await store.show_template(letter)
    assert shown is not None
    assert (shown["version"], shown["body_html"], shown["body_markdown"]) == (3, None, "three")
    assert shown["subject"] == "News"
    versions = [await store.show_template(letter, number) for number in (1, 2, 3, 4)]
    assert [v and (v["body_html"] or v["body_markdown"]) for v in versions] == [
        "one",
        "two",
        "three",
        None,
    ]
    listed = await store.list_template_versions(letter, 2)
    assert listed is not None
    assert [(row["version"], row["kind"]) for row in listed] == [(3, "markdown"), (2, "html")]
    assert await store.list_template_versions(letter, 2, before=2) != []
    assert await store.list_template_versions(uuid4(), 2) is None
    actions = [row["action"] for row in await store.list_audit(10, target=str(letter))]
    assert actions == ["template.update", "template.update", "template.create"]


async def test_who_saw_an_older_version_changes_nothing(store: Store) -> None:
    letter = await template(store, "Letter")
    first = await store.change_template(letter, 1, {"body_html": "mine"}, by=OWNER)
    second = await store.change_template(letter, 1, {"body_html": "theirs"}, by=OWNER)
    assert (first["outcome"], second["outcome"]) == ("changed", "stale")
    assert second["template"]["body_html"] == "mine"


async def test_a_name_is_one_living_templates(store: Store) -> None:
    letter = await template(store, "Letter")
    again = await store.create_template({"name": "LETTER", "body_html": "x"}, by=OWNER)
    assert again["outcome"] == "name_taken"
    other = await template(store, "Other")
    assert await change(store, other, name="letter") == "name_taken"
    assert await change(store, letter, name="LETTER") == "changed"  # its own
    assert (await store.delete_template(letter, by=OWNER))["outcome"] == "deleted"
    assert (await store.delete_template(letter, by=OWNER))["outcome"] == "not_found"
    assert await store.show_template(letter) is None
    await template(store, "Letter")
    names = [row["name"] for row in await store.list_templates(10)]
    assert names == ["Letter", "Other"]
    found = await store.find_template("LETTER")
    assert found is not None
    assert (found["name"], await store.find_template("Gone")) == ("Letter", None)
    assert [row["name"] for row in await store.list_templates(10, after="letter")] == ["Other"]


async def test_layouts_neither_close_a_ring_nor_pile_up(store: Store) -> None:
    outer = await template(store, "0")
    assert await change(store, outer, layout_id=str(outer)) == "layout_cycle"
    assert await change(store, outer, layout_id=str(uuid4())) == "layout_missing"
    chain = [outer]
    for depth in range(1, 6):
        chain.append(await template(store, str(depth), layout_id=str(chain[-1])))
    assert await change(store, outer, layout_id=str(chain[-1])) == "layout_cycle"
    deeper = {"name": "6", "body_html": "x", "layout_id": str(chain[-1])}
    assert (await store.create_template(deeper, by=OWNER))["outcome"] == "layout_depth"
    around = await template(store, "around")
    assert await change(store, outer, layout_id=str(around)) == "layout_depth"
    assert (await store.delete_template(outer, by=OWNER))["users"] == [
        {"template_id": str(chain[1]), "name": "1"}
    ]


async def test_a_partial_keeps_its_name_and_stays_while_it_is_used(
    store: Store, arrange: Arrange
) -> None:
    button = await template(store, "button", "<a>x</a>")
    letter = await template(store, "Letter", "{{ content }}{%- render 'Button', label: 'x' -%}")
    draft = await arrange.mailout("draft", body_html='{% include "BUTTON" %}')
    users = [
        {"mailout_id": str(draft), "subject": "Hello"},
        {"template_id": str(letter), "name": "Letter"},
    ]
    assert (await store.delete_template(button, by=OWNER))["users"] == users
    assert await change(store, button, name="knob") == "named"
    assert await change(store, button, name="BUTTON") == "changed"


async def test_a_mailouts_content_has_the_newest_of_all_it_uses_until_it_starts(
    store: Store, arrange: Arrange
) -> None:
    layout = await template(store, "layout")
    letter = await template(store, "letter", "{% include 'sign' %}", layout_id=str(layout))
    await template(store, "sign", "Ann")
    await template(store, "unused", "x")
    await arrange.subscriber()
    mailout = await arrange.mailout(template_id=letter, body_html=None)
    before = await store.find_mailout(mailout)
    assert before is not None
    sources = before.content.sources
    assert sources is not None
    assert sources["template_id"] == str(letter)
    assert {row["name"] for row in sources["templates"]} == {"layout", "letter", "sign"}
    await change(store, layout, body_html="<b>{{ content }}</b>")
    after = await store.find_mailout(mailout)
    assert after is not None
    assert after.content_hash != before.content_hash
    assert (
        await store.claim_mailout(mailout, before.content_hash, request_key=None, request_hash=None)
    ).outcome == "changed"
    assert (await claim_mailout(store, mailout)).outcome == "claimed"
    await change(store, letter, body_html="else")
    content, _ = await store.snapshot_content(mailout)
    assert content == after.content
    # It isn't needed any more: the versions stay, and so does what was frozen.
    assert (await store.delete_template(letter, by=OWNER))["outcome"] == "deleted"
    assert (await store.snapshot_content(mailout))[0] == after.content


async def test_without_a_template_the_hash_is_what_it_always_was(
    store: Store, arrange: Arrange
) -> None:
    """Mailouts may be on their way while the program is upgraded."""
    await template(store, "button")
    mailout = await arrange.mailout(body_html="{% if name %}Hi{% endif %} {% render 'nothing' %}")
    found = await store.find_mailout(mailout)
    assert found is not None
    assert found.content.sources is None
    known = await arrange.one(
        "select md5(jsonb_build_object('subject', subject, 'preheader', preheader, 'body_html', "
        "body_html, 'body_markdown', body_markdown, 'body_text', body_text, 'from_email', "
        "from_email, 'from_name', from_name, 'reply_to', reply_to, 'configuration_set', "
        "configuration_set)::text) from mailouts where id = %s",
        mailout,
    )
    assert found.content_hash == known


async def test_a_mailout_gets_no_template_that_is_gone(store: Store, arrange: Arrange) -> None:
    letter = await template(store, "Letter")
    columns = {"subject": "Hi", "template_id": str(letter)}
    draft = (await store.add_mailout(columns, by=OWNER)).id
    assert (await store.delete_template(letter, by=OWNER))["users"] == [
        {"mailout_id": str(draft), "subject": "Hi"}
    ]
    assert (await store.content_of(columns)).sources == (await store.template_sources(letter, ""))
    await arrange.sql.execute("delete from mailouts")
    await store.delete_template(letter, by=OWNER)
    for gone in (letter, uuid4()):
        with pytest.raises(InvalidRequest, match="template_id: there is no such template"):
            await store.add_mailout(columns | {"template_id": str(gone)}, by=OWNER)
