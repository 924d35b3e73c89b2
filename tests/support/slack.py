"""The sandbox's Slack on an address of its own."""

from __future__ import annotations

from app.sandbox.slack.workspace import (
    CHANNEL,
    SECRET_PATH,
    TOKEN,
    Answer,
    Fault,
    Posted,
    SlackWorkspace,
)
from tests.support.local_server import LocalServer, Reply

__all__ = ["CHANNEL", "SECRET_PATH", "TOKEN", "Answer", "Fault", "Posted", "SlackStandIn"]


class SlackStandIn(LocalServer, SlackWorkspace):
    """SLACK_WEBHOOK_URL: `webhook_url`; SLACK_API_URL: `api_url`."""

    @property
    def webhook_url(self) -> str:
        return f"{self.url}{SECRET_PATH}"

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        given = self.answer(path, body, headers)
        return Reply(given.status, given.body, given.headers)
