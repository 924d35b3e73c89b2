"""What kind of program an event came from, by its user agent. Pure."""

from __future__ import annotations

import re

# The first that fits names the program. What says of itself that it isn't a person's browser comes
# before the proxies, since some of them name the browser they imitate.
_KINDS = (
    ("previewer", r"slackbot|facebookexternalhit|whatsapp/|twitterbot|linkedinbot|telegrambot"
                  r"|discordbot|skypeuripreview"),
    ("checker", r"bot\b|crawler|spider|curl/|wget/|python-requests|headless"),
    ("gmail-proxy", r"googleimageproxy|ggpht\.com"),
    ("yahoo-proxy", r"yahoomailproxy"),
)  # fmt: skip
_PATTERN = re.compile("|".join(f"(?P<{n.replace('-', '_')}>{p})" for n, p in _KINDS), re.I)


def agent_of(user_agent: str | None) -> str:
    """Our name of the kind of program; '': an ordinary one, such as a browser or a mail program.

    Never raises. The names: `previewer`, `checker`, `gmail-proxy`, `yahoo-proxy`, `apple-privacy`
    (Apple Mail's privacy protection), `none` (it didn't say).
    """
    text = (user_agent or "").strip()
    if not text:
        return "none"
    if text == "Mozilla/5.0":
        return "apple-privacy"
    found = _PATTERN.search(text[:1000])
    return "" if found is None else (found.lastgroup or "").replace("_", "-")
