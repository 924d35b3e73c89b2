"""`POST /notion-events`: what isn't Notion's own, or asks for more than a look."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.domain.notion.events import MAX_EVENT_BYTES, signature
from tests.security.fortress import NOTION_TOKEN, Fortress

PATH = "/notion-events"


class Road:
    def __init__(self, fortress: Fortress) -> None:
        self.fortress = fortress

    def event(self, kind: str = "page.content_updated", **members: Any) -> dict[str, Any]:
        database = self.fortress.settings.notion_database_id
        return {
            "id": str(uuid4()),
            "type": kind,
            "entity": {"id": str(uuid4()), "type": "page"},
            "authors": [{"id": str(uuid4()), "type": "person"}],
            "data": {"parent": {"id": database, "type": "database"}},
        } | members

    async def post(self, body: dict[str, Any] | bytes, signed: str | None = None) -> httpx.Response:
        """signed: the header; None: as Notion signs this body."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        value = signature(NOTION_TOKEN, raw) if signed is None else signed
        headers = {"X-Notion-Signature": value} if value else {}
        return await self.fortress.http.post(PATH, content=raw, headers=headers)


@pytest.fixture
def road(fortress: Fortress) -> Road:
    return Road(fortress)


async def test_forged_ones(road: Road) -> None:
    raw = json.dumps(road.event()).encode()
    right = signature(NOTION_TOKEN, raw)
    forged = [
        "", "x", "sha256=", right[7:], right[:-1], right + "0", right.replace("sha256", "sha1"),
        "sha256=" + "0" * 64, signature("another", raw), signature(NOTION_TOKEN, raw + b" "),
        signature("", raw), f"{right},{right}", f'"{right}"',
    ]  # fmt: skip
    async with road.fortress.untouched():
        for value in forged:
            answer = await road.post(raw, value)
            assert answer.status_code == 401, value
            assert answer.json()["code"] == "notion_signature_wrong"
        for changed in (raw + b" ", raw.replace(b"page", b"pagf"), b"", b"{}", raw[:-1]):
            assert (await road.post(changed, right)).status_code == 401
        for names in (("X-Notion-Signature: x", f"X-Notion-Signature: {right}"),
                      (f"X-Notion-Signature: {right}",) * 2):  # fmt: skip
            head = "\r\n".join((f"POST {PATH} HTTP/1.1", "host: x", "connection: close", *names))
            request = f"{head}\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw
            answer_bytes = await road.fortress.raw(request)
            assert answer_bytes.split(b" ", 2)[1] in {b"400", b"401"}


async def test_what_is_no_event_though_it_is_signed(road: Road) -> None:
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    text = json.dumps(road.event())
    bodies: list[bytes] = [
        b"", b"null", b"[]", b"7", b'"x"', b"\xff", b"{", deep, b"{}", b" " * 100,
        text.replace('"type"', '"type": "page.deleted", "type"', 1).encode(),
        text.replace('"id"', '"id": "x", "id"', 1).encode(),
    ]  # fmt: skip
    for name, values in (
        ("id", (None, "", 7, ["x"], "\0", "x" * 10_000)),
        ("type", (None, 7, ["page.created"], "page.\0", "page." + "x" * 10_000)),
        ("entity", (None, "x", [], {"id": None}, {"id": "x"}, {"id": 7}, {"id": "\ud800"})),
    ):
        bodies += [json.dumps(road.event() | {name: value}).encode() for value in values]
    async with road.fortress.untouched():
        for body in bodies:
            answer = await road.post(body)
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_notion_event")
        answer = await road.post(b" " * (MAX_EVENT_BYTES + 1))
        assert answer.status_code == 413


async def test_events_of_others_and_odd_ones_change_nothing(road: Road) -> None:
    elsewhere = {"parent": {"id": str(uuid4()), "type": "database"}}
    async with road.fortress.untouched():
        for event in (
            road.event("user.created"), road.event("database.renamed"),
            road.event(data=elsewhere), road.event(data=None), road.event(data=[1]),
            road.event(data={"parent": "x"}), road.event(authors=7, data=elsewhere),
            road.event("comment.created", data={"page_id": "x"}), road.event("Page.created"),
        ):  # fmt: skip
            answer = await road.post(event)
            assert answer.status_code == 200, answer.text
            assert answer.json()["outcome"] in {"ignored", "elsewhere"}, event


async def test_one_that_comes_again_causes_nothing(road: Road) -> None:
    """Nothing is done on its word: a look at the row is all that one asks for."""
    event = road.event(data={
        "parent": {"id": road.fortress.settings.notion_database_id, "type": "database"},
        "subject": "Sent now", "status": "Send",
    })  # fmt: skip
    first = await road.post(event)
    assert first.json() == {"outcome": "look"}
    async with road.fortress.untouched():
        assert (await road.post(event)).json() == {"outcome": "copy"}
    assert await road.fortress.arrange.one("select count(*) from mailouts") == 0


async def test_a_stranger_who_asks_to_verify_gets_nowhere(road: Road) -> None:
    """Such a request can't be signed. What it brings is shown to the owner for an hour, five at
    most are kept, and nothing counts but what the owner sets."""
    for number in range(12):
        token = f"secret_of_a_stranger_{number}"
        answer = await road.post(json.dumps({"verification_token": token}).encode(), "")
        assert answer.json() == {"outcome": "verification"}
    assert await road.fortress.arrange.one("select count(*) from notion_verifications") == 5
    raw = json.dumps(road.event()).encode()
    async with road.fortress.untouched():
        assert (await road.post(raw, signature(token, raw))).status_code == 401
        for value in (
            "",
            "x",
            7,
            None,
            ["secret_0123456789"],
            "a b c d e f g h",
            "x" * 301,
            "\0" * 9,
        ):
            body = json.dumps({"verification_token": value}).encode()
            assert (await road.post(body, "")).status_code == 401, value
