"""What Slack's errors mean, in words for the owner, each with what to do. Pure.

Sources: docs.slack.dev, "Sending messages using incoming webhooks" and the errors of
chat.postMessage, chat.update and auth.test; Slack's changelog of 17 May 2016.
"""

from __future__ import annotations

from typing import Literal

from app.errors import SlackMessageGone, SlackRefused

Way = Literal["bot", "webhook"]

PASSING = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "rollup_error",
        "team_added_to_org",
    }
)
"""Nothing is wrong with what was asked: it is to be asked again."""

GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
OF_THE_CHANNEL = frozenset(
    {"channel_not_found", "not_in_channel", "is_archived", "channel_is_archived"}
)
OF_THE_MESSAGE = frozenset(
    {
        "invalid_payload",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_arguments",
        "invalid_form_data",
        "invalid_json",
        "msg_too_long",
        "msg_blocks_too_long",
        "no_text",
        "missing_text_or_fallback_or_attachments",
        "too_many_attachments",
    }
)
"""Another message may be taken."""

_NEW_WEBHOOK = (
    "Make a new incoming webhook (api.slack.com/apps, Incoming Webhooks), put its address into "
    "SLACK_WEBHOOK_URL and restart the service."
)
_COPY_IT_AGAIN = (
    "Copy the Bot User OAuth Token from api.slack.com/apps (OAuth & Permissions) into "
    "SLACK_BOT_TOKEN and restart the service."
)
_INVITE = (
    "Copy the channel's ID (in Slack: the channel's name, About, at the bottom) into "
    "SLACK_CHANNEL, and invite the bot into the channel: /invite @its-name."
)
_ADMINISTRATOR = "Ask an administrator of the workspace."

_BOTS = {
    "invalid_auth": (
        f"Slack doesn't accept SLACK_BOT_TOKEN: it is mistyped or revoked. {_COPY_IT_AGAIN}"
    ),
    "token_revoked": f"SLACK_BOT_TOKEN was revoked. {_COPY_IT_AGAIN}",
    "token_expired": f"SLACK_BOT_TOKEN has expired. {_COPY_IT_AGAIN}",
    "account_inactive": (
        f"The bot was removed from the workspace. Install its app again. {_COPY_IT_AGAIN}"
    ),
    "not_allowed_token_type": (
        f"SLACK_BOT_TOKEN isn't a bot's: that begins with xoxb-. {_COPY_IT_AGAIN}"
    ),
    "missing_scope": (
        "The bot lacks the scope chat:write. Add it at api.slack.com/apps (OAuth & Permissions, "
        "Bot Token Scopes) and press Reinstall to Workspace."
    ),
    "channel_not_found": f"Slack shows the bot no channel SLACK_CHANNEL. {_INVITE}",
    "not_in_channel": f"The bot isn't in the channel SLACK_CHANNEL. {_INVITE}",
    "is_archived": "The channel SLACK_CHANNEL is archived. Unarchive it, or name another.",
}
_BOTS["not_authed"] = _BOTS["invalid_auth"]

_WEBHOOKS = {
    "no_service": f"The incoming webhook was removed or switched off. {_NEW_WEBHOOK}",
    "no_active_hooks": f"The incoming webhook was removed or switched off. {_NEW_WEBHOOK}",
    "no_team": f"The workspace of the incoming webhook isn't there any more. {_NEW_WEBHOOK}",
    "team_disabled": f"The workspace of the incoming webhook is switched off. {_NEW_WEBHOOK}",
    "invalid_token": f"Slack doesn't know the address in SLACK_WEBHOOK_URL. {_NEW_WEBHOOK}",
    "user_not_found": f"Who made the incoming webhook left the workspace. {_NEW_WEBHOOK}",
    "channel_not_found": f"The incoming webhook's channel was deleted. {_NEW_WEBHOOK}",
    "channel_is_archived": (
        f"The incoming webhook's channel is archived. Unarchive it. Or: {_NEW_WEBHOOK}"
    ),
}

_BOTH = {
    "action_prohibited": f"The workspace doesn't let us post into this channel. {_ADMINISTRATOR}",
    "posting_to_general_channel_denied": (
        f"The workspace doesn't let us post into #general. {_ADMINISTRATOR}"
    ),
    "ekm_access_denied": f"Administrators have suspended posting. {_ADMINISTRATOR}",
}
_RESTRICTED = (
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
    "restricted_action_non_threadable_channel",
    "access_denied",
    "no_permission",
)
_BOTH |= dict.fromkeys(_RESTRICTED, _BOTH["action_prohibited"])


def refusal(code: str, way: Way) -> SlackRefused:
    """code: Slack's word for it, or one of ours such as `status_418`."""
    words = (_BOTS if way == "bot" else _WEBHOOKS).get(code) or _BOTH.get(code)
    if code in GONE:
        return SlackMessageGone("The message isn't there any more.", slack_error=code)
    if words is None and code in OF_THE_MESSAGE:
        words = f"Slack doesn't take the form of a message of ours ({code}). Please report this."
    if words is None:
        name = "SLACK_BOT_TOKEN and SLACK_CHANNEL" if way == "bot" else "SLACK_WEBHOOK_URL"
        words = f"Slack refuses messages ({code}). Check {name}: docs/slack.md."
    return SlackRefused(
        words,
        slack_error=code,
        concerns_all=code not in OF_THE_MESSAGE,
        is_of_channel=code in OF_THE_CHANNEL,
    )
