"""Two ways into Slack: what is asked, what its errors mean, and what never leaves."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from app.adapters.slack import client
from app.adapters.slack.client import SlackBot, SlackWebhook
from app.domain.slack.message import Message
from app.domain.slack.news import Place
from app.errors import AppError, SlackAway, SlackMessageGone, SlackRefused
from tests.support.local_server import LocalServer, Reply
from tests.support.slack import CHANNEL, SECRET_PATH, TOKEN, Answer, Fault, SlackStandIn

HELLO = Message("Hello", [{"type": "section", "text": {"type": "mrkdwn", "text": "Hello"}}])


@pytest.fixture
async def bot(slack: SlackStandIn) -> AsyncIterator[SlackBot]:
    async with SlackBot(SecretStr(TOKEN), CHANNEL, slack.api_url) as way:
        yield way


@pytest.fixture
async def webhook(slack: SlackStandIn) -> AsyncIterator[SlackWebhook]:
    async with SlackWebhook(SecretStr(slack.webhook_url)) as way:
        yield way


async def test_a_bot_posts_changes_replies_and_says_who_it_is(
    bot: SlackBot, slack: SlackStandIn
) -> None:
    place = await bot.post(HELLO)
    assert place == Place(CHANNEL, slack.only.ts, asked_for=CHANNEL)
    await bot.update(place, Message("Bye", HELLO.blocks))
    assert slack.only.text == "Bye"
    await bot.post(HELLO, under=place)
    assert slack.replies[0].thread_ts == place.ts
    assert await bot.check() == "mailer in Example"
    assert len(slack.messages) == 2


async def test_a_channels_name_will_do(slack: SlackStandIn) -> None:
    """What Slack answers names the channel's id, which a change needs."""
    async with SlackBot(SecretStr(TOKEN), "newsletter", slack.api_url) as way:
        place = await way.post(HELLO)
        assert (place.channel, place.asked_for) == (CHANNEL, "newsletter")
        await way.update(place, Message("Bye", HELLO.blocks))
    assert slack.only.text == "Bye"


@pytest.mark.parametrize(
    ("code", "words", "concerns_all"),
    [
        ("invalid_auth", "Copy the Bot User OAuth Token", True),
        ("token_revoked", "SLACK_BOT_TOKEN was revoked", True),
        ("account_inactive", "Install its app again", True),
        ("channel_not_found", "invite the bot into the channel", True),
        ("not_in_channel", "invite the bot into the channel", True),
        ("is_archived", "Unarchive it", True),
        ("missing_scope", "Add it at api.slack.com/apps", True),
        ("restricted_action", "Ask an administrator", True),
        ("invalid_blocks", "Please report this", False),
        ("brand_new_error", r"\(brand_new_error\). Check SLACK_BOT_TOKEN and SLACK_CHANNEL", True),
    ],
)
async def test_a_bots_refusals_say_what_to_do(
    bot: SlackBot, slack: SlackStandIn, code: str, words: str, concerns_all: bool
) -> None:
    slack.token_error = code
    with pytest.raises(SlackRefused, match=words) as refused:
        await bot.post(HELLO)
    assert refused.value.extra["concerns_all"] == concerns_all


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "no_service", "removed or switched off. Make a new incoming webhook"),
        (404, "no_team", "workspace of the incoming webhook"),
        (403, "invalid_token", "SLACK_WEBHOOK_URL"),
        (404, "channel_not_found", "channel was deleted"),
        (410, "channel_is_archived", "Unarchive it"),
        (403, "action_prohibited", "Ask an administrator"),
        (400, "user_not_found", "left the workspace"),
        (418, "", r"\(status_418\). Check SLACK_WEBHOOK_URL"),
    ],
)
async def test_a_webhooks_refusals_say_what_to_do(
    webhook: SlackWebhook, slack: SlackStandIn, status: int, code: str, words: str
) -> None:
    slack.webhook_error = (status, code)
    with pytest.raises(SlackRefused, match=words):
        await webhook.post(HELLO)


async def test_what_slack_cannot_read_is_our_fault(
    bot: SlackBot, webhook: SlackWebhook, slack: SlackStandIn
) -> None:
    too_many = Message("Hello", [dict(HELLO.blocks[0])] * 51)
    for way in (bot, webhook):
        with pytest.raises(SlackRefused, match=r"invalid_blocks.*Please report") as refused:
            await way.post(too_many)
        assert not refused.value.extra["concerns_all"]
    assert slack.messages == []


async def test_a_bot_without_the_scope_is_found_by_the_check(
    bot: SlackBot, slack: SlackStandIn
) -> None:
    slack.scopes = "channels:read"
    with pytest.raises(SlackRefused, match="chat:write"):
        await bot.check()


