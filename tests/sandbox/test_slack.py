"""The sandbox's Slack: what it refuses, and the channel in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.sandbox.slack.blocks import Invalid, check
from app.sandbox.slack.workspace import CHANNEL, SECRET_PATH, TOKEN


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with SandboxServer(SandboxConfig(slack=True)) as server:
        yield server.url


def section(text: Any, kind: str = "mrkdwn", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": kind, "text": text, **more}}


FIELD = {"type": "mrkdwn", "text": "x"}
LONG = {"type": "mrkdwn", "text": "x" * 2_001}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x" * 3_001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x", emoji=True)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x", kind="html")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [FIELD] * 11}]}, "invalid_blocks"),
        (
            {
                "text": "x",
                "blocks": [{"type": "section", "fields": [{**FIELD, "text": "x" * 2001}]}],
            },
            "invalid_blocks",
        ),
        ({"text": "x", "blocks": [{"type": "header", "text": FIELD}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "unheard_of"}]}, "invalid_blocks"),
    ],
)
def test_what_slack_refuses_is_refused(asked: dict[str, Any], word: str) -> None:
    with pytest.raises(Invalid, match=word):
        check(asked)


def test_what_slack_takes_is_taken() -> None:
    check({"text": "x" * 40_000})
    check({"blocks": [section("x" * 3_000, verbatim=True)] * 50})
    check({"text": "x", "blocks": [{"type": "section", "fields": [FIELD] * 10}]})


def test_the_webhook_and_the_bot_answer_as_slack_does(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as http:
        loose = {"text": "Hello & <https://x.example|you>", "blocks": [section("A & B")]}
        assert http.post(SECRET_PATH, json=loose).text == "ok"
        wrong = http.post(SECRET_PATH, content=b"{")
        assert (wrong.status_code, wrong.text) == (400, "invalid_payload")
        assert http.post("/services/T1/B1/other", json={"text": "x"}).status_code == 403

        assert http.post("/api/auth.test").json() == {"ok": False, "error": "not_authed"}
        http.headers["Authorization"] = "Bearer xoxb-other"
        assert http.post("/api/auth.test").json()["error"] == "invalid_auth"
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        assert http.post("/api/auth.test").json()["user"] == "mailer"
        nowhere = http.post("/api/chat.postMessage", json={"channel": "C9", "text": "x"})
        assert nowhere.json()["error"] == "channel_not_found"
        form = http.post("/api/chat.postMessage", data={"channel": CHANNEL, "text": "x"})
        assert form.json()["error"] == "invalid_form_data"
        posted = http.post("/api/chat.postMessage", json={"channel": CHANNEL, "text": "A"}).json()
        place = {"channel": posted["channel"], "ts": posted["ts"]}
        changed = http.post("/api/chat.update", json={**place, "text": "B &lt;b&gt;"}).json()
        assert changed["ok"]
        gone = http.post("/api/chat.update", json={**place, "ts": "1.2", "text": "C"}).json()
        assert gone == {"ok": False, "error": "message_not_found"}

        page = http.get("/slack").text
    assert "B &lt;b&gt;" in page
    assert "A &amp; B" in page
    assert "Changed 1 time" in page
    assert f"SLACK_WEBHOOK_URL={url}{SECRET_PATH}" in page
    assert ">A<" not in page


def test_without_it_there_is_none() -> None:
    with SandboxServer(SandboxConfig()) as server:
        assert httpx.get(f"{server.url}/slack", trust_env=False).status_code == 404
        assert "/slack" not in httpx.get(server.url, trust_env=False).text
