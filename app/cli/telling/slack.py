"""`amazonsender slack …`: whether a message reaches the owner's channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from app.cli.shared import quiet_settings, run
from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The channel in Slack that is told of mailouts.")


@app.callback()
def _group() -> None:
    """Keeps `try` a command of its own, being the only one."""


@app.command("try")
def try_it() -> None:
    """Post a message into the channel, to see that it arrives."""
    settings = quiet_settings()
    if not settings.uses_slack:
        raise ConfigurationError(
            "No Slack is set: docs/slack.md says how to get SLACK_WEBHOOK_URL, or SLACK_BOT_TOKEN "
            "and SLACK_CHANNEL."
        )
    run(_post(settings))
    typer.echo("Slack took the message: look into the channel.")


async def _post(settings: Settings) -> None:
    from app.domain.slack.message import write_hello
    from app.outside import slack_way

    async with slack_way(settings) as slack:
        await slack.post(write_hello(settings.app_base_url))