@pytest.mark.parametrize("code", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_a_message_that_cannot_be_changed_any_more_is_told_apart(
    bot: SlackBot, slack: SlackStandIn, code: str
) -> None:
    place = await bot.post(HELLO)
    if code == "message_not_found":
        slack.only.deleted = True
    else:
        slack.token_error = code
    with pytest.raises(SlackMessageGone):
        await bot.update(place, HELLO)


async def test_slack_asks_to_wait(
    bot: SlackBot, webhook: SlackWebhook, slack: SlackStandIn
) -> None:
    slack.throttle(30)
    for way in (bot, webhook):
        with pytest.raises(SlackAway, match="wait 30 s") as away:
            await way.post(HELLO)
        assert away.value.extra["retry_after"] == 30


@pytest.mark.parametrize(
    "reply",
    [
        Answer(503, b"no healthy upstream"),
        Answer(200, b"<html>Please sign in to the hotel's network</html>"),
        Answer(200, b"x" * (client.MAX_ANSWER_BYTES + 1)),
        Answer(302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
        Answer(307, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
    ],
)
async def test_what_isnt_slacks_answer_is_tried_again_later(
    bot: SlackBot, webhook: SlackWebhook, slack: SlackStandIn, reply: Answer
) -> None:
    """A redirect isn't followed: it would take the secret elsewhere."""
    slack.fault = Fault(reply)
    for way in (bot, webhook):
        with pytest.raises(SlackAway):
            await way.post(HELLO)
    assert len(slack.asked) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"ok":true}', b"\xff\xfe", b'{"ok":false,"error":"internal_error"}'],
)
async def test_a_bot_is_answered_in_slacks_way_or_tries_again(
    bot: SlackBot, slack: SlackStandIn, body: bytes
) -> None:
    slack.fault = Fault(Answer(200, body))
    with pytest.raises(SlackAway):
        await bot.post(HELLO)


@pytest.mark.parametrize("body", [b"ok", b"", b'{"success":true}'])
async def test_a_webhook_of_a_program_like_slack_may_answer_in_its_own_way(
    webhook: SlackWebhook, slack: SlackStandIn, body: bytes
) -> None:
    """What was taken isn't posted again."""
    slack.fault = Fault(Answer(200, body), after=True)
    await webhook.post(HELLO)
    assert slack.only.text == "Hello"


async def test_an_outages_own_time_is_kept_too(webhook: SlackWebhook, slack: SlackStandIn) -> None:
    slack.fault = Fault(Answer(503, b"", {"Retry-After": "120"}))
    with pytest.raises(SlackAway) as away:
        await webhook.post(HELLO)
    assert away.value.extra["retry_after"] == 120


async def test_a_slack_that_says_nothing_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "CALL_SECONDS", 0.05)

    class Silent(LocalServer):
        def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
            threading.Event().wait(0.3)
            return Reply(200, b"ok")

    with Silent() as server:
        async with SlackWebhook(SecretStr(f"{server.url}{SECRET_PATH}")) as way:
            with pytest.raises(SlackAway, match="doesn't answer") as away:
                await way.post(HELLO)
    assert away.value.extra["is_unsure"]


async def test_no_proxy_of_the_environment_is_asked(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with SlackWebhook(SecretStr(slack.webhook_url)) as way:
        await way.post(HELLO)
    assert slack.only.text == "Hello"


def ways(url: str) -> list[tuple[SlackBot | SlackWebhook, str]]:
    """Each with its secret."""
    return [
        (SlackBot(SecretStr(TOKEN), CHANNEL, url), TOKEN),
        (SlackWebhook(SecretStr(url + SECRET_PATH)), SECRET_PATH),
    ]


async def test_no_error_shows_the_secret(slack: SlackStandIn) -> None:
    """Not in its words, its causes, or what a traceback shows."""
    replies = [Answer(500), Answer(200, b"<?"), Answer(302, b"", {"Location": "/x"}), Answer(429)]
    replies += [Answer(403, SECRET_PATH.encode()), Answer(400, json.dumps({"ok": TOKEN}).encode())]
    nowhere = [("http://127.0.0.1:1", None), ("http://[::1", None)]
    for address, reply in [*nowhere, *((slack.url, reply) for reply in replies)]:
        slack.fault = Fault(reply) if reply else None
        for way, secret in ways(address):
            async with way:
                assert secret not in repr(way)
                with pytest.raises(AppError) as raised:
                    await way.post(HELLO)
            said = "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
            assert secret not in said
            assert raised.value.__cause__ is None
