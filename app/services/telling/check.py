"""A part of `amazonsender doctor`: would the owner's Slack be told?"""

from __future__ import annotations

from app.domain.reports.findings import Finding
from app.errors import SlackAway, SlackRefused
from app.ports import Slack
from app.settings import Settings

NOT_TRIED = Finding(
    "ok",
    "SLACK_WEBHOOK_URL is set. Whether Slack takes it shows with the first mailout: an incoming "
    "webhook can't be tried without posting a message.",
)
BOTH = Finding(
    "warn",
    "SLACK_WEBHOOK_URL isn't used: SLACK_BOT_TOKEN is set, too, and goes before it.",
    "take the one out that you don't want.",
)


async def check_slack(slack: Slack, settings: Settings) -> list[Finding]:
    """settings: a bot or an incoming webhook is set. Tells nobody anything."""
    findings = [BOTH] if settings.slack_bot_token and settings.slack_webhook_url else []
    try:
        who = await slack.check()
    except SlackAway as exc:
        return [*findings, Finding("warn", exc.detail, "check again in a while.")]
    except SlackRefused as exc:
        return [*findings, Finding("fail", exc.detail)]  # it names its remedy
    if who is None:
        return [*findings, NOT_TRIED]
    return [
        *findings,
        Finding(
            "ok",
            f"Slack knows the bot {who}. Whether it is in the channel SLACK_CHANNEL shows with the "
            "first mailout: see that it is invited.",
        ),
    ]
