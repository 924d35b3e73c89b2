"""Settings for Slack: what stops the start, what `doctor` says, and what shows no secret."""

from __future__ import annotations

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import AppError, ConfigurationError
from app.outside import OUTSIDE, examine, slack_way
from app.services.telling.check import check_slack
from app.settings import Settings
from tests.slack.desk import bot_settings, webhook_settings
from tests.support.service import settings_for
from tests.support.slack import CHANNEL, SECRET_PATH, TOKEN, SlackStandIn


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"SLACK_BOT_TOKEN": TOKEN}, "SLACK_BOT_TOKEN and SLACK_CHANNEL must be set together"),
        ({"SLACK_CHANNEL": CHANNEL}, "SLACK_BOT_TOKEN and SLACK_CHANNEL must be set together"),
        ({"SLACK_BOT_TOKEN": f"{TOKEN} x", "SLACK_CHANNEL": CHANNEL}, "SLACK_BOT_TOKEN: is no key"),
        ({"SLACK_BOT_TOKEN": TOKEN, "SLACK_CHANNEL": "my channel"}, "SLACK_CHANNEL"),
        ({"SLACK_BOT_TOKEN": TOKEN, "SLACK_CHANNEL": "ä" * 101}, "SLACK_CHANNEL"),
        ({"SLACK_WEBHOOK_URL": f"http://hooks.slack.com{SECRET_PATH}"}, "SLACK_WEBHOOK_URL: must"),
        ({"SLACK_WEBHOOK_URL": f"hooks.slack.com{SECRET_PATH}"}, "SLACK_WEBHOOK_URL: must"),
        ({"SLACK_WEBHOOK_URL": f"https://u:p@hooks.slack.com{SECRET_PATH}"}, "SLACK_WEBHOOK_URL"),
        ({"SLACK_WEBHOOK_URL": f"ftp://127.0.0.1{SECRET_PATH}"}, "SLACK_WEBHOOK_URL"),
        ({"SLACK_API_URL": "http://slack.com/api"}, "SLACK_API_URL: must be https"),
    ],
)
def test_what_cannot_be_meant_stops_the_start_without_showing_it(
    given: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        settings_for("postgresql://unused", None, **given)
    assert TOKEN not in error.value.detail
    assert SECRET_PATH not in error.value.detail


def test_https_and_a_stand_in_are_taken_and_shown_nowhere() -> None:
    for url in (f"https://hooks.slack.com{SECRET_PATH}", f"http://127.0.0.1:9{SECRET_PATH}"):
        settings = settings_for("postgresql://unused", None, SLACK_WEBHOOK_URL=url)
        assert settings.uses_slack
        assert SECRET_PATH not in repr(settings)


async def said(settings: Settings) -> list[tuple[str, str]]:
    async with slack_way(settings) as way:
        return [(one.level, one.what) for one in await check_slack(way, settings)]


async def test_the_doctor_asks_a_bots_token_and_tells_nobody(
    dsn: str, slack: SlackStandIn, by_bot: Settings, by_webhook: Settings
) -> None:
    [(level, what)] = await said(by_bot)
    assert (level, "mailer in Example" in what) == ("ok", True)
    both = bot_settings(dsn, slack, SLACK_WEBHOOK_URL=slack.webhook_url)
    levels = await said(both)
    assert [level for level, _ in levels] == ["warn", "ok"]
    assert "SLACK_WEBHOOK_URL isn't used" in levels[0][1]
    slack.token_error = "invalid_auth"
    [(level, what)] = await said(by_bot)
    assert (level, "SLACK_BOT_TOKEN" in what) == ("fail", True)
    slack.heal()
    slack.scopes = "channels:read"
    [(level, what)] = await said(by_bot)
    assert (level, "chat:write" in what) == ("fail", True)
    slack.fail(503)
    [(level, _)] = await said(by_bot)
    assert level == "warn"
    slack.asked.clear()
    [(level, what)] = await said(by_webhook)
    assert (level, "can't be tried without posting" in what) == ("ok", True)
    assert slack.asked == []
    assert slack.messages == []


async def test_doctor_has_a_line_for_slack(dsn: str, slack: SlackStandIn) -> None:
    outside = replace(OUTSIDE, notion=None)
    settings = webhook_settings(dsn, slack, AWS_REGION=None)
    found = await examine(settings, outside=outside)
    assert [one.level for one in found if "SLACK_WEBHOOK_URL" in one.what] == ["ok"]


@pytest.mark.parametrize("kind", ["bot", "webhook", "none", "refused"])
def test_a_person_tries_whether_a_message_arrives(
    dsn: str, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    settings = {
        "bot": bot_settings(dsn, slack),
        "webhook": webhook_settings(dsn, slack),
        "none": settings_for(dsn, None),
        "refused": bot_settings(dsn, slack),
    }[kind]
    slack.channel_error = "not_in_channel" if kind == "refused" else None
    monkeypatch.setattr("app.settings.load_settings", lambda: settings)
    done = CliRunner().invoke(app, ["slack", "try"])
    if kind in ("none", "refused"):
        assert isinstance(done.exception, AppError)
        assert ("invite the bot" if kind == "refused" else "docs/slack.md") in str(done.exception)
    else:
        assert "look into the channel" in done.output
        assert "AmazonSender can write here" in slack.only.shown
