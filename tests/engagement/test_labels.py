"""What an event's address and user agent are called before both are dropped."""

from __future__ import annotations

import pytest

from app.domain.engagement.agents import agent_of


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (None, "none"),
        ("Mozilla/5.0", "apple-privacy"),
        ("Mozilla/5.0 (rv:11.0) Firefox/11.0 (via ggpht.com GoogleImageProxy)", "gmail-proxy"),
        ("python-requests/2.32.3", "checker"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "previewer"),
    ],
)  # fmt: skip
def test_a_program_is_named_by_its_user_agent(user_agent: str | None, name: str) -> None:
    assert agent_of(user_agent) == name
