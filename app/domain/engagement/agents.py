"""What kind of program an event came from, by its user agent. Pure.

Only what a program says of itself is believed here; a scanner that poses as a browser is left to
the rules on time and bursts.
"""

from __future__ import annotations

import re
from functools import lru_cache

PROXIES = frozenset({"gmail-proxy", "yahoo-proxy"})
"""Load the pictures in place of a reader, when the mail is shown."""
SAY_SO = frozenset({"previewer", "checker"})
"""Programs that say themselves that no person is using them."""

_USER_AGENT_MAX_CHARS = 1000  # what follows names no program

# The first kind that fits decides. Gmail loads the pictures of a mail that arrives while the
# mailbox is open, as this browser of 2015 with a second "Mozilla/5.0" at its end; it isn't the
# proxy of a mail that is shown. Source: messagebird.com/blog/gmail-prefetching-images.
_KINDS = (
    ("gmail_prefetch", r"edge/12\.246 mozilla/5\.0$"),
    ("gmail_proxy", r"googleimageproxy|ggpht\.com"),
    ("yahoo_proxy", r"yahoomailproxy"),
    (
        "previewer",
        r"slackbot|slack-imgproxy|facebookexternalhit|facebot|whatsapp|twitterbot|linkedinbot"
        r"|telegrambot|discordbot|skypeuripreview|bingpreview|google web preview|redditbot"
        r"|pinterestbot|embedly|iframely|mattermost-bot|vkshare|snap url preview",
    ),
    (
        "checker",
        # An address to ask about it, or "compatible" with nothing that a person uses. Not CUBOT,
        # which makes telephones.
        r"\+https?://|^mozilla/5\.0 \(compatible;(?! ?(?:msie|konqueror|opera))|"
        r"(?<!cu)bot\b|(?<!cu)bots?[/;_-]|crawl|spider|slurp|scrapy|link ?check|urlscan"
        r"|headless|phantomjs|puppeteer|playwright|selenium|lighthouse"
        r"|barracuda|proofpoint|mimecast|ironport|cisco ?secure|safelinks"
        r"|\bcurl/|wget/|python-|python/|aiohttp|httpx/|go-http-client|libwww-perl|node-fetch"
        r"|axios/|undici|got \(|guzzle|apache-httpclient|postmanruntime|^java/|^ruby|faraday"
        r"|^php|powershell|httpie|httrack|check_http|masscan|scraper|uptime",
    ),
)
_PATTERN = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _KINDS))


def agent_of(user_agent: str | None) -> str:
    """Our name of the kind of program; '': an ordinary one, such as a browser or a mail program.

    Never raises, whatever an event holds. The names: those of `PROXIES` and `SAY_SO`,
    `gmail-prefetch` (Gmail before the mail is shown), `apple-privacy` (Apple Mail's privacy
    protection), `none` (the program didn't say).
    """
    text = user_agent.strip() if isinstance(user_agent, str) else ""
    return _agent_of(text[:_USER_AGENT_MAX_CHARS]) if text and text != "-" else "none"


@lru_cache(maxsize=5_000)
def _agent_of(text: str) -> str:
    # The whole of what Apple's protection says of itself; everybody else says more.
    if text == "Mozilla/5.0":
        return "apple-privacy"
    kinds = {found.lastgroup for found in _PATTERN.finditer(text.lower())}
    return next((name.replace("_", "-") for name, _ in _KINDS if name in kinds), "")
