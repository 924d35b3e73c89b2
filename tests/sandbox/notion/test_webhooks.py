"""What Notion posts to the service."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest

from app.sandbox.notion.server import NotionServer
from tests.sandbox.support import Receiver
from tests.support.local_server import Reply


class Endpoint(Receiver):
    """Takes JSON, as the service's own endpoint does."""

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        return super().respond(path, body, {**headers, "content-type": "text/json"})


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    with Endpoint() as running:
        yield running


def kinds(notion: NotionServer) -> list[str]:
    """What was posted; each was answered when this returns."""
    return [post["type"] for post in notion.settle_webhooks()]


def test_events_are_signed_and_name_who_did_it(
    notion: NotionServer, client: Any, receiver: Endpoint
) -> None:
    token = notion.subscribe(receiver.url)
    page = notion.make_page({"Name": "June"}, ["one"])
    notion.set(page, Status="Send")
    notion.comment(page, "/status")
    client.pages.update(page, properties={"Accepted": {"number": 1}})
    notion.settle_webhooks()
    handshake, *posts = receiver.received
    assert handshake.body == {"verification_token": token}
    for post in posts:
        digest = hmac.new(token.encode(), post.headers["raw"].encode(), hashlib.sha256)
        assert post.headers["x-notion-signature"] == f"sha256={digest.hexdigest()}"
    about = notion.act("about")
    said = sorted(
        (post.body["type"], post.body["authors"][0]["type"], post.body["authors"][0]["id"])
        for post in posts
    )
    ann, bot = about["person_id"], about["bot_id"]
    assert said == sorted(
        [
            ("page.created", "person", ann),
            ("page.properties_updated", "person", ann),
            ("comment.created", "person", ann),
            ("page.properties_updated", "bot", bot),
        ]
    )
    status = next(
        post.body
        for post in posts
        if post.body["type"] == "page.properties_updated"
        and post.body["authors"][0]["type"] == "person"
    )
    assert status["entity"] == {"id": page, "type": "page"}
    assert status["data"]["parent"] == {
        "id": notion.database_id,
        "type": "database",
        "data_source_id": notion.data_source_id,
    }
    schema = client.request(f"data_sources/{notion.data_source_id}", "GET")["properties"]
    assert status["data"]["updated_properties"] == [schema["Status"]["id"]]


def test_an_endpoint_that_fails_is_tried_again_and_every_change_has_its_event(
    notion: NotionServer, receiver: Endpoint
) -> None:
    token = notion.subscribe(receiver.url)
    receiver.answer = lambda post: 200 if post.body.get("attempt_number") == 2 else 503
    page = notion.make_page({"Name": "June"})
    [post] = notion.settle_webhooks()
    assert (post["attempts"], post["answer"]) == (2, "200")
    first, again = receiver.received[1:]
    assert first.body["id"] == again.body["id"]
    receiver.answer = lambda _post: 200
    notion.trash(page)
    notion.restore(page)
    notion.lock(page)
    notion.append(page, ["x"])
    notion.rename_property("Status", "Stage")
    assert kinds(notion)[1:] == [
        "page.deleted",
        "page.undeleted",
        "page.locked",
        "page.content_updated",
        "data_source.schema_updated",
    ]
    assert not notion.act("verify", token="other" + token)
    notion.append(page, ["y"])
    assert len(kinds(notion)) == 6  # nothing for a subscription that isn't verified


def test_held_events_are_dropped_doubled_and_reordered(
    notion: NotionServer, receiver: Endpoint
) -> None:
    notion.subscribe(receiver.url)
    notion.hold_webhooks()
    pages = [notion.make_page({"Name": str(n)}) for n in range(5)]
    assert kinds(notion) == []
    assert notion.release_webhooks(double=True, shuffle=True, seed=3) == 10
    told = [post["body"]["entity"]["id"] for post in notion.settle_webhooks()]
    assert sorted(told) == sorted(pages * 2)
    assert told[::2] != pages
    notion.hold_webhooks()
    notion.set(pages[0], Status="Send")
    assert notion.release_webhooks(drop=1) == 0


def test_the_automation_posts_with_its_header_and_pauses_when_it_fails(
    notion: NotionServer, receiver: Endpoint
) -> None:
    made = notion.automation(
        receiver.url, {"X-Auth-Token": "s"}, values=["Send"], properties=["Status", "Name"]
    )
    page = notion.make_page({"Name": "June", "Status": "Draft"})
    notion.set(page, Audience=["a"])
    notion.set(page, Status="Send")
    notion.settle_webhooks()
    [post] = receiver.received
    assert post.headers["x-auth-token"] == "s"
    assert post.body["source"]["type"] == "automation"
    assert post.body["data"]["id"] == page
    assert set(post.body["data"]["properties"]) == {"Status", "Name"}
    assert post.body["data"]["properties"]["Status"]["select"]["name"] == "Send"
    receiver.answer = lambda _post: 500
    notion.set(page, Status="Draft")
    notion.set(page, Status="Send")
    assert notion.settle_webhooks()[-1]["attempts"] == 3
    assert notion.act("automations") == {made: True}
    notion.set(page, Status="Draft")
    notion.set(page, Status="Send")
    assert len(notion.settle_webhooks()) == 2
